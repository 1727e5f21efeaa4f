"""Training a variant: which seeds train, and what survives an interruption."""

import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from avsed.errors import AvsedError
from avsed.model.card import read_model_card
from avsed.model.files import load_student
from avsed.model.score import score_clips
from avsed.runtime.files import append_checksum
from avsed.training import train as train_module
from avsed.training.batches import TrainingData
from avsed.training.seed_group import SeedGroup
from avsed.training.train import train_seeds
from tests.conftest import ROOT, whole_files
from tests.helpers.training import CPU, FUSION, clips, train, train_together, training_data
from tests.helpers.training import SHORT as PARAMS


def test_an_embedding_size_is_in_the_key_of_the_variants_that_use_it(tmp_path: Path) -> None:
    def folder(**sizes: int) -> Path:
        fusion = FUSION.model_copy(update=sizes)
        params = PARAMS.model_copy(update={"steps": 1, "n_seeds": 1})
        return train_seeds(training_data(), fusion, params, seeds=[0], store=tmp_path).folder

    before = folder()  # of auditory features alone
    assert folder(visual_dim=9, auditory_dim=9, standalone_visual_dim=9) == before
    assert folder(standalone_auditory_dim=9) != before


@pytest.mark.slow
def test_training_learns_and_its_card_is_enough_to_score(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"steps": 40, "n_seeds": 1, "dropout": 0.1})
    train(tmp_path / "out", params)
    card = read_model_card(tmp_path / "out")
    student = load_student(card, tmp_path / "out" / "seeds" / "seed-00.safetensors", CPU)
    unseen = clips([2, 0, 1, 1])
    scores = score_clips(student, unseen, unseen.mask, CPU)
    assert scores.clip_scores.argmax(axis=1).tolist() == [2, 0, 1, 1]
    assert card.classes == ("Cat", "Dog", "Speech")


def test_a_seed_gives_the_same_weights_alone_and_beside_others(tmp_path: Path) -> None:
    train(tmp_path / "out")
    weights = train_together(1, n_steps=PARAMS.steps).weights(1)
    stored = load_file(tmp_path / "out" / "seeds" / "seed-01.safetensors")
    assert all(torch.equal(stored[name], weights[name]) for name in weights)
    other = load_file(tmp_path / "out" / "seeds" / "seed-00.safetensors")
    assert not torch.equal(stored["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize("seeds_per_run", [1, 2, 3])
def test_finished_seeds_are_kept_whatever_seeds_per_run_is(
    seeds_per_run: int, tmp_path: Path
) -> None:
    train(tmp_path / "out")
    before = (tmp_path / "out" / "seeds" / "seed-01.safetensors").read_bytes()
    train(
        tmp_path / "out",
        PARAMS.model_copy(update={"n_seeds": 4, "seeds_per_run": seeds_per_run}),
    )
    assert len(list((tmp_path / "out" / "seeds").iterdir())) == 4
    assert (tmp_path / "out" / "seeds" / "seed-01.safetensors").read_bytes() == before


TRAINING = """
import sys
from pathlib import Path
from avsed.training import train as train_module
from tests.helpers.training import SHORT, train

train_module.CHECKPOINT_INTERVAL = 0.0
train(Path(sys.argv[1]), SHORT.model_copy(update={"steps": 25, "seeds_per_run": 2}))
"""


@pytest.mark.slow
def test_a_killed_training_resumes_within_a_seed_and_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(out: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", TRAINING, str(tmp_path / out)]
        return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def step_of(checkpoint: Path) -> int:
        return int(torch.load(checkpoint, weights_only=True)["step"]) if checkpoint.exists() else 0

    undisturbed = start("undisturbed")
    assert undisturbed.wait() == 0
    assert not list(tmp_path.rglob("*.checkpoint"))

    store = tmp_path / "another store"
    monkeypatch.setenv("AVSED_STORE", str(store))
    reached = 0
    for least in (3, 12):
        process = start("killed")
        while reached < least:
            assert process.poll() is None
            time.sleep(0.01)  # a loop without a pause would take the core from the training
            reached = max([reached, *map(step_of, whole_files(store, "*.checkpoint"))])
        process.kill()
        process.wait()
        assert reached < 25
    assert start("killed").wait() == 0
    for name in ("seed-00.safetensors", "seed-01.safetensors"):
        undisturbed_seed, killed_seed = (
            (tmp_path / out / "seeds" / name).read_bytes() for out in ("undisturbed", "killed")
        )
        assert undisturbed_seed == killed_seed


class Hostile:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["damaged", "hostile"])
def test_an_invalid_checkpoint_costs_time_only_and_executes_nothing(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "out")
    (stored,) = (tmp_path / "store").rglob("seed-01.safetensors")
    whole = stored.read_bytes()
    stored.unlink()
    checkpoint = stored.with_name("seeds-01.checkpoint")
    checkpoint.write_bytes(b"PK" * 99)
    if how == "hostile":
        torch.save(Hostile(tmp_path / "touched"), checkpoint)
        append_checksum(checkpoint)
    train(tmp_path / "out")
    assert f"{checkpoint}: " in (printed := capsys.readouterr().out)
    assert "; its seeds start again from step 0" in printed
    assert not (tmp_path / "touched").exists()
    assert (tmp_path / "out" / "seeds" / "seed-01.safetensors").read_bytes() == whole


def test_a_stopped_training_resumes_and_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt saves seed 0 and stops seed 1 in its second step."""
    n_steps: dict[tuple[int, ...], int] = {}
    original = SeedGroup.record_costs

    def stop_seed_1(run: SeedGroup, costs: torch.Tensor) -> bool:
        n_steps[run.seeds] = n_steps.get(run.seeds, 0) + 1
        if run.seeds == (1,) and n_steps[run.seeds] == 2:
            while not whole_files(tmp_path / "another store", "seed-00.safetensors"):
                time.sleep(0.05)
            raise KeyboardInterrupt
        return original(run, costs)

    train(tmp_path / "undisturbed")
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))
    monkeypatch.setattr(SeedGroup, "record_costs", stop_seed_1)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "out")
    train(tmp_path / "out")
    assert n_steps == {(0,): PARAMS.steps, (1,): 2 + PARAMS.steps}
    for name in ("seed-00.safetensors", "seed-01.safetensors"):
        undisturbed = (tmp_path / "undisturbed" / "seeds" / name).read_bytes()
        assert (tmp_path / "out" / "seeds" / name).read_bytes() == undisturbed


def test_a_run_with_some_seeds_saved_resumes_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = PARAMS.model_copy(update={"seeds_per_run": 2})
    train(tmp_path / "undisturbed", together)
    (kept,) = (tmp_path / "store").rglob("seed-00.safetensors")

    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL", 0.0)
    original = SeedGroup.record_costs
    n_steps = 0

    def record_costs(run: SeedGroup, costs: torch.Tensor) -> bool:
        nonlocal n_steps
        n_steps += 1
        if n_steps == PARAMS.steps:
            raise KeyboardInterrupt
        return original(run, costs)

    monkeypatch.setattr(SeedGroup, "record_costs", record_costs)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "out", together)
    (checkpoint,) = (tmp_path / "another store").rglob("*.checkpoint")
    shutil.copy(kept, checkpoint.with_name(kept.name))
    train(tmp_path / "out", together)
    assert n_steps == PARAMS.steps + 1
    assert not checkpoint.exists()
    for name in ("seed-00.safetensors", "seed-01.safetensors"):
        undisturbed = (tmp_path / "undisturbed" / "seeds" / name).read_bytes()
        assert (tmp_path / "out" / "seeds" / name).read_bytes() == undisturbed


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_corrupted_seed_is_trained_again(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "out")
    (stored,) = (tmp_path / "store").rglob("seed-01.safetensors")
    whole = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(whole[:100] if how == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    train(tmp_path / "out")
    printed = capsys.readouterr().out
    assert "seed-01.safetensors: " in printed and "; the seed is trained again" in printed
    assert (tmp_path / "out" / "seeds" / "seed-01.safetensors").read_bytes() == whole


@pytest.mark.parametrize("seeds_per_run", [1, 3])
def test_a_seed_that_diverges_is_reported_and_does_not_stop_the_others(
    seeds_per_run: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = PARAMS.model_copy(update={"n_seeds": 3, "seeds_per_run": seeds_per_run})
    train(tmp_path / "undisturbed", params)
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))

    def break_seed_1(run: SeedGroup, costs: torch.Tensor) -> bool:
        has_point = original(run, costs)
        if 1 in run.seeds and run.step == 1:
            student = run.students[run.seeds.index(1)]
            next(student.parameters()).data[0, 0] = math.inf
        return has_point

    original = SeedGroup.record_costs
    monkeypatch.setattr(SeedGroup, "record_costs", break_seed_1)
    for _ in range(2):  # the second time from the store
        train(tmp_path / "out", params)
        printed = "auditory, seed 1: excluded: costs became NaN or infinite by step 2"
        assert printed in capsys.readouterr().out
        assert sorted(path.name for path in (tmp_path / "out" / "seeds").iterdir()) == [
            "seed-00.safetensors",
            "seed-02.safetensors",
        ]
    for name in ("seed-00.safetensors", "seed-02.safetensors"):
        undisturbed = (tmp_path / "undisturbed" / "seeds" / name).read_bytes()
        assert (tmp_path / "out" / "seeds" / name).read_bytes() == undisturbed


def test_without_a_progress_bar_only_diverged_seeds_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(data: TrainingData, store: str) -> str:
        train_seeds(data, FUSION, PARAMS, seeds=[0], store=tmp_path / store, shows_progress=False)
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err

    assert run(training_data(), "well") == ""
    data = training_data()
    data.weak.features["auditory"][:] = float("nan")
    printed = run(data, "ill")
    assert printed.startswith("auditory, seed 0: excluded: costs became NaN or infinite by step 1")
    assert printed.count("\n") == 1


def test_training_fails_if_every_seed_diverges(tmp_path: Path) -> None:
    data = training_data()
    data.weak.features["auditory"][:] = float("nan")
    with pytest.raises(AvsedError, match=r"auditory: every seed diverged; lower"):
        train(tmp_path / "out", data=data)


def test_the_curve_is_the_mean_over_new_and_stored_seeds(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"n_seeds": 3})
    curves = [train_together(seed, n_steps=3).curves[seed] for seed in range(3)]
    expected = sum(curve[1].classification_cost for curve in curves) / 3
    for _ in range(2):
        train(tmp_path / "out", params)
        path = tmp_path / "curve" / "plots" / "metrics" / "classification_cost.tsv"
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        assert rows[0] == ["step", "classification_cost"]
        assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
        assert float(rows[2][1]) == pytest.approx(expected, rel=1e-6)
