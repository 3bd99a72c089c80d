"""COCO's own data: what cocopp reads from them is what we counted."""

import math
import warnings

import pytest

pytest.importorskip("cocoex")
pytest.importorskip("cma")

from structes.bench.evaluations import bbob, coco
from structes.bench.evaluations.bbob import HITS, TARGETS, Task

DIM, BUDGET = 3, 900


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(rows, folder) of a run with observers in two processes; f3 has restarts, `random` fails."""
    folder = tmp_path_factory.mktemp("coco")
    tasks = [
        Task(solver, "bbob", f, i, DIM, BUDGET)
        for solver in ("structes-dense", "pycma", "scipy-da", "random")
        for f in (1, 3)
        for i in (1, 2)
    ]
    rows = bbob.run(tasks, folder / "results.csv", 2, folder=folder / "data")
    return tasks, rows, folder


@pytest.mark.slow
def test_cocopp_reads_what_we_counted(recorded):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for the archives of COCO on the net
        cocopp = pytest.importorskip("cocopp", reason="cocopp is not installed")
        tasks, rows, folder = recorded
        seen = 0
        for solver in dict.fromkeys(task.solver for task in tasks):
            sets = cocopp.load(str(folder / "data" / solver))
            assert sorted((s.funcId, s.dim) for s in sets) == [(1, DIM), (3, DIM)]
            for data in sets:
                mine = {r["i"]: r for r in rows if (r["solver"], r["f"]) == (solver, data.funcId)}
                assert sorted(data.instancenumbers) == [1, 2]
                used = dict(zip(data.instancenumbers, data.maxevals, strict=True))
                for i, r in mine.items():  # cocopp counts to 1e-8, we to the generation's end
                    missed = r[HITS[-1]] == ""
                    assert used[i] == r["evaluations"] or (
                        not missed and r[HITS[-1]] <= used[i] < r["evaluations"]
                    )
                for key, hits in zip(HITS, data.detEvals(TARGETS), strict=True):
                    for i, hit in zip(data.instancenumbers, hits, strict=True):
                        assert (math.nan if mine[i][key] == "" else mine[i][key]) == pytest.approx(
                            hit, nan_ok=True
                        ), (solver, data.funcId, i, key)
                        seen += not math.isnan(hit)
    assert seen > 60


@pytest.mark.slow
def test_the_observer_changes_no_run(recorded):
    tasks, rows, _ = recorded
    for task in (tasks[0], tasks[6]):
        (row,) = [r for r in rows if tuple(r[k] for k in task._fields) == tuple(task)]
        plain = bbob.solve(task)
        assert [row[key] for key in HITS] == [plain[key] for key in HITS]
        assert row["evaluations"] >= plain["evaluations"]  # it goes on to 1e-8


def test_an_interrupted_run_is_written_again_and_a_missing_one_is_named(recorded, tmp_path):
    tasks, rows, _ = recorded
    place = coco.place(tasks[0], tmp_path)
    place.mkdir(parents=True)
    (place / "torn").write_text("of a run that was interrupted")
    bbob.solve(tasks[0], tmp_path)
    assert not (place / "torn").exists() and list(place.glob("*.info"))
    coco.check_complete(tasks[:1], rows, tmp_path)
    with pytest.raises(ValueError, match="made without"):
        coco.check_complete(tasks[:2], rows, tmp_path)
    twins = [tasks[0]._replace(solver=s) for s in ("structes-a@b=1", "structes-a@b-1")]
    with pytest.raises(ValueError, match="share a folder"):
        coco.check_complete(twins, [], tmp_path)
