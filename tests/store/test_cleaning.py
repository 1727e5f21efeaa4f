"""`avsed store clean`: what is removed, what a later run needs, and when it refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from dvc.repo import Repo
from filelock import FileLock

from avsed.dataset.clips import missing_clip
from avsed.dataset.inspection import inspect_clip
from avsed.features.extraction import extract as extract_module
from avsed.features.extraction.extract import extract_features
from avsed.features.kinds import make_recipe
from avsed.params import Spectral
from avsed.runtime.store import store_dir
from avsed.sources.youtube.ledger import media_path, open_ledger
from avsed.training import train as train_module
from tests.conftest import run_avsed
from tests.helpers.training import SHORT, train
from tests.helpers.user_folder import write_set_up

RATE = 8_000
OLD, NEW = 1e-4, 1e-5  # values of spectral.log_floor
SLOW, FAST = 0.01, 0.02  # values of train.learning_rate


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the project's parameters and a clip."""
    monkeypatch.chdir(tmp_path)
    write_set_up(tmp_path, "demo")
    (tmp_path / "data" / "clips").mkdir(parents=True)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 10 * RATE)
    soundfile.write("data/clips/a.wav", noise, RATE)
    return tmp_path


def extract(log_floor: float) -> None:
    """Extract spectral features into data/features, as the stage does."""
    params = Spectral(window_length=2048, log_floor=log_floor)
    extract_features(
        {"spectral": make_recipe("spectral", params)},
        [inspect_clip("a", Path("data/clips/a.wav"))],
        clips_dir=Path("data/clips"),
        out_dir=Path("data/features"),
    )


def train_auditory(learning_rate: float) -> None:
    """Train a seed for a step into data/models/auditory, as the stage does."""
    shutil.rmtree("data/models", ignore_errors=True)
    update = {"learning_rate": learning_rate, "steps": 2, "n_seeds": 1}
    train(Path("data/models/auditory"), SHORT.model_copy(update=update))


def stored(pattern: str) -> set[str]:
    return {str(path.relative_to(store_dir())) for path in store_dir().glob(pattern)}


def shards() -> set[str]:
    return stored("features/spectral/*.h5")


def seeds() -> set[str]:
    return stored("models/*/seed-*")


def test_without_yes_it_only_shows_and_its_last_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(OLD)
    extract(NEW)
    before = shards()
    capsys.readouterr()
    assert run_avsed(monkeypatch, "store", "clean") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{store_dir()}/features/spectral: 1 of 2 unused, 0.1 MB")
    assert printed[-1] == (
        f"{store_dir()}: removed nothing; `avsed store clean --yes` removes 1 items"
    )
    assert shards() == before


def test_shards_of_other_parameters_are_removed_and_the_next_run_makes_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(OLD)
    old = shards()
    extract(NEW)
    new = shards() - old
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{store_dir()}: removed 1 items"
    assert shards() == new
    extract(NEW)
    assert "to make" not in capsys.readouterr().out
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{store_dir()}: nothing to remove"


def test_shards_in_the_workspace_are_kept_even_as_copies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(OLD)
    shutil.copytree("data/features", "committed")
    extract(NEW)
    both = shards()
    shutil.rmtree("data/features")
    shutil.move("committed", "data/features")  # like `dvc checkout`
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert shards() == both
    capsys.readouterr()
    extract(OLD)
    assert "to make" not in capsys.readouterr().out


def test_shards_of_an_interrupted_extraction_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    extract(OLD)
    shutil.rmtree("data/features")  # like DVC before it runs the stage
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(extract_module, "_publish", interrupt)
        extract(NEW)
    both = shards()
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert len(both) == 2 and shards() == both


def test_seeds_of_other_parameters_are_removed_and_the_next_run_trains_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("a seed is trained again")

    train_auditory(SLOW)
    old = seeds()
    train_auditory(FAST)
    new = seeds() - old
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert len(old) == 1 and seeds() == new
    monkeypatch.setattr(train_module, "training_step", fail)
    train_auditory(FAST)


def test_seeds_in_the_workspace_are_kept_even_as_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    train_auditory(SLOW)
    shutil.copytree("data/models", "committed")
    train_auditory(FAST)
    both = seeds()
    shutil.rmtree("data/models")
    shutil.move("committed", "data/models")  # like `dvc checkout`
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert len(both) == 2 and seeds() == both


def test_checkpoints_of_an_interrupted_training_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_module, "CHECKPOINT_INTERVAL", 0.0)
        patch.setattr(train_module, "training_step", interrupt)
        train_auditory(SLOW)
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert len(stored("models/*/seeds-00.checkpoint")) == 1


def test_clips_from_youtube_and_files_that_are_not_named_by_a_key_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_ledger(waits=False) as ledger:
        ledger.add(missing_clip("b", "private: Private video"))
    media_path("b").write_bytes(b"media")
    for name in ("features/spectral/notes.h5", "models/notes/seed-00.safetensors", "other/a.h5"):
        (store_dir() / name).parent.mkdir(parents=True, exist_ok=True)
        (store_dir() / name).write_bytes(b"mine")
    before = stored("**/*")
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0
    assert stored("**/*") == before


def test_space_that_other_links_keep_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(OLD)
    (shard,) = store_dir().glob("features/spectral/*.h5")
    Path("cache").hardlink_to(shard)
    extract(NEW)
    capsys.readouterr()
    assert run_avsed(monkeypatch, "store", "clean") == 0
    total, rest = capsys.readouterr().out.splitlines()[-2].split(" MB are unused; ")
    assert rest.startswith(f"{total} MB of them have other hard links")
    assert rest.endswith("stay until `dvc gc --workspace`")


@pytest.mark.parametrize(
    ("damaged", "problem"),
    [
        ("data/features/spectral/part-00000.h5", "cannot be read"),
        ("store/features/spectral/last.json", "is damaged"),
        ("store/features/spectral/planned.json", "is damaged"),
        ("store/models/auditory.last", "is damaged"),
    ],
)
def test_a_damaged_record_of_what_is_used_is_one_line_and_nothing_is_removed(
    damaged: str,
    problem: str,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    extract(OLD)
    extract(NEW)
    train_auditory(FAST)
    before = shards() | seeds()
    (workspace / damaged).unlink()
    (workspace / damaged).write_text("[")
    capsys.readouterr()
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 2
    said = capsys.readouterr().err
    assert f"{damaged}: {problem}" in said and "`dvc repro -f " in said
    assert said.count("\n") == 1
    assert shards() | seeds() == before


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("copy", [".", ".dvc/tmp/exps/tmp1", ".dvc/tmp/exps/standalone/tmp1"])
def test_it_refuses_while_dvc_runs_a_stage(
    mode: str,
    copy: str,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Repo.init(no_scm=True).close()
    process = {"pid": os.getpid(), "cmd": "dvc repro"}
    running = {mode: {"data/features": process if mode == "write" else [process]}}
    path = workspace / copy / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(running))
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 2
    said = capsys.readouterr().err
    assert f"DVC runs a stage (process {os.getpid()}); wait until it ends" in said
    assert said.count("\n") == 1


def test_a_record_of_a_killed_dvc_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Repo.init(no_scm=True).close()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    running = {"write": {"data/features": {"pid": ended.pid, "cmd": "dvc repro"}}}
    Path(".dvc/tmp/rwlock").write_text(json.dumps(running))
    assert run_avsed(monkeypatch, "store", "clean") == 0
    Path(".dvc/tmp/rwlock").write_text("{")
    assert run_avsed(monkeypatch, "store", "clean") == 2
    assert ".dvc/tmp/rwlock: cannot be read; if no process" in capsys.readouterr().err


@pytest.mark.slow
def test_it_refuses_while_dvc_holds_its_lock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Repo.init(no_scm=True) as repo, repo.lock:
        assert run_avsed(monkeypatch, "store", "clean", "--yes") == 2
    assert "error: .dvc: DVC is running here; wait until it ends\n" in capsys.readouterr().err


@pytest.mark.parametrize("writer", ["youtube", "features/spectral/avsed-1.part", "models/a.part"])
def test_it_refuses_while_a_run_writes_to_the_store(
    writer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = store_dir() / writer
    folder.mkdir(parents=True)
    with FileLock(folder / "lock"):
        assert run_avsed(monkeypatch, "store", "clean", "--yes") == 2
    said = capsys.readouterr().err
    assert said == f"error: {folder}: a run is writing here; wait until it ends\n"
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 0


def test_any_other_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("params.yaml").unlink()
    assert run_avsed(monkeypatch, "store", "clean", "--yes") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: params.yaml") and said.count("\n") == 1
