"""One system on one split: its thresholds, decisions and metrics (Sections 2.2 and 4.3.2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import AnnotatedClip, Event
from avsed.errors import AvsedError
from avsed.evaluation.metrics import F1_AVERAGES, class_f1, count_events, count_segments, count_tags
from avsed.evaluation.postprocess import Threshold, decide_tags, scores_to_events, smooth
from avsed.evaluation.psds import polyphonic_scores
from avsed.model.scores import ScoredSplit, Scores
from avsed.params import Evaluation, Postprocess

# Tried for each class, beside `postprocess.threshold`.
CANDIDATES = np.arange(1, 20) / 20


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """A system's thresholds, all in [0, 1].

    Attributes:
        tags: (K,) of the clip scores.
        events: (K,) of the frame scores.
    """

    tags: NDArray[np.float64]
    events: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What there is to find in the scored clips of a split.

    Attributes:
        classes: K labels.
        clip_ids: n clips.
        valid_frames: (n,).
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


@dataclass(frozen=True, kw_only=True)
class SystemResult:
    """What a system scored on a split.

    Attributes:
        metrics: metric to its value in [0, 1].
        counts: F1 score to the (n, K, 3) hits, false alarms and misses that it comes of.
    """

    metrics: Mapping[str, float]
    counts: Mapping[str, NDArray[np.int64]]


def choose_thresholds(
    scores: Scores, reference: Reference, *, postprocess: Postprocess, params: Evaluation
) -> Thresholds:
    """Choose a system's thresholds: one for all, as in the paper, or the best of each class.

    Section 2.2. The paper's is 0.5 throughout. Tuned ones give the best clip F1 of a class for its
    tags, and the best event F1 for its events: a system puts out one set of events, which the
    segments are scored by too.

    Args:
        scores: of the validation clips.
        reference: of the same clips.
        postprocess: the threshold for all, and the median filter.
        params: whether to tune, and the metrics.
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
    """Choose the threshold of highest F1 for each class.

    Args:
        f1: (n, K) of each candidate; NaN of a class that cannot be scored.
        candidates: (n,), ascending.
        usual: of equally good ones, the nearest to it is chosen, then the lower.

    Returns:
        (K,)
    """
    # Rounded, so that 0.45 and 0.55 are as near to 0.5.
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
        postprocess: the median filter.
        params: the metrics.
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
    # Smoothed like the decisions, so that PSDS sees the events of all thresholds.
    smoothed = {
        clip_id: smooth(
            frame_scores,
            median_filter_frames=postprocess.median_filter_frames,
            n_valid=int(n_valid),
        )
        for clip_id, frame_scores, n_valid in _frames_by_clip(scores, reference)
    }
    psds = polyphonic_scores(
        smoothed, reference.events, reference.classes, durations=reference.durations
    )
    return SystemResult(metrics=f1 | psds, counts=counts)


def estimate_events(
    scores: Scores,
    reference: Reference,
    *,
    threshold: Threshold,
    postprocess: Postprocess,
) -> dict[str, tuple[Event, ...]]:
    """Find the events of all clips of a split in a system's frame scores.

    Section 2.2.

    Args:
        scores: of the split's clips.
        reference: of the same clips.
        threshold: in [0, 1], for all classes or (K,).
        postprocess: the median filter.

    Returns:
        Events by clip.
    """
    return {
        clip_id: scores_to_events(
            frame_scores,
            classes=reference.classes,
            threshold=threshold,
            median_filter_frames=postprocess.median_filter_frames,
            n_valid=int(n_valid),
            duration=reference.durations[clip_id],
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
    """Gather what is annotated in the clips that have scores.

    Args:
        scored: a split's scores.
        clips: its list.
        durations: seconds by clip.
        classes: the label vocabulary.

    Raises:
        AvsedError: if nothing is.
    """
    annotated = {clip.clip_id: clip for clip in clips}
    reference = [annotated[clip_id] for clip_id in scored.clip_ids]
    if not any(clip.events for clip in reference):
        raise AvsedError(
            f"none of the {len(reference)} clips has an annotated event, so that there is nothing "
            "to score; see data/metadata/validation.tsv and test.tsv"
        )
    return Reference(
        classes=classes,
        clip_ids=scored.clip_ids,
        valid_frames=scored.valid_frames,
        durations={clip_id: durations[clip_id] for clip_id in scored.clip_ids},
        tags={clip.clip_id: clip.tags or () for clip in reference},
        events={clip.clip_id: clip.events or () for clip in reference},
    )
