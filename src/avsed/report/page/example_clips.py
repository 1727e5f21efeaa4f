"""Select six example clips: best, worst, and the largest gains and losses from vision.

Not in the paper. Clips are ranked by segment F1 over all classes, averaged over the chosen seeds of
a variant.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avsed.evaluation.counts import CountedClips
from avsed.evaluation.metrics import micro_f1
from avsed.report.bootstrap import common_clips

METRIC = "segment_f1"
WITH_VISION = "spectral+auditory+visual"
WITHOUT_VISION = "spectral+auditory"
REASONS = ("best", "worst", "gain", "gain", "loss", "loss")


@dataclass(frozen=True, kw_only=True)
class ExampleClip:
    """A test clip shown on the results page.

    Attributes:
        reason: one of `REASONS`.
        clip_id: the clip.
        with_vision: segment F1 in % of `WITH_VISION`.
        without_vision: likewise of `WITHOUT_VISION`.
    """

    reason: str
    clip_id: str
    with_vision: float
    without_vision: float

    @property
    def gain(self) -> float:
        """Segment F1 with vision minus that without, in %."""
        return self.with_vision - self.without_vision


def choose_clips(
    counted: Mapping[str, CountedClips], seeds: Mapping[str, Sequence[str]]
) -> list[ExampleClip]:
    """Choose the best and the worst clip, and two each with the largest gain and loss from vision.

    Best and worst refer to `WITH_VISION`. A clip is chosen once, in the order of `REASONS`. Ties go
    to the clip with the most annotated segments, then to the first by name.

    Args:
        counted: variant to its counts.
        seeds: variant to its chosen seeds.

    Returns:
        Up to six clips with annotated events and scores of both variants; none if a variant is
        missing.
    """
    if not {WITH_VISION, WITHOUT_VISION} <= counted.keys():
        return []
    fused, audio_only = counted[WITH_VISION], counted[WITHOUT_VISION]
    f1 = _f1_by_clip(fused, seeds[WITH_VISION])
    f1_without = _f1_by_clip(audio_only, seeds[WITHOUT_VISION])
    size = _segments_by_clip(fused, seeds[WITH_VISION])
    left = [clip_id for clip_id in common_clips(fused, audio_only) if not math.isnan(f1[clip_id])]
    gain = {clip_id: round(f1[clip_id] - f1_without[clip_id], 9) for clip_id in left}
    merits = {
        "best": f1,
        "worst": {clip_id: -f1[clip_id] for clip_id in left},
        "gain": gain,
        "loss": {clip_id: -gain[clip_id] for clip_id in left},
    }
    chosen: list[ExampleClip] = []
    for reason in REASONS:
        merit = merits[reason]
        candidates = left if reason in ("best", "worst") else [c for c in left if merit[c] > 0]
        if candidates:
            first = min(candidates, key=lambda clip_id: (-merit[clip_id], -size[clip_id], clip_id))
            left.remove(first)
            chosen.append(
                ExampleClip(
                    reason=reason,
                    clip_id=first,
                    with_vision=100.0 * f1[first],
                    without_vision=100.0 * f1_without[first],
                )
            )
    return chosen


def _f1_by_clip(counted: CountedClips, seeds: Sequence[str]) -> dict[str, float]:
    """Average the segment F1 of each clip over seeds; NaN without annotated events."""
    f1 = np.stack([micro_f1(counted.seeds[seed][METRIC]) for seed in seeds]).mean(axis=0)
    # Rounded, so that rounding errors of the sum do not break ties.
    return {clip_id: round(float(f1[row]), 9) for row, clip_id in enumerate(counted.clip_ids)}


def _segments_by_clip(counted: CountedClips, seeds: Sequence[str]) -> dict[str, int]:
    """Count the annotated segments of each clip, which are the same for all seeds."""
    hits, _, misses = np.moveaxis(counted.seeds[seeds[0]][METRIC], -1, 0)
    return dict(zip(counted.clip_ids, (hits + misses).sum(axis=-1).tolist(), strict=True))
