"""Compute the three F1 scores from sed_eval's counts in each clip (Section 4.3.2).

Estimates are compared with a reference, clip by clip. Both name the same clips: a clip without tags
or events has an empty sequence, and everything estimated in it is a false alarm.

Counts are hits, false alarms and misses (TP, FP, FN) of each clip and class. The F1 of several
clips is computed from the sum of their counts. It lies in [0, 1]: 0 if something is annotated and
nothing estimated, NaN if nothing is annotated, because F1 is then undefined.

Not in the paper: substitutions, deletions and insertions, the parts of sed_eval's error rate.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError

with warnings.catch_warnings():
    # sed_eval imports dcase_util, which imports pkg_resources, which warns about its removal.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from sed_eval.audio_tag import AudioTaggingMetrics
    from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics


# Of a segment: far above the rounding of binary numbers, far below the resolution of lists (1 ms).
BOUNDARY_TOLERANCE = 1e-6


def count_tags(
    reference: Mapping[str, Sequence[str]],
    estimated: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> NDArray[np.int64]:
    """Count the hits, false alarms and misses of tags.

    Section 4.3.2.

    Args:
        reference: annotated tags of n clips.
        estimated: estimated tags of the same clips.
        classes: the label vocabulary; K classes.

    Returns:
        (n, K, 3) hits, false alarms and misses; clips in the order of `reference`.

    Raises:
        AvsedError: if sed_eval cannot process the name of a class.
        ValueError: if reference and estimate name different clips, or a tag is not in `classes`.
    """
    _check_clips(reference, estimated)
    _check_labels(
        (tag for side in (reference, estimated) for tags in side.values() for tag in tags), classes
    )
    counts = np.zeros((len(reference), len(classes), 3), dtype=np.int64)
    for number, (clip_id, tags) in enumerate(reference.items()):
        labels = _present({*tags, *estimated[clip_id]}, classes)
        metrics = AudioTaggingMetrics(tags=labels)
        metrics.evaluate(_tag_list(tags), _tag_list(estimated[clip_id]))
        _put(counts[number], metrics.tag_wise, classes)
    return counts


def count_segments(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    segment_length: float,
) -> NDArray[np.int64]:
    """Count the hits, false alarms and misses of classes in segments.

    Section 4.3.2. A class is active in every segment that one of its events touches. Contact that
    results from rounding only does not count: see `_to_segments`.

    Args:
        reference: annotated events of n clips.
        estimated: estimated events of the same clips.
        classes: the label vocabulary; K classes.
        segment_length: seconds.

    Returns:
        (n, K, 3) hits, false alarms and misses; clips in the order of `reference`.

    Raises:
        AvsedError: if sed_eval cannot process the name of a class.
        ValueError: if reference and estimate name different clips, or a label is not in `classes`.
    """
    make_metrics = partial(SegmentBasedMetrics, time_resolution=1.0)
    return _count_by_clip(
        make_metrics,
        _to_segments(reference, segment_length),
        _to_segments(estimated, segment_length),
        classes,
    )


def count_events(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    collar: float,
    offset_collar: Literal["larger", "smaller"],
    offset_collar_share: float,
) -> NDArray[np.int64]:
    """Count the hits, false alarms and misses of events.

    Section 4.3.2. An annotated event is a hit if an unmatched estimated event of its class starts
    within the onset collar of its onset, and ends within the offset collar of its offset. As in
    sed_eval, a distance equal to the collar counts as far as binary numbers represent it: with a
    collar of 0.2 s, an onset at 1.2 s is found at 1.0 s, one at 2.2 s is not found at 2.0 s. Times
    of frames are not decimal, so of estimated events only those that end with their clip are
    affected.

    Args:
        reference: annotated events of n clips.
        estimated: estimated events of the same clips.
        classes: the label vocabulary; K classes.
        collar: seconds, above 0; the onset collar, and one of two candidate offset collars.
        offset_collar: which to use of `collar` and the share of the event's length: `larger`, as
            in sed_eval and DCASE, or `smaller`.
        offset_collar_share: of the reference event's length, in [0, 1].

    Returns:
        (n, K, 3) hits, false alarms and misses; clips in the order of `reference`.

    Raises:
        AvsedError: if sed_eval cannot process the name of a class.
        ValueError: if reference and estimate name different clips, a label is not in `classes`,
            or a collar is out of range.
    """
    collars = {"larger": EventBasedMetrics, "smaller": _SmallerOffsetCollar}
    if offset_collar not in collars:
        raise ValueError(f"offset_collar is {offset_collar!r}; use one of {', '.join(collars)}")
    make_metrics = partial(
        collars[offset_collar],
        t_collar=float(collar),
        percentage_of_length=float(offset_collar_share),
    )
    return _count_by_clip(make_metrics, reference, estimated, classes)


@dataclass(frozen=True, kw_only=True)
class SegmentErrors:
    """Errors of a system in segments, over all classes.

    A segment with r annotated and e estimated classes, h of them the same, has min(r, e) - h
    substitutions, max(r - e, 0) deletions and max(e - r, 0) insertions
    (A. Mesaros et al., "Metrics for polyphonic sound event detection", 2016).

    Attributes:
        substitutions: one class in place of another.
        deletions: missed classes without a false one in the same segment.
        insertions: false classes without a missed one in the same segment.
        n_reference: annotated classes, summed over segments.
    """

    substitutions: int
    deletions: int
    insertions: int
    n_reference: int


def count_segment_errors(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    segment_length: float,
) -> SegmentErrors:
    """Count the substitutions, deletions and insertions in all segments, as sed_eval does.

    Segments are those of `count_segments`. Arguments and errors are those of `count_segments`.
    """
    _check_both_sides(reference, estimated, classes)
    metrics = SegmentBasedMetrics(list(classes), time_resolution=1.0)
    annotated, found = (_to_segments(side, segment_length) for side in (reference, estimated))
    for clip_id, events in annotated.items():
        metrics.evaluate(_event_list(events), _event_list(found[clip_id]))
    counted = metrics.overall
    return SegmentErrors(
        substitutions=int(counted["S"]),
        deletions=int(counted["D"]),
        insertions=int(counted["I"]),
        n_reference=int(counted["Nref"]),
    )


def class_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the F1 of each class: 2 TP / (2 TP + FP + FN).

    >>> class_f1(np.array([[3, 1, 1], [0, 2, 0]]))
    array([0.75,  nan])

    Args:
        counts: (..., K, 3) hits, false alarms and misses.

    Returns:
        (..., K) in [0, 1]; NaN for a class without reference, as in sed_eval.
    """
    hits, false_alarms, misses = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    both = 2 * hits + false_alarms + misses
    f1 = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
    # False alarms alone would give 0; sed_eval gives NaN, because recall is undefined.
    return np.where(hits + misses > 0, f1, np.nan)


def micro_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the micro-average F1: that of the counts summed over classes.

    Args:
        counts: (..., K, 3) hits, false alarms and misses.

    Returns:
        (...) in [0, 1]; NaN without any reference.
    """
    return class_f1(counts.sum(axis=-2))


def macro_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the macro-average F1: the mean of the classes' F1.

    A class without reference is excluded, as in sed_eval, and so are its false alarms. A class that
    is never estimated counts as 0, as in the DCASE challenge; sed_eval excludes it by default.

    Args:
        counts: (..., K, 3) hits, false alarms and misses.

    Returns:
        (...) in [0, 1]; NaN without any reference.
    """
    f1 = class_f1(counts)
    n_classes = np.sum(~np.isnan(f1), axis=-1)
    mean = np.nansum(f1, axis=-1) / np.maximum(n_classes, 1)
    return np.where(n_classes > 0, mean, np.nan)


# Section 4.3.2: micro-averages for tags and segments, a macro-average for events.
F1_AVERAGES: Mapping[str, Callable[[NDArray[Any]], NDArray[np.float64]]] = {
    "clip_f1": micro_f1,
    "segment_f1": micro_f1,
    "event_f1": macro_f1,
}


class _SmallerOffsetCollar(EventBasedMetrics):  # type: ignore[misc]  # sed_eval has no types
    """sed_eval's event metrics with the smaller offset collar instead of the larger.

    One reading of the paper's "up to a maximum of 200 ms".
    """

    @staticmethod
    def validate_offset(
        reference_event: Mapping[str, Any],
        estimated_event: Mapping[str, Any],
        t_collar: float,
        percentage_of_length: float,
    ) -> bool:
        length = reference_event["offset"] - reference_event["onset"]
        distance = abs(reference_event["offset"] - estimated_event["offset"])
        return bool(distance <= min(t_collar, percentage_of_length * length))


def _to_segments(
    clips: Mapping[str, Sequence[Event]], segment_length: float
) -> dict[str, list[Event]]:
    """Convert times from seconds to segments, for sed_eval with segments of length 1.

    sed_eval divides times by the segment length and rounds onsets down, offsets up. Most decimal
    fractions are not binary ones: 1.2 / 0.1 is below 12, so an event from 1.2 s to 1.5 s would
    touch segment 11 too. Times that near to a boundary are moved onto it. At 1 s nothing is
    divided, and times stay as they are, so that counts are those of sed_eval.
    """
    if segment_length == 1.0:
        return {clip_id: list(events) for clip_id, events in clips.items()}

    def position(seconds: float) -> float:
        exact = seconds / segment_length
        nearest = round(exact)
        return float(nearest) if abs(exact - nearest) < BOUNDARY_TOLERANCE else exact

    return {
        clip_id: [
            Event(onset=position(e.onset), offset=position(e.offset), label=e.label) for e in events
        ]
        for clip_id, events in clips.items()
    }


def _count_by_clip(
    make_metrics: Callable[[list[str]], Any],
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
) -> NDArray[np.int64]:
    _check_both_sides(reference, estimated, classes)
    counts = np.zeros((len(reference), len(classes), 3), dtype=np.int64)
    for number, (clip_id, annotated) in enumerate(reference.items()):
        labels = _present({event.label for event in (*annotated, *estimated[clip_id])}, classes)
        metrics = make_metrics(labels)
        metrics.evaluate(_event_list(annotated), _event_list(estimated[clip_id]))
        _put(counts[number], metrics.class_wise, classes)
    return counts


def _present(labels: set[str], classes: Sequence[str]) -> list[str]:
    # For speed: sed_eval copies and searches both lists once per class, present or not.
    return [label for label in classes if label in labels]


def _put(
    counts: NDArray[np.int64], by_class: Mapping[str, Mapping[str, float]], classes: Sequence[str]
) -> None:
    for k, label in enumerate(classes):
        if label in by_class:
            counts[k] = [by_class[label][key] for key in ("Ntp", "Nfp", "Nfn")]


def _tag_list(tags: Sequence[str]) -> list[dict[str, Any]]:
    return [{"filename": "clip", "tags": list(tags)}]  # sed_eval pairs the two sides by name


def _event_list(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [
        {"onset": event.onset, "offset": event.offset, "event_label": event.label}
        for event in events
    ]


def _check_both_sides(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
) -> None:
    _check_clips(reference, estimated)
    events = (event for side in (reference, estimated) for clip in side.values() for event in clip)
    _check_labels((event.label for event in events), classes)


def _check_clips(reference: Mapping[str, object], estimated: Mapping[str, object]) -> None:
    # sed_eval ignores a clip that only the estimate names.
    unpaired = sorted(reference.keys() ^ estimated.keys())
    if unpaired:
        raise ValueError(
            f"{len(unpaired)} clips are not in both the reference and the estimate, "
            f"such as {unpaired[0]}"
        )


def _check_labels(labels: Iterable[str], classes: Sequence[str]) -> None:
    # sed_eval ignores tags and events of an unknown class, and takes "none" for a missing label.
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not among the classes {', '.join(classes)}")
    for name in classes:
        if name.lower() == "none":
            raise AvsedError(
                f"class {name!r}: sed_eval takes this name for a missing label; rename the class"
            )
