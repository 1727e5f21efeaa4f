"""Read and write clips, annotations and the label vocabulary in DCASE's TSV format.

A data set has four lists: `weak` (tags only), `unlabeled`, and the strongly labeled `validation`
and `test`. They contain file names as in DCASE; the clip ID is the name without its extension.
"""

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from avsed.dataset.names import clip_id_of
from avsed.dataset.rows import (
    HEADERS,
    check_labels,
    name_fields,
    parse_times,
    read_lines,
    read_rows,
)
from avsed.errors import AvsedError
from avsed.params import explain_class_name
from avsed.runtime.files import atomic_write

TRAINING_SPLITS = ("weak", "unlabeled")
STRONG_SPLITS = ("validation", "test")
SPLITS = TRAINING_SPLITS + STRONG_SPLITS

DCASE_2018_CLASSES = (
    "Alarm_bell_ringing",
    "Blender",
    "Cat",
    "Dishes",
    "Dog",
    "Electric_shaver_toothbrush",
    "Frying",
    "Running_water",
    "Speech",
    "Vacuum_cleaner",
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A sound with a start and an end.

    Attributes:
        onset: seconds from the start of the clip, 0 or more (inclusive).
        offset: seconds from the start of the clip, after the onset (exclusive).
        label: the event's class.
    """

    onset: float
    offset: float
    label: str


@dataclass(frozen=True, kw_only=True)
class AnnotatedClip:
    """A clip and its annotations.

    Attributes:
        clip_id: the clip's file name without extension.
        tags: classes present in the clip, sorted; None in the unlabeled list.
        events: sorted by onset; None in the weak and the unlabeled list.
    """

    clip_id: str
    tags: tuple[str, ...] | None = None
    events: tuple[Event, ...] | None = None


def cut_events(events: Iterable[Event], end: float) -> tuple[Event, ...]:
    """Truncate events at `end` seconds; drop events that start there or later."""
    kept = (replace(event, offset=min(event.offset, end)) for event in events if event.onset < end)
    return tuple(dict.fromkeys(kept))  # two events may differ only after the end


def cut_clip(clip: AnnotatedClip, end: float) -> AnnotatedClip:
    """Cut the events of a clip, and drop its tags without an event.

    Args:
        clip: returned unchanged if it has no times.
        end: seconds.
    """
    if clip.events is None:
        return clip
    kept = cut_events(clip.events, end)
    return replace(clip, events=kept, tags=tuple(sorted({event.label for event in kept})))


def list_path(metadata_dir: Path, split: str) -> Path:
    """Return the path of a split's list."""
    return metadata_dir / f"{split}.tsv"


def read_classes(metadata_dir: Path) -> tuple[str, ...]:
    """Read the label vocabulary from `classes.txt`, one class per line.

    Raises:
        AvsedError: if the file is missing or empty, lists a class twice, or names one that
            cannot be a class.
    """
    path = metadata_dir / "classes.txt"
    try:
        lines = read_lines(path)
    except FileNotFoundError:
        raise AvsedError(f"{path}: no such file; run `dvc repro prepare`") from None
    names = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
    for number, name in names.items():
        if problem := explain_class_name(name):
            raise AvsedError(f"{path}, line {number}: {problem}")
    classes = tuple(names.values())
    if not classes:
        raise AvsedError(f"{path}: has no classes; write one class per line")
    if len(set(classes)) < len(classes):
        raise AvsedError(f"{path}: lists a class twice; list each class once")
    return classes


def write_classes(metadata_dir: Path, classes: Sequence[str]) -> None:
    """Write the label vocabulary to `classes.txt`, one class per line."""
    with atomic_write(metadata_dir / "classes.txt") as part:
        part.write_text("".join(f"{name}\n" for name in classes), "utf-8")


@dataclass(frozen=True, kw_only=True)
class ListReading:
    """The content of a list, with its errors.

    Attributes:
        clips: one clip per file, in the order of first appearance.
        errors: format errors, each with file and line.
        warnings: readable oddities, each with file and line.
    """

    clips: list[AnnotatedClip]
    errors: list[str]
    warnings: list[str]


def read_list(metadata_dir: Path, split: str, classes: Sequence[str]) -> list[AnnotatedClip]:
    """Read the clips of one split from the folder of the four lists.

    Args:
        metadata_dir: the folder of the four lists.
        split: one of `SPLITS`.
        classes: the label vocabulary.

    Returns:
        One clip per file. In a strong list, a row without label is a clip without events.

    Raises:
        AvsedError: if the list is missing or invalid, with file and line.
    """
    return read_list_file(list_path(metadata_dir, split), split, classes)


def read_list_file(path: Path, split: str, classes: Sequence[str]) -> list[AnnotatedClip]:
    """Read the clips of one split from a file with any name; see `read_list`."""
    reading = examine_list(path, split, classes)
    if reading.errors:
        others = len(reading.errors) - 1
        more = f" ({others} more: `avsed metadata check` lists all of them)" if others else ""
        raise AvsedError(reading.errors[0] + more)
    return reading.clips


def examine_list(path: Path, split: str, classes: Sequence[str]) -> ListReading:
    """Read a whole list and collect the errors in its rows.

    Args:
        path: the list.
        split: one of `SPLITS`; determines the columns.
        classes: the label vocabulary.

    Raises:
        AvsedError: if the file is missing, not text, or has other columns.
    """
    known = frozenset(classes)
    first: dict[str, tuple[str, str]] = {}  # clip to its first row: file name and place
    tags: dict[str, set[str]] = {}
    events: dict[str, dict[Event, None]] = {}  # a dict keeps the order; searching a list is slow
    errors: list[str] = []
    warnings: list[str] = []
    for where, cells in read_rows(path, split):
        try:
            row = name_fields(cells, split, where)
            clip_id = clip_id_of(row["filename"])
            name, place = first.setdefault(clip_id, (row["filename"], where))
            if row["filename"] != name:
                raise AvsedError(
                    f"{where}: {row['filename']} and {name} ({place.split(', ')[-1]}) would be one "
                    "clip, because extensions are ignored; rename one of them"
                )
            if split in TRAINING_SPLITS and clip_id in tags:
                raise AvsedError(f"{where}: {row['filename']} is listed twice; remove one row")
            tags.setdefault(clip_id, set())
            events.setdefault(clip_id, {})
            if split == "weak":
                labels = row["event_labels"].split(",")
                tags[clip_id] = check_labels(labels, known, where)
                if len(tags[clip_id]) < len(labels):
                    warnings.append(f"{where}: repeats a label ({row['event_labels']})")
            elif split in STRONG_SPLITS and (times := parse_times(row, known, where)):
                event = Event(onset=times[0], offset=times[1], label=row["event_label"])
                if event in events[clip_id]:
                    raise AvsedError(f"{where}: the same event is listed twice; remove one row")
                tags[clip_id].add(event.label)
                events[clip_id][event] = None
        except AvsedError as error:
            errors.append(str(error))

    clips = [
        AnnotatedClip(
            clip_id=clip_id,
            tags=None if split == "unlabeled" else tuple(sorted(tags[clip_id])),
            events=tuple(sorted(events[clip_id], key=lambda event: (event.onset, event.label)))
            if split in STRONG_SPLITS
            else None,
        )
        for clip_id in tags
    ]
    return ListReading(clips=clips, errors=errors, warnings=warnings)


def labels_used(path: Path, split: str) -> set[str]:
    """Collect the labels of a list, for a data set with unknown vocabulary.

    Args:
        path: the list.
        split: one of `SPLITS`; determines the columns.

    Returns:
        Valid class labels; empty for the unlabeled list.

    Raises:
        AvsedError: if the file is missing, not text, or has other columns.
    """
    if split == "unlabeled":
        return set()
    labels: set[str] = set()
    for where, cells in read_rows(path, split):
        with suppress(AvsedError):  # reported when the list is read
            row = name_fields(cells, split, where)
            labels.update(
                row["event_labels"].split(",") if split == "weak" else [row["event_label"]]
            )
    return {label for label in map(str.strip, labels) if not explain_class_name(label)}


def write_list(metadata_dir: Path, split: str, clips: Iterable[AnnotatedClip]) -> None:
    """Write the clips of one split; `read_list` returns the same clips."""
    with (
        atomic_write(list_path(metadata_dir, split)) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(
            file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None
        )
        writer.writerow(HEADERS[split])
        for clip in clips:
            writer.writerows(_written_rows(clip, split))


def _written_rows(clip: AnnotatedClip, split: str) -> list[list[str]]:
    filename = f"{clip.clip_id}.wav"
    if split == "unlabeled":
        return [[filename]]
    if split == "weak":
        return [[filename, ",".join(clip.tags or ())]]
    rows = [
        [filename, _seconds(event.onset), _seconds(event.offset), event.label]
        for event in clip.events or ()
    ]
    return rows or [[filename, "", "", ""]]


def _seconds(time: float) -> str:
    """Format a time with millisecond resolution as in DCASE, or in full if it is finer."""
    rounded = f"{time:.3f}"
    return rounded if float(rounded) == time else repr(time)
