"""Turn imported recordings into clips of a list, and count what cannot be part of one."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from avsed.dataset.annotations import STRONG_SPLITS, AnnotatedClip, Event
from avsed.dataset.names import clip_id_of
from avsed.dataset.rows import RowError, name_fields
from avsed.framing import CLIP_DURATION
from avsed.labels.recordings import Label, Recording, Remarks, base_name
from avsed.params import explain_class_name

ROUNDING = 0.01  # seconds past the end of media that are cut without a remark


def to_clip(recording: Recording, list_name: str, remarks: Remarks) -> AnnotatedClip | None:
    """Convert a recording to a clip of a list.

    Args:
        recording: its name becomes the clip's.
        list_name: weak, unlabeled, strong, validation or test.
        remarks: counts what is dropped or changed.

    Returns:
        None if the clip cannot be in the list.
    """
    clip_id = clip_id_of(base_name(recording.name))
    try:
        name_fields([f"{clip_id}.wav"], "unlabeled", clip_id)
    except RowError:
        remarks.add("dropped recordings whose file name cannot be in a list", recording.name)
        return None
    if list_name == "unlabeled":
        return AnnotatedClip(clip_id=clip_id)
    labels = list(_valid_labels(recording, clip_id, remarks))
    if list_name in STRONG_SPLITS:
        events = tuple(_events(recording, labels, list_name, clip_id, remarks))
        if not events and list_name == "strong" and recording.labels:
            remarks.add("dropped recordings without a valid event", clip_id)
            return None
        return make_clip(clip_id, events)
    tags = tuple(sorted({label.text for label in labels}))
    if not tags:
        remarks.add("dropped recordings without a valid label", clip_id)
        return None
    return AnnotatedClip(clip_id=clip_id, tags=tags)


def make_clip(clip_id: str, events: Iterable[Event]) -> AnnotatedClip:
    """Return a clip with events, sorted as `read_list` does."""
    ordered = tuple(sorted(events, key=lambda event: (event.onset, event.label)))
    tags = tuple(sorted({event.label for event in ordered}))
    return AnnotatedClip(clip_id=clip_id, tags=tags, events=ordered)


def merge(first: AnnotatedClip, second: AnnotatedClip, remarks: Remarks) -> AnnotatedClip:
    """Merge two clips of one name and list."""
    if first.events is not None and second.events is not None:
        repeated = set(first.events).intersection(second.events)
        for event in repeated:
            remarks.add("dropped repeated events", f"{first.clip_id}: {event.label}")
        return make_clip(first.clip_id, {*first.events, *second.events})
    if first.tags is not None and second.tags is not None:
        return replace(first, tags=tuple(sorted({*first.tags, *second.tags})))
    return first


def _valid_labels(recording: Recording, clip_id: str, remarks: Remarks) -> Iterator[Label]:
    """Yield labels that can be classes and are not repeated."""
    seen: set[Label] = set()
    for label in recording.labels:
        text = " ".join(label.text.split())
        if not text:
            remarks.add("dropped empty labels", _place(clip_id, label))
            continue
        if "," in text:  # it separates labels in weak.tsv
            without = " ".join(text.replace(",", " ").split())
            remarks.add("changed labels with a comma, written without it", f"{text} -> {without}")
            text = without
        if problem := explain_class_name(text):
            remarks.add("dropped labels that cannot be a class", problem)
            continue
        valid = replace(label, text=text)
        if valid in seen:
            remarks.add("dropped repeated labels", f"{_place(clip_id, label)}: {text}")
            continue
        seen.add(valid)
        yield valid


def _events(
    recording: Recording, labels: list[Label], list_name: str, clip_id: str, remarks: Remarks
) -> Iterator[Event]:
    """Yield the labels with times; of a clip for scoring without any, events of the whole clip."""
    end = recording.duration
    has_times = any(label.onset is not None for label in labels)
    for label in labels:
        if label.onset is not None and label.offset is not None:
            yield from _timed(label, label.onset, label.offset, end, clip_id, remarks)
        elif has_times or list_name == "strong":
            remarks.add(
                "dropped labels of the whole recording in a list of events",
                f"{clip_id}: {label.text}",
            )
        else:
            remarks.add(
                "changed labels of whole clips to events from start to end, so that only the "
                "clip scores are meaningful",
                f"{clip_id}: {label.text}",
            )
            yield Event(
                onset=0.0, offset=min(end or CLIP_DURATION, CLIP_DURATION), label=label.text
            )


def _timed(
    label: Label, onset: float, offset: float, end: float | None, clip_id: str, remarks: Remarks
) -> Iterator[Event]:
    place = f"{_place(clip_id, label)}: {label.text}"
    if not math.isfinite(onset + offset):
        remarks.add("dropped events with infinite times", place)
        return
    if offset <= onset:
        remarks.add("dropped events that do not end after their start", place)
        return
    if onset < 0 < offset:
        remarks.add("changed events that start before the recording, cut at 0 s", place)
        onset = 0.0
    if onset < 0 or (end and onset >= end):
        remarks.add("dropped events outside of the recording", place)
        return
    if end and offset > end:
        if offset > end + ROUNDING:
            remarks.add("changed events that end after the recording, cut at its end", place)
        offset = end
    yield Event(onset=onset, offset=offset, label=label.text)


def _place(clip_id: str, label: Label) -> str:
    return clip_id if label.onset is None else f"{clip_id} at {label.onset:g} s"
