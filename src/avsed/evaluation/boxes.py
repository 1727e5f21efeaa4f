"""Find sound event bounding boxes: candidate events with one score each. Not in the paper.

J. Ebbers, F. Germain, G. Wichern and J. Le Roux, "Sound event bounding boxes", Interspeech 2024. A
threshold on frame scores decides on the extent of events as well as on their presence. Here,
changes of the frame scores decide on the extent, and the mean score of a candidate on its presence.

1. A step filter computes the mean of the frames after each border of two frames, less the mean of
   those before. A candidate lasts from a local maximum of it to the next local minimum.
2. Two candidates are merged while the lowest score between them is close to the higher of their two
   highest scores, in absolute and in relative terms.
"""

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Spans = NDArray[np.int64]  # (n, 2) first frame, and frame after the last; ascending, none touch
DIGITS = 9  # of the filter's output: rounding errors must not make extremes of constant scores


class BoxArguments(TypedDict):
    """Keyword arguments of `score_boxes`."""

    half_step: int
    merge_absolute: float
    merge_relative: float


def score_boxes(
    frame_scores: NDArray[Any], *, half_step: int, merge_absolute: float, merge_relative: float
) -> Floats:
    """Return the score of the box in each frame of a class.

    Args:
        frame_scores: (T,) in [0, 1].
        half_step: frames before and after a border that the step filter averages.
        merge_absolute: gaps less than this much lower can be merged.
        merge_relative: gaps less than this many times lower can be merged.

    Returns:
        (T,) the mean score of a box in its frames; 0 in frames between boxes.
    """
    scores = frame_scores.astype(np.float64)
    spans = _merge(scores, _find_candidates(scores, half_step), merge_absolute, merge_relative)
    boxes = np.zeros(len(scores))
    for first, end in spans.tolist():
        boxes[first:end] = scores[first:end].mean()
    return boxes


def _find_candidates(scores: Floats, half_step: int) -> Spans:
    """Return the spans from each local maximum of the step filter to the next local minimum."""
    steps = np.round(_filter_steps(scores, half_step), DIGITS)
    # A sound shorter than half the filter causes plateaus around itself; of these, the borders next
    # to it count. Of a plateau without a change, those that make a candidate as long as possible.
    moves = np.flatnonzero(np.diff(steps))
    rising = np.diff(steps)[moves] > 0
    # A maximum can be at the first border, and a minimum at the last.
    was_rising, is_rising = np.append(True, rising), np.append(rising, True)
    first, last = np.append(0, moves + 1), np.append(moves, len(scores))  # of each plateau
    onsets = np.where(steps[last] > 0, last, first)[was_rising & ~is_rising]
    offsets = np.where(steps[first] < 0, first, last)[~was_rising & is_rising]
    return np.stack([onsets, offsets], axis=1)


def _filter_steps(scores: Floats, half_step: int) -> Floats:
    """Return the mean after each border less the mean before, (T + 1,).

    Before and after the clip, scores are 0: an event at its start begins there.
    """
    sums = np.cumsum(np.pad(scores, (half_step + 1, half_step)))
    borders = half_step + np.arange(len(scores) + 1)
    after = sums[borders + half_step] - sums[borders]
    before = sums[borders] - sums[borders - half_step]
    return (after - before) / half_step


def _merge(scores: Floats, spans: Spans, absolute: float, relative: float) -> Spans:
    """Merge neighbors with a shallow gap, all at the same time, until all gaps are deep."""
    while len(spans) > 1:
        borders = spans.ravel()[:-1]  # of spans and gaps in turn; the last span ends at a gap or T
        highest = np.maximum.reduceat(scores[: spans[-1, 1]], borders)[::2]
        lowest = np.minimum.reduceat(scores, borders)[1::2]
        higher = np.maximum(highest[:-1], highest[1:])
        is_shallow = (higher - lowest < absolute) & (higher < relative * lowest)
        if not is_shallow.any():
            break
        onsets = spans[np.concatenate([[True], ~is_shallow]), 0]
        offsets = spans[np.concatenate([~is_shallow, [True]]), 1]
        spans = np.stack([onsets, offsets], axis=1)
    return spans
