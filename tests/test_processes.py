"""How worker processes start and end: no module that starts workers starts them for ever, what
lies in the working folder is nobody's business, Ctrl-C leaves neither a word nor a process, and
output that nobody takes ends nothing."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing import connection

import numpy as np
import pytest

from structes import Evaluator, minimize
from structes.evaluators import launch, process, recursion_guard
from structes.evaluators.channel import pickled
from structes.evaluators.process import Processes
from structes.evaluators.worker import Call

from . import crew
from .crew import X, bits, serial
from .test_supervisor import objective

pytestmark = pytest.mark.slow  # they start processes


def python(*arguments, cwd=None, timeout=60, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env={**os.environ, **environment},
    )


# -- modules that start workers where they are imported -------------------------------------------

HEAD = """
import os, time
with open(os.environ["IMPORTS"], "a") as file:
    file.write("imported\\n")
if sum(1 for _ in open(os.environ["IMPORTS"])) > 12:
    os._exit(9)  # enough of it
import structes

def f(x):
    time.sleep(0.002)
    return float(x @ x)

given = {"x0": [1.0, 1.0], "sigma0": 0.5, "seed": 1, "max_evaluations": 12}
"""
BOMBS = {  # name: (the module's code, how often it may be imported)
    "plain": ("print(structes.minimize(f, workers=2, **given).fun)", 1),
    "instance": (
        """
class F:
    def __call__(self, x): return f(x)
print(structes.minimize(F(), workers=2, **given).fun)
""",
        1,
    ),
    "spawn": (
        """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
with ProcessPoolExecutor(2, get_context("spawn")) as executor:
    print(structes.minimize(f, workers=executor, **given).fun)
""",
        1,
    ),
    "pool": (
        """
from multiprocessing import get_context
with get_context("spawn").Pool(2) as pool:
    print(structes.minimize(f, workers=pool.map, **given).fun)
""",
        1,
    ),
    "nested": (
        """
def g(x):
    return structes.minimize(f, **{**given, "x0": x}, workers=2).fun * 0 + f(x)
print(structes.minimize(g, workers=2, **given).fun)
""",
        1,
    ),
}


@pytest.fixture(scope="module")
def found():
    """What the search finds without workers."""
    f = lambda x: float(x @ x)  # noqa: E731
    return minimize(f, [1.0, 1.0], 0.5, seed=1, max_evaluations=12).fun


@pytest.fixture
def imports(tmp_path):
    """Counts how often a module has been imported."""
    return lambda: (tmp_path / "log").read_text().count("\n")


def imported(tmp_path, code):
    (tmp_path / "tune_me.py").write_text(HEAD + code)
    return python("-c", "import tune_me", cwd=tmp_path, IMPORTS=str(tmp_path / "log"))


@pytest.mark.parametrize(
    "what", ["plain", *(pytest.param(name, marks=pytest.mark.slow) for name in list(BOMBS)[1:])]
)
def test_a_module_that_starts_workers_where_it_is_imported(found, what, tmp_path, imports):
    code, most = BOMBS[what]
    done = imported(tmp_path, code)
    assert float(done.stdout) == found, done.stderr
    assert imports() <= most


@pytest.mark.slow
def test_a_package_that_starts_workers_where_it_is_imported(found, tmp_path, imports):
    """Its other modules cannot be imported without it."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("def g(x): return float(x @ x)\n")
    code = "from .inner import g\nprint(structes.minimize(g, workers=2, timeout=9, **given).fun)\n"
    (tmp_path / "pack" / "__init__.py").write_text(HEAD + code)
    log = str(tmp_path / "log")
    done = python("-c", "import pack", cwd=tmp_path, IMPORTS=log)
    assert float(done.stdout) == found, done.stderr
    assert imports() == 1


REFUSED = {
    # what an experiment names is imported by its workers, to be called there
    "by its name": """
from structes.runs.experiment import experiment_from
from structes.runs.running import run_experiment
spec = {"problems": ["tune_me:f"], "dim": 2, "seed": 1, "max_evaluations": 12, "workers": 2}
done = run_experiment(experiment_from(spec), os.environ["IMPORTS"] + "-runs")
print(done.result)
""",
    "in __setstate__": """
class F:
    def __getstate__(self): return {"a": 1}
    def __setstate__(self, state): structes.minimize(self, workers=2, **given)
    def __call__(self, x): return f(x)
try:
    structes.minimize(F(), workers=2, **given)
except structes.EvaluationError as error:
    print(error)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", REFUSED)
def test_workers_that_are_being_made_start_none(what, tmp_path, imports):
    done = imported(tmp_path, REFUSED[what])
    assert "no workers can be started while a worker" in done.stdout, done.stderr
    assert imports() <= 3


@pytest.mark.slow
def test_a_factory_may_start_workers(found, tmp_path, imports):
    code = """
def made():
    least = structes.minimize(f, workers=2, **given).fun
    return lambda x: f(x) + least
print(structes.minimize(made, workers=2, factory=True, **given).fun)
"""
    done = imported(tmp_path, code)
    assert float(done.stdout) == 2 * found, done.stderr


def test_a_module_is_being_imported_until_it_is_there(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text(
        "from structes.evaluators import recursion_guard\n"
        "from structes.evaluators.channel import pickled\n"
        "def f(x): return 1.0\n"
        "found = [module.__name__ for module in recursion_guard.importing()]\n"
        "now = pickled(f)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import cloudpickle
    import half_there

    assert half_there.found == ["half_there"]
    assert recursion_guard.importing() == []
    assert len(half_there.now) > 2 * len(pickled(half_there.f))  # by value, by name
    assert "half_there" not in cloudpickle.list_registry_pickle_by_value()
    monkeypatch.delitem(sys.modules, "half_there")


def test_what_does_not_go_by_value_goes_by_name(tmp_path, monkeypatch):
    (tmp_path / "half_here.py").write_text(
        "import threading\n"
        "from structes.evaluators.channel import pickled\n"
        "lock = threading.Lock()\n"
        "def f(x):\n    with lock: return 1.0\n"
        "now = pickled(f)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import half_here

    assert half_here.now == pickled(half_here.f)
    monkeypatch.delitem(sys.modules, "half_here")


# -- where workers find modules -------------------------------------------------------------------


def test_workers_have_the_path_of_the_driver(monkeypatch, tmp_path):
    def look(x):
        raise RuntimeError(repr((sys.path, sys.argv)))

    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), "", *sys.path, None, "/é\udc80"])
    with Evaluator(1) as evaluator:
        f = evaluator.bind(look)
        f(X[:1])
    expected = [p for p in sys.path if p is not None]
    assert f.failures[0].message == repr((expected, ["-c"]))


@pytest.mark.parametrize("place", ["", "here", "script"])
def test_what_lies_in_the_working_folder(place, tmp_path):
    """A notebook, or a session, has the folder first in its path when all is imported that comes
    with Python: neither that nor what is installed is looked for there; the user's own is."""
    for name in ("json", "signal", "socket", "numpy", "cloudpickle", "threading", "pickle"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('mine')\n")
    (tmp_path / "own.py").write_text("def f(x): return 3.0 * float(x @ x)\n")
    elsewhere = tmp_path / "scripts"
    elsewhere.mkdir()
    (elsewhere / "run.py").write_text(
        textwrap.dedent(f"""
        import os, sys
        import numpy as np, cloudpickle, structes.evaluators.process
        if {place!r} == "script":
            f = lambda x: 3.0 * float(x @ x)
        else:
            sys.path.insert(0, os.getcwd() if {place!r} else "")
            from own import f
        with structes.Evaluator(1, timeout=30) as evaluator:
            print(evaluator.bind(f)(np.ones((2, 2))))
        """)
    )
    done = python(elsewhere / "run.py", cwd=tmp_path)
    assert done.stdout == "[6. 6.]\n", done.stderr


def test_the_order_of_the_path_decides(tmp_path, monkeypatch):
    """Two folders have a module of one name, and one of them is the working folder."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "which.py").write_text(f"def f(x): return float({name == 'a'})\n")
    monkeypatch.chdir(tmp_path / "a")
    for first in "ab":
        order = sorted("ab", key=lambda name: name != first)
        monkeypatch.setattr(sys, "path", [*(str(tmp_path / name) for name in order), *sys.path])
        import which

        with Evaluator(1, timeout=30) as evaluator:
            assert evaluator.bind(which.f)(X[:1]) == [first == "a"]
        monkeypatch.delitem(sys.modules, "which")


def test_structes_may_lie_in_the_working_folder(monkeypatch):
    """As in a checkout, beside which an older one may be installed."""
    own = str(launch.Path(launch.__file__).parents[2])
    monkeypatch.setattr(sys, "path", ["", own, "/lib/elsewhere"])
    monkeypatch.chdir(own)
    assert launch.path_of_workers() == sys.path
    monkeypatch.chdir("/")
    assert launch.path_of_workers() == [own, "/lib/elsewhere", ""]


def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with Evaluator(1, timeout=30) as evaluator:
        assert bits(evaluator.bind(crew.of_point)(X)) == bits(serial(crew.of_point))


# -- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.fixture
def transport():
    transport = Processes(8)
    yield transport
    transport.close()


def ready(transport, seconds=30.0):
    """Those that say that they are ready, until all are."""
    found, end = [], time.monotonic() + seconds
    while len(found) < len(transport._workers) and time.monotonic() < end:
        for event in transport.poll(0.01):
            assert event.ending is None, event
            found.append(event.worker)
        yield found


@pytest.mark.slow
def test_an_interrupt_while_workers_start_is_not_theirs(transport, capfd):
    workers = [transport.start_worker() for _ in range(4)]
    shots = 0
    for found in ready(transport):
        for worker in set(workers) - set(found):
            worker.process.send_signal(signal.SIGINT)
            shots += 1
    assert len(found) == 4 and shots > 8
    for worker in workers:
        worker.process.send_signal(signal.SIGINT)
        transport.put(worker, "f0", objective(1))
        transport.send(worker, Call("f0", X[:2], 1))
    for _ in range(4):
        assert all(event.outcome is not None for event in transport.poll(10.0))
    assert capfd.readouterr().err == ""


def slow(x):
    time.sleep(0.3)
    return 1.0


@pytest.mark.parametrize("when", ["it works", "it has answered"])
def test_a_worker_that_loses_its_driver_says_nothing(when, transport, capfd):
    """It notices when it answers, or when it reads on: its line is closed, a moment before it is
    killed, or the driver is."""
    worker = transport.start_worker()
    for _ in ready(transport):
        pass
    transport.put(worker, "f", pickled_of(slow if when == "it works" else crew.sphere))
    transport.send(worker, Call("f", X[:1], 1))
    if when == "it has answered":
        assert connection.wait([worker.socket], 10.0)
    worker.socket.close()
    assert worker.process.wait(10.0) == 0
    assert capfd.readouterr().err == ""


def pickled_of(function):
    from structes.evaluators.evaluator import _Made
    from structes.evaluators.worker import Objective
    from structes.rowwise import rowwise

    return Objective(_Made(function, False, rowwise))


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket")  # Python's own, on its way
def test_an_interrupt_while_a_worker_is_hired_forgets_none(transport):
    """The signal may be given to any thread; the main one must not be in the middle of it."""
    moods, caught, before = random.Random(1), 0, set(crew.keepers_of())
    for _ in range(40):
        timer = threading.Timer(moods.uniform(0, 0.004), os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            transport.start_worker()
            timer.join()
            time.sleep(1e-3)
        except KeyboardInterrupt:
            caught += 1
            timer.join()
        known = {worker.process.pid for worker in transport._workers}
        # the kernel names a process after its program a moment after it has begun
        crew.wait_for(lambda known=known: set(crew.keepers_of()) - before == known, 5)
        transport.close()
    assert caught == 40


def running():
    return {pid for pid in crew.children_of() if crew.alive(pid)}


@pytest.mark.parametrize("when", ["_ask", "_kill"])
def test_another_interrupt_while_workers_are_ended_leaves_none(when, monkeypatch):
    act, shots = getattr(process, when), []

    def interrupted(worker):
        shots.append(worker)
        if len(shots) == 2:
            raise KeyboardInterrupt
        act(worker)

    before = running()
    evaluator = Evaluator(3, timeout=60)
    evaluator.bind(lambda x: time.sleep(0.01) or 1.0)(X[:12])
    workers = running() - before
    assert len(crew.keepers_of()) >= 3
    monkeypatch.setattr(process, when, interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluator.close()
    assert crew.survivors(workers, 0.0) == [] and not evaluator.is_open


BUSY = """
import time
import structes
f = lambda x: (time.sleep(0.0003), float(x @ x))[1]
given = {"max_evaluations": 10**6, "tolfun": 1e-300, "restarts": "ipop", "timeout": 30}
print("ready", flush=True)
try:
    structes.minimize(f, [1.0] * 5, 1.0, workers=2, **given)
except KeyboardInterrupt:
    pass
print("over", flush=True)
"""


@pytest.mark.slow
def test_ctrl_c_leaves_no_word_and_no_worker():
    """At any time, from the first worker's start on."""
    moods, end, n = random.Random(5), time.monotonic() + 60, 0
    while n < 24 and time.monotonic() < end:
        driver = crew.start(BUSY)
        driver.stdout.readline()
        time.sleep(moods.uniform(0.1, 0.9))
        workers = crew.children_of(driver.pid)
        os.killpg(driver.pid, signal.SIGINT)
        out, said = driver.communicate(timeout=20)
        assert (out, said) == ("over\n", "")
        assert crew.survivors(workers, 2.0) == []
        n += 1
    assert n >= 6


# -- output ---------------------------------------------------------------------------------------

PRINTS = """
import contextlib, os, sys
import numpy as np
from structes import Evaluator

SAID = sys.argv[1]

def f(x):
    print("é" * 20000)
    print("é" * 20000, file=sys.stderr)
    with open(f"{SAID}-{os.getpid()}", "a") as file:
        for fd in (1, 2):  # as a library does that is no Python; is it the file by now?
            with contextlib.suppress(OSError):
                os.write(fd, b"noise")
        file.write("x")
    return float(x @ x)

with Evaluator(2, timeout=30) as evaluator:
    g = evaluator.bind(f)
    with open(sys.argv[1], "w") as file:
        file.write(f"{g(np.ones((6, 2)))} {g.errors}")
"""


@pytest.mark.parametrize(
    "where",
    ["<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true", ">/dev/null 2>/dev/null", "2>&-"],
)
def test_output_that_nobody_takes(where, tmp_path):
    script = tmp_path / "prints.py"
    script.write_text(PRINTS)
    said = tmp_path / "said"
    ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = f"exec {sys.executable} {script} {said} {where}"
    subprocess.run(command, shell=True, timeout=60, env={**os.environ, **ascii})
    assert said.read_text() == "[2. 2. 2. 2. 2. 2.] 0"
    files = [path.read_text() for path in tmp_path.glob("said-*")]
    assert sorted("".join(files)) == ["x"] * 6


def test_the_line_to_a_worker_is_no_standard_stream(tmp_path):
    script = """
import os, sys
from structes.evaluators.launch import pipe
said = os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 50)
os.closerange(0, 3)
ends = [end for duplex in (True, False) for end in pipe(duplex)]
os.write(50, f"{min(end.fileno() for end in ends)}".encode())
"""
    python("-c", script, tmp_path / "said")
    assert int((tmp_path / "said").read_text()) > 2


def test_a_driver_that_has_no_standard_error(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "__stderr__", None)
    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(lambda x: print("lost", file=sys.stderr) or float(x @ x))
        assert bits(f(X)) == bits(serial(crew.sphere)) and f.errors == 0
    assert capfd.readouterr().err == ""


# -- and other harm -------------------------------------------------------------------------------


def test_a_function_that_writes_into_its_line_dies_of_it():
    def function(x):
        if x[0] == 2:
            for fd in range(3, 1100):
                with contextlib.suppress(OSError):
                    os.write(fd, b"\0\0\0\5hello")
        return crew.of_point(x)

    with Evaluator(1, timeout=30) as evaluator:
        f = evaluator.bind(function)
        values = f(X[:5])
        assert bits(np.delete(values, 2)) == bits(np.delete(serial(crew.of_point, X[:5]), 2))
        (failure,) = f.failures
        assert (failure.row, failure.kind) == (2, "WorkerDied")
        assert "the function wrote into its line" in failure.message


def test_a_fork_of_the_driver_has_workers_of_its_own():
    script = """
import os, time
import numpy as np
from structes import Evaluator
with Evaluator(2, timeout=30) as evaluator:
    f = evaluator.bind(lambda x: (time.sleep(0.001), float(x[0]))[1])
    f(np.ones((4, 1)))
    pid = os.fork()
    mine = 1.0 if pid else 3.0
    right = all((f(np.full((20, 1), mine)) == mine).all() for _ in range(20))
    if pid == 0:
        evaluator.close()
        os._exit(0 if right else 7)
    print(right, os.waitpid(pid, 0)[1], (f(np.ones((4, 1))) == 1).all())
"""
    done = python("-c", script)
    assert done.stdout == "True 0 True\n", done.stderr


CHILD = """
import multiprocessing, sys
import structes

def g(x):
    return float(sum(v * v for v in x))

def job(seed):
    options = {"max_evaluations": 60, "workers": 2, "timeout": 9}
    return structes.minimize(g, [3.0] * 4, 1.0, seed=seed, **options).fun

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(job, [1])
    assert found == [structes.minimize(g, [3.0] * 4, 1.0, seed=1, max_evaluations=60).fun]
    print("done")
"""


@pytest.mark.slow
def test_a_child_of_multiprocessing_may_have_workers(tmp_path):
    """The script is called __mp_main__ there, which no worker can import."""
    (tmp_path / "its.py").write_text(CHILD)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "its.py")], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "done\n", done.stderr


def test_a_function_may_replace_its_output():
    class Broken:
        def write(self, text):
            raise RuntimeError("no")

        flush = write

    def f(x):
        import sys

        sys.stdout = sys.stderr = Broken()
        return float(x @ x)

    with Evaluator(1, timeout=20) as evaluator:
        assert evaluator.bind(f)(np.ones((5, 2))).tolist() == [2.0] * 5
