"""Connecting to a Ray, or starting one for this process alone, and ending it.

A Ray that is started here listens on the loopback interface only, and lets in who knows a token
that exists in memory only; by itself Ray would listen on all interfaces. Its files lie in a folder
that nobody else may enter, and all of it ends with this process, also where that is killed
(ray_watch.py). One that runs already is used as it is.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from .ray_watch import MARK

INSTALL = "Ray is not installed: pip install 'structes[ray]'"
_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": Ray on Linux uses 127.0.0.1, as elsewhere
_ANSWER = 10.0  # seconds that a cluster may take to accept a connection
_CONNECT = 3  # attempts to be served
_STORE = 200 * 2**20  # bytes of the object store of a Ray of our own: it holds no populations
_SOCKET = 107 - len("/ray/session_2026-11-28_02-44-50_484370_4194304/sockets/plasma_store.0")
_is_local = False  # has this process ever started a Ray of its own?
_watch: subprocess.Popen | None = None  # what ends it


def start(cpus: int | None = None, address: str | None = None) -> bool:
    """Connect to a Ray, or start one.

    It is the Ray that this process is connected to already, or that the address or RAY_ADDRESS
    names, else one that is started for this process alone.

    Parameters
    ----------
    cpus : int or None
        How many processors a Ray that is started has; None: all.
    address : str or None
        The address of a cluster: "auto", "host:port" or "ray://host:port".

    Returns
    -------
    bool
        Whether `stop` has something to end.

    Raises
    ------
    ImportError
        Where Ray is not installed.
    RuntimeError
        Where Ray could not be made to listen on the loopback interface only.
    ConnectionError
        Where nothing answers.
    """
    global _is_local, _watch
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None and _is_local:
        raise RuntimeError(
            "this process has had a Ray of its own, on loopback only; a cluster needs a fresh "
            f"one. Got address {address!r}"
        )
    imported = "ray" in sys.modules
    if address is None and not imported:
        os.environ.setdefault(_LOOPBACK, "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise ImportError(INSTALL) from error
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        _check_that_it_answers(address)
        _connect(ray, address, quiet)
        return True
    if os.environ.get(_LOOPBACK) != "0":
        raise RuntimeError(
            "ray was imported before structes could see to it that it listens on loopback only: "
            f"set {_LOOPBACK}=0 before `import ray`, or call ray.init yourself"
        )
    folder = _private_folder()
    _watch = _watched(folder)
    os.environ[MARK] = str(folder)  # for all that Ray starts, and what that starts
    try:
        ray.init(
            address="local",  # else Ray would join one that somebody has started here
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=_STORE,
            _temp_dir=str(folder / "ray"),
            **quiet,
        )
    except BaseException:
        _end_watch()
        raise
    finally:
        del os.environ[MARK]
    _is_local = True
    return True


def _private_folder() -> Path:
    """Return a new folder for Ray's files, which only this user may enter: Ray lets everybody into
    its own. It has a short path, since that of a socket must be short."""
    places = [place for place in (tempfile.gettempdir(), "/tmp") if os.access(place, os.W_OK)]
    short = [place for place in places if len(place) + len("/structes-12345678") <= _SOCKET]
    return Path(tempfile.mkdtemp(prefix="structes-", dir=short[0] if short else None))


def _watched(folder: Path) -> subprocess.Popen:
    """Return the process that ends what is left of a Ray when this one ends, or its pipe is
    closed.
    """
    script = Path(__file__).with_name("ray_watch.py")
    return subprocess.Popen(
        [sys.executable, "-I", str(script), str(folder), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end_watch() -> None:
    """Let it end what is left of our Ray, and wait for that."""
    global _watch
    watch, _watch = _watch, None
    if watch is not None:
        watch.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            watch.wait(15.0)


def _connect(ray, address: str, options: dict) -> None:
    """Connect to a cluster, and try again where its head is busy.

    Such a head may fail to start what a ray:// client talks to.
    """
    for attempts_left in reversed(range(_CONNECT)):
        try:
            ray.init(address=address, **options)
            return
        except ConnectionAbortedError:
            ray.shutdown()
            if not attempts_left:
                raise
            time.sleep(2.0)


def _check_that_it_answers(address: str) -> None:
    """Connect to an address, and close the connection: Ray itself would wait for an hour.

    Raises
    ------
    ConnectionError
        Where nothing answers.
    ValueError
        Where it is no address.
    """
    place = address.removeprefix("ray://")
    if address in ("auto", "local"):
        return
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"address must be auto, host:port or ray://host:port; got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except OSError as error:
        raise ConnectionError(f"no Ray answers at {address}: {error}") from None


def stop() -> None:
    """Disconnect from Ray, and end it where it was started by `start`."""
    import ray

    try:
        ray.shutdown()
    finally:
        _end_watch()
