"""Training clips with targets, mel band statistics, batches (Sections 4.2 and 4.3.1)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avsed.dataset.annotations import AnnotatedClip, read_classes
from avsed.dataset.loading import ClipFeatures, load_split, require_made_by
from avsed.dataset.shards import Provenance, describe_shards
from avsed.params import Section, Strong
from avsed.training.strong import StrongClips, open_strong_clips
from avsed.variants import name_variant


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips of one training step of S systems: weak clips first, strong clips last.

    Attributes:
        features: kind to (S, B, frames, dims) float32.
        mask: (S, B, T) true where a frame is valid.
        targets: (S, n weak, K) 1 where a weak clip has the tag, else 0.
        strong_targets: (S, n strong, T, K) 1 where a strong clip has an event, else 0; None
            without strong clips.
    """

    features: Mapping[str, Tensor]
    mask: Tensor
    targets: Tensor
    strong_targets: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training clips of one variant.

    Attributes:
        kinds: the variant's features, in the order of concatenation.
        classes: K class names.
        weak: clips with tags.
        unlabeled: clips without tags.
        targets: (n weak, K) 1 where a weak clip has the tag, else 0.
        features_key: keys of the shards that contain the features.
        provenance: kind to the extractor and parameters of its features.
        strong: clips with events, if the variant trains on any.
    """

    kinds: tuple[str, ...]
    classes: tuple[str, ...]
    weak: ClipFeatures
    unlabeled: ClipFeatures
    targets: Tensor
    features_key: tuple[str, ...]
    provenance: Mapping[str, Provenance]
    strong: StrongClips | None = None

    @property
    def variant(self) -> str:
        """The variant's name, of what it trains on."""
        return name_variant(self.kinds, strong=self.strong is not None)

    @property
    def parts(self) -> list[ClipFeatures]:
        """The clips of each list, in the order of the batches."""
        return [self.weak, self.unlabeled] + ([self.strong.clips] if self.strong else [])


def open_training_data(
    features_dir: Path,
    metadata_dir: Path,
    kinds: tuple[str, ...],
    *,
    made_by: Mapping[str, Section],
    strong: Strong | None = None,
) -> TrainingData:
    """Load the clips of the training lists that have all features of a variant.

    Args:
        features_dir: folder of all features.
        metadata_dir: folder of the lists.
        kinds: the variant's features, in the order of concatenation.
        made_by: kind to the parameters with which its features must have been computed.
        strong: how to train on strong labels; None for variants that do not.

    Raises:
        AvsedError: if a list or features are missing, features were computed with other
            parameters, or no clip of a list has the features.
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
        strong=open_strong_clips(features_dir, metadata_dir, kinds, classes=classes, params=strong)
        if strong
        else None,
    )


def band_statistics(data: TrainingData) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation of each mel band over the training set (Section 4.2).

    Returns:
        (M,) mean and (M,) deviation of the log-mel values of all valid spectral frames.
    """
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for clips in data.parts:
        for log_mel, mask in zip(clips.features["spectral"], clips.mask, strict=True):
            n_valid = int(mask.sum()) * (len(log_mel) // len(mask))  # 4 spectral frames per frame
            # Without padding, which is silence. In float64: the sums run over millions of frames.
            valid = log_mel[:n_valid].double()
            total = total + valid.sum(0)
            squares = squares + valid.square().sum(0)
            count += n_valid
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0.0)
    deviation = variance.sqrt()
    # A constant band, for example above the cut-off of old recordings, becomes 0 everywhere.
    deviation[deviation < 1e-3] = torch.inf
    return mean.float(), deviation.float()


def place_features(data: TrainingData, device: torch.device) -> TrainingData:
    """Move the training clips to the GPU if they need at most half of its free memory."""
    if device.type != "cuda":
        return data
    n_bytes = sum(features.nbytes for clips in data.parts for features in clips.features.values())
    # The other half is for the networks and their activations.
    if n_bytes > torch.cuda.mem_get_info(device)[0] / 2:
        return data
    weak, unlabeled, *others = (
        replace(
            clips,
            features={kind: features.to(device) for kind, features in clips.features.items()},
            mask=clips.mask.to(device),
        )
        for clips in data.parts
    )
    moved = replace(data, weak=weak, unlabeled=unlabeled, targets=data.targets.to(device))
    if data.strong:
        targets = data.strong.targets.to(device)
        moved = replace(moved, strong=replace(data.strong, clips=others[0], targets=targets))
    return moved


def tag_targets(clips: Sequence[AnnotatedClip], classes: Sequence[str]) -> Tensor:
    """Encode the clips' tags as (n, K) zeros and ones."""
    targets = torch.zeros(len(clips), len(classes))
    for row, clip in enumerate(clips):
        # A clip without tags is an example of no class.
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
    """Yield batches without end, each of weak and unlabeled clips (Section 4.3.1).

    Strong clips, if the data have any, are added; they do not change which others are drawn.

    Args:
        data: clips and targets.
        n_weak: number of weak clips in a batch.
        n_unlabeled: number of unlabeled clips in a batch.
        seeds: one for each of S systems; a system's clips depend on its seed only.
        device: device of the batches.
        n_skipped: number of batches to skip at the start, for training that is resumed.
    """
    orders = [_draw_clips(data, n_weak, n_unlabeled, seed) for seed in seeds]
    # The features are in main memory, or on the GPU if `place_features` moved them.
    data_device = data.weak.mask.device
    for number in itertools.count():
        drawn = [next(order) for order in orders]
        if number < n_skipped:
            continue
        indices = [torch.stack(rows).to(data_device) for rows in zip(*drawn, strict=True)]
        yield _collect_batch(data, indices, device)


def _collect_batch(data: TrainingData, indices: Sequence[Tensor], device: torch.device) -> Batch:
    """Collect the clips of a batch, given by (S, n) indices into each part of the data."""
    n_systems, n_clips = len(indices[0]), sum(rows.shape[1] for rows in indices)
    features = {}
    for kind in data.kinds:
        parts = [
            clips.features[kind][rows] for clips, rows in zip(data.parts, indices, strict=True)
        ]
        features[kind] = torch.empty(n_systems, n_clips, *parts[0].shape[2:], device=device)
        # A copy converts float16 to float32 and moves to the device at once.
        places = torch.split(features[kind], [rows.shape[1] for rows in indices], 1)
        for place, part in zip(places, parts, strict=True):
            place.copy_(part)
    masks = [clips.mask[rows] for clips, rows in zip(data.parts, indices, strict=True)]
    strong_targets = data.strong.targets[indices[-1]].to(device).float() if data.strong else None
    return Batch(
        features=features,
        mask=torch.cat(masks, 1).to(device),
        targets=data.targets[indices[0]].to(device),
        strong_targets=strong_targets,
    )


def _draw_clips(
    data: TrainingData, n_weak: int, n_unlabeled: int, seed: int
) -> Iterator[tuple[Tensor, ...]]:
    """Yield (n_weak,), (n_unlabeled,) and, if there are any, (n_strong,) indices of each batch."""
    generator = torch.Generator().manual_seed(seed)
    # Both lists use one generator, so this order is part of what a seed means.
    cycles = [
        shuffled_cycles(len(data.weak.clip_ids), n_weak, generator),
        shuffled_cycles(len(data.unlabeled.clip_ids), n_unlabeled, generator),
    ]
    if data.strong:
        # Another generator: a variant and its baseline draw the same weak and unlabeled clips. Its
        # seed has 32 bits, because PyTorch ignores further bits.
        (strong_seed,) = map(int, np.random.SeedSequence(seed).generate_state(1))
        generator = torch.Generator().manual_seed(strong_seed)
        n_strong = data.strong.params.n_clips
        cycles.append(shuffled_cycles(len(data.strong.clips.clip_ids), n_strong, generator))
    return zip(*cycles, strict=True)


def shuffled_cycles(n_clips: int, n_drawn: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield (n_drawn,) indices without end, from one shuffle of all clips after the other."""
    # The paper does not say how clips are drawn. Here no clip comes again before all others did.
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < n_drawn:
            waiting = torch.cat([waiting, torch.randperm(n_clips, generator=generator)])
        yield waiting[:n_drawn]
        waiting = waiting[n_drawn:]
