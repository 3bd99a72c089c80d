"""Pretend hosts: a cluster of plain Ray on them, a cut, a death, a late joiner, and no remains."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .cluster.hosts import Hosts, why_not

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]

START = """
import socket, sys, time
import numpy as np
import ray

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")

@ray.remote(num_cpus=0, max_restarts=0)
class Worker:
    def where(self):
        return socket.gethostname()
    def sleep(self, seconds):
        time.sleep(seconds)
    def total(self, x):
        return float(x.sum())

def worker(ip):
    w = Worker.options(resources={f"node:{ip}": 0.01}).remote()
    print("at", ray.get(w.where.remote()))
    return w
"""

LOSE = """
w = worker(sys.argv[2])
call = w.sleep.remote(60)
print("sleeping")
try:
    ray.get(call)
except ray.exceptions.RayError as error:
    print("lost", type(error).__name__)
"""


def start(hosts, code, *args):
    return hosts.run("head", [sys.executable, "-c", START + code, hosts.address, *args])


def finish(driver):
    assert driver.wait(30) == 0, driver.tail()
    return driver.communicate()[0]


@pytest.fixture(scope="module")
def hosts():
    with Hosts(["head", "one", "two"], cpus=[0, 1, 1]) as hosts:
        hosts.start_ray()
        yield hosts


def test_an_actor_on_each_host_and_bytes_on_the_wire(hosts):
    before = hosts.bytes()
    driver = start(
        hosts,
        """
for ip in sys.argv[2:]:
    w = worker(ip)
print(ray.get(w.total.remote(ray.put(np.ones(2**20)))))
""",
        hosts.ip("one"),
        hosts.ip("two"),
    )
    assert finish(driver).split("\n")[:3] == ["at one", "at two", f"{2.0**20}"]
    after = hosts.bytes()
    assert after["head"][1] - before["head"][1] > 2**23
    assert after["two"][0] - before["two"][0] > 2**23
    assert after["one"][0] - before["one"][0] < 2**22  # it had nothing to do with it


def test_a_cut_is_noticed_and_heals_and_the_host_joins_again(hosts):
    driver = start(hosts, LOSE, hosts.ip("two"))
    driver.until("sleeping", 20)
    hosts.cut("two")
    driver.until("lost", 15)
    finish(driver)
    hosts.heal("two")
    ping = "import socket, sys; socket.create_connection((sys.argv[1], 6399), 5)"
    assert hosts.run("two", [sys.executable, "-c", ping, hosts.ip("head")]).wait(20) == 0

    def joins():  # on a busy machine the heartbeats of a host that has just come may be missed
        hosts.join("two")
        driver = start(hosts, "worker(sys.argv[2])", hosts.ip("two"))
        try:
            return driver.wait(30) == 0 and "at two" in driver.communicate()[0]
        except subprocess.TimeoutExpired:
            return False
        finally:
            driver.kill()
            driver.wait()

    assert joins() or joins()


def test_a_host_dies_and_another_joins(hosts):
    driver = start(
        hosts,
        LOSE
        + """
while True:
    alive = sorted(n["NodeName"] for n in ray.nodes() if n["Alive"])
    if alive == ["head", "late", "two"]:
        break
    time.sleep(0.1)
print("now", *alive)
""",
        hosts.ip("one"),
    )
    driver.until("sleeping", 20)
    hosts.kill("one")
    driver.until("lost", 10)
    hosts.join("late", cpus=2)
    assert "now head late two" in finish(driver)
    assert list(hosts.bytes()) == ["head", "two", "late"]
    with pytest.raises(ValueError, match="no host 'one' is up"):
        hosts.cut("one")


def namespaces(hosts):
    pids = [process.pid for process in [hosts._switch, *hosts._init.values()]]
    return {os.readlink(f"/proc/{pid}/ns/net") for pid in pids}


def inside(namespaces):
    """Processes in network namespaces."""
    found = []
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            if os.readlink(path) in namespaces:
                found.append(path.parts[2])
        except OSError:  # it has ended meanwhile
            pass
    return found


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_nothing_is_left(error):
    links = os.listdir("/sys/class/net")
    try:
        with Hosts(["head", "one"]) as hosts:
            folder, left = Path(hosts._folder.name), namespaces(hosts)
            script = 'nohup sleep 100 & echo "$0" "$(hostname)"; sleep 100'
            run = hosts.run("one", ["sh", "-c", script, "on"])
            run.until("on one", 5)
            assert len(inside(left)) >= 7  # unshare and init twice, the switch, and the sleepers
            if error:
                raise error
    except (ValueError, KeyboardInterrupt) as caught:
        assert type(caught) is error
    assert run.returncode is not None
    assert inside(left) == [] and not folder.exists()
    assert os.listdir("/sys/class/net") == links
    with pytest.raises(RuntimeError, match="down"):
        hosts.run("one", ["true"])


def test_hosts_die_with_the_process_that_holds_them():
    code = """
import os, sys, time
from tests.cluster.hosts import Hosts
with Hosts(["head", "one"]) as hosts:
    hosts.run("one", ["sleep", "100"])
    print(hosts._folder.name)
    print(*[os.readlink(f"/proc/{p.pid}/ns/net") for p in hosts._init.values()], flush=True)
    time.sleep(100)
"""
    command, root = [sys.executable, "-c", code], Path(__file__).parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as p:
        folder = Path(p.stdout.readline().strip())
        left = set(p.stdout.readline().split())
        assert inside(left)
        p.kill()
    deadline = time.monotonic() + 10
    while inside(left) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert inside(left) == []
    for path in folder.iterdir():  # what no dying process can remove
        path.unlink()
    folder.rmdir()


def test_signals_reach_the_program_and_mistakes_are_told():
    with Hosts(["head"]) as hosts:
        run = hosts.run("head", ["sh", "-c", 'trap "echo bye; exit 3" TERM; echo up; cat; :'])
        assert run.wait(5) == 0  # it reads nothing
        run = hosts.run(
            "head", ["sh", "-c", 'trap "echo bye; exit 3" TERM; echo up; sleep 9 & wait']
        )
        run.until("up", 5)
        run.terminate()
        assert run.wait(5) == 3 and run.communicate() == ("up\nbye\n", "")
        run = hosts.run("head", ["sleep", "100"])
        run.kill()
        assert run.wait(5) == -signal.SIGKILL
        with pytest.raises(RuntimeError, match="Ray on host head did not start in time"):
            hosts.start_ray(timeout=0.1)
        with pytest.raises(ValueError, match="the head cannot join"):
            hosts.join("head")
        with pytest.raises(RuntimeError, match="has not said 'no'"):
            hosts.run("head", ["echo", "yes"]).until("no", 5)
    with pytest.raises(ValueError, match="different"):
        Hosts(["a", "a"])
    with pytest.raises(ValueError, match="one number for each"):
        Hosts(["a", "b"], cpus=[1])
