"""Turn a network's scores into decisions, tags and events (Section 2.2)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError
from avsed.evaluation.boxes import BoxArguments, score_boxes
from avsed.framing import FRAME_HOP, frame_onset
from avsed.params import EventSettings

# A number for all classes, or (K,), one for each.
Threshold = float | NDArray[np.floating[Any]]
S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class DetectedEvent(Event):
    """An event that a system found, with its score.

    Attributes:
        score: in [0, 1].
    """

    score: float


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Filters in the order in which they are applied; lengths in frames.

    Attributes:
        median: (K,) of the median filter; odd.
        boxes: of each class, the arguments of `score_boxes`, which take the place of the median
            filter; None for the median filter.
        largest_gap: (K,) longer gaps between two events are kept.
        shortest_event: (K,) shorter events are dropped.
    """

    median: NDArray[np.int64]
    boxes: Sequence[BoxArguments] | None = None
    largest_gap: NDArray[np.int64]
    shortest_event: NDArray[np.int64]


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
    filters: Filters,
    n_valid: int,
) -> NDArray[np.bool_]:
    """Threshold frame scores, then filter the decisions in time.

    Section 2.2: the median filter removes events, and fills gaps, shorter than half its length.
    Then, not in the paper, gaps are filled and short events dropped.

    >>> scores = np.array([[0.9], [0.8], [0.1], [0.7], [0.2], [0.1]])
    >>> of_three = make_filters(EventSettings(median_filter_frames=3), ["Cat"])
    >>> decide(scores, threshold=0.5, filters=of_three, n_valid=6).T
    array([[ True,  True,  True, False, False, False]])

    Args:
        frame_scores: (T, K) in [0, 1].
        threshold: in [0, 1], for all classes or (K,); active classes have scores above it.
        filters: their lengths.
        n_valid: frames of the clip itself, from 1 to T; the rest is padding.

    Returns:
        (T, K); False in all frames of padding.

    Raises:
        ValueError: if a valid frame's score is NaN, the length of a median filter is not odd, or
            `n_valid` is not from 1 to T.
    """
    _check_frames(frame_scores, filters, n_valid)
    decisions = np.zeros(frame_scores.shape, dtype=np.bool_)
    # Filter the clip only: scores of padding are arbitrary, and would leak into its last frames.
    if filters.boxes:
        smoothed = smooth(frame_scores, filters=filters, n_valid=n_valid)
        decisions[:n_valid] = _above(smoothed, threshold)
    else:
        decisions[:n_valid] = _filtered(_above(frame_scores[:n_valid], threshold), filters)
    return decisions


def smooth(
    frame_scores: NDArray[np.floating[Any]], *, filters: Filters, n_valid: int
) -> NDArray[np.floating[Any]]:
    """Smooth a clip's frame scores with the filters, for PSDS (not in the paper).

    Thresholding smoothed scores gives the decisions of `decide`, at any threshold. Of boxes, each
    frame has the score of its box, or 0 between boxes. All other filters are ranks: the median of
    an odd number of scores exceeds a threshold exactly when most of them do, a minimum when all do,
    a maximum when one does.

    Args:
        frame_scores: (T, K) in [0, 1].
        filters: their lengths.
        n_valid: frames of the clip itself, from 1 to T; the rest is padding.

    Returns:
        (n_valid, K) in [0, 1].

    Raises:
        ValueError: under the conditions of `decide`.
    """
    _check_frames(frame_scores, filters, n_valid)
    _refuse_nan(frame_scores[:n_valid])
    return _filtered(frame_scores[:n_valid], filters)


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


def detect_events(
    frame_scores: NDArray[np.floating[Any]],
    *,
    classes: Sequence[str],
    threshold: Threshold,
    settings: EventSettings,
    n_valid: int,
    duration: float,
) -> tuple[DetectedEvent, ...]:
    """Find the events of a clip, or of longer media, and score each.

    Section 2.2; the filters for gaps and short events, and the scores of events, are not in the
    paper. This is the one way from frame scores to events: of the pipeline and of predictions.

    Args:
        frame_scores: (T, K) in [0, 1].
        classes: K labels.
        threshold: in [0, 1], for all classes or (K,).
        settings: such as `Postprocess` or `Decisions`.
        n_valid: frames of the clip itself, from 1 to T; the rest is padding.
        duration: seconds of the clip or of longer media; events are cut off there.

    Returns:
        Events, sorted by onset, then label. Of each, the score is the mean of its frame scores
        before any filter; where the median filter filled a gap, it can lie below the threshold.

    Raises:
        AvsedError: if a setting by class has other classes.
        ValueError: under the conditions of `decide`.
    """
    decisions = decide(
        frame_scores,
        threshold=threshold,
        n_valid=n_valid,
        filters=make_filters(settings, classes),
    )
    return tuple(
        DetectedEvent(
            onset=event.onset,
            offset=event.offset,
            label=event.label,
            score=_mean_score(frame_scores[:n_valid, classes.index(event.label)], event),
        )
        for event in decisions_to_events(decisions, classes=classes, duration=duration)
    )


def _mean_score(frame_scores: NDArray[np.floating[Any]], event: Event) -> float:
    """Average a class's scores in the frames of an event, of which the last may be cut."""
    first, end = event.onset / FRAME_HOP, event.offset / FRAME_HOP
    return float(frame_scores[round(first) : math.ceil(round(end, 6))].mean(dtype=np.float64))


def make_filters(settings: EventSettings, classes: Sequence[str]) -> Filters:
    """Return the lengths of filters in frames.

    A gap is filled if its frames last at most `max_gap`, and an event dropped if its frames last
    less than `min_event`.

    Args:
        settings: lengths for all classes, or by class.
        classes: K labels.

    Raises:
        AvsedError: if a setting by class has other classes.
    """

    def of_each(name: str) -> list[float]:
        value: float | dict[str, float] = getattr(settings, name)
        if not isinstance(value, dict):
            return [value] * len(classes)
        for label in (*classes, *value):
            if (label in value) != (label in classes):
                problem = "unknown" if label in value else "missing"
                raise AvsedError(
                    f"postprocess.{name}: class {label} is {problem}; give one number for all "
                    f"classes, or one for each of {', '.join(classes)}"
                )
        return [value[label] for label in classes]

    def frames(seconds: list[float], rounded: Callable[[float], int]) -> list[int]:
        # Rounding errors must not decide whether a number of frames is long enough.
        return [rounded(round(each / FRAME_HOP, 6)) for each in seconds]

    boxes = None
    if settings.method == "boxes":
        names = ("step_filter_frames", "merge_absolute", "merge_relative")
        boxes = [
            BoxArguments(half_step=int(step) // 2, merge_absolute=absolute, merge_relative=relative)
            for step, absolute, relative in zip(*map(of_each, names), strict=True)
        ]
    return Filters(
        median=np.array(of_each("median_filter_frames"), dtype=np.int64),
        boxes=boxes,
        largest_gap=np.array(frames(of_each("max_gap"), math.floor), dtype=np.int64),
        shortest_event=np.array(frames(of_each("min_event"), math.ceil), dtype=np.int64),
    )


def _above(scores: NDArray[np.floating[Any]], threshold: Threshold) -> NDArray[np.bool_]:
    _refuse_nan(scores)
    # The paper does not specify a score equal to the threshold; it is inactive here, as in the
    # DCASE baselines.
    return np.asarray(scores > threshold)


def _refuse_nan(scores: NDArray[np.floating[Any]]) -> None:
    # NaN > threshold is False, so a diverged network would look like one that detects nothing.
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")


def _check_frames(frame_scores: NDArray[np.floating[Any]], filters: Filters, n_valid: int) -> None:
    for frames in filters.median.tolist():
        if frames < 1 or frames % 2 == 0:
            raise ValueError(f"median_filter_frames is {frames}; use an odd number, such as 7")
    if not 1 <= n_valid <= len(frame_scores):
        raise ValueError(f"n_valid is {n_valid}; it must be from 1 to {len(frame_scores)}")


def _filtered(frames: NDArray[S], filters: Filters) -> NDArray[S]:
    """Apply the filters to decisions or scores, (T, K); boxes to scores only."""
    if filters.boxes:
        columns = zip(frames.T, filters.boxes, strict=True)
        frames = np.stack(
            [score_boxes(scores, **arguments) for scores, arguments in columns], axis=1
        )
    else:
        frames = _by_length(frames, filters.median, _median)
    frames = _by_length(frames, filters.largest_gap, _fill_gaps)
    return _by_length(frames, filters.shortest_event, _drop_short_events)


def _median(frames: NDArray[S], length: int) -> NDArray[S]:
    # The paper does not specify the filter at the clip's ends; frames are reflected there, as in
    # the DCASE baselines. By np.pad: scipy 1.17.1 reflects wrongly if a filter is more than several
    # times as long as a clip.
    beside = length // 2
    padded = np.pad(frames, ((beside, beside), (0, 0)), mode="symmetric")
    filtered = ndimage.median_filter(padded, size=(length, 1))
    return np.asarray(filtered[beside : beside + len(frames)])


def _by_length(
    frames: NDArray[S],
    lengths: NDArray[np.int64],
    apply: Callable[[NDArray[S], int], NDArray[S]],
) -> NDArray[S]:
    """Apply a filter once to all classes with the same length."""
    if len(distinct := np.unique(lengths)) == 1:
        return apply(frames, int(distinct[0]))
    filtered = np.empty_like(frames)
    for length in distinct.tolist():
        filtered[:, lengths == length] = apply(frames[:, lengths == length], length)
    return filtered


def _fill_gaps(frames: NDArray[S], largest: int) -> NDArray[S]:
    """Fill gaps of up to `largest` frames between active frames: a morphological closing."""
    if largest < 1:
        return frames
    # The time before and after a clip is inactive, and no gap.
    padded = np.pad(frames, ((largest + 1, largest + 1), (0, 0)))
    filled = ndimage.grey_closing(padded, size=(largest + 1, 1))
    return np.asarray(filled[largest + 1 : -largest - 1])


def _drop_short_events(frames: NDArray[S], shortest: int) -> NDArray[S]:
    """Drop runs of active frames shorter than `shortest`: a morphological opening."""
    if shortest < 2:
        return frames
    padded = np.pad(frames, ((shortest, shortest), (0, 0)))
    return np.asarray(ndimage.grey_opening(padded, size=(shortest, 1))[shortest:-shortest])
