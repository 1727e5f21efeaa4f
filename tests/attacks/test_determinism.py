"""The same settings produce the same bytes, whatever ran before and on any number of cores."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.cloned import stages_run
from tests.helpers.disturbed import contents, copy_demo

pytestmark = [pytest.mark.attack, pytest.mark.slow]


def test_a_fresh_run_makes_the_same_files(finished_demo: Path, tmp_path: Path) -> None:
    clone = copy_demo(finished_demo, tmp_path)
    (clone.path / "dvc.lock").unlink()
    for name in (".dvc/cache", ".avsed"):
        shutil.rmtree(clone.path / name)
    output = clone.run("dvc", "repro")
    assert {"collect", "extract", "train@spectral", "illustrate"} <= stages_run(output)
    assert contents(clone.path) == contents(finished_demo)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away")
@pytest.mark.parametrize("n_cores", [1, 2])
def test_features_do_not_depend_on_the_number_of_cores(
    n_cores: int, finished_demo: Path, tmp_path: Path
) -> None:
    cores = sorted(os.sched_getaffinity(0))[:n_cores]
    clone = copy_demo(finished_demo, tmp_path, AVSED_STORE=str(tmp_path / "store"))
    subprocess.run(
        ["taskset", "--cpu-list", ",".join(map(str, cores)), "python", "stages/extract.py"],
        cwd=clone.path,
        env={**clone.environment, "OMP_NUM_THREADS": str(n_cores)},
        check=True,
    )
    assert contents(clone.path) == contents(finished_demo)
