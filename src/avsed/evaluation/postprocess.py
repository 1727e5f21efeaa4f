"""Decisions, tags and events from a network's scores (Section 2.2)."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, frame_onset

# Of all classes, or one for each: (K,).
Threshold = float | NDArray[np.floating[Any]]
S = TypeVar("S", bound=np.generic)


def decide_tags(
    clip_scores: NDArray[np.floating[Any]], *, threshold: Threshold, classes: Sequence[str]
) -> tuple[str, ...]:
    """Name the classes that a clip contains.

    Section 2.2.

    Args:
        clip_scores: (K,) in [0, 1].
        threshold: in [0, 1], for all classes or (K,); a tag's score lies above it.
        classes: K labels.

    Returns:
        The labels of the classes present, in the order of `classes`.

    Raises:
        ValueError: if a score is NaN, or there are not as many scores as classes.
    """
    decisions = _above(clip_scores, threshold)
    return tuple(label for label, present in zip(classes, decisions, strict=True) if present)


def decide(
    frame_scores: NDArray[np.floating[Any]],
    *,
    threshold: Threshold,
    median_filter_frames: int,
    n_valid: int,
) -> NDArray[np.bool_]:
    """Turn frame scores into decisions, and smooth these in time with a median filter.

    Section 2.2.

    Args:
        frame_scores: (T, K) in [0, 1].
        threshold: in [0, 1], for all classes or (K,); the score of an active class lies above it.
        median_filter_frames: the filter's length; odd.
        n_valid: frames of the clip itself, from 1 to T; padding follows.

    Returns:
        (T, K); False in all frames of padding.

    Raises:
        ValueError: if a valid frame's score is NaN, the filter's length is not odd, or `n_valid`
            is not from 1 to T.
    """
    _check_frames(frame_scores, median_filter_frames, n_valid)
    decisions = np.zeros(frame_scores.shape, dtype=np.bool_)
    # It must not see the padding: its decisions are no silence.
    decisions[:n_valid] = _filtered(_above(frame_scores[:n_valid], threshold), median_filter_frames)
    return decisions


def smooth(
    frame_scores: NDArray[np.floating[Any]], *, median_filter_frames: int, n_valid: int
) -> NDArray[np.floating[Any]]:
    """Smooth a clip's frame scores in time with the median filter, for metrics without threshold.

    A median of an odd number of scores lies above a threshold where most of the scores do: the
    events that these have at any threshold are those of `decide`.

    Args:
        frame_scores: (T, K) in [0, 1].
        median_filter_frames: the filter's length; odd.
        n_valid: frames of the clip itself, from 1 to T; padding follows.

    Returns:
        (n_valid, K)

    Raises:
        ValueError: as of `decide`.
    """
    _check_frames(frame_scores, median_filter_frames, n_valid)
    _refuse_nan(frame_scores[:n_valid])
    return _filtered(frame_scores[:n_valid], median_filter_frames)


def decisions_to_events(
    decisions: NDArray[np.bool_], *, classes: Sequence[str], duration: float
) -> tuple[Event, ...]:
    """Turn every run of active frames into an event.

    Section 2.2. The paper does not say how frames become seconds; an event lasts from the start
    of its first frame to the end of its last, as in the DCASE baselines.

    Args:
        decisions: (T, K).
        classes: K labels.
        duration: seconds of the clip, or of longer media.

    Returns:
        Events by onset, then label, none of which lasts past the end.

    Raises:
        ValueError: if there are not as many columns of decisions as classes.
    """
    steps = np.diff(decisions.astype(np.int8), axis=0, prepend=0, append=0)  # (T + 1, K)
    events = [
        Event(onset=frame_onset(first), offset=min(frame_onset(end), duration), label=label)
        for label, step in zip(classes, steps.T, strict=True)
        for first, end in zip(
            np.flatnonzero(step == 1).tolist(), np.flatnonzero(step == -1).tolist(), strict=True
        )
        if frame_onset(first) < duration
    ]
    return tuple(sorted(events, key=lambda event: (event.onset, event.label)))


def scores_to_events(
    frame_scores: NDArray[np.floating[Any]],
    *,
    classes: Sequence[str],
    threshold: Threshold,
    median_filter_frames: int,
    n_valid: int,
    duration: float,
) -> tuple[Event, ...]:
    """Find a clip's events in its frame scores: `decide`, then `decisions_to_events`.

    Section 2.2. Arguments, result and refusals are those of the two.

    The 151 frames end at 10.002 s; events end at `CLIP_DURATION` at most, or one up to there would
    enter an eleventh segment of 1 s.
    """
    decisions = decide(
        frame_scores,
        threshold=threshold,
        median_filter_frames=median_filter_frames,
        n_valid=n_valid,
    )
    return decisions_to_events(decisions, classes=classes, duration=min(duration, CLIP_DURATION))


def _above(scores: NDArray[np.floating[Any]], threshold: Threshold) -> NDArray[np.bool_]:
    _refuse_nan(scores)
    # The paper does not say on which side a score equal to the threshold falls; we leave it
    # inactive, as the DCASE baselines do.
    return np.asarray(scores > threshold)


def _refuse_nan(scores: NDArray[np.floating[Any]]) -> None:
    # NaN lies above no threshold: a network that has diverged would pass for a silent one.
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")


def _check_frames(
    frame_scores: NDArray[np.floating[Any]], median_filter_frames: int, n_valid: int
) -> None:
    if median_filter_frames < 1 or median_filter_frames % 2 == 0:
        raise ValueError(f"the median filter has {median_filter_frames} frames; odd lengths only")
    if not 1 <= n_valid <= len(frame_scores):
        raise ValueError(f"{n_valid} frames of {len(frame_scores)} are said to be valid")


def _filtered(frames: NDArray[S], median_filter_frames: int) -> NDArray[S]:
    # The paper does not say how the filter meets the clip's ends; we reflect the frames there,
    # as the DCASE baselines do.
    filtered: NDArray[S] = ndimage.median_filter(
        frames, size=(median_filter_frames, 1), mode="reflect"
    )
    return filtered
