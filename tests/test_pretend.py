"""The tests for a GPU, on a pretended one: a NumPy that behaves as CuPy does (tests/pretend)."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTED = ["gpu", "laws", "dense", "low_rank", "triangular", "domain", "kernels"]  # test_….py
ONLY_HARDWARE = "not do_not_wait"


@pytest.mark.slow
def test_they_pass_on_a_pretended_device():
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: cc is not on the PATH")
    words = ["-m", "pytest", "-q", "-m", "gpu", "-k", ONLY_HARDWARE, "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(HERE / "pretend")}
    done = subprocess.run(
        [sys.executable, *words, *(HERE / f"test_{name}.py" for name in TESTED)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 900 and "skipped" not in done.stdout
