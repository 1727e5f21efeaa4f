"""Two runs at once: in one folder, with one store, and from DVC's queue."""

from pathlib import Path

import pytest

from tests.helpers.cloned import Clone, stages_run
from tests.helpers.disturbed import (
    contents,
    copy_demo,
    leftovers,
    output_of,
    read_lock,
    started,
    undo,
    wait_for_stage,
)

pytestmark = [pytest.mark.attack, pytest.mark.slow]


def test_a_second_run_in_one_folder_says_so_and_does_no_harm(
    finished_demo: Path, tmp_path: Path
) -> None:
    clone = copy_demo(finished_demo, tmp_path)
    undo(clone, "train@spectral")
    with started(clone, "dvc", "repro") as first:
        wait_for_stage(clone, "train@spectral", first)
        output = clone.run("dvc", "repro", fails=True)
        print(output)
        assert first.poll() is None
        assert stages_run(output) == set()
        assert "dvc repro" in output
        assert first.wait() == 0, output_of(clone)
    assert contents(clone.path) == contents(finished_demo)
    assert read_lock(clone.path) == read_lock(finished_demo)


def test_two_clones_make_the_same_in_one_store(finished_demo: Path, tmp_path: Path) -> None:
    clones = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        store = str(tmp_path / "store")
        clones.append(copy_demo(finished_demo, tmp_path / name, AVSED_STORE=store))
        for stage in ("extract", "train@spectral"):
            undo(clones[-1], stage)
    first, second = clones
    with started(first, "dvc", "repro") as one, started(second, "dvc", "repro") as other:
        assert one.wait() == 0, output_of(first)
        assert other.wait() == 0, output_of(second)
    for clone in clones:
        assert {"extract", "train@spectral"} <= stages_run(output_of(clone))
        assert contents(clone.path) == contents(finished_demo)
        assert read_lock(clone.path) == read_lock(finished_demo)
        assert leftovers(clone) == []
    assert not [path for path in (tmp_path / "store").rglob("*") if "avsed-" in path.name]


EXPERIMENTS = {"four": "fusion.standalone_visual_dim=4", "eight": "fusion.standalone_visual_dim=8"}


def results_of(clone: Clone, experiment: str) -> tuple[object, dict[str, str]]:
    clone.run("git", "checkout", "-q", ".")
    clone.run("dvc", "exp", "apply", experiment)
    return read_lock(clone.path), contents(clone.path)


def test_queued_experiments_side_by_side_are_those_run_one_by_one(
    finished_demo: Path, tmp_path: Path
) -> None:
    for name in ("queued", "single"):
        (tmp_path / name).mkdir()
    queued = copy_demo(finished_demo, tmp_path / "queued")
    for name, setting in EXPERIMENTS.items():
        queued.run("dvc", "exp", "run", "--queue", "-n", name, "-S", setting)
    queued.run("dvc", "exp", "run", "--run-all", "--jobs", "2")
    single = copy_demo(finished_demo, tmp_path / "single")
    for name, setting in EXPERIMENTS.items():
        single.run("dvc", "exp", "run", "-n", name, "-S", setting)
    for name in EXPERIMENTS:
        assert results_of(queued, name) == results_of(single, name)
    assert leftovers(queued) == []
