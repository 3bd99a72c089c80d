"""Pretend hosts on one machine: a small network where each host runs a Ray node of its own.

To see what a cluster does when a cable is pulled, a machine dies or one joins late, and how many
bytes go over the wire, one needs several machines; or one machine and namespaces. A host here is a
process tree with its own network, processes, mounts and host name. Its `eth0` is one end of a
veth pair, and the other end is plugged into a bridge, the switch, that lives in one more network
namespace. So addresses and ports can meet nothing of the machine outside, and the hosts reach one
another and nothing else. All share the machine's files, except that each has its own /dev/shm,
where Ray keeps its objects and its sessions.

    with Hosts(["head", "one", "two"], cpus=[0, 1, 1]) as hosts:
        hosts.start_ray()
        driver = hosts.run("head", [sys.executable, "driver.py", hosts.address])
        hosts.cut("two")  # its packets are lost from now on, and nobody is told
        out, err = driver.communicate(timeout=60)

Namespaces have no names here and leave no files: they are those of a process, and end with it. The
first process of a host is a `head -c 1` that waits at a pipe. When it gets a byte, or when the
process that holds the context ends in whatever way (the pipe closes), it exits; then the kernel
kills whatever else runs on the host, and takes the interfaces away when the last process is gone.

It takes Linux, root, iproute2 and util-linux; `why_not()` tells what is missing.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

PORT = 6399  # of the head's control service
ASKED = "8.8.8.8"  # by which interface one would get there tells Ray its own address
STORE = 128 * 2**20  # bytes of the object store of a host
# A host that does not answer is dead for Ray after about 3 s, instead of about a minute.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
UNSHARE = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
WAIT = "exec head -c 1 > /dev/null"  # until a byte or the end of the pipe
# SIGCHLD stays ignored after exec, so the kernel reaps the orphans that come to the host's init.
BOOT = f"""
mount -t tmpfs -o size=2g tmpfs /dev/shm
echo "$1" > /proc/sys/kernel/hostname
ip link set lo up
echo ready
trap "" CHLD
{WAIT}
"""
TRIAL = """
mount -t tmpfs tmpfs /dev/shm
echo trial > /proc/sys/kernel/hostname
ip link set lo up
ip link add switch type bridge
ip link add port1 type veth peer name eth0
"""


@cache
def why_not() -> str | None:
    """Why pretend hosts cannot work here, or None where they can; it tries the namespaces."""
    if not sys.platform.startswith("linux"):
        return "pretend hosts need Linux"
    if os.geteuid() != 0:
        return "pretend hosts need root"
    missing = [t for t in ("ip", "unshare", "nsenter", "mount", "env") if not shutil.which(t)]
    if missing:
        return f"pretend hosts need {', '.join(missing)} (iproute2, util-linux, coreutils)"
    if importlib.util.find_spec("ray") is None:
        return "Ray is not installed"
    trial = subprocess.run(
        [*UNSHARE, "sh", "-ec", TRIAL], capture_output=True, text=True, errors="replace"
    )
    if trial.returncode:
        return f"namespaces are not allowed here: {trial.stderr.strip()}"
    return None


class Hosts:
    """Context manager: hosts called `names` on one switch; the first is Ray's head.

    `cpus[i]` is how many CPUs the Ray node of the i-th host offers (they are not enforced), and
    `store` the bytes of its object store. Entering boots the hosts, `start_ray()` starts Ray on
    them, leaving ends all that runs on them and removes the logs.
    """

    def __init__(
        self, names: Sequence[str], cpus: Sequence[int] | None = None, store: int = STORE
    ):
        names = list(names)
        cpus = [1] * len(names) if cpus is None else list(cpus)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"names must be different and at least one, got {names}")
        if len(cpus) != len(names):
            raise ValueError(f"cpus must have one number for each of {names}, got {cpus}")
        self.head = names[0]
        self.store = store
        self.token = secrets.token_hex(32)
        self._cpus = dict(zip(names, cpus, strict=True))
        self._number = {}  # of a name; the host keeps it, and with it its address, when it reboots
        self._init = {}  # name -> the process that has the namespaces of the host
        self._runs = []  # every Run so far: Ray's starters and the user's
        self._switch = self._folder = None

    # ----------------------------------------------------------------- in and out

    def __enter__(self) -> Hosts:
        reason = why_not()
        if reason:
            raise RuntimeError(reason)
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="hosts-")
            self._switch = _init(["unshare", "--net"], f"echo ready; {WAIT}")
            _ready(self._switch, "the switch")
            _ip(self._switch, "link add switch type bridge", "link set switch up")
            self._boot(list(self._cpus))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        """Ends all that runs on the hosts, and the switch; does no harm when it is done twice."""
        _end([*self._init.values(), *([self._switch] if self._switch else [])])
        self._init, self._switch = {}, None
        for process in self._runs:
            process.wait()
        self._runs = []
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _boot(self, names):
        for name in names:
            self._number.setdefault(name, len(self._number) + 1)
            self._init[name] = _init([*UNSHARE], BOOT, name)
        for name in names:
            process = self._init[name]
            _ready(process, f"host {name}")
            n, port = self._number[name], _port(process)
            _ip(
                self._switch,
                f"link add {port} type veth peer name eth0 netns {process.pid}",
                f"link set {port} master switch up",
            )
            _ip(
                process,
                # the same after each boot, or the others would look for the old one for seconds
                f"link set eth0 address 02:00:00:00:{n // 256:02x}:{n % 256:02x} up",
                f"addr add {self.ip(name)}/16 dev eth0",
                f"route add {ASKED} dev eth0",
            )

    def _alive(self, name):
        if self._switch is None:
            raise RuntimeError("the hosts are down: use them inside the with statement")
        if name not in self._init:
            raise ValueError(f"no host {name!r} is up; there are {', '.join(self._init)}")
        return self._init[name]

    # ------------------------------------------------------------------------ Ray

    @property
    def address(self) -> str:
        """Where drivers on the hosts find the cluster: `ray.init(address=...)`."""
        return f"{self.ip(self.head)}:{PORT}"

    @property
    def env(self) -> dict[str, str]:
        """Environment of all that runs on the hosts: this process's, but for what it tells Ray."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        return {**mine, **HEALTH, **token, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1"}

    def start_ray(self, timeout: float = 60):
        """Starts Ray, on the head and then on the others; returns when all nodes have joined."""
        deadline = time.monotonic() + timeout
        self._ray([self.head], deadline)
        self._ray([name for name in self._init if name != self.head], deadline)

    def join(self, name: str, cpus: int = 1, timeout: float = 60):
        """One more host joins the running cluster; one that there was boots and joins again.

        (Ray on a host that was cut off for so long that it counted as dead does not come back by
        itself: it ends when it hears of it.)
        """
        self._alive(self.head)
        if name == self.head:
            raise ValueError("the head cannot join: the cluster ends with it")
        if name in self._init:
            self.kill(name)
        self._cpus[name] = cpus
        self._boot([name])
        self._ray([name], time.monotonic() + timeout)

    def _ray(self, names, deadline):
        """`ray start` returns when its node is in the head's table, and leaves daemons behind."""
        starting = {}
        for name in names:
            options = ["--address", self.address]
            if name == self.head:
                options = ["--head", "--port", str(PORT), "--include-dashboard", "false"]
            options += ["--node-ip-address", self.ip(name), "--node-name", name]
            options += ["--num-cpus", str(self._cpus[name]), "--num-gpus", "0"]
            options += ["--object-store-memory", str(self.store), "--temp-dir", "/dev/shm/ray"]
            ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
            starting[name] = self.run(name, ray + options)
        for name, process in starting.items():
            try:
                code = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                what = "did not start in time"
            else:
                if code == 0:
                    continue
                what = f"did not start (exit code {code})"
            raise RuntimeError(f"Ray on host {name} {what}. Its last words:\n{process.tail()}")

    # ------------------------------------------------------------ what one does with hosts

    def run(
        self,
        name: str,
        args: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike | None = None,
    ) -> Run:
        """Starts a program on a host; `env` is added to `self.env`. See `Run`."""
        process = self._alive(name)
        enter = _enter(process, "--mount", "--uts")
        enter.append(f"--pid=/proc/{process.pid}/ns/pid_for_children")
        command = [*enter, "env", f"--chdir={cwd or os.getcwd()}", *map(os.fspath, args)]
        stem = Path(self._folder.name) / f"{len(self._runs)}-{name}"
        run = Run(command, {**self.env, **(env or {})}, stem)
        self._runs.append(run)
        return run

    def ip(self, name: str) -> str:
        """Address of a host; Ray's resource `node:<ip>` places an actor there."""
        if name not in self._number:
            raise ValueError(f"no host {name!r}; there are {', '.join(self._number)}")
        n = self._number[name]
        return f"10.77.{n // 256}.{n % 256}"

    def cut(self, name: str):
        """Takes a host off the switch: packets vanish both ways, and no interface goes down."""
        _ip(self._switch, f"link set {_port(self._alive(name))} nomaster")

    def heal(self, name: str):
        """Puts a host that was cut off back on the switch."""
        _ip(self._switch, f"link set {_port(self._alive(name))} master switch")

    def kill(self, name: str):
        """Kills all that runs on a host and takes it away; returns when all of it is gone.

        The kernel still closes its connections, so the others hear of it at once. A machine whose
        power fails is silent: for that, `cut` it before.
        """
        _end([self._alive(name)])
        del self._init[name]

    def bytes(self) -> dict[str, tuple[int, int]]:
        """Bytes that `eth0` of each living host has received and sent since it booted."""
        return {name: _counters(self._alive(name).pid) for name in self._init}


class Run(subprocess.Popen):
    """A program on a host: a Popen whose output goes to the files `out` and `err`.

    `communicate()` gives the text of both, once the program has ended. Signals go to the program.
    """

    def __init__(self, args, env, stem):
        self.out, self.err = stem.with_suffix(".out"), stem.with_suffix(".err")
        with self.out.open("wb") as out, self.err.open("wb") as err:
            super().__init__(
                args,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def send_signal(self, sig):
        """Sends it to the program, not to the nsenter above it, which ends as the program does."""
        if self.poll() is None:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            os.kill(int(children[0]) if children else self.pid, sig)

    def communicate(self, input=None, timeout=None):
        if input is not None:
            raise ValueError("a program on a host reads nothing")
        self.wait(timeout)
        return self.out.read_text(errors="replace"), self.err.read_text(errors="replace")

    def until(self, text: str, timeout: float) -> str:
        """Waits until the output has `text`, and returns the output so far."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.poll() is not None  # asked before reading: it may say it at the very end
            said = self.out.read_text(errors="replace")
            if text in said:
                return said
            if ended or time.monotonic() > deadline:
                why = f"ended ({self.returncode})" if ended else f"has run for {timeout:g} s more"
                raise RuntimeError(f"the program {why} and has not said {text!r}:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 30) -> str:
        """The last lines of its output so far, then those of its error output."""
        texts = [p.read_text(errors="replace").splitlines() for p in (self.out, self.err)]
        return "\n".join(texts[0][-lines:] + texts[1][-lines:])


def _init(unshare, script, *args):
    """First process in new namespaces: prints `ready`, then waits at its pipe."""
    return subprocess.Popen(
        [*unshare, "sh", "-ec", script, "sh", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the process that holds the context
    )


def _ready(process, what):
    with process.stdout as out:
        said = out.readline()
        if said != b"ready\n":
            said += out.read()
            raise RuntimeError(f"{what} did not boot: {said.decode(errors='replace').strip()}")


def _end(processes):
    """Tells them all, then waits for each: it returns when its host is empty."""
    for process in processes:
        try:
            process.stdin.write(b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdout.close()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)  # the kernel ends the host after its init
            process.wait()


def _enter(process, *namespaces):
    return ["nsenter", f"--target={process.pid}", "--net", *namespaces]


def _port(process):
    """The switch's end of a host's cable; one of its own for each boot."""
    return f"port{process.pid}"


def _ip(process, *commands):
    """Commands of iproute2 in the network namespace of a process."""
    done = subprocess.run(
        [*_enter(process), "ip", "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"ip failed at {'; '.join(commands)}: {done.stderr.strip()}")


def _counters(pid):
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        interface, _, numbers = line.partition(":")
        if interface.strip() == "eth0":
            numbers = numbers.split()
            return int(numbers[0]), int(numbers[8])
    raise RuntimeError(f"process {pid} has no eth0")
