"""The walls of the house, read from the source: who may import whom, and who may name what."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The rooms and the few files beside them, the lowest first: each imports itself and those above
# its line, also where it names them in a string. A new folder gets a line: that is the moment to
# ask where it belongs.
FLOORS = """
    naming                           names to objects, whose code they are, words for errors
    terminal                         what a terminal is shown, and signals
    arrays                           NumPy, CuPy, randomness
    rowwise checks                   what users hand in
    files                            files, of this process and of others
    structures                       the matrix groups
    core                             a Gaussian and a step, whoever takes it
    testing                          their laws, for users' own too
    space                            where the points live
    problem problems named_problems  what is minimised
    strategy                         the algorithm, pure
    population                       what was asked and told
    evaluators                       the user's function, here and by workers
    search                           ask and tell, minimize
    sharded                          a search in many processes
    runs                             recorded experiments
    report                           pictures
    bench                            the evidence
    shell __main__                   the command line
"""
ORDER = [
    name
    for line in FLOORS.strip().splitlines()
    for name in re.split(" {2,}", line.strip())[0].split()
]
LEVEL = {name: level for level, name in enumerate(ORDER)}
ALONE = {"building", "configs", "version"}  # of structes they import nothing
RAY = ("evaluators/ray.py", "evaluators/ray_cluster.py", "bench/seconds/throughput.py")
ARRAYS = ("arrays/libraries.py", "arrays/linalg.py")

# structes/problems and structes/configs are links, which a glob does not follow
PATHS = [(path, path.relative_to(ROOT)) for path in (ROOT / "structes").rglob("*.py")]
PATHS += [
    (path, "structes" / path.relative_to(ROOT))
    for name in ("problems", "configs")
    for path in (ROOT / name).glob("*.py")
]
FILES = {
    ".".join(name.with_suffix("").parts).removesuffix(".__init__"): path for path, name in PATHS
}
_PATH = re.compile(r"(structes(\.\w+)+)(:\w+)?")  # a whole string that names a module


@cache
def parsed(module):
    """The source of a module as a tree."""
    return ast.parse(FILES[module].read_text())


@cache
def imports(module):
    """Dotted names that a module imports anywhere in it, functions and strings included; those
    from structes as the modules that they are or lie in."""
    return list(_imports(module))


def _imports(module):
    path = FILES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = _PATH.fullmatch(node.value)
            names = [match[1]] if match else []
        else:
            continue
        for name in names:
            while name.startswith("structes.") and name not in FILES:
                name = name.rpartition(".")[0]
            yield name


def room(module):
    """The word in FLOORS that a module of structes belongs to; None for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == "structes" and len(parts) > 1 else None


MODULES = sorted(FILES)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module):
    here = room(module)
    if here is None:
        return  # structes/__init__.py shows everything
    if here in ALONE:
        assert not any(room(name) for name in imports(module))
        return
    assert here in LEVEL, f"{module}: give {here} a line in FLOORS"
    for name in imports(module):
        other = room(name)
        assert name != "structes", f"{module} imports the package that shows everything"
        assert other is None or other in ALONE or LEVEL[other] <= LEVEL[here], (
            f"{module} imports {name}, which lies above it"
        )


def test_no_imports_go_round():
    """Also within a room no module leads back to itself."""
    ends, on_the_way = set(), []

    def follow(module):
        if module in ends:
            return
        assert module not in on_the_way, " → ".join(
            [*on_the_way[on_the_way.index(module) :], module]
        )
        on_the_way.append(module)
        for name in imports(module):
            if name in FILES and name not in (module, "structes"):
                follow(name)
        ends.add(on_the_way.pop())

    for module in MODULES:
        follow(module)


def test_every_room_has_a_line_and_every_line_a_room():
    rooms = {room(module) for module in MODULES} - ALONE - {None}
    assert rooms == set(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_only_the_right_rooms_name_these(module):
    path = FILES[module]
    names, text = set(imports(module)), path.read_text()
    end = "/".join(module.split(".")[1:]) + ".py"
    if end != "arrays/linalg.py":
        assert not any(n.startswith(("scipy.linalg", "cupyx")) for n in names)
    if end not in ARRAYS and path.parent.name != "kernels":
        assert not any(n.split(".")[0] == "cupy" for n in names)
    if end != "arrays/noise.py":
        for word in ("np.random", "numpy.random", "default_rng", "import random"):
            assert word not in text, f"{module} names {word}; only arrays/noise.py draws"
    if end not in RAY:
        assert "ray" not in {n.split(".")[0] for n in names}


@pytest.mark.parametrize("module", MODULES)
def test_files_are_short(module):
    assert len(FILES[module].read_text().splitlines()) <= 350


@pytest.mark.parametrize("module", MODULES)
def test_every_module_opens_with_its_idea(module):
    doc = ast.get_docstring(parsed(module))
    assert doc and len(doc) > 30, f"{module} needs a docstring that says why"


def test_every_test_is_fast_or_says_why_not(request):
    for item in request.session.items:
        names = {mark.name for mark in item.iter_markers()}
        assert ("fast" in names) != bool(names & {"slow", "gpu"}), item.nodeid
