"""Features and targets of clips as tensors, and batches half weak, half unlabeled (4.3.1)."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avsed.annotations import AnnotatedClip, read_classes, read_list
from avsed.config import Section
from avsed.errors import AvsedError
from avsed.framing import N_FRAMES
from avsed.store import Provenance, clips_with_features, describe_shards, read_features

KINDS = ("spectral", "auditory", "visual")  # the order in which they are concatenated


@dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """Features of n clips, in memory.

    Attributes:
        clip_ids: n clips.
        features: kind to (n, frames, dims) float16; 604 spectral frames, 151 others.
        mask: (n, T) true where a frame is valid.
    """

    clip_ids: tuple[str, ...]
    features: Mapping[str, Tensor]
    mask: Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Clips of one training step: the weak ones first.

    Attributes:
        features: kind to (B, frames, dims) float32.
        mask: (B, T) true where a frame is valid.
        targets: (n weak, K) 1 where a weak clip has the tag, else 0.
    """

    features: Mapping[str, Tensor]
    mask: Tensor
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What one variant is trained on.

    Attributes:
        kinds: features of the variant, in the order of `KINDS`.
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


def parse_variant(variant: str) -> tuple[str, ...]:
    """Split a variant's name, such as `spectral+visual`, into its kinds of features.

    Raises:
        AvsedError: if it names anything but distinct kinds.
    """
    named = variant.split("+")
    kinds = tuple(kind for kind in KINDS if kind in named)
    if len(kinds) != len(named):
        raise AvsedError(f"{variant!r} is no variant; join some of {', '.join(KINDS)} by +")
    return kinds


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


def require_made_by(features_dir: Path, kind: str, section: Section) -> None:
    """Refuse features that were made by other parameters.

    Raises:
        AvsedError: naming the parameter, and the stage to run.
    """
    provenance, _ = describe_shards(features_dir, kind)
    asked = section.model_dump()
    if asked.pop("precision", "auto") == "float32":
        asked["dtype"] = "torch.float32"
    if asked.get("weights") not in (None, "random", "pretrained"):
        del asked["weights"]  # a file's path; its hash was in the key of the stage
    for name, value in asked.items():
        if name in provenance and provenance[name] != value:
            raise AvsedError(
                f"{features_dir / kind}: was made with {name} {provenance[name]}, but the "
                f"parameters say {value}; run `dvc repro extract`"
            )


def load_split(
    features_dir: Path, metadata_dir: Path, split: str, kinds: Sequence[str]
) -> tuple[list[AnnotatedClip], ClipFeatures]:
    """Load the clips of one list that have all features of a variant.

    Returns:
        The clips and their features, in the same order.

    Raises:
        AvsedError: if a list or features are missing, or no clip of the list has the features.
    """
    available = set.intersection(*(clips_with_features(features_dir, kind) for kind in kinds))
    listed = read_list(metadata_dir, split, read_classes(metadata_dir))
    clips = [clip for clip in listed if clip.clip_id in available]
    if not clips:
        raise AvsedError(
            f"{metadata_dir / split}.tsv: none of its {len(listed)} clips has "
            f"{' and '.join(kinds)} features; see data/clips.csv"
        )
    clip_ids = tuple(clip.clip_id for clip in clips)
    features, valid_frames = {}, torch.full((len(clips),), N_FRAMES)
    for kind in kinds:
        array, valid = read_features(features_dir, kind, clip_ids)
        features[kind] = torch.from_numpy(array)
        valid_frames = torch.minimum(valid_frames, torch.from_numpy(valid))
    mask = torch.arange(N_FRAMES) < valid_frames[:, None]
    return clips, ClipFeatures(clip_ids=clip_ids, features=features, mask=mask)


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
    seed: int,
    device: torch.device,
    n_skipped: int = 0,
) -> Iterator[Batch]:
    """Yield batches for ever; both lists are shuffled anew each time they are through.

    Section 4.3.1. No clip is drawn again before all others of its list were.

    Args:
        data: clips and targets.
        n_weak: weak clips of a batch.
        n_unlabeled: unlabeled clips of a batch.
        seed: of the shuffling.
        device: where the batches go.
        n_skipped: batches at the start that are drawn, but not made.
    """
    generator = torch.Generator().manual_seed(seed)
    weak_order = shuffled_cycles(len(data.weak.clip_ids), n_weak, generator)
    unlabeled_order = shuffled_cycles(len(data.unlabeled.clip_ids), n_unlabeled, generator)
    for number in itertools.count():
        weak, unlabeled = next(weak_order), next(unlabeled_order)
        if number < n_skipped:
            continue
        yield Batch(
            features={
                kind: torch.cat(
                    [data.weak.features[kind][weak], data.unlabeled.features[kind][unlabeled]]
                ).to(device, torch.float32)
                for kind in data.kinds
            },
            mask=torch.cat([data.weak.mask[weak], data.unlabeled.mask[unlabeled]]).to(device),
            targets=data.targets[weak].to(device),
        )


def shuffled_cycles(n_clips: int, n_drawn: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield (n_drawn,) indices for ever, going through one shuffle of all after the other."""
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < n_drawn:
            waiting = torch.cat([waiting, torch.randperm(n_clips, generator=generator)])
        yield waiting[:n_drawn]
        waiting = waiting[n_drawn:]
