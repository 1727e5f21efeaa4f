"""Features and targets of clips as tensors, and batches half weak, half unlabeled (4.3.1)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from avsed.dataset.annotations import AnnotatedClip, read_classes
from avsed.dataset.loading import ClipFeatures, load_split, require_made_by
from avsed.dataset.shards import Provenance, describe_shards
from avsed.params import Section


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips of one training step of S systems: each one's weak clips first.

    Attributes:
        features: kind to (S, B, frames, dims) float32.
        mask: (S, B, T) true where a frame is valid.
        targets: (S, n weak, K) 1 where a weak clip has the tag, else 0.
    """

    features: Mapping[str, Tensor]
    mask: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What one variant is trained on.

    Attributes:
        kinds: features of the variant, in the order of `kinds_of_variant`.
        classes: the label vocabulary, K classes.
        weak: clips with tags.
        unlabeled: clips without.
        targets: (n weak, K) 1 where a weak clip has the tag, else 0.
        features_key: keys of the shards that the features come from.
        provenance: kind to what its features were made by.
    """

    kinds: tuple[str, ...]
    classes: tuple[str, ...]
    weak: ClipFeatures
    unlabeled: ClipFeatures
    targets: Tensor
    features_key: tuple[str, ...]
    provenance: Mapping[str, Provenance]


def open_training_data(
    features_dir: Path,
    metadata_dir: Path,
    kinds: tuple[str, ...],
    *,
    made_by: Mapping[str, Section],
) -> TrainingData:
    """Load the clips of the weak and the unlabeled list that have all features of a variant.

    Args:
        features_dir: the folder of all kinds.
        metadata_dir: the lists.
        kinds: the variant's.
        made_by: kind to the parameters that its features must have been made by.

    Raises:
        AvsedError: if a list or features are missing, features were made by other parameters, or
            no clip of a list has the features.
    """
    classes = read_classes(metadata_dir)
    described = {kind: describe_shards(features_dir, kind) for kind in kinds}
    for kind in kinds:
        require_made_by(features_dir, kind, made_by[kind])
    weak_clips, weak = load_split(features_dir, metadata_dir, "weak", kinds)
    _, unlabeled = load_split(features_dir, metadata_dir, "unlabeled", kinds)
    return TrainingData(
        kinds=kinds,
        classes=classes,
        weak=weak,
        unlabeled=unlabeled,
        targets=tag_targets(weak_clips, classes),
        features_key=tuple(key for _, keys in described.values() for key in keys),
        provenance={kind: provenance for kind, (provenance, _) in described.items()},
    )


def band_statistics(data: TrainingData) -> tuple[Tensor, Tensor]:
    """Compute the mean and deviation of each band over the training set (Section 4.2).

    Returns:
        (M,) mean and (M,) deviation of the log-mel values of all valid spectral frames.
    """
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for clips in (data.weak, data.unlabeled):
        for log_mel, mask in zip(clips.features["spectral"], clips.mask, strict=True):
            n_valid = int(mask.sum()) * (len(log_mel) // len(mask))
            valid = log_mel[:n_valid].double()
            total = total + valid.sum(0)
            squares = squares + valid.square().sum(0)
            count += n_valid
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0.0)
    deviation = variance.sqrt()
    # A band that never varies (above an old recording's cut-off) tells nothing: it becomes 0.
    deviation[deviation < 1e-3] = torch.inf
    return mean.float(), deviation.float()


def place_features(data: TrainingData, device: torch.device) -> TrainingData:
    """Move the training clips to a GPU whose free memory they leave half of."""
    if device.type != "cuda":
        return data
    n_bytes = sum(
        features.nbytes
        for clips in (data.weak, data.unlabeled)
        for features in clips.features.values()
    )
    if n_bytes > torch.cuda.mem_get_info(device)[0] / 2:
        return data
    weak, unlabeled = (
        replace(
            clips,
            features={kind: features.to(device) for kind, features in clips.features.items()},
            mask=clips.mask.to(device),
        )
        for clips in (data.weak, data.unlabeled)
    )
    return replace(data, weak=weak, unlabeled=unlabeled, targets=data.targets.to(device))


def tag_targets(clips: Sequence[AnnotatedClip], classes: Sequence[str]) -> Tensor:
    """Encode the clips' tags as (n, K) zeros and ones."""
    targets = torch.zeros(len(clips), len(classes))
    for row, clip in enumerate(clips):
        for tag in clip.tags or ():
            targets[row, classes.index(tag)] = 1.0
    return targets


def batches(
    data: TrainingData,
    *,
    n_weak: int,
    n_unlabeled: int,
    seeds: Sequence[int],
    device: torch.device,
    n_skipped: int = 0,
) -> Iterator[Batch]:
    """Yield batches for ever; both lists are shuffled anew each time they are through.

    Section 4.3.1. No clip is drawn again before all others of its list were. A system's clips
    depend on its own seed only.

    Args:
        data: clips and targets.
        n_weak: weak clips of a batch.
        n_unlabeled: unlabeled clips of a batch.
        seeds: of the shuffling, one for each system.
        device: where the batches go.
        n_skipped: batches at the start that are drawn, but not made.
    """
    orders = [
        _draw_clips(data, n_weak, n_unlabeled, torch.Generator().manual_seed(seed))
        for seed in seeds
    ]
    # The features lie either here or on the device already.
    where = data.weak.mask.device
    for number in itertools.count():
        drawn = [next(order) for order in orders]
        if number < n_skipped:
            continue
        weak, unlabeled = (torch.stack(rows).to(where) for rows in zip(*drawn, strict=True))
        features = {}
        for kind in data.kinds:
            parts = data.weak.features[kind][weak], data.unlabeled.features[kind][unlabeled]
            features[kind] = torch.empty(
                len(seeds), n_weak + n_unlabeled, *parts[0].shape[2:], device=device
            )
            features[kind][:, :n_weak].copy_(parts[0])
            features[kind][:, n_weak:].copy_(parts[1])
        yield Batch(
            features=features,
            mask=torch.cat([data.weak.mask[weak], data.unlabeled.mask[unlabeled]], 1).to(device),
            targets=data.targets[weak].to(device),
        )


def _draw_clips(
    data: TrainingData, n_weak: int, n_unlabeled: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the (n_weak,) and (n_unlabeled,) clips of each batch of one system."""
    weak = shuffled_cycles(len(data.weak.clip_ids), n_weak, generator)
    unlabeled = shuffled_cycles(len(data.unlabeled.clip_ids), n_unlabeled, generator)
    return zip(weak, unlabeled, strict=True)


def shuffled_cycles(n_clips: int, n_drawn: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield (n_drawn,) indices for ever, going through one shuffle of all after the other."""
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < n_drawn:
            waiting = torch.cat([waiting, torch.randperm(n_clips, generator=generator)])
        yield waiting[:n_drawn]
        waiting = waiting[n_drawn:]
