"""Searches, files and a run that were recorded once (tests/golden): no bit changes unseen."""

import json

import pytest

from tests.golden import FILES, HERE, arithmetic, gone_on, load, ran, searched, searches


def recorded(name):
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def assert_same(now, then, there):
    """Bit for bit where this machine computes as the one that wrote them, else to rounding."""
    assert now["sigma"] == pytest.approx(then["sigma"], rel=1e-4)
    assert now["mean"] == pytest.approx(then["mean"], abs=1e-4 * max(1, then["sigma"]))
    if there == arithmetic():
        assert now["bits"] == then["bits"]


@pytest.mark.parametrize("name", searches())
def test_a_search_goes_as_it_went(name):
    there = recorded("searches.json")
    assert_same(searched(*searches()[name]), there["searches"][name], there["arithmetic"])


def test_nothing_is_recorded_of_what_is_no_more():
    assert recorded("searches.json")["searches"].keys() == searches().keys()
    assert recorded("files.json")["files"].keys() == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_version_1_is_read_and_goes_on_as_it_went(name):
    there = recorded("files.json")
    now = gone_on(name, load(name, HERE / f"{name}.ckpt"))
    assert_same(now, there["files"][name], there["arithmetic"])


def test_a_run_of_the_command_line_records_what_it_recorded(tmp_path):
    there = recorded("run.json")
    now, then = ran(tmp_path), there["run"]
    assert (now["columns"], now["stop"]) == (then["columns"], then["stop"])
    assert_same(now, then, there["arithmetic"])
