"""Compute the metrics of one system on one split (Sections 2.2 and 4.3.2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import AnnotatedClip, Event, cut_events
from avsed.errors import AvsedError
from avsed.evaluation.metrics import F1_AVERAGES, class_f1, count_events, count_segments, count_tags
from avsed.evaluation.postprocess import (
    DetectedEvent,
    Threshold,
    decide_tags,
    detect_events,
    make_filters,
    smooth,
)
from avsed.evaluation.psds import polyphonic_scores
from avsed.evaluation.psds_resampling import resampled_scores
from avsed.evaluation.resampling import N_PSDS_RESAMPLES, draw_resamples
from avsed.framing import CLIP_DURATION
from avsed.model.scores import ScoredSplit, Scores
from avsed.params import METHODS, Evaluation, Postprocess

# Candidates for each class when thresholds are tuned; `postprocess.threshold` is added.
CANDIDATES = np.arange(1, 20) / 20


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Thresholds of a system, in [0, 1].

    Attributes:
        tags: (K,) for clip scores.
        events: (K,) for frame scores.
    """

    tags: NDArray[np.float64]
    events: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Annotated tags and events of the scored clips of a split.

    Events are truncated where the media of their clip end; events that start there or later are
    dropped, and so are tags that then have no event. No system can find these.

    Attributes:
        classes: K labels.
        clip_ids: n clips.
        valid_frames: (n,) number of frames without padding.
        durations: seconds by clip.
        tags: by clip.
        events: by clip.
    """

    classes: tuple[str, ...]
    clip_ids: tuple[str, ...]
    valid_frames: NDArray[np.int64]
    durations: Mapping[str, float]
    tags: Mapping[str, tuple[str, ...]]
    events: Mapping[str, tuple[Event, ...]]

    def __post_init__(self) -> None:
        """Cut events where the media of their clip end."""
        events, tags = {}, {}
        for clip_id, listed in self.events.items():
            kept = cut_events(listed, self.durations[clip_id])
            lost = {event.label for event in listed} - {event.label for event in kept}
            events[clip_id] = kept
            tags[clip_id] = tuple(tag for tag in self.tags[clip_id] if tag not in lost)
        object.__setattr__(self, "events", events)  # how a frozen dataclass sets its fields
        object.__setattr__(self, "tags", tags)


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """Metrics of a system on a split, and the counts behind its F1 scores.

    Attributes:
        metrics: metric to its value in [0, 1].
        counts: F1 score to its (n, K, 3) hits, false alarms and misses.
    """

    metrics: Mapping[str, float]
    counts: Mapping[str, NDArray[np.int64]]


def choose_thresholds(
    scores: Scores, reference: Reference, *, postprocess: Postprocess, params: Evaluation
) -> Thresholds:
    """Choose a system's thresholds: the same for all classes, or tuned for each class.

    Section 2.2. The paper uses 0.5 for all. Tuning (not in the paper) maximizes clip F1 for tags
    and event F1 for events. Segments have no thresholds of their own: a system outputs one set of
    events, which segment F1 and event F1 both evaluate.

    Args:
        scores: of the validation clips.
        reference: of the same clips.
        postprocess: the fixed threshold, and the filters.
        params: whether to tune, and settings of the metrics.
    """
    usual = postprocess.threshold
    if params.thresholds == "fixed":
        same = np.full(len(reference.classes), usual)
        return Thresholds(tags=same, events=same)
    candidates = np.union1d(CANDIDATES, usual)
    tag_f1, event_f1 = [], []
    for threshold in candidates.tolist():
        tags = _estimate_tags(scores, reference, threshold)
        events = estimate_events(scores, reference, threshold=threshold, postprocess=postprocess)
        tag_f1.append(class_f1(_tag_counts(reference, tags).sum(axis=0)))
        event_f1.append(class_f1(_event_counts(reference, events, params).sum(axis=0)))
    return Thresholds(
        tags=best_thresholds(np.array(tag_f1), candidates, usual=usual),
        events=best_thresholds(np.array(event_f1), candidates, usual=usual),
    )


def best_thresholds(
    f1: NDArray[np.float64], candidates: NDArray[np.float64], *, usual: float
) -> NDArray[np.float64]:
    """Choose the threshold with the highest F1 for each class.

    Args:
        f1: (n, K) of each candidate; NaN for a class without reference.
        candidates: (n,), ascending.
        usual: ties go to the nearest to it, then to the lower.

    Returns:
        (K,) one of `candidates` for each class.
    """
    # Rounded, so that 0.45 and 0.55 are equally near to 0.5.
    nearest_first = np.argsort(np.round(np.abs(candidates - usual), 9), kind="stable")
    best = np.argmax(np.nan_to_num(f1[nearest_first], nan=-1.0), axis=0)
    return np.asarray(candidates[nearest_first[best]])


def compute_metrics(
    scores: Scores,
    reference: Reference,
    *,
    thresholds: Thresholds,
    postprocess: Postprocess,
    params: Evaluation,
) -> SystemResult:
    """Compute all metrics of one system on one split.

    Section 4.3.2; PSDS is not in the paper.

    Args:
        scores: of the split's clips.
        reference: of the same clips.
        thresholds: of the system.
        postprocess: the filters.
        params: settings of the metrics.
    """
    tags = _estimate_tags(scores, reference, thresholds.tags)
    events = estimate_events(
        scores, reference, threshold=thresholds.events, postprocess=postprocess
    )
    counts = {
        "clip_f1": _tag_counts(reference, tags),
        "segment_f1": count_segments(
            reference.events, events, reference.classes, segment_length=params.segment_length
        ),
        "event_f1": _event_counts(reference, events, params),
    }
    f1 = {
        metric: float(average(counts[metric].sum(axis=0)))
        for metric, average in F1_AVERAGES.items()
    }
    psds = polyphonic_scores(
        _smoothed(scores, reference, postprocess),
        reference.events,
        reference.classes,
        durations=reference.durations,
    )
    return SystemResult(metrics=f1 | psds, counts=counts)


def compare_methods(
    scores: Scores, reference: Reference, *, postprocess: Postprocess
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Compute PSDS with each method of post-processing, also in resamples of the clips.

    Not in the paper.

    Args:
        scores: of the split's clips.
        reference: of the same clips.
        postprocess: settings of all methods.

    Returns:
        Method to PSDS to (1 + `N_PSDS_RESAMPLES`,) values in [0, 1], first of all clips. All
        methods and systems share the resamples of n clips.
    """
    n_clips = len(reference.clip_ids)
    weights = np.concatenate(
        [np.ones((1, n_clips), np.int64), draw_resamples(n_clips)[:N_PSDS_RESAMPLES]]
    )
    return {
        method: resampled_scores(
            _smoothed(scores, reference, postprocess.model_copy(update={"method": method})),
            reference.events,
            reference.classes,
            durations=reference.durations,
            weights=weights,
        )
        for method in METHODS
    }


def _smoothed(
    scores: Scores, reference: Reference, postprocess: Postprocess
) -> dict[str, NDArray[np.floating[Any]]]:
    """Smooth the scores of all clips as their decisions are: PSDS applies all thresholds itself."""
    filters = make_filters(postprocess, reference.classes)
    smoothed = {
        clip_id: smooth(frame_scores, filters=filters, n_valid=int(n_valid))
        for clip_id, frame_scores, n_valid in _frames_by_clip(scores, reference)
    }
    if filters.boxes:
        # Between boxes nothing is detected, at the lowest threshold either.
        return {clip_id: np.where(boxes > 0, boxes, -np.inf) for clip_id, boxes in smoothed.items()}
    return smoothed


def estimate_events(
    scores: Scores,
    reference: Reference,
    *,
    threshold: Threshold,
    postprocess: Postprocess,
) -> dict[str, tuple[DetectedEvent, ...]]:
    """Estimate the events of all clips of a split from a system's frame scores.

    Section 2.2.

    Args:
        scores: of the split's clips.
        reference: of the same clips.
        threshold: in [0, 1], for all classes or (K,).
        postprocess: the filters.

    Returns:
        Events by clip.
    """
    return {
        clip_id: detect_events(
            frame_scores,
            classes=reference.classes,
            threshold=threshold,
            settings=postprocess,
            n_valid=int(n_valid),
            # The 151 frames end at 10.002 s. Without this limit, an event up to the end would be
            # active in an eleventh segment of 1 s.
            duration=min(reference.durations[clip_id], CLIP_DURATION),
        )
        for clip_id, frame_scores, n_valid in _frames_by_clip(scores, reference)
    }


def _estimate_tags(
    scores: Scores, reference: Reference, threshold: Threshold
) -> dict[str, tuple[str, ...]]:
    return {
        clip_id: decide_tags(clip_scores, threshold=threshold, classes=reference.classes)
        for clip_id, clip_scores in zip(reference.clip_ids, scores.clip_scores, strict=True)
    }


def _frames_by_clip(
    scores: Scores, reference: Reference
) -> Iterator[tuple[str, NDArray[np.float32], Any]]:
    return zip(reference.clip_ids, scores.frame_scores, reference.valid_frames, strict=True)


def _tag_counts(reference: Reference, tags: Mapping[str, tuple[str, ...]]) -> NDArray[np.int64]:
    return count_tags(reference.tags, tags, reference.classes)


def _event_counts(
    reference: Reference, events: Mapping[str, tuple[Event, ...]], params: Evaluation
) -> NDArray[np.int64]:
    return count_events(
        reference.events,
        events,
        reference.classes,
        collar=params.event_collar,
        offset_collar=params.offset_collar,
        offset_collar_share=params.offset_collar_share,
    )


def find_reference(
    scored: ScoredSplit,
    clips: list[AnnotatedClip],
    *,
    durations: Mapping[str, float],
    classes: tuple[str, ...],
) -> Reference:
    """Select the annotations of the clips with scores.

    Args:
        scored: a split's scores.
        clips: its list.
        durations: seconds by clip.
        classes: the label vocabulary.

    Raises:
        AvsedError: if these clips have no annotated event within their media.
    """
    annotated = {clip.clip_id: clip for clip in clips}
    listed = [annotated[clip_id] for clip_id in scored.clip_ids]
    reference = Reference(
        classes=classes,
        clip_ids=scored.clip_ids,
        valid_frames=scored.valid_frames,
        durations={clip_id: durations[clip_id] for clip_id in scored.clip_ids},
        tags={clip.clip_id: clip.tags or () for clip in listed},
        events={clip.clip_id: clip.events or () for clip in listed},
    )
    if not any(reference.events.values()):
        raise AvsedError(
            f"none of the {len(listed)} scored clips has an annotated event within its media; "
            "see data/metadata/validation.tsv and test.tsv, and the durations in data/clips.csv"
        )
    return reference
