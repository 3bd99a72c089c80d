"""The bench on a device: its arithmetic by hand, its rules, its lines, and small real runs."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("cma")

from structes.bench import measuring
from structes.bench.cli import bench
from structes.bench.measuring import Skipped
from structes.bench.peers import gpu as peers
from structes.bench.peers.gpu import Answer, Peer
from structes.bench.seconds import device as devices
from structes.bench.seconds import gpu, scaling
from structes.bench.seconds.device import Cuda, Host, NoDevice, open_device
from structes.bench.seconds.gpu import Row

GOOD = Peer("good", "evotorch", "SNES", "diagonal")
SLOW = Peer("slow", "evotorch", "CMAES", "dense", products=True)
WRONG = Peer("wrong", "evosax", "xNES", "dense", correct=False, note="wrong exp")


def call(*words):
    return CliRunner().invoke(bench, [str(word) for word in words])


def small(*words):
    few = ("--dims", "20,40", "--popsizes", 4, "--dense-dims", 10, "--repeats", 1)
    return call("gpu", "--backend", "numpy", *few, *words)


def cuda(dtype="float64"):
    try:
        return open_device("cupy", dtype)
    except NoDevice as why:
        pytest.skip(str(why))


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to."""
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now.time)
    return now


# -- the floor


def test_the_floor_is_drawing_and_moving():
    row = Row("diagonal", 1000, 64, False, 0.012, 0.005, 0.001)
    assert row.floor == pytest.approx(0.006) and row.ratio == pytest.approx(2.0)


@pytest.mark.parametrize("itemsize", [4, 8])
def test_x_goes_out_and_z_comes_back_and_lazily_nothing_moves(itemsize):
    assert gpu.moved(1000, 64, itemsize, False) == 2 * 64 * 1000 * itemsize
    assert gpu.moved(1000, 64, itemsize, True) == 0


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    copied = []

    def region(step, synchronise, calls):
        step()
        copied.append(calls)
        return 0.25

    monkeypatch.setattr(measuring, "region", region)
    host = Host("float32")
    host.copied = 4000
    assert gpu.bandwidth_of(host, 3) == 2 * 4000 / 0.25
    assert len(copied) == measuring.WARM + 1 + 3


# -- time


def test_a_region_is_waited_for_at_its_ends_only(clock):
    done = []

    def step():
        clock.time += 2.0
        done.append("step")

    assert measuring.region(step, lambda: done.append("wait"), 4) == 2.0
    assert done == ["wait", *["step"] * 4, "wait"]


def test_a_region_is_long_enough_to_be_measured():
    least, most = measuring.CALLS
    assert measuring.calls_of(100.0) == measuring.calls_of(measuring.REGION) == least
    assert measuring.calls_of(0.0) == measuring.calls_of(1e-7) == most
    calls = measuring.calls_of(measuring.REGION / 10)
    assert least < calls < most and calls == pytest.approx(10, abs=1)


def test_what_takes_too_long_is_skipped_and_the_named_limit_is_enough(clock):
    def step():
        clock.time += 2.0

    with pytest.raises(Skipped, match=r"takes 2 s, so this cell 30 s") as caught:
        measuring.warm_up(step, lambda: None, 5, 29.0)
    assert caught.value.seconds == 2.0
    limit = float(str(caught.value).split("--limit ")[1].split()[0])
    assert measuring.warm_up(step, lambda: None, 5, limit) == measuring.CALLS[0]


def test_warming_up_ends_where_the_limit_does(clock):
    steps = []

    def step():
        clock.time += 100.0
        steps.append(1)

    with pytest.raises(Skipped):
        measuring.warm_up(step, lambda: None, 5, 50.0)
    assert len(steps) == 2  # one to warm up, one that is timed


# -- cells, and whether they fit


def test_cells_grow_and_square_structures_have_their_own_dimensions():
    cells = gpu.cells_of(["dense", "diagonal"], [100, 10], [4, 20], [7, 5])
    assert cells[:2] == [("dense", 5, 64), ("dense", 7, 64)]
    assert cells[2:] == [("diagonal", *p) for p in [(10, 4), (10, 20), (100, 4), (100, 20)]]
    assert gpu.is_square("upper") and not gpu.is_square("block_upper:k16")


def test_a_population_is_asked_lazily_where_it_does_not_fit():
    d, popsize = 10_000, 4096
    stored, tiles = gpu.memory(d, d, popsize, 8), gpu.memory(d, d, 50, 8)
    assert stored >= 8 * 3 * d * popsize > tiles  # X, Z, and something in between
    assert gpu.is_lazy(d, d, popsize, 8, stored, 50) is False
    assert gpu.is_lazy(d, d, popsize, 8, stored - 1, 50) is True
    assert gpu.is_lazy(d, d, popsize, 4, stored - 1, 50) is False  # half as wide
    assert gpu.is_lazy(d, d, popsize, 8, tiles, 50) is True
    with pytest.raises(Skipped, match=r"needs .* GB, .* are free"):
        gpu.is_lazy(d, d, popsize, 8, tiles - 1, 50)
    with pytest.raises(Skipped):
        gpu.is_lazy(2 * d, d, popsize, 8, tiles, 50)  # the structure's numbers count, too
    with pytest.raises(Skipped):
        gpu.is_lazy(d, d, popsize, 8, stored - 1, None)  # drawn as a whole
    with pytest.raises(Skipped):  # tiles are put together where the structure is larger
        gpu.is_lazy(100 * d, d, popsize, 8, gpu.memory(100 * d, d, 99, 8), 50)


# -- cells on the processor


class Small(Host):
    """A host with so much memory."""

    def __init__(self, free, dtype="float64"):
        super().__init__(dtype)
        self.room, self.normals_drawn = free, 0

    def free(self):
        return self.room

    def normals(self, count, dim):
        self.normals_drawn += count * dim
        return super().normals(count, dim)


@pytest.mark.parametrize("structure", gpu.STRUCTURES)
def test_a_cell_is_generations_of_a_search(structure, monkeypatch):
    made = []
    real = gpu.search

    def search(*given):
        made.append(real(*given))
        return made[-1]

    monkeypatch.setattr(gpu, "search", search)
    row = gpu.measure(Small(10**9), structure, 36, 8, 1e9, 2, 60.0)
    assert row[:4] == (structure, 36, 8, False)
    assert row.seconds > 0 and row.drawing > 0 and row.moving == 2 * 8 * 36 * 8 / 1e9
    (es,) = made
    assert es.popsize == 8 and es.dim == 36 and es.sigma > 0
    least = measuring.WARM + 1 + 2 * measuring.CALLS[0]
    assert es.generation >= least and es.evaluations == 8 * es.generation
    assert len(es.pending) == 0


@pytest.mark.slow
def test_a_lazy_cell_draws_twice_and_looks_at_every_candidate(monkeypatch):
    seen = []

    def region(step, synchronise, calls):
        step()
        return 1.0

    class Looked:
        def __init__(self, candidates):
            self.candidates, self.unit = candidates, candidates.unit

        def __len__(self):
            return len(self.candidates)

        def __getitem__(self, part):
            seen.append((part.start, min(part.stop, len(self))))
            return self.candidates[part]

    def generation(es, values, real=gpu._lazy_generation):
        ask, tell = es.ask, es.tell
        es.ask = lambda lazy: Looked(ask(lazy=lazy))
        es.tell = lambda looked, values: tell(looked.candidates, values)
        real(es, values)
        es.ask, es.tell = ask, tell

    monkeypatch.setattr(measuring, "region", region)
    monkeypatch.setattr(gpu, "_lazy_generation", generation)
    d, popsize = 4096, 1024
    host = Small(gpu.memory(d, d, 8, 8))
    row = gpu.measure(host, "diagonal", d, popsize, 1e9, 1, 60.0)
    assert row.lazy and (row.seconds, row.drawing, row.moving) == (1.0, 2.0, 0.0)
    generations = measuring.WARM + 1 + 1
    assert host.normals_drawn == generations * d * popsize
    looked = np.concatenate([np.arange(*part) for part in seen])
    assert (looked.reshape(generations, popsize) == np.arange(popsize)).all()


def test_what_does_not_fit_is_not_even_made(monkeypatch):
    monkeypatch.setattr(gpu, "search", lambda *_: sys.exit("must not get here"))
    with pytest.raises(Skipped, match=r"needs 0.64 GB, 0.0032 GB are free"):
        gpu.measure(Small(3_200_000), "dense", 3162, 64, 1e9, 1, 60.0)


def test_drawing_is_cut_into_calls_and_draws_all(monkeypatch):
    calls = []
    host = SimpleNamespace(normals=lambda count, dim: calls.append((count, dim)))
    monkeypatch.setattr(gpu, "DRAWN", 1000)
    gpu._draw(host, 25, 100)
    assert calls == [(10, 100), (10, 100), (5, 100)]
    gpu._draw(host, 2, 5000)
    assert calls[3:] == [(1, 5000), (1, 5000)]


def test_float32_halves_what_moves():
    row = gpu.measure(Small(10**9, "float32"), "diagonal", 36, 8, 1e9, 1, 60.0)
    assert row.moving == 2 * 8 * 36 * 4 / 1e9
    assert Host("float32").normals(2, 5).dtype == np.float32


def test_the_host_sees_its_memory():
    host = Host()
    assert 10**7 < host.free() < 10**14
    with host.arrays() as peak:
        a = np.ones(10**6)
        del a
        assert 8e6 <= peak() < 9e6


# -- goals


def rows():
    return [
        Row("diagonal", 10**4, 10**3, False, 9.0, 1.0, 0.0),  # too small to count
        Row("diagonal", 10**5, 10**3, False, 1.9, 0.9, 0.1),
        Row("diagonal", 10**6, 10**3, True, 15.0, 10.0, 0.0),
        Row("kronecker", 10**5, 10**3, False, 2.5, 0.9, 0.1),
        Row("kronecker", 10**6, 10**3, False, 31.0, 9.0, 1.0),
        Row("dense", 1000, 64, False, 0.001, 0.0001, 0.0),
        Row("dense", 10_000, 64, False, 0.0149, 0.001, 0.0),
    ]


def test_goals_are_met_or_missed_by_the_worst_cell():
    beside = [(GOOD, 10, 4, 6.0, 1.0), (GOOD, 20, 4, 4.5, 1.0), (SLOW, 10, 64, 5.0, 1.0)]
    lines = gpu.goals(rows(), [*beside, (WRONG, 10, 64, 1.0, 1.0)])
    assert [line.split()[:2] for line in lines] == [
        ["met", "diagonal,"],
        ["missed", "kronecker,"],
        ["met", "dense,"],
        ["missed", "good:"],
        ["met", "slow:"],
    ]
    assert "found 1.9 (at worst: d = 100000, popsize 1000)" in lines[0]
    assert "found 3.1 (at worst: d = 1000000, popsize 1000)" in lines[1]
    assert "under 15 ms; found 14.9" in lines[2]
    assert "at least 5 times our time; found 4.5 (at worst: d = 20, popsize 4)" in lines[3]
    assert "found 5 " in lines[4]


def test_goals_that_nobody_measured_say_so():
    lines = gpu.goals(rows()[:1], [(WRONG, 10, 64, 9.0, 1.0)])
    assert all(line.startswith("not measured") for line in lines) and len(lines) == 3
    late = [Row("dense", 10_000, 64, False, 0.015, 0.001, 0.0)]
    assert gpu.goals(late, [])[0].startswith("missed")


# -- lines


def test_lines_of_the_table():
    heads = gpu.head_line().split()
    assert " ".join(heads) == "structure d popsize asked ms drawing bytes floor x floor"
    line = gpu.row_line(Row("block_upper:k16", 10**7, 16384, True, 1.5, 0.5, 0.25))
    words = ["block_upper:k16", "10000000", "16384", "lazily"]
    assert line.split() == [*words, "1500", "500", "250", "750", "2.00"]
    assert len(line) == len(gpu.head_line())
    assert gpu.row_line(rows()[0]).split()[3] == "eagerly"


def test_a_peer_that_is_wrong_is_marked():
    assert gpu.peer_line(GOOD, 10, 4, 0.006, 0.002).split() == [
        *["good", "diagonal", "10", "4", "6", "2", "3.00"]
    ]
    assert gpu.peer_line(WRONG, 10, 4, 0.006, 0.002).endswith("3.00  not counted: wrong exp")


# -- peers


def test_the_list_of_peers():
    names = [peer.name for peer in peers.PEERS]
    assert len(set(names)) == len(names)
    assert {peer.counterpart for peer in peers.PEERS} == {"diagonal", "dense"}
    assert [peer.name for peer in peers.PEERS if not peer.correct] == ["evosax-xnes"]
    assert all(peer.note for peer in peers.PEERS if not peer.correct)


def test_outer_products_that_do_not_fit_are_not_tried(monkeypatch):
    asked = []

    def run(function, arguments, **_):
        asked.extend(arguments[-1])
        return [[10, 64, 0.5, ""]], ""

    monkeypatch.setattr(peers, "in_own_process", run)
    answers = peers.measure(SLOW, [(1000, 64), (10, 64)], Small(8 * 64 * 1000**2 - 1), 1, 1.0)
    assert asked == [(10, 64)]
    assert [answer.d for answer in answers] == [1000, 10]
    assert "does not fit" in answers[0].reason and answers[1].seconds == 0.5
    asked.clear()
    peers.measure(GOOD, [(1000, 64)], Small(8 * 64 * 1000), 1, 1.0)
    assert asked == [(1000, 64)]  # this one holds no products


def test_cells_without_an_answer_say_why(monkeypatch):
    found = [[10, 4, 0.5, ""], [20, 4, None, "RuntimeError: no memory"]]
    monkeypatch.setattr(peers, "in_own_process", lambda *_, **__: (found, "killed"))
    first, second, third = peers.measure(GOOD, [(10, 4), (20, 4), (30, 4)], Small(10**9), 1, 1.0)
    assert first == Answer(GOOD, 10, 4, 0.5, "")
    assert math.isnan(second.seconds) and second.reason == "RuntimeError: no memory"
    assert math.isnan(third.seconds) and third.reason == "killed"


def test_a_process_answers_for_every_cell(monkeypatch):
    def seconds(peer, backend, dtype, d, popsize, repeats, limit):
        if d == 20:
            raise ValueError("first line\nsecond line")
        return 0.25

    monkeypatch.setattr(peers, "_seconds", seconds)
    given = ["evotorch-snes", "numpy", "float64", 1, 1.0, [[20, 4], [10, 4]]]
    assert list(peers.answers(*given)) == [
        [20, 4, None, "ValueError: first line"],
        [10, 4, 0.25, ""],
    ]


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_a_peer_that_is_installed_answers(peer):
    if peers.missing(peer):
        pytest.skip(f"not installed: {peers.missing(peer)}")
    (answer,) = peers.measure(peer, [(6, 8)], Host("float32"), 1, 30.0)
    assert answer.reason == "" and 0 < answer.seconds < 10


# -- the command


@pytest.mark.slow
def test_a_run_on_the_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "NEEDS", dict.fromkeys(peers.NEEDS, ("no_such_package_of_ours",)))
    monkeypatch.setattr(Host, "copied", 2**20)
    log = tmp_path / "gpu.txt"
    got = small("--log", log)
    assert got.exit_code == 0, got.output
    printed = got.stdout.splitlines()
    assert printed[0].startswith("device: ") and "GB free" in printed[0]
    assert printed[1].startswith("date: 20") and printed[1].endswith("float64")
    assert "numpy" in printed[2] and "GB/s" in printed[3]
    first = printed.index(gpu.head_line()) + 1
    cells = [tuple(line.split()[:4]) for line in printed[first : first + 7]]
    assert cells == [
        *[(s, d, "4", "eagerly") for s in gpu.STRUCTURES[:3] for d in ("20", "40")],
        ("dense", "10", "64", "eagerly"),
    ]
    absent = [line for line in printed if "not installed: no_such_package_of_ours" in line]
    assert [line.split()[0] for line in absent] == [peer.name for peer in peers.PEERS]
    assert printed[-1].startswith("not measured  every correct peer")
    assert log.read_text(encoding="utf-8") == got.stdout


@pytest.mark.slow
def test_peers_are_measured_where_we_were(monkeypatch):
    asked = {}

    def measure(peer, cells, device, repeats, limit):
        asked[peer.name] = cells
        said = "RuntimeError: no memory"
        return [
            Answer(peer, *cells[0], 1e9, ""),
            *(Answer(peer, *c, math.nan, said) for c in cells[1:]),
        ]

    monkeypatch.setattr(peers, "missing", lambda peer: "")
    monkeypatch.setattr(peers, "measure", measure)
    monkeypatch.setattr(peers, "PEERS", (GOOD, WRONG))
    got = small("--structures", "diagonal,dense")
    assert got.exit_code == 0, got.output
    assert asked == {"good": [(20, 4), (40, 4)], "wrong": [(10, 64)]}
    assert "failed: good, d = 40, popsize 4: RuntimeError: no memory" in got.stdout
    assert "met           good: at least 5 times our time" in got.stdout
    assert "wrong:" not in got.stdout.split("goals")[1]
    asked.clear()
    got = small("--structures", "dense", "--no-peers")
    assert got.exit_code == 0 and not asked
    assert "nothing of diagonal" in small("--structures", "dense").stdout


@pytest.mark.slow
def test_one_cell_that_fails_does_not_end_the_others(monkeypatch):
    def measure(device, name, d, popsize, *_):
        if d == 40:
            return Row(name, d, popsize, False, 1.0, 0.5, 0.0)
        raise {"diagonal": MemoryError("of the device"), "scalar": RuntimeError("a\nb")}[name]

    monkeypatch.setattr(gpu, "measure", measure)
    got = small("--structures", "diagonal", "--no-peers")
    assert got.exit_code == 0, got.output
    assert "skipped: diagonal, d = 20, popsize 4: out of memory: MemoryError: of the" in got.stdout
    got = small("--structures", "scalar", "--no-peers")
    assert got.exit_code == 1 and isinstance(got.exception, SystemExit)
    assert "failed: scalar, d = 20, popsize 4: RuntimeError: a\n" in got.stdout
    assert got.stdout.count("2.00") == 1  # the other cell was measured


@pytest.mark.slow
def test_what_will_take_too_long_is_not_begun(monkeypatch):
    begun = []

    def measure(device, name, d, popsize, *_):
        begun.append((d, popsize))
        return Row(name, d, popsize, False, 1.0, 0.5, 0.0)

    monkeypatch.setattr(gpu, "measure", measure)
    few = ("--structures", "diagonal", "--no-peers", "--dims", "20,40,200", "--limit", 7)
    got = small(*few)  # three generations of 1, 2 and 10 s
    assert begun == [(20, 4), (40, 4)]
    assert "d = 200, popsize 4: a generation would take about 5 s, so this cell 15 s" in got.stdout


@pytest.mark.slow
def test_what_was_too_long_says_it_of_larger_ones(monkeypatch):
    begun = []

    def measure(device, name, d, popsize, *_):
        begun.append(d)
        raise Skipped("too long", 3.0)

    monkeypatch.setattr(gpu, "measure", measure)
    got = small("--structures", "diagonal", "--no-peers", "--dims", "20,40,80", "--limit", 8)
    assert begun == [20] and got.exit_code == 0
    assert "d = 20, popsize 4: too long" in got.stdout
    assert "d = 40, popsize 4: a generation would take about 6 s" in got.stdout
    assert "d = 80, popsize 4: a generation would take about 12 s" in got.stdout


@pytest.mark.parametrize("command", [["gpu"], ["scaling", "--backend", "cupy"]])
@pytest.mark.parametrize(
    "error, said",
    [
        (ImportError("backend 'cupy' needs CuPy: pip install 'structes[gpu-cuda12]'"), "pip inst"),
        (RuntimeError("backend 'cupy' needs a CUDA device, and none answers"), "none answers"),
    ],
)
def test_without_a_device_there_is_a_line_and_no_traceback(command, error, said, monkeypatch):
    def load(name):
        assert name == "cupy"
        raise error

    monkeypatch.setattr(devices, "load_namespace", load)
    monkeypatch.setattr(scaling, "measure", lambda *_: sys.exit("must not get here"))
    got = call(*command)
    assert got.exit_code == 1 and got.stdout == ""
    assert got.stderr.startswith("Error: backend 'cupy' needs") and said in got.stderr
    assert len(got.stderr.splitlines()) == 1


def test_the_log_of_a_run_that_finds_no_device_is_not_begun(tmp_path, monkeypatch):
    def load(name):
        raise RuntimeError("none answers")

    monkeypatch.setattr(devices, "load_namespace", load)
    kept = tmp_path / "kept.txt"
    kept.write_text("of yesterday")
    assert call("gpu", "--log", kept).exit_code == 1
    assert kept.read_text() == "of yesterday"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--structures", "diagnal"], "did you mean 'diagonal'"),
        (["--dims", "1e4"], "numbers and ranges"),
        (["--popsizes", "1"], "at least 2"),
        (["--backend", "torch"], "cupy"),
        (["--dtype", "float16"], "float32"),
        (["--repeats", "0"], "repeats"),
    ],
)
def test_wrong_input_is_named(words, said, monkeypatch):
    monkeypatch.setattr(gpu, "measure", lambda *_: sys.exit("must not get here"))
    got = small(*words)
    assert got.exit_code == 2 and said in got.output, got.output


# -- a device, as far as none is needed


class Pool:
    """Counts bytes as CuPy's pool does."""

    def __init__(self):
        self.used, self.total = 100, 100

    def used_bytes(self):
        return self.used

    def total_bytes(self):
        return self.total


def test_the_peak_of_a_pool_is_above_what_was_used_before():
    pool, hooks = Pool(), []

    class MemoryHook:
        def __enter__(self):
            hooks.append(self)
            return self

        def __exit__(self, *_):
            hooks.remove(self)

    def take(size):
        pool.used += size
        pool.total = max(pool.total, pool.used)
        for hook in hooks:
            hook.malloc_postprocess(device_id=0, size=size, mem_size=size, mem_ptr=1, pmem_id=1)

    xp = SimpleNamespace(
        get_default_memory_pool=lambda: pool, cuda=SimpleNamespace(MemoryHook=MemoryHook)
    )
    device = Cuda(xp)
    with device.arrays() as peak:
        take(500)
        pool.used -= 400
        take(50)
        assert peak() == 500
        take(1000)
        assert peak() == 1150
    assert not hooks and device.peak() == 1250


# -- a device


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("structure", ["diagonal", "block_upper:k16", "kronecker", "dense"])
def test_a_cell_on_a_device(structure, dtype):
    device = cuda(dtype)
    bandwidth = gpu.bandwidth_of(device, 2)
    assert 1e9 < bandwidth < 1e14
    row = gpu.measure(device, structure, 2000, 64, bandwidth, 2, 60.0)
    assert row.seconds > 0 and row.drawing > 0
    assert row.moving == 2 * 64 * 2000 * device.itemsize / bandwidth


@pytest.mark.gpu
def test_a_lazy_cell_on_a_device(monkeypatch):
    device = cuda()
    d, popsize = 10_000, 100_000
    monkeypatch.setattr(device, "free", lambda: gpu.memory(d, d, popsize, 8) - 1)
    monkeypatch.setattr(gpu, "DRAWN", 2**24)
    device.release()
    with device.arrays() as peak:
        row = gpu.measure(device, "diagonal", d, popsize, 1e12, 1, 60.0)
        assert row.lazy and row.moving == 0
        assert peak() < 8 * d * popsize  # a population was nowhere


@pytest.mark.gpu
def test_scaling_on_a_device_sees_the_arrays_that_there_must_be():
    cuda()
    row = scaling.measure("diagonal", 100_000, 64, "cupy")
    assert (row.name, row.d, row.dof) == ("diagonal", 100_000, 100_000)
    assert 1 <= row.units == row.arrays / (8 * 64 * 100_000) < 20  # X; the noise is redrawn
    assert row.resident >= row.arrays / 2 and row.seconds > 0 and row.floor > 0


@pytest.mark.gpu
def test_the_command_on_a_device():
    cuda()
    few = ("--dims", 1000, "--popsizes", 64, "--dense-dims", 100, "--repeats", 1, "--no-peers")
    got = call("gpu", *few)
    assert got.exit_code == 0, got.output
    printed = got.stdout.splitlines()
    assert printed[0].startswith("device: ") and "CuPy" in printed[1]
    assert "failed" not in got.stdout and len([p for p in printed if "eagerly" in p]) == 4
