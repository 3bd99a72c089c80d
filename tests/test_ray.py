"""Ray: the values of the serial evaluator to the bit, its faults told as elsewhere; a Ray of our
own is closed to everybody else and leaves nothing behind."""

import importlib.util
import math
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from structes import EvaluationError, Evaluator, minimize

from . import crew
from .crew import AWKWARD, X, awkward, bits, check_traps, serial

HAS_RAY = importlib.util.find_spec("ray")  # an import would come before structes's
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")]


@pytest.fixture(scope="module")
def crewed():
    """Two workers of a Ray that structes starts."""
    with Evaluator("ray", 2, timeout=60) as evaluator:
        yield evaluator


def pids_of(evaluator):
    """Ids of the processes of two workers."""
    who = evaluator.bind(lambda x: (time.sleep(0.02), float(os.getpid()))[1])
    pids = {int(pid) for pid in who(X[:40])}
    who.close()
    return pids


@pytest.mark.parametrize("case", crew.CASES)
def test_ray_gives_the_serial_values(case, crewed):
    function, given = crew.CASES[case]
    expected = serial(function, **given)
    f = crewed.bind(function, **given)
    for _ in range(2):
        assert bits(f(X)) == bits(expected)
    f.close()


@pytest.mark.parametrize("transport", ["ship", "redraw"])
def test_searches_give_the_serial_bits(transport, crewed):
    given = {"seed": 5, "max_evaluations": 150, "restarts": "ipop", "tolfun": 0.5}
    crewed.transport = transport
    alone, together = (
        minimize(crew.sphere, np.ones(5), 1.0, workers=workers, **given)
        for workers in (None, crewed)
    )
    assert alone.x.tobytes() == together.x.tobytes()
    assert alone.es.mean.tobytes() == together.es.mean.tobytes()
    assert alone.nfev == together.nfev == 150


@pytest.mark.parametrize("n", [4, 4000])  # rows of a call: with it, or by the object store
def test_points_may_be_written_to(n, crewed):
    def spoils(X):
        X *= 2
        return X.sum(axis=1)

    points = crew.points(n)
    crewed.batch = n
    f = crewed.bind(spoils, vectorized=True)
    values = f(points)
    crewed.batch = None
    assert f.errors == 0, f.traceback()
    assert bits(values) == bits((2 * points).sum(axis=1))
    assert bits(points) == bits(crew.points(n))


def test_workers_are_replaced_after_so_many_calls(crewed):
    before = pids_of(crewed)
    crewed.supervisor.max_calls = 20
    try:
        f = crewed.bind(crew.of_point)
        assert bits(f(X)) == bits(serial(crew.of_point))
        who = crewed.bind(lambda x: os.getpid())
        pids = who(X).astype(int)
    finally:
        crewed.supervisor.max_calls = math.inf
    assert max(np.unique(pids, return_counts=True)[1]) <= 20
    assert not before & set(pids)
    assert f.errors == who.errors == 0


def test_workers_stay_and_see_no_gpu(crewed):
    first = pids_of(crewed)
    assert len(first) == 2 and os.getpid() not in first
    assert pids_of(crewed) == first

    def look(x):
        raise RuntimeError(repr(os.environ.get("CUDA_VISIBLE_DEVICES")))

    f = crewed.bind(look)
    f(X[:1])
    assert f.failures[0].message == "''"


def test_five_traps(crewed):
    crewed.supervisor.timeout = 3  # a death is known by how long it took, and news can take 1 s
    try:
        check_traps(crewed)
    finally:
        crewed.supervisor.timeout = 60


@pytest.mark.parametrize("what", ["sys.exit", "KeyboardInterrupt", "no pickle"])
def test_awkward_ends(what, crewed):
    f = crewed.bind(awkward(what))
    values = f(X[:5])
    assert bits(np.delete(values, 2)) == bits(np.delete(serial(crew.of_point, X[:5]), 2))
    (failure,) = f.failures
    assert np.isnan(values[2]) and failure.row == 2
    assert failure.kind == AWKWARD[what][0]
    f.close()


def test_a_crash_that_happens_once_leaves_no_trace(tmp_path, crewed):
    crash = crew.OneCrash(tmp_path / "flag", 17, crew.of_rows)
    f = crewed.bind(crash, vectorized=True)
    assert bits(f(X)) == bits(serial(crew.of_rows, vectorized=True))
    assert (tmp_path / "flag").exists() and f.errors == 0


def test_what_is_no_value_ends_it(crewed):
    with pytest.raises(EvaluationError, match="must return one real number"):
        crewed.bind(lambda x: "high")(X)
    with pytest.raises(EvaluationError, match="no licence"):
        crewed.bind(no_licence, factory=True)(X)
    f = crewed.bind(crew.trapped, on_error="raise")
    with pytest.raises(EvaluationError, match=r"(?s)boom.*in spring"):
        f(X[20:30])
    assert bits(crewed.bind(crew.of_point)(X)) == bits(serial(crew.of_point))


def no_licence():
    raise OSError("no licence")


# -- who may listen -------------------------------------------------------------------------------


def rays():
    """Processes of the Ray that this process has started."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


def test_it_listens_on_loopback_only(crewed):
    pids_of(crewed)
    addresses = set()
    for process in rays():
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                addresses.add(connection.laddr.ip.removeprefix("::ffff:"))
    assert addresses and addresses <= {"127.0.0.1", "::1"}


def test_it_wants_a_token_that_nobody_can_read(crewed):
    """Others see command lines and files; and who has no token is turned away."""
    token = os.environ["RAY_AUTH_TOKEN"]
    assert len(token) == 64 and os.environ["RAY_AUTH_MODE"] == "token"
    for process in rays():
        assert token not in " ".join(process.cmdline())
    import ray

    folder = ray._private.worker._global_node.get_session_dir_path()
    found = subprocess.run(["grep", "-rl", token, folder], capture_output=True, text=True)
    assert found.stdout == ""
    script = "import ray; ray.init(address='auto', log_to_driver=False); print('in')"
    address = ray.get_runtime_context().gcs_address
    script = script.replace("auto", address)
    with crew.start(script, RAY_AUTH_TOKEN="0" * 64) as stranger, crew.start(script) as friend:
        assert "in" in friend.communicate(timeout=60)[0].split()
        out, said = stranger.communicate(timeout=60)
        assert stranger.returncode != 0 and "in" not in out.split()
        assert "token" in said.lower()


TWO_RUNS = """
import os, sys, time
import psutil
import numpy as np
from structes import Evaluator, minimize

f = lambda x: (time.sleep(0.01), float(x @ x))[1]
alone = minimize(f, np.ones(3), 1.0, seed=1, max_evaluations=40)
for _ in range(2):
    pids = []
    look = lambda es: pids.extend(c.pid for c in psutil.Process().children(recursive=True))
    found = minimize(
        f, np.ones(3), 1.0, seed=1, max_evaluations=40, workers="ray", callback=look
    )
    assert found.x.tobytes() == alone.x.tobytes()
    assert pids
    end = time.monotonic() + 10
    while any(psutil.pid_exists(p) and psutil.Process(p).status() != "zombie" for p in pids):
        assert time.monotonic() < end, "left behind"
        time.sleep(0.05)
print(os.listdir(os.environ["HOME"]))
"""


def test_two_runs_leave_nothing(tmp_path):
    """No process, and no token in the home folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    out = subprocess.run(
        [sys.executable, "-c", TWO_RUNS],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, "HOME": str(tmp_path)},
    )
    assert out.stdout == "[]\n", out.stderr


STUCK = """
import ctypes, os, sys, time
import numpy as np
from structes import Evaluator

def stuck(x):
    with open(f"{sys.argv[1]}/{int(x[0])}", "w") as file:
        file.write(str(os.getpid()))
    if x[0] == 1:
        ctypes.PyDLL(None).sleep(1000)
    time.sleep(1000)

folder = sys.argv[1]
def function(x, folder=folder):
    sys.argv[1:] = [folder]
    child = os.fork() if x[0] == 0 else 1  # of 0 a daemon, as the textbooks have it
    if child > 1:
        os.waitpid(child, 0)
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            with open(f"{folder}/daemon", "w") as file:
                file.write(str(os.getpid()))
            os.closerange(0, 1000)
            os.execlp("sleep", "sleep", "1000")
        os._exit(0)
    stuck(x)
f = Evaluator("ray", 2).bind(function)
try:
    f(np.arange(2.0)[:, None])
finally:
    print("finally", flush=True)
"""


def folders_of(pids):
    """The folders of the Rays among these processes, as what ends them knows it."""
    words = [psutil.Process(pid).cmdline() for pid in pids]
    return {Path(line[3]) for line in words if any("ray_watch" in word for word in line)}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_when_the_driver_is_ended_everything_ends(how, tmp_path):
    """Also a worker that holds Python's lock, and Ray's agents, which would stay for a minute; its
    folder, which nobody else may enter, is gone then."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    driver = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=clean,
    )
    pids = []
    try:
        *workers, daemon = crew.pids_in(tmp_path, ("0", "1", "daemon"), 60)
        pids = [*crew.children_of(driver.pid), daemon]
        assert set(workers) <= set(pids)
        (folder,) = folders_of(pids)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700 and (folder / "ray").is_dir()
        os.kill(driver.pid, how)
        began = time.monotonic()
        out, said = driver.communicate(timeout=30)
        assert time.monotonic() - began < 15
    finally:
        driver.kill()
        left = crew.survivors(pids, 8.0)
        driver.communicate(timeout=20)
    assert left == [] and not folder.exists()
    if how == signal.SIGINT:
        assert driver.returncode != 0
        assert said.splitlines()[-1] == "KeyboardInterrupt"
    else:
        assert driver.returncode == -how
    assert out.split() == ["finally"] * (how == signal.SIGINT)


GPUS = """
import os, time
import numpy as np
import ray
os.environ.pop("CUDA_VISIBLE_DEVICES", None)
ray.init("local", num_cpus=4, num_gpus=1, include_dashboard=False, logging_level="ERROR")
from structes import Evaluator

def look(x):
    time.sleep(0.1)
    return float(os.getpid()) + 0.5 * (os.environ["CUDA_VISIBLE_DEVICES"] != "0")

with Evaluator("ray", resources={"num_gpus": 0.25}) as evaluator:
    print(evaluator.capacity)
    values = evaluator.bind(look)(np.ones((40, 2)))
    print(len(set(values)), (values % 1 == 0).all())
print(ray.is_initialized())  # it is the caller's
"""


def test_shares_of_a_gpu():
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    clean["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    out = subprocess.run(
        [sys.executable, "-c", GPUS], capture_output=True, text=True, timeout=120, env=clean
    )
    assert out.stdout.split() == ["4", "4", "True", "True"], out.stderr


# -- errors ---------------------------------------------------------------------------------------


def test_ray_that_was_imported_before():
    script = """
import ray, structes
try:
    structes.minimize(abs, [1.0], 1.0, workers="ray")
except RuntimeError as error:
    print(error)
print(ray.is_initialized())
"""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=clean
    )
    said, is_initialized = out.stdout.splitlines()
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before `import ray`" in said
    assert is_initialized == "False"


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_answers(scheme):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        script = f"""
import time
from pathlib import Path
from structes import Evaluator
began = time.monotonic()
try:
    Evaluator("ray", address={address!r}).open()
except ConnectionError as error:
    print(time.monotonic() - began < 10, error)
try:
    Evaluator("ray", address="nowhere").open()
except ValueError as error:
    print(error)
"""
        out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    first, second = out.stdout.splitlines()
    assert first.startswith(f"True no Ray answers at {address}")
    assert "address must be auto, host:port" in second
