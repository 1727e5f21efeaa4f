"""Training: what a step computes, and what survives an interruption."""

import copy
import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file

from avsed.dataset.loading import ClipFeatures
from avsed.errors import AvsedError
from avsed.model.crnn import Crnn, embedding_dims
from avsed.model.files import load_student, read_model_card
from avsed.model.score import score_clips
from avsed.runtime.files import append_checksum
from avsed.training import train as train_module
from avsed.training.batches import Batch, TrainingData, band_statistics
from avsed.training.distributed import seeds_of_job
from avsed.training.mean_teacher import consistency_weight, training_step
from avsed.training.seed_group import SeedGroup, build_model
from avsed.training.train import train_seeds
from tests.conftest import ROOT, whole_files
from tests.helpers.reference import ReferenceCrnn, reference_step
from tests.helpers.training import FUSION, clips, train, training_data
from tests.helpers.training import SHORT as PARAMS

CPU = torch.device("cpu")
SIZES = embedding_dims(["auditory"], FUSION)


def models(dropout: float) -> tuple[Crnn, Crnn]:
    params = PARAMS.model_copy(update={"dropout": dropout})
    first, second = (
        build_model(training_data(), None, SIZES, params, seed=1, dropout_seed=seed, device=CPU)
        for seed in (2, 3)
    )
    return first, second


def batch() -> Batch:
    weak, unlabeled = training_data().weak, training_data().unlabeled
    return Batch(
        features={
            "auditory": torch.cat(
                [weak.features["auditory"][:4], unlabeled.features["auditory"]]
            ).float()[None]
        },
        mask=torch.cat([weak.mask[:4], unlabeled.mask])[None],
        targets=training_data().targets[None, :4],
    )


def test_an_embedding_size_is_in_the_key_of_the_variants_that_use_it(tmp_path: Path) -> None:
    def folder(**sizes: int) -> Path:
        fusion = FUSION.model_copy(update=sizes)
        params = PARAMS.model_copy(update={"steps": 1, "n_seeds": 1})
        return train_seeds(training_data(), fusion, params, seeds=[0], store=tmp_path).folder

    before = folder()  # of auditory features alone
    assert folder(visual_dim=9, auditory_dim=9, standalone_visual_dim=9) == before
    assert folder(standalone_auditory_dim=9) != before


def test_a_step_computes_what_section_2_3_says() -> None:
    student, teacher = models(dropout=0.0)
    plain = copy.deepcopy(student)
    optimizer = torch.optim.Adam(student.parameters(), lr=1.0)
    costs = training_step([student], [teacher], optimizer, batch(), 2, PARAMS)

    # The same step, written out. Student and teacher start equal, so that they agree.
    one = batch()
    _, clip_scores = plain({"auditory": one.features["auditory"][0]}, one.mask[0])
    targets = one.targets[0]
    expected = -(
        targets * clip_scores[:4].log() + (1 - targets) * (1 - clip_scores[:4]).log()
    ).mean()
    assert costs.flatten().tolist() == pytest.approx([expected.item(), 0.0], rel=1e-5)
    gradients = torch.autograd.grad(expected, list(plain.parameters()))
    # The first step of Adam moves each weight by the learning rate, whatever the gradient's size;
    # step 2 is the first after the ramp. The teacher's decay is 1 - 1/3 there.
    moved = zip(plain.parameters(), student.parameters(), teacher.parameters(), gradients,
                strict=True)  # fmt: skip
    for before, after, average, gradient in moved:
        step = before - 0.01 * gradient / (gradient.abs() + 1e-8)
        assert torch.allclose(after, step, atol=1e-5)
        assert torch.allclose(average, before + (step - before) / 3, atol=1e-5)


VARIANTS = [
    ("spectral",),
    ("spectral", "visual"),
    ("spectral", "auditory"),
    ("spectral", "auditory", "visual"),
    ("visual",),
    ("auditory",),
    ("auditory", "visual"),
]


@pytest.mark.parametrize("kinds", VARIANTS, ids="+".join)
def test_training_together_is_the_references_step_after_step(kinds: tuple[str, ...]) -> None:
    """Costs, gradients (by Adam's moments), rates, students and teachers, in double precision."""
    n_systems, n_frames, n_clips, n_weak = 3, 10, 5, 3
    shapes = {"spectral": (4 * n_frames, 128), "auditory": (n_frames, 6), "visual": (n_frames, 7)}
    dims = {kind: shapes[kind][1] for kind in kinds}
    sizes = embedding_dims(kinds, FUSION)
    params = PARAMS.model_copy(update={"ramp_steps": 3, "consistency_ramp": True})

    torch.manual_seed(0)
    references, ours = [], []
    for _ in range(n_systems):
        pair = [ReferenceCrnn(dims, sizes, n_classes=4, dropout=0.0).double() for _ in range(2)]
        pair[1].load_state_dict(pair[0].state_dict())
        references.append(pair)
        for reference in pair:
            model = Crnn(
                dims,
                embedding_dims=sizes,
                n_classes=4,
                dropout=0.0,
                generator=torch.Generator(),
                cnn_dtype=torch.float32,
            ).double()
            model.load_state_dict(reference.state_dict())
            ours.append(model)
    students, teachers = ours[::2], ours[1::2]
    optimizer = torch.optim.Adam([weight for one in students for weight in one.parameters()])
    optimizers = [torch.optim.Adam(student.parameters()) for student, _ in references]

    for step in range(8):
        features = {
            kind: torch.randn(n_systems, n_clips, *shapes[kind], dtype=torch.float64)
            for kind in kinds
        }
        mask = torch.arange(n_frames) < torch.randint(3, n_frames + 1, (n_systems, n_clips, 1))
        targets = torch.randint(0, 2, (n_systems, n_weak, 4)).double()
        batch = Batch(features=features, mask=mask, targets=targets)
        costs = training_step(students, teachers, optimizer, batch, step, params)
        for system, (reference, its_teacher) in enumerate(references):
            expected = reference_step(
                reference,
                its_teacher,
                optimizers[system],
                {kind: of_all[system] for kind, of_all in features.items()},
                mask[system],
                targets[system],
                step,
                params,
            )
            weight = consistency_weight(step, params)
            cost = (costs[0] + weight * costs[1])[system].item()
            assert cost == pytest.approx(expected, rel=1e-9)
            rates = [one.param_groups[0]["lr"] for one in (optimizer, optimizers[system])]
            assert rates[0] == pytest.approx(rates[1], rel=1e-12)
            mine = students[system], teachers[system]
            for model, its_reference in zip(mine, (reference, its_teacher), strict=True):
                expected_state = its_reference.state_dict()
                for name, value in model.state_dict().items():
                    assert torch.allclose(value, expected_state[name], atol=1e-8), (step, name)
            parameters = zip(students[system].parameters(), reference.parameters(), strict=True)
            for ours_of_it, theirs in parameters:
                assert ours_of_it.grad is not None
                assert theirs.grad is not None
                assert torch.allclose(ours_of_it.grad, theirs.grad, atol=1e-9)


def gru_together(*seeds: int, n_steps: int, n_frames: int = 151, **changed: object) -> SeedGroup:
    torch.set_num_threads(1)  # as training does without spectra
    params = PARAMS.model_copy(update={"steps": n_steps, **changed})
    run = SeedGroup(training_data(n_frames), None, SIZES, params, seeds=seeds, device=CPU)
    while not run.finished:
        costs = training_step(
            run.students, run.teachers, run.optimizer, next(run.batches), run.step, params
        )
        run.record_costs(costs)
    return run


def scores_of(run: SeedGroup, seed: int) -> torch.Tensor:
    student = run.students[run.seeds.index(seed)].eval()
    one = batch()
    with torch.inference_mode():
        frame_scores, _ = student({"auditory": one.features["auditory"][0]}, one.mask[0])
    return cast(torch.Tensor, frame_scores)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.33])
def test_each_seed_of_a_run_ends_as_it_would_alone(dropout: float) -> None:
    """100 steps at the paper's learning rate; masks of dropout are the same ones, too."""
    changed = {"n_steps": 100, "n_frames": 20, "dropout": dropout, "learning_rate": 0.001}
    together = gru_together(3, 4, 5, **changed)  # type: ignore[arg-type]
    for seed in together.seeds:
        alone = gru_together(seed, **changed)  # type: ignore[arg-type]
        assert torch.allclose(scores_of(together, seed), scores_of(alone, seed), atol=1e-3)
    assert not torch.allclose(scores_of(together, 3), scores_of(together, 4), atol=1e-2)


def cost_of(one: Batch, **changed: object) -> float:
    """Take a first step, whose dropout is the same each time, and give its cost."""
    params = PARAMS.model_copy(update=changed)
    student, teacher = models(dropout=params.dropout)
    optimizer = torch.optim.Adam(student.parameters())
    costs = training_step([student], [teacher], optimizer, one, 0, params)
    return (costs[0] + params.consistency_weight * costs[1]).item()


def test_unlabeled_clips_bear_on_the_cost_by_consistency_only() -> None:
    one, other = batch(), batch()
    other.features["auditory"][:, 4:] += 1.0
    assert cost_of(one, consistency_weight=0.0) == cost_of(other, consistency_weight=0.0)
    assert cost_of(one) != cost_of(other)


def test_without_masking_padded_frames_count_in_the_cost() -> None:
    whole = replace(batch(), mask=torch.ones(1, 6, 151, dtype=torch.bool))
    assert cost_of(batch(), mask_padding=False) == cost_of(whole)
    assert cost_of(batch()) != cost_of(whole)


@pytest.mark.slow
def test_training_learns_and_its_card_is_enough_to_score(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"steps": 40, "n_seeds": 1, "dropout": 0.1})
    train(tmp_path / "out", params)
    card = read_model_card(tmp_path / "out")
    student = load_student(card, tmp_path / "out" / "seed-00.safetensors", CPU)
    unseen = clips([2, 0, 1, 1])
    scores = score_clips(student, unseen, unseen.mask, CPU)
    assert scores.clip_scores.argmax(axis=1).tolist() == [2, 0, 1, 1]
    assert card.classes == ("Cat", "Dog", "Speech")


def test_a_seed_gives_the_same_weights_alone_and_beside_others(tmp_path: Path) -> None:
    train(tmp_path / "out")
    weights = gru_together(1, n_steps=PARAMS.steps).weights(1)
    stored = load_file(tmp_path / "out" / "seed-01.safetensors")
    assert all(torch.equal(stored[name], weights[name]) for name in weights)
    other = load_file(tmp_path / "out" / "seed-00.safetensors")
    assert not torch.equal(stored["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize("seeds_per_run", [1, 2, 3])
def test_seeds_that_are_trained_before_stay_whatever_trains_together(
    seeds_per_run: int, tmp_path: Path
) -> None:
    train(tmp_path / "out")
    before = (tmp_path / "out" / "seed-01.safetensors").read_bytes()
    train(
        tmp_path / "out",
        PARAMS.model_copy(update={"n_seeds": 4, "seeds_per_run": seeds_per_run}),
    )
    assert len(list((tmp_path / "out").glob("seed-*"))) == 4
    assert (tmp_path / "out" / "seed-01.safetensors").read_bytes() == before


TRAINING = """
import sys
from pathlib import Path
from avsed.training import train as train_module
from tests.helpers.training import SHORT, train

train_module.CHECKPOINT_INTERVAL = 0.0
train(Path(sys.argv[1]), SHORT.model_copy(update={"steps": 25, "seeds_per_run": 2}))
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_within_the_seed_and_ends_in_the_same_weights(
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
            reached = max([reached, *map(step_of, whole_files(store, "*.checkpoint"))])
        process.kill()
        process.wait()
        assert reached < 25
    assert start("killed").wait() == 0
    for name in ("seed-00.safetensors", "seed-01.safetensors"):
        undisturbed_seed, killed_seed = (
            (tmp_path / out / name).read_bytes() for out in ("undisturbed", "killed")
        )
        assert undisturbed_seed == killed_seed


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["damaged", "hostile"])
def test_a_checkpoint_that_is_none_costs_time_only_and_runs_nothing(
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
    assert f"{checkpoint}: " in (said := capsys.readouterr().out)
    assert "; its seeds start again from step 0" in said
    assert not (tmp_path / "touched").exists()
    assert (tmp_path / "out" / "seed-01.safetensors").read_bytes() == whole


def test_a_stopped_training_goes_on_and_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt keeps seed 0, and stops seed 1 in its second step."""
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
        undisturbed = (tmp_path / "undisturbed" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == undisturbed


def test_a_run_whose_seeds_were_kept_in_part_goes_on_from_its_checkpoint(
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
        undisturbed = (tmp_path / "undisturbed" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == undisturbed


@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_a_stored_seed_that_is_broken_is_trained_again(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "out")
    (stored,) = (tmp_path / "store").rglob("seed-01.safetensors")
    whole = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(whole[:100] if how == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    train(tmp_path / "out")
    said = capsys.readouterr().out
    assert "seed-01.safetensors: " in said and "; the seed is trained again" in said
    assert (tmp_path / "out" / "seed-01.safetensors").read_bytes() == whole


@pytest.mark.parametrize("seeds_per_run", [1, 3])
def test_a_seed_that_diverges_is_named_and_does_not_stop_the_others(
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
    for _ in range(2):  # the second finds it in the store
        train(tmp_path / "out", params)
        said = "auditory, seed 1: excluded: costs became NaN or infinite by step 2"
        assert said in capsys.readouterr().out
        assert sorted(path.name for path in (tmp_path / "out").glob("seed-*")) == [
            "seed-00.safetensors",
            "seed-02.safetensors",
        ]
    for name in ("seed-00.safetensors", "seed-02.safetensors"):
        undisturbed = (tmp_path / "undisturbed" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == undisturbed


def test_without_progress_only_a_seed_that_diverges_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(data: TrainingData, store: str) -> str:
        train_seeds(data, FUSION, PARAMS, seeds=[0], store=tmp_path / store, shows_progress=False)
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    assert run(training_data(), "well") == ""
    data = training_data()
    data.weak.features["auditory"][:] = float("nan")
    said = run(data, "ill")
    assert said.startswith("auditory, seed 0: excluded: costs became NaN or infinite by step 1")
    assert said.count("\n") == 1


def test_without_any_seed_left_training_is_an_error(tmp_path: Path) -> None:
    data = training_data()
    data.weak.features["auditory"][:] = float("nan")
    with pytest.raises(AvsedError, match=r"auditory: every seed diverged; lower"):
        train(tmp_path / "out", data=data)


def test_the_curve_is_the_mean_over_seeds_whether_trained_now_or_before(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"n_seeds": 3})
    curves = [gru_together(seed, n_steps=3).curves[seed] for seed in range(3)]
    expected = sum(curve[1].classification_cost for curve in curves) / 3
    for _ in range(2):
        train(tmp_path / "out", params)
        path = tmp_path / "curve" / "plots" / "metrics" / "classification_cost.tsv"
        rows = [line.split("\t") for line in path.read_text().splitlines()]
        assert rows[0] == ["step", "classification_cost"]
        assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
        assert float(rows[2][1]) == pytest.approx(expected, rel=1e-6)


def test_jobs_of_an_array_train_every_seed_once() -> None:
    variants = ["spectral", "visual", "auditory"]
    for n_shards in (1, 2, 4, 30):
        dealt = [seeds_of_job(variants, 5, shard=i + 1, n_shards=n_shards) for i in range(n_shards)]
        seeds = sorted((v, seed) for one in dealt for v, of_it in one.items() for seed in of_it)
        assert seeds == sorted((variant, seed) for variant in variants for seed in range(5))
        counts = [sum(map(len, one.values())) for one in dealt]
        assert max(counts) - min(counts) <= 1


def test_bands_are_standardised_over_valid_frames_of_all_training_clips() -> None:
    log_mel = torch.zeros(2, 604, 2, dtype=torch.float16)
    log_mel[:, :240, 0] = torch.tensor([-40.0, -20.0])[:, None]
    log_mel[:, :240, 1] = -100.0  # never varies
    log_mel[:, 240:] = 50.0  # padding
    half = [
        ClipFeatures(
            clip_ids=(str(row),),
            features={"spectral": log_mel[row : row + 1]},
            mask=(torch.arange(151) < 60)[None],
        )
        for row in range(2)
    ]
    data = TrainingData(
        kinds=("spectral",),
        classes=("Cat",),
        weak=half[0],
        unlabeled=half[1],
        targets=torch.ones(1, 1),
        features_key=("key",),
        provenance={"spectral": {}},
    )
    mean, deviation = band_statistics(data)
    assert mean.tolist() == [-30.0, -100.0]
    assert deviation.tolist() == [10.0, math.inf]
