"""Strongly labeled clips to train on, with the targets of their frames (not in the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avsed.dataset.annotations import AnnotatedClip, has_strong_clips, list_path
from avsed.dataset.loading import ClipFeatures, load_split
from avsed.framing import event_frames
from avsed.params import Strong


@dataclass(frozen=True, kw_only=True)
class StrongClips:
    """The strong clips of one variant, and how it trains on them.

    Attributes:
        clips: n clips.
        targets: (n, T, K) true where an event covers a frame of the media.
        params: their number in a batch, and the weight of their cost.
    """

    clips: ClipFeatures
    targets: Tensor
    params: Strong


def open_strong_clips(
    features_dir: Path,
    metadata_dir: Path,
    kinds: Sequence[str],
    *,
    classes: Sequence[str],
    params: Strong,
) -> StrongClips | None:
    """Load the clips of the list `strong` that have all features of a variant.

    Args:
        features_dir: folder of all features.
        metadata_dir: folder of the lists.
        kinds: the variant's features.
        classes: K class names.
        params: how to train on them.

    Returns:
        The clips; None if the parameters turn them off, or the data set has none.

    Raises:
        AvsedError: if the list is invalid, features are missing, or no clip has the features.
    """
    if not params.is_on:
        print("strong.weight or strong.n_clips is 0: no strong labels are used")
        return None
    if not has_strong_clips(metadata_dir):
        print(f"{list_path(metadata_dir, 'strong')}: has no clips: no strong labels are used")
        return None
    listed, clips = load_split(features_dir, metadata_dir, "strong", kinds)
    return StrongClips(
        clips=clips, targets=frame_targets(listed, classes, clips.mask), params=params
    )


def frame_targets(clips: Sequence[AnnotatedClip], classes: Sequence[str], mask: Tensor) -> Tensor:
    """Encode the clips' events by frame.

    Args:
        clips: n clips with events.
        classes: K class names.
        mask: (n, T) true where a frame is valid; events end with the media, as in the metrics.

    Returns:
        (n, T, K) true where an event covers a valid frame, also in part.
    """
    targets = torch.zeros(*mask.shape, len(classes), dtype=torch.bool)
    for row, clip in enumerate(clips):
        for event in clip.events or ():
            frames = event_frames(event.onset, event.offset)
            targets[row, frames, classes.index(event.label)] = True
    return targets & mask.unsqueeze(2)
