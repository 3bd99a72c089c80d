"""The line to a worker: frames come whole, or the line is broken; nobody waits, and nothing that
is no answer is taken for one."""

import contextlib
import os
import random
import threading
import time
from multiprocessing import connection

import numpy as np
import pytest

from structes.evaluators import framed_socket as lines
from structes.evaluators.framed_socket import BrokenStream, DriverEnd, WorkerEnd
from structes.evaluators.worker import Call, Objective, Outcome, Runner
from structes.rowwise import rowwise


@pytest.fixture
def ends():
    """Both ends, and the descriptor of the worker's."""
    mine, theirs = connection.Pipe(True)
    driver = DriverEnd(mine)
    worker = WorkerEnd(os.dup(theirs.fileno()))
    theirs.close()
    yield driver, worker, worker._fd
    driver.close()
    with contextlib.suppress(OSError):
        os.close(worker._fd)


def heard(driver, seconds=5.0):
    """What comes within so many seconds: the first payloads."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := driver.receive():
            return found
    return []


def frame(worker, payload, number=0):
    return b"".join(lines._framed(bytes(worker._worker_mark), number, payload))


def test_frames_there_and_back(ends):
    driver, worker, _ = ends
    for k in range(50):
        driver.send(bytes([k]) * k * 100)
        assert worker.receive() == bytes([k]) * k * 100
        driver.expect(10**6)
        worker.send(bytes([k]) * k * 100)
        assert heard(driver) == [bytes([k]) * k * 100]


def test_a_worker_that_does_not_read_does_not_hold_the_driver_up(ends):
    driver, worker, _ = ends
    began, large = time.monotonic(), os.urandom(10**7)
    for _ in range(3):
        driver.send(large)
    assert driver.is_full and time.monotonic() - began < 1.0
    got: list = []
    thread = threading.Thread(target=lambda: got.extend(bytes(worker.receive()) for _ in range(3)))
    thread.start()
    while driver.is_full:
        driver.flush()
    thread.join()
    assert got == [large] * 3


def test_a_frame_in_any_pieces(ends):
    driver, worker, fd = ends
    moods = random.Random(1)
    for k in range(20):
        driver.expect(1000)
        payload, found = os.urandom(moods.randrange(1000)), []
        rest = frame(worker, payload, k)
        while rest:
            n = moods.randrange(1, 200)
            os.write(fd, rest[:n])
            rest = rest[n:]
            found += driver.receive()
        assert found == [payload] and driver.stalled(time.monotonic()) < 0


NOISE = {
    "a short length": b"\0\0\0\5hello",
    "a long length": b"\0\xff\xff\xff",
    "one byte": b"x",
    "much": b"spam " * 10**4,
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_no_answer(noise, ends):
    driver, worker, fd = ends
    driver.expect(1000)
    os.write(fd, NOISE[noise])
    worker.send(b"answer")
    with pytest.raises(BrokenStream):
        heard(driver)


@pytest.mark.parametrize("at", [1, 17, 33, 40, 52])
def test_noise_within_a_frame(at, ends):
    """As of a thread of the function's: it moves what comes after it."""
    driver, worker, fd = ends
    driver.expect(1000)
    whole = frame(worker, b"values " * 9)
    os.write(fd, whole[:at] + b"noise" + whole[at:])
    with pytest.raises(BrokenStream):
        heard(driver)


def test_answers_that_nobody_asked_for(ends):
    driver, worker, _ = ends
    driver.expect(1000)
    worker.send(b"answer")
    worker.send(b"another")
    assert heard(driver) == [b"answer"]
    assert driver.stalled(time.monotonic()) > lines.STALL
    with pytest.raises(BrokenStream):
        driver.receive()


def test_an_answer_that_is_repeated(ends):
    driver, worker, fd = ends
    for _ in range(2):
        driver.expect(1000)
        os.write(fd, frame(worker, b"answer"))
    assert heard(driver) == [b"answer"]
    with pytest.raises(BrokenStream):
        driver.receive()


def test_a_frame_that_is_too_long_is_not_waited_for(ends):
    driver, worker, fd = ends
    driver.expect(1000)
    os.write(fd, lines._HEAD.pack(bytes(worker._worker_mark), 0, 1001))
    with pytest.raises(BrokenStream):
        heard(driver)


def test_a_frame_that_does_not_go_on_has_stalled(ends):
    driver, worker, fd = ends
    driver.expect(1000)
    assert driver.stalled(time.monotonic()) < 0
    os.write(fd, frame(worker, b"answer")[:-3])
    assert heard(driver, 0.1) == []
    assert driver.stalled(time.monotonic() + 6) > lines.STALL > driver.stalled(time.monotonic())


def test_the_other_end_is_closed(ends):
    driver, worker, fd = ends
    driver.expect(1000)
    worker.send(b"last")
    os.close(fd)
    assert heard(driver) == [b"last"]
    with pytest.raises(EOFError):
        driver.receive()
    driver.send(b"x" * 10**6)  # which is no error


def test_a_driver_that_closes_its_end(ends):
    driver, worker, _ = ends
    driver.close()
    with pytest.raises(EOFError):
        worker.receive()


@pytest.mark.parametrize("stolen", [1, 20, 40, 60])
def test_a_function_that_reads_from_its_line(stolen, ends):
    driver, worker, fd = ends
    driver.send(b"points " * 6)
    driver.send(b"points " * 6)
    assert len(os.read(fd, stolen)) == stolen
    with pytest.raises(BrokenStream):
        worker.receive()


def test_a_line_is_hidden():
    """It is not where a function that closes, or writes into, low numbers finds it, and no program
    that it starts has it."""
    mine, theirs = connection.Pipe(True)
    fd = os.dup(theirs.fileno())
    high = lines._hidden(fd)
    with pytest.raises(OSError):
        os.fstat(fd)
    assert high >= 200 and not os.get_inheritable(high)
    os.close(high)
    mine.close()
    theirs.close()


WRONG = [
    b"",
    b"\n",
    b"{}\n",
    b"[" * 10**5,
    b'{"seconds": 1, "failures": [[0, "a", 5, ""]], "fatal": null}\n' + bytes(8),
    b'{"seconds": 1, "failures": [[7, "a", "b", ""]], "fatal": null}\n' + bytes(8),
    b'{"seconds": 1, "failures": [[true, "a", "b", ""]], "fatal": null}\n' + bytes(16),
    b'{"seconds": 1, "failures": [[0]], "fatal": null}\n' + bytes(8),
    b'{"seconds": 1, "failures": 5, "fatal": null}\n' + bytes(8),
    b'{"seconds": 1, "failures": [], "fatal": 7}\n' + bytes(8),
    b'{"seconds": "x", "failures": [], "fatal": null}\n' + bytes(8),
    b'{"seconds": NaN, "failures": [], "fatal": null}\n' + bytes(8),
    b'{"seconds": 1e999, "failures": [], "fatal": null}\n' + bytes(8),
    b'{"seconds": 1, "failures": [], "fatal": null}\n' + bytes(7),
    b'\xff{"seconds": 1, "failures": [], "fatal": null}\n' + bytes(8),
]


@pytest.mark.parametrize("data", WRONG, ids=lambda data: repr(data[:70]))
def test_what_is_no_outcome(data):
    with pytest.raises(ValueError):
        Outcome.of_bytes(data)


@pytest.mark.parametrize("rows", [1, 99, 1000])
def test_an_outcome_is_not_longer_than_is_said(rows):
    kind = type("É" * 3000, (Exception,), {})

    def function(x):
        raise kind("\U0001f600" * 50_000)

    runner = Runner()
    runner.put("f", Objective(lambda: rowwise(function)))
    outcome = runner.run(Call("f", np.zeros((rows, 2)), 1))
    assert len(outcome.failures) == rows
    assert len(outcome.to_bytes()) <= Outcome.most_bytes(rows) <= 10**8
    assert Outcome.of_bytes(outcome.to_bytes()).failures == outcome.failures
