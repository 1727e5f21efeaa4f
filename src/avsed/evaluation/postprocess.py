"""Turn a network's scores into decisions, tags and events (Section 2.2)."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from avsed.dataset.annotations import Event
from avsed.framing import CLIP_DURATION, frame_onset

# A number for all classes, or (K,), one for each.
Threshold = float | NDArray[np.floating[Any]]
S = TypeVar("S", bound=np.generic)


def decide_tags(
    clip_scores: NDArray[np.floating[Any]], *, threshold: Threshold, classes: Sequence[str]
) -> tuple[str, ...]:
    """Return the classes whose clip score lies above the threshold.

    Section 2.2.

    Args:
        clip_scores: (K,) in [0, 1].
        threshold: in [0, 1], for all classes or (K,).
        classes: K labels.

    Returns:
        The labels of the classes present, in the order of `classes`.

    Raises:
        ValueError: if a score is NaN, or the numbers of scores and classes differ.
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
    """Threshold frame scores, then smooth the decisions in time with a median filter.

    Section 2.2. The filter removes events, and fills gaps, shorter than half its length.

    >>> scores = np.array([[0.9], [0.8], [0.1], [0.7], [0.2], [0.1]])
    >>> decide(scores, threshold=0.5, median_filter_frames=3, n_valid=6).T
    array([[ True,  True,  True, False, False, False]])

    Args:
        frame_scores: (T, K) in [0, 1].
        threshold: in [0, 1], for all classes or (K,); active classes have scores above it.
        median_filter_frames: the filter's length; odd.
        n_valid: frames of the clip itself, from 1 to T; the rest is padding.

    Returns:
        (T, K); False in all frames of padding.

    Raises:
        ValueError: if a valid frame's score is NaN, the filter's length is not odd, or `n_valid`
            is not from 1 to T.
    """
    _check_frames(frame_scores, median_filter_frames, n_valid)
    decisions = np.zeros(frame_scores.shape, dtype=np.bool_)
    # Filter the clip only: scores of padding are arbitrary, and would leak into its last frames.
    decisions[:n_valid] = _filtered(_above(frame_scores[:n_valid], threshold), median_filter_frames)
    return decisions


def smooth(
    frame_scores: NDArray[np.floating[Any]], *, median_filter_frames: int, n_valid: int
) -> NDArray[np.floating[Any]]:
    """Smooth a clip's frame scores with the median filter, for PSDS (not in the paper).

    The median of an odd number of scores exceeds a threshold exactly when most of them do. So
    thresholding smoothed scores gives the decisions of `decide`, at any threshold.

    Args:
        frame_scores: (T, K) in [0, 1].
        median_filter_frames: the filter's length; odd.
        n_valid: frames of the clip itself, from 1 to T; the rest is padding.

    Returns:
        (n_valid, K) in [0, 1].

    Raises:
        ValueError: under the conditions of `decide`.
    """
    _check_frames(frame_scores, median_filter_frames, n_valid)
    _refuse_nan(frame_scores[:n_valid])
    return _filtered(frame_scores[:n_valid], median_filter_frames)


def decisions_to_events(
    decisions: NDArray[np.bool_], *, classes: Sequence[str], duration: float
) -> tuple[Event, ...]:
    """Turn each run of active frames into an event.

    Section 2.2. The paper does not specify how frames map to seconds; an event lasts from the start
    of its first frame to the end of its last, as in the DCASE baselines.

    Args:
        decisions: (T, K).
        classes: K labels.
        duration: seconds of the clip, or of longer media; events are cut off there.

    Returns:
        Events, sorted by onset, then label.

    Raises:
        ValueError: if the numbers of columns and classes differ.
    """
    # Zeros before and after close runs at the ends: each start (1) is paired with an end (-1).
    steps = np.diff(decisions.astype(np.int8), axis=0, prepend=0, append=0)  # (T + 1, K)
    events = [
        Event(onset=frame_onset(first), offset=min(frame_onset(end), duration), label=label)
        for label, step in zip(classes, steps.T, strict=True)
        for first, end in zip(
            np.flatnonzero(step == 1).tolist(), np.flatnonzero(step == -1).tolist(), strict=True
        )
        if frame_onset(first) < duration  # the last frame may start after the clip's end
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
    """Find the events of a clip: `decide`, then `decisions_to_events`.

    Section 2.2. Arguments, result and errors are those of the two functions.
    """
    decisions = decide(
        frame_scores,
        threshold=threshold,
        median_filter_frames=median_filter_frames,
        n_valid=n_valid,
    )
    # The 151 frames end at 10.002 s. Without this limit, an event up to the end would be active in
    # an eleventh segment of 1 s.
    return decisions_to_events(decisions, classes=classes, duration=min(duration, CLIP_DURATION))


def _above(scores: NDArray[np.floating[Any]], threshold: Threshold) -> NDArray[np.bool_]:
    _refuse_nan(scores)
    # The paper does not specify a score equal to the threshold; it is inactive here, as in the
    # DCASE baselines.
    return np.asarray(scores > threshold)


def _refuse_nan(scores: NDArray[np.floating[Any]]) -> None:
    # NaN > threshold is False, so a diverged network would look like one that detects nothing.
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")


def _check_frames(
    frame_scores: NDArray[np.floating[Any]], median_filter_frames: int, n_valid: int
) -> None:
    if median_filter_frames < 1 or median_filter_frames % 2 == 0:
        raise ValueError(
            f"median_filter_frames is {median_filter_frames}; use an odd number, such as 7"
        )
    if not 1 <= n_valid <= len(frame_scores):
        raise ValueError(f"n_valid is {n_valid}; it must be from 1 to {len(frame_scores)}")


def _filtered(frames: NDArray[S], median_filter_frames: int) -> NDArray[S]:
    # The paper does not specify the filter at the clip's ends; frames are reflected there, as in
    # the DCASE baselines.
    filtered: NDArray[S] = ndimage.median_filter(
        frames, size=(median_filter_frames, 1), mode="reflect"
    )
    return filtered
