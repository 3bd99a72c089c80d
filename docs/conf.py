"""Sphinx reads this: `sphinx-build -W -b html docs docs/_build`, with the extra `docs`."""

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


def setup(app):
    """Write formulas as MathML, which browsers show by themselves, without a script from afar."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
