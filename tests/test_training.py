"""Training: what a step computes, and what survives an interruption."""

import copy
import math
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from avsed import training
from avsed.config import Fusion, Train
from avsed.dataset import Batch, ClipFeatures, TrainingData
from avsed.errors import AvsedError
from avsed.model import Crnn, embedding_dim
from avsed.model_card import read_model_card
from avsed.scoring import load_student, score_clips
from avsed.training import build_model, standardisation, train_variant, training_step

from .conftest import ROOT
from .reference import ReferenceCrnn, reference_step

CPU = torch.device("cpu")
FUSION = Fusion(auditory_dim=2, visual_dim=2, standalone_auditory_dim=8, standalone_visual_dim=2)
PARAMS = Train(
    dropout=0.33,
    learning_rate=0.01,
    learning_rate_decay=0.999,
    ramp_steps=2,
    consistency_weight=2.0,
    consistency_ramp=False,
    teacher_decay=0.999,
    teacher_warmup=True,
    mask_padding=True,
    precision="float32",
    steps=3,
    n_weak=4,
    n_unlabeled=2,
    n_seeds=2,
)


def clips(classes: list[int]) -> ClipFeatures:
    """Make clips whose class is plain in their features."""
    generator = torch.Generator().manual_seed(len(classes))
    values = torch.randn(len(classes), 151, 6, generator=generator)
    for row, index in enumerate(classes):
        values[row, 40:100, index] += 4.0
    mask = (torch.arange(151) < 120).expand(len(classes), -1)
    names = tuple(f"{len(classes)}-{row}" for row in range(len(classes)))
    return ClipFeatures(clip_ids=names, features={"auditory": values.half()}, mask=mask)


def training_data() -> TrainingData:
    classes = [0, 1, 2] * 4
    return TrainingData(
        kinds=("auditory",),
        classes=("Cat", "Dog", "Speech"),
        weak=clips(classes),
        unlabeled=clips([0, 1]),
        targets=functional.one_hot(torch.tensor(classes), 3).float(),
        features_key=("key",),
        provenance={"auditory": {"extractor": "none"}},
    )


def models(dropout: float) -> tuple[nn.Module, nn.Module]:
    params = PARAMS.model_copy(update={"dropout": dropout})
    first, second = (
        build_model(training_data(), None, FUSION, params, seed=1, dropout_seed=seed, device=CPU)
        for seed in (2, 3)
    )
    return first, second


def batch() -> Batch:
    weak, unlabeled = training_data().weak, training_data().unlabeled
    return Batch(
        features={
            "auditory": torch.cat(
                [weak.features["auditory"][:4], unlabeled.features["auditory"]]
            ).float()
        },
        mask=torch.cat([weak.mask[:4], unlabeled.mask]),
        targets=training_data().targets[:4],
    )


def test_a_step_computes_what_section_2_3_says() -> None:
    student, teacher = models(dropout=0.0)
    plain = copy.deepcopy(student)
    optimizer = torch.optim.Adam(student.parameters(), lr=1.0)
    cost = training_step(student, teacher, optimizer, batch(), 2, PARAMS)  # type: ignore[arg-type]

    # The same step, written out. Student and teacher start equal, so that they agree.
    one = batch()
    _, clip_scores = plain(one.features, one.mask)
    expected = -(
        one.targets * clip_scores[:4].log() + (1 - one.targets) * (1 - clip_scores[:4]).log()
    ).mean()
    assert cost.item() == pytest.approx(expected.item(), rel=1e-5)
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
def test_training_is_the_references_step_after_step(kinds: tuple[str, ...]) -> None:
    """Costs, gradients (by Adam's moments), rates, students and teachers, in double precision."""
    n_frames, n_clips, n_weak = 10, 5, 3
    shapes = {"spectral": (4 * n_frames, 128), "auditory": (n_frames, 6), "visual": (n_frames, 7)}
    dims = {kind: shapes[kind][1] for kind in kinds}
    beside = "spectral" in kinds
    sizes = {
        kind: embedding_dim(kind, beside_spectral=beside, fusion=FUSION)
        for kind in ("auditory", "visual")
    }
    params = PARAMS.model_copy(update={"ramp_steps": 3, "consistency_ramp": True})

    torch.manual_seed(0)
    references = [ReferenceCrnn(dims, sizes, n_classes=4, dropout=0.0).double() for _ in range(2)]
    references[1].load_state_dict(references[0].state_dict())
    ours = []
    for reference in references:
        model = Crnn(
            dims,
            fusion=FUSION,
            n_classes=4,
            dropout=0.0,
            generator=torch.Generator(),
            cnn_dtype=torch.float32,
        ).double()
        model.load_state_dict(reference.state_dict())
        ours.append(model)
    optimizers = [torch.optim.Adam(models[0].parameters()) for models in (ours, references)]

    for step in range(8):
        features = {
            kind: torch.randn(n_clips, *shapes[kind], dtype=torch.float64) for kind in kinds
        }
        mask = torch.arange(n_frames) < torch.randint(3, n_frames + 1, (n_clips, 1))
        targets = torch.randint(0, 2, (n_weak, 4)).double()
        batch = Batch(features=features, mask=mask, targets=targets)
        cost = training_step(ours[0], ours[1], optimizers[0], batch, step, params).item()
        expected = reference_step(
            references[0], references[1], optimizers[1], features, mask, targets, step, params
        )
        assert cost == pytest.approx(expected, rel=1e-9)
        rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        assert rates[0] == pytest.approx(rates[1], rel=1e-12)
        for model, reference in zip(ours, references, strict=True):
            expected_state = reference.state_dict()
            for name, value in model.state_dict().items():
                assert torch.allclose(value, expected_state[name], atol=1e-8), (step, name)
        for mine, theirs in zip(ours[0].parameters(), references[0].parameters(), strict=True):
            assert mine.grad is not None
            assert theirs.grad is not None
            assert torch.allclose(mine.grad, theirs.grad, atol=1e-9)


def cost_of(one: Batch, **changed: object) -> float:
    """Take a first step, whose dropout is the same each time, and give its cost."""
    params = PARAMS.model_copy(update=changed)
    student, teacher = models(dropout=params.dropout)
    optimizer = torch.optim.Adam(student.parameters())
    return training_step(student, teacher, optimizer, one, 0, params).item()  # type: ignore[arg-type]


def test_unlabeled_clips_bear_on_the_cost_by_consistency_only() -> None:
    one, other = batch(), batch()
    other.features["auditory"][4:] += 1.0
    assert cost_of(one, consistency_weight=0.0) == cost_of(other, consistency_weight=0.0)
    assert cost_of(one) != cost_of(other)


def test_without_masking_padded_frames_count_in_the_cost() -> None:
    whole = replace(batch(), mask=torch.ones(6, 151, dtype=torch.bool))
    assert cost_of(batch(), mask_padding=False) == cost_of(whole)
    assert cost_of(batch()) != cost_of(whole)


@pytest.mark.slow
def test_training_learns_and_its_card_is_enough_to_score(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"steps": 40, "n_seeds": 1, "dropout": 0.1})
    train_variant(training_data(), FUSION, params, out_dir=tmp_path)
    card = read_model_card(tmp_path)
    student = load_student(card, tmp_path / "seed-00.safetensors", CPU)
    unseen = clips([2, 0, 1, 1])
    scores = score_clips(student, unseen, unseen.mask, CPU)
    assert scores.clip_scores.argmax(axis=1).tolist() == [2, 0, 1, 1]
    assert card.classes == ("Cat", "Dog", "Speech")


def test_a_seed_gives_the_same_weights_alone_and_beside_others(tmp_path: Path) -> None:
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path)
    weights = training.train_seed(
        training_data(),
        None,
        FUSION,
        PARAMS,
        seed=1,
        device=CPU,
        checkpoint=tmp_path / "seed-01.checkpoint",
        progress=tqdm(disable=True),
        stop=threading.Event(),
    )
    assert weights is not None
    stored = load_file(tmp_path / "seed-01.safetensors")
    assert all(torch.equal(stored[name], weights[name]) for name in weights)
    other = load_file(tmp_path / "seed-00.safetensors")
    assert not torch.equal(stored["classifier.weight"], other["classifier.weight"])


TRAINING = """
import sys
from pathlib import Path
from avsed import training
from tests.test_training import FUSION, PARAMS, training_data

training.CHECKPOINT_INTERVAL = 0.0
params = PARAMS.model_copy(update={"steps": 25, "n_seeds": 1})
training.train_variant(training_data(), FUSION, params, out_dir=Path(sys.argv[1]))
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
            reached = max([reached, *map(step_of, store.rglob("*.checkpoint"))])
        process.kill()
        process.wait()
        assert reached < 25
    assert start("killed").wait() == 0
    weights = [
        (tmp_path / out / "seed-00.safetensors").read_bytes() for out in ("undisturbed", "killed")
    ]
    assert weights[0] == weights[1]


def test_a_damaged_checkpoint_costs_time_only(tmp_path: Path) -> None:
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    (stored,) = (tmp_path / "store").rglob("seed-01.safetensors")
    whole = stored.read_bytes()
    stored.unlink()
    stored.with_suffix(".checkpoint").write_bytes(b"PK" * 99)
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    assert (tmp_path / "out" / "seed-01.safetensors").read_bytes() == whole


def test_a_stopped_training_goes_on_and_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    original = training.train_seed

    def fail_at_seed_1(
        *args: object, seed: int, **kwargs: object
    ) -> dict[str, torch.Tensor] | None:
        trained.append(seed)
        if seed == 1 and trained.count(1) == 1:
            while not list((tmp_path / "another store").rglob("seed-00.safetensors")):
                time.sleep(0.05)
            raise KeyboardInterrupt
        return original(*args, seed=seed, **kwargs)  # type: ignore[arg-type]

    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "undisturbed")
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "another store"))
    monkeypatch.setattr(training, "train_seed", fail_at_seed_1)
    with pytest.raises(KeyboardInterrupt):
        train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    assert sorted(trained) == [0, 1, 1]
    for name in ("seed-00.safetensors", "seed-01.safetensors"):
        undisturbed = (tmp_path / "undisturbed" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == undisturbed


def test_a_stored_seed_that_is_broken_is_trained_again(tmp_path: Path) -> None:
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    (stored,) = (tmp_path / "store").rglob("seed-01.safetensors")
    whole = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(whole[:100])
    train_variant(training_data(), FUSION, PARAMS, out_dir=tmp_path / "out")
    assert (tmp_path / "out" / "seed-01.safetensors").read_bytes() == whole


def test_scores_that_are_no_numbers_name_the_seed_and_the_step(tmp_path: Path) -> None:
    data = training_data()
    data.weak.features["auditory"][:] = float("nan")
    with pytest.raises(
        AvsedError, match=r"auditory, seed [01]: the scores are no finite .* step 0"
    ):
        train_variant(data, FUSION, PARAMS, out_dir=tmp_path)


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
    mean, deviation = standardisation(data)
    assert mean.tolist() == [-30.0, -100.0]
    assert deviation.tolist() == [10.0, math.inf]
