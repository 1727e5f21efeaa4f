"""A killed or interrupted stage resumes, produces the same bytes and leaves nothing behind."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from avsed.runtime.interrupts import INTERRUPTED
from tests.helpers.cloned import Clone, stages_run
from tests.helpers.disturbed import (
    contents,
    copy_demo,
    forget,
    leftovers,
    living,
    output_of,
    read_lock,
    started,
    undo,
    wait_for_end,
    wait_for_stage,
)

pytestmark = [pytest.mark.attack, pytest.mark.slow]

SEED = 1
N_INTERRUPTS = 8
N_ROUNDS, N_KILLS = 2, 10  # consecutive kills before the stage may end
STAGES = (
    "prepare",
    "collect",
    "extract",
    "train@spectral",
    "train@auditory",
    "score@spectral",
    "evaluate@spectral",
    "summarize",
    "illustrate",
)


def require_same(clone: Clone, undisturbed: Path) -> None:
    """Compare all files, and DVC's records of them, with those of an undisturbed run."""
    before, after = contents(undisturbed), contents(clone.path)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == set()
    assert read_lock(clone.path) == read_lock(undisturbed)
    assert leftovers(clone) == []
    assert living(clone) == {}


def measure(clone: Clone, stage: str) -> float:
    """Run the pipeline undisturbed and return the duration of a stage in seconds."""
    with started(clone, "dvc", "repro") as process:
        pid = wait_for_stage(clone, stage, process)
        start = time.monotonic()
        while pid in living(clone):
            time.sleep(0.01)
        duration = time.monotonic() - start
        assert process.wait() == 0, output_of(clone)
    return duration


def mend_dvc(clone: Clone) -> None:
    """Repair DVC's own files as docs/questions.md describes, after a kill while it wrote them."""
    if not has_whole_lock(clone):
        print("dvc.lock is broken")
        clone.run("git", "checkout", "-q", "dvc.lock")
    path = clone.path / ".dvc" / "tmp" / "rwlock"
    try:
        json.loads(path.read_text())
    except ValueError:
        print("DVC's rwlock is broken")
        assert "Unable to read RWLock-file" in clone.run("dvc", "repro", fails=True)
        path.unlink()


def has_whole_lock(clone: Clone) -> bool:
    """Return whether dvc.lock is readable and contains all stages of the last commit."""
    committed = YAML(typ="safe").load(clone.run("git", "show", "HEAD:dvc.lock"))["stages"]
    try:
        return set(committed) <= set(read_lock(clone.path))
    except (YAMLError, TypeError, KeyError):
        return False


def kill(clone: Clone, stage: str, moment: float, *, whole_group: bool) -> bool:
    """Kill a stage some seconds after its start; return whether it was still running."""
    with started(clone, "dvc", "repro") as process:
        pid = wait_for_stage(clone, stage, process)
        time.sleep(moment)
        at_work = pid in living(clone)
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        elif at_work:
            os.kill(pid, signal.SIGKILL)
        ended = process.wait()
    seconds = wait_for_end(clone)
    what = "group" if whole_group else "stage"
    print(f"{what} at {moment:.2f} s, {at_work=}, DVC {ended}, others ended in {seconds:.2f} s")
    assert seconds < 5
    return at_work


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_in_the_same_bytes(
    stage: str, finished_demo: Path, tmp_path: Path
) -> None:
    clone = copy_demo(finished_demo, tmp_path)
    undo(clone, stage)
    duration = measure(clone, stage)
    require_same(clone, finished_demo)

    rng = random.Random(f"{SEED} {stage}")  # noqa: S311
    n_at_work = 0
    for _ in range(N_ROUNDS):
        forget(clone)
        for _ in range(N_KILLS):
            moment = rng.uniform(0, duration)
            at_work = kill(clone, stage, moment, whole_group=rng.random() < 0.5)
            n_at_work += at_work
            if not at_work:  # the machine is faster than before
                duration = moment
            mend_dvc(clone)
            # If it had ended, DVC may have cached its outputs without updating dvc.lock.
            if not at_work or read_lock(clone.path) == read_lock(finished_demo):
                forget(clone)
        output = clone.run("dvc", "repro")
        assert stages_run(output) == {stage}, output
        require_same(clone, finished_demo)
    assert n_at_work > N_ROUNDS * N_KILLS / 2


def interrupt(clone: Clone, stage: str, moment: float, *, whole_group: bool) -> bool:
    """Interrupt a stage some seconds after its start; return whether it was still running."""
    with started(clone, "dvc", "repro") as process:
        pid = wait_for_stage(clone, stage, process)
        time.sleep(moment)
        if pid not in living(clone):
            os.killpg(process.pid, signal.SIGKILL)
            return False
        if whole_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(pid, signal.SIGINT)
        start = time.monotonic()
        while pid in living(clone):
            time.sleep(0.01)
        seconds = time.monotonic() - start
        assert process.wait() != 0
    wait_for_end(clone)
    output = output_of(clone)
    # While Python shuts down, after the stage has finished, the signal kills it.
    at_end = "exited with -2" in output
    print(f"{moment=:.2f} {whole_group=} {seconds=:.2f} {at_end=}")
    assert at_end or "exited with 130" in output, output
    assert output.count(INTERRUPTED) == (0 if at_end else 1), output
    assert "Traceback" not in output, output
    assert seconds < 2
    return True


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_stage_stops_in_two_seconds_and_ends_in_the_same_bytes(
    stage: str, finished_demo: Path, tmp_path: Path
) -> None:
    clone = copy_demo(finished_demo, tmp_path)
    undo(clone, stage)
    duration = measure(clone, stage)
    forget(clone)
    rng = random.Random(f"{SEED} {stage}")  # noqa: S311
    n_at_work = 0
    for number in range(N_INTERRUPTS):
        # Not in the first moments, while Python itself starts.
        moment = duration * (0.1 + 0.8 * (number + rng.random()) / N_INTERRUPTS)
        at_work = interrupt(clone, stage, moment, whole_group=number % 2 == 0)
        n_at_work += at_work
        if not at_work:  # the machine is faster than before
            duration = moment
        mend_dvc(clone)
        # If it had ended, DVC may have cached its outputs without updating dvc.lock.
        if not at_work or read_lock(clone.path) == read_lock(finished_demo):
            forget(clone)
    assert stages_run(clone.run("dvc", "repro")) == {stage}
    require_same(clone, finished_demo)
    assert n_at_work > N_INTERRUPTS / 2
