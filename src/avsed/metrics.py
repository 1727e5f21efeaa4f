"""The three F1 scores, counted and averaged by sed_eval (Section 4.3.2).

All three compare what was estimated with a reference, clip by clip. A clip in which nothing is
annotated is scored like any other: whatever is estimated there is wrong. So both sides name the
same clips, and a clip without tags or events has an empty sequence.

All three are fractions in [0, 1]: 0 where something is annotated and nothing estimated, NaN
where nothing at all is annotated, since F1 is then undefined.
"""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from avsed.annotations import Event
from avsed.errors import AvsedError

with warnings.catch_warnings():
    # sed_eval imports dcase_util, and this pkg_resources, which warns of its own removal.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from sed_eval.audio_tag import AudioTaggingMetrics
    from sed_eval.sound_event import EventBasedMetrics, SegmentBasedMetrics

# sed_eval's default leaves F1 undefined where nothing is estimated. A class never estimated would
# then drop out of the macro average and raise it; the challenge's own scoring counts it as 0.
_NOTHING_ESTIMATED = "zero_score"


def clip_f1(
    reference: Mapping[str, Sequence[str]],
    estimated: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> float:
    """Score tags: micro-average F1 over clips and classes.

    Section 4.3.2.

    Args:
        reference: annotated tags by clip.
        estimated: estimated tags of the same clips.
        classes: the label vocabulary.

    Returns:
        A fraction in [0, 1]; NaN if the reference has no tag.

    Raises:
        AvsedError: if a class has a name that sed_eval cannot take.
        ValueError: if the two sides name different clips, or a tag is not among the classes.
    """
    _check_clips(reference, estimated)
    _check_labels(
        (tag for side in (reference, estimated) for tags in side.values() for tag in tags), classes
    )

    metrics = AudioTaggingMetrics(tags=list(classes))
    for clip_id, tags in reference.items():
        # One clip a call: sed_eval searches the whole of a list for each of its clips and classes.
        metrics.evaluate(_tag_list(tags), _tag_list(estimated[clip_id]))
    results = metrics.results_overall_metrics()
    if results["count"]["Nref"] and not results["count"]["Nsys"]:
        return 0.0  # AudioTaggingMetrics has no such option as _NOTHING_ESTIMATED, and says NaN
    f1 = results["f_measure"]["f_measure"]
    return math.nan if f1 is None else float(f1)


def segment_f1(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    segment_length: float,
) -> float:
    """Score events by segments: micro-average F1 over clips, segments and classes.

    Section 4.3.2. A class is active in every segment that one of its events touches.

    Args:
        reference: annotated events by clip.
        estimated: estimated events of the same clips.
        classes: the label vocabulary.
        segment_length: seconds.

    Returns:
        A fraction in [0, 1]; NaN if the reference has no event.

    Raises:
        AvsedError: if a class has a name that sed_eval cannot take.
        ValueError: if the two sides name different clips, or a label is not among the classes.
    """
    metrics = SegmentBasedMetrics(list(classes), time_resolution=float(segment_length))
    # Its constructor does not take the option, but its base class reads it.
    metrics.empty_system_output_handling = _NOTHING_ESTIMATED
    _evaluate_events(metrics, reference, estimated, classes)
    return float(metrics.results_overall_metrics()["f_measure"]["f_measure"])


def event_f1(
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    *,
    collar: float,
    offset_collar: Literal["larger", "smaller"],
    offset_collar_share: float,
) -> float:
    """Score whole events: macro-average F1 over classes.

    Section 4.3.2. An event is found where an estimated one of its class, matched to no other,
    starts within the onset collar of its onset and ends within the offset collar of its offset.

    A class without a reference event has no F1. sed_eval leaves it out of the average, and with
    it what is falsely estimated of that class.

    Args:
        reference: annotated events by clip.
        estimated: estimated events of the same clips.
        classes: the label vocabulary.
        collar: seconds, more than 0; the onset collar, and one of two offset collars.
        offset_collar: which counts, of `collar` and the share of the event's length: `larger`
            as in sed_eval and DCASE, or `smaller`.
        offset_collar_share: of the reference event's length, in [0, 1].

    Returns:
        A fraction in [0, 1]; NaN if the reference has no event.

    Raises:
        AvsedError: if a class has a name that sed_eval cannot take.
        ValueError: if the two sides name different clips, a label is not among the classes, or
            a collar is out of range.
    """
    collars = {"larger": EventBasedMetrics, "smaller": _SmallerOffsetCollar}
    if offset_collar not in collars:
        raise ValueError(f"offset_collar is {offset_collar!r}; one of {', '.join(collars)}")
    metrics = collars[offset_collar](
        list(classes),
        t_collar=float(collar),
        percentage_of_length=float(offset_collar_share),
        empty_system_output_handling=_NOTHING_ESTIMATED,
    )
    _evaluate_events(metrics, reference, estimated, classes)
    if not any(reference.values()):
        return math.nan  # sed_eval says so too, but with numpy's warning of an empty mean
    return float(metrics.results_class_wise_average_metrics()["f_measure"]["f_measure"])


class _SmallerOffsetCollar(EventBasedMetrics):  # type: ignore[misc]  # sed_eval has no types
    """Takes the smaller of the two offset collars, where sed_eval takes the larger.

    The paper's words, "up to a maximum of 200 ms", can be read so.
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


def _evaluate_events(
    metrics: Any,
    reference: Mapping[str, Sequence[Event]],
    estimated: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
) -> None:
    _check_clips(reference, estimated)
    events = (event for side in (reference, estimated) for clip in side.values() for event in clip)
    _check_labels((event.label for event in events), classes)
    for clip_id, annotated in reference.items():
        metrics.evaluate(_event_list(annotated), _event_list(estimated[clip_id]))


def _tag_list(tags: Sequence[str]) -> list[dict[str, Any]]:
    return [{"filename": "clip", "tags": list(tags)}]  # sed_eval pairs the two sides by name


def _event_list(events: Sequence[Event]) -> list[dict[str, Any]]:
    return [
        {"onset": event.onset, "offset": event.offset, "event_label": event.label}
        for event in events
    ]


def _check_clips(reference: Mapping[str, object], estimated: Mapping[str, object]) -> None:
    # sed_eval would pass over a clip that only the estimate names.
    unpaired = sorted(reference.keys() ^ estimated.keys())
    if unpaired:
        raise ValueError(
            f"{len(unpaired)} clips are not in both the reference and the estimate, "
            f"such as {unpaired[0]}"
        )


def _check_labels(labels: Iterable[str], classes: Sequence[str]) -> None:
    # sed_eval would pass over tags and events of an unknown class, and reads "none" as no label.
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not among the classes {', '.join(classes)}")
    for name in classes:
        if name.lower() == "none":
            raise AvsedError(f"the class {name!r} reads as no label in sed_eval; rename the class")
