"""A full disk of DVC's cache: DVC reports it, and with free space the same command succeeds."""

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.helpers.cloned import stages_run
from tests.helpers.disturbed import contents, copy_demo, leftovers, read_lock, undo
from tests.helpers.small_disk import PAGE, mounted

pytestmark = [pytest.mark.attack, pytest.mark.slow]

STAGE = "score@spectral"
SCORES = "data/scores/spectral.h5"


def test_a_full_cache_is_told_and_costs_no_more_than_the_stage(
    finished_demo: Path, tmp_path: Path
) -> None:
    clone = copy_demo(finished_demo, tmp_path)
    with mounted(tmp_path / "disk", 2**30) as disk:
        shutil.move(clone.path / ".dvc" / "cache", disk.path / "cache")
        clone.run("dvc", "cache", "dir", "--local", str(disk.path / "cache"))
        undo(clone, STAGE)
        # Files that are in the cache already are not copied again.
        digest = hashlib.md5((finished_demo / SCORES).read_bytes()).hexdigest()  # noqa: S324
        (disk.path / "cache" / "files" / "md5" / digest[:2] / digest[2:]).unlink()
        disk.fill(leaving=PAGE)
        said = clone.run("dvc", "repro", fails=True)
        assert f"failed to reproduce '{STAGE}'" in said
        assert "No space left on device" in said
        assert "Traceback" not in said
        disk.make_room()
        assert stages_run(clone.run("dvc", "repro")) == {STAGE}
        assert contents(clone.path) == contents(finished_demo)
        assert read_lock(clone.path) == read_lock(finished_demo)
        assert leftovers(clone) == []
        assert clone.run("dvc", "status").strip() == "Data and pipelines are up to date."
