"""Sphinx reads this: `sphinx-build -W -b html docs docs/_build`, with the extra `docs`."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

import structes

project = "structes"
author = "the structes developers"
release = version = structes.__version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build"]
default_role = "code"  # `x` in a docstring is code

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

numpydoc_show_class_members = False  # autodoc lists them
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("Array", "Number", "Factor", "Tangent")}
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 100
autodoc_inherit_docstrings = False

html_theme = "furo"
html_title = "structes"
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_math_renderer = "mathml"


def inline(translator, node):
    translator.body.append(convert(node.astext()))
    raise SkipNode


def block(translator, node):
    translator.body.append(convert(node.astext(), display="block"))
    raise SkipNode


def skip_fields(app, kind, name, member, skip, options):
    """Leave out the fields of a NamedTuple, which its docstring describes."""
    return skip or str(member.__doc__).startswith("Alias for field number")


def plain_aliases(app, kind, name, member, options, *signature):
    """Name aliases also within other types, where Sphinx 9 writes how it represents them."""
    alias = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    return tuple(text and alias.sub(r"\1", text) for text in signature)


def setup(app):
    """Write formulas as MathML, which browsers show by themselves, without a script from afar."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-signature", plain_aliases)
