"""Training parameters, and short training on clips whose class is obvious from their features."""

from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional

from avsed.dataset.loading import ClipFeatures
from avsed.model.crnn import embedding_dims
from avsed.params import Fusion, Strong, Train
from avsed.training.batches import TrainingData
from avsed.training.mean_teacher import training_step
from avsed.training.seed_group import SeedGroup
from avsed.training.strong import StrongClips
from avsed.training.train import train_variant

# Written out, and not read from params.yaml: tests compare with the paper (4.3.1).
PAPER = Train(
    dropout=0.33,
    learning_rate=0.001,
    learning_rate_decay=0.99995,
    ramp_steps=12_500,
    consistency_weight=2.0,
    consistency_ramp=False,
    teacher_decay=0.999,
    teacher_warmup=True,
    mask_padding=True,
    precision="auto",
    seeds_per_run="auto",
    steps=50_000,
    n_weak=24,
    n_unlabeled=24,
    n_seeds=20,
)
# Three steps, one seed after the other.
SHORT = PAPER.model_copy(
    update={
        "learning_rate": 0.01,
        "learning_rate_decay": 0.999,
        "ramp_steps": 2,
        "precision": "float32",
        "seeds_per_run": 1,
        "steps": 3,
        "n_weak": 4,
        "n_unlabeled": 2,
        "n_seeds": 2,
    }
)
FUSION = Fusion(auditory_dim=2, visual_dim=2, standalone_auditory_dim=8, standalone_visual_dim=2)
AUDITORY_DIMS = embedding_dims(["auditory"], FUSION)  # of the variant that `training_data` is for
CPU = torch.device("cpu")


def clips(classes: list[int]) -> ClipFeatures:
    """Create clips whose class is obvious from their features."""
    generator = torch.Generator().manual_seed(len(classes))
    values = torch.randn(len(classes), 151, 6, generator=generator)
    for row, index in enumerate(classes):
        values[row, 40:100, index] += 4.0
    mask = (torch.arange(151) < 120).expand(len(classes), -1)
    names = tuple(f"{len(classes)}-{row}" for row in range(len(classes)))
    return ClipFeatures(clip_ids=names, features={"auditory": values.half()}, mask=mask)


def cut(whole: ClipFeatures, n_frames: int) -> ClipFeatures:
    features = {kind: of_kind[:, -n_frames:] for kind, of_kind in whole.features.items()}
    return replace(whole, features=features, mask=whole.mask[:, :n_frames])


def training_data(n_frames: int = 151) -> TrainingData:
    classes = [0, 1, 2] * 4
    return TrainingData(
        kinds=("auditory",),
        classes=("Cat", "Dog", "Speech"),
        weak=cut(clips(classes), n_frames),
        unlabeled=cut(clips([0, 1]), n_frames),
        targets=functional.one_hot(torch.tensor(classes), 3).float(),
        features_key=("key",),
        provenance={"auditory": {"extractor": "none"}},
    )


def strong_data(*, weight: float = 1.0, n_clips: int = 2) -> TrainingData:
    """Return the training data with strong clips, whose events are those of `clips`."""
    classes = [2, 1, 0, 0, 1]
    targets = torch.zeros(len(classes), 151, 3, dtype=torch.bool)
    for row, index in enumerate(classes):
        targets[row, 40:100, index] = True
    strong = StrongClips(
        clips=clips(classes), targets=targets, params=Strong(weight=weight, n_clips=n_clips)
    )
    return replace(training_data(), strong=strong)


def train(out_dir: Path, params: Train = SHORT, data: TrainingData | None = None) -> None:
    train_variant(
        lambda: data or training_data(),
        FUSION,
        params,
        out_dir=out_dir,
        curve_dir=out_dir.with_name("curve"),
    )


def train_together(*seeds: int, n_steps: int, n_frames: int = 151, **changed: object) -> SeedGroup:
    """Train seeds of auditory features in one group, without the store."""
    torch.set_num_threads(1)  # as training does without spectra
    params = SHORT.model_copy(update={"steps": n_steps, **changed})
    run = SeedGroup(training_data(n_frames), None, AUDITORY_DIMS, params, seeds=seeds, device=CPU)
    while not run.finished:
        costs = training_step(
            run.students, run.teachers, run.optimizer, next(run.batches), run.step, params
        )
        run.record_costs(costs)
    return run
