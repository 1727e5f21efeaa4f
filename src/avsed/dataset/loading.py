"""Load the features of the clips of one list as tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avsed.dataset.annotations import AnnotatedClip, read_classes, read_list
from avsed.dataset.shards import (
    clips_left_out,
    clips_with_features,
    describe_shards,
    read_features,
)
from avsed.errors import AvsedError
from avsed.framing import N_FRAMES
from avsed.params import Section


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


def require_made_by(features_dir: Path, kind: str, section: Section) -> None:
    """Check that features were computed with the current parameters.

    Raises:
        AvsedError: if a parameter differs, with the stage to run.
    """
    provenance, _ = describe_shards(features_dir, kind)
    asked = section.model_dump()
    if "network" in asked:
        asked["extractor"] = asked.pop("network")
    if asked.pop("precision", "auto") == "float32":
        asked["dtype"] = "torch.float32"
    if asked.get("weights") not in (None, "random", "pretrained"):
        del asked["weights"]  # the path of a file, whose hash was in the key of the features
    for name, value in asked.items():
        if name in provenance and provenance[name] != value:
            raise AvsedError(
                f"{features_dir / kind}: was computed with {name} {provenance[name]}, but the "
                f"parameters say {value}; run `dvc repro extract`"
            )


def load_split(
    features_dir: Path, metadata_dir: Path, split: str, kinds: Sequence[str]
) -> tuple[list[AnnotatedClip], ClipFeatures]:
    """Load the clips of one list that have all features of a variant.

    Returns:
        The clips and their features, in the same order.

    Raises:
        AvsedError: if a list or features are missing, a clip is neither in a shard nor was
            excluded, or no clip of the list has the features.
    """
    listed = read_list(metadata_dir, split, read_classes(metadata_dir))
    listed_ids = {clip.clip_id for clip in listed}
    available = listed_ids
    for kind in kinds:
        of_kind = clips_with_features(features_dir, kind)
        lost = sorted(listed_ids - of_kind - clips_left_out(features_dir, kind))
        if lost:
            raise AvsedError(
                f"{features_dir / kind}: {len(lost):,} clips of {split}.tsv are in no shard, and "
                f"left_out.csv does not exclude them (first: {lost[0]}); run `dvc checkout` to "
                "restore the shards, or `dvc repro -f extract` to compute them"
            )
        available = available & of_kind
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
