"""The walls of the house, read from the source: who may import whom, and who may name what."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# lower layers first; a module may import its own layer and those below. A package stands for its
# modules. Add a new module to its layer here: that is the moment to ask where it belongs.
LAYERS = [
    {
        "backend",
        "noise",
        "kernels",
        "sampling",
        "redrawn",
        "registry",
        "whose",
        "opening",
        "yaml_text",
        "ranking",
        "checks",
        "problem",
        "files",
        "locks",
        "writes",
        "failures",
        "forms",
        "persistent",
        "room",
        "about",
        "output",
        "interrupts",
        "command_line",
        "building",
        "foreign",
        "functions",
    },
    {"structures", "parameters", "examples"},
    {
        "strategy",
        "update",
        "plan",
        "state",
        "engine",
        "rates",
        "auto",
        "noisy",
        "stopping",
        "sound",
        "restarts",
        "domain",
        "integers",
        "limits",
        "space",
        "stored",
        "kinds",
        "choices",
        "fixed",
        "arguments",
        "starts",
        "covariance",
        "prior",
        "studies",
    },
    {
        "es",
        "arrivals",
        "answers",
        "ledger",
        "memory",
        "portion",
        "recognition",
        "search",
        "candidates",
        "fingerprints",
        "generation",
        "gathered",
        "checkpoint",
        "restart_es",
        "evaluation",
        "evaluators",
        "record",
        "own_folder",
        "log",
        "history",
        "progress",
        "trust",
    },
    {"minimize", "outcome", "sharded", "loop", "experiment", "resume", "config", "bench", "plots"},
    {"cli", "__main__", "commands", "flags", "tables"},
]
RAY = ("ray.py", "throughput.py", "call_costs.py")  # of evaluators/ and bench/
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted((ROOT / "structes").rglob("*.py")) + sorted((ROOT / "problems").glob("*.py"))


def imports(path):
    """Absolute dotted names that a file imports anywhere in it, functions included."""
    inside = path.is_relative_to(ROOT / "structes")
    package = path.parent.relative_to(ROOT).parts if inside else ("structes", "problems")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def room(dotted):
    """Name in LEVEL of a module of structes, None for others and for the package's own names."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "structes" and len(parts) > 1 and parts[1] in LEVEL else None


def own_room(path):
    if path.is_relative_to(ROOT / "problems"):
        return "problems"
    parts = path.relative_to(ROOT / "structes").with_suffix("").parts
    return None if parts == ("__init__",) else parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path):
    here = own_room(path)
    if here is None:
        return  # structes/__init__.py shows everything
    assert here == "problems" or here in LEVEL, f"{path.name}: give it a layer in this test"
    limit = 0 if here == "problems" else LEVEL[here]
    for name in imports(path):
        other = room(name)
        assert other is None or LEVEL[other] <= limit, f"{path.name} imports {name}, a layer above"
        assert here == "problems" or not name.startswith("structes.problems"), (
            f"{path.name}: {name}"
        )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_right_rooms_name_these(path):
    names, text = set(imports(path)), path.read_text()
    if path.name != "backend.py":
        assert not any(n.startswith(("scipy.linalg", "cupyx")) for n in names)
    if path.name != "backend.py" and path.parent.name != "kernels":
        assert not any(n.startswith("cupy") for n in names)
    if path.name != "noise.py":
        for word in ("np.random", "numpy.random", "default_rng", "import random"):
            assert word not in text, f"{path.name} names {word}; only noise.py draws"
    if path.parent.name not in ("evaluators", "bench") or path.name not in RAY:
        assert "ray" not in {n.split(".")[0] for n in names}


def test_every_module_opens_with_its_idea():
    for path in MODULES:
        doc = ast.get_docstring(ast.parse(path.read_text()))
        assert doc and len(doc) > 40, f"{path.relative_to(ROOT)} needs a docstring that says why"


def test_every_test_is_fast_or_says_why_not(request):
    for item in request.session.items:
        names = {mark.name for mark in item.iter_markers()}
        assert ("fast" in names) != bool(names & {"slow", "gpu"}), item.nodeid
