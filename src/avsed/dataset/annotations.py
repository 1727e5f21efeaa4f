"""Read and write clips, annotations and the label vocabulary in DCASE's TSV format.

A data set has four lists: `weak` (tags only), `unlabeled`, and the strongly labeled `validation`
and `test`. A fifth, `strong`, is optional: strongly labeled clips to train on. The lists contain
file names as in DCASE; the clip ID is the name without its extension.
"""

import csv
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from avsed.dataset.names import clip_id_of
from avsed.dataset.rows import (
    HEADERS,
    RowError,
    check_labels,
    name_fields,
    parse_times,
    read_lines,
    read_rows,
)
from avsed.errors import MAX_SHOWN, AvsedError
from avsed.params import explain_class_name
from avsed.runtime.files import atomic_write

EVALUATION_SPLITS = ("validation", "test")
# These lists have a row for each event, the others one for each clip.
STRONG_SPLITS = ("strong", *EVALUATION_SPLITS)
REQUIRED_SPLITS = ("weak", "unlabeled", *EVALUATION_SPLITS)
# The demo's clips depend on the place of their split, so a further one goes to the end.
SPLITS = (*REQUIRED_SPLITS, "strong")

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
        errors: kind to format errors, each with file and line.
        warnings: readable oddities, each with file and line.
    """

    clips: list[AnnotatedClip]
    errors: dict[str, list[str]]
    warnings: list[str]


def read_list(metadata_dir: Path, split: str, classes: Sequence[str]) -> list[AnnotatedClip]:
    """Read the clips of one split from the folder of the lists.

    Args:
        metadata_dir: the folder of the lists.
        split: one of `SPLITS`.
        classes: the label vocabulary.

    Returns:
        One clip per file. In a strong list, a row without label is a clip without events.

    Raises:
        AvsedError: if the list is missing or invalid, with file and line.
    """
    return read_list_file(list_path(metadata_dir, split), split, classes)


def read_lists(metadata_dir: Path, classes: Sequence[str]) -> dict[str, list[AnnotatedClip]]:
    """Read all lists of a data set; the optional one is included if it has clips.

    Args:
        metadata_dir: the folder of the lists.
        classes: the label vocabulary.

    Raises:
        AvsedError: if a list is missing or invalid, with file and line.
    """
    splits = SPLITS if has_strong_clips(metadata_dir) else REQUIRED_SPLITS
    return {split: read_list(metadata_dir, split, classes) for split in splits}


def has_strong_clips(metadata_dir: Path) -> bool:
    """Return whether the data set has strongly labeled clips to train on.

    Raises:
        AvsedError: if the list `strong` is not text, or has other columns.
    """
    path = list_path(metadata_dir, "strong")
    return path.exists() and any(True for _ in read_rows(path, "strong"))


def read_list_file(path: Path, split: str, classes: Sequence[str]) -> list[AnnotatedClip]:
    """Read the clips of one split from a file with any name; see `read_list`."""
    reading = examine_list(path, split, classes)
    errors = [error for found in reading.errors.values() for error in found]
    if errors:
        others = len(errors) - 1
        more = f" ({others:,} more: see `avsed metadata check`)" if others else ""
        raise AvsedError(errors[0] + more)
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
    gathered = _Gathered(split, frozenset(classes))
    errors: dict[str, list[str]] = {}
    for where, cells in read_rows(path, split):
        try:
            gathered.add(cells, where)
        except RowError as error:
            errors.setdefault(error.kind, []).append(str(error))
    return ListReading(clips=gathered.clips(), errors=errors, warnings=gathered.warnings)


class _Gathered:
    """The clips of a list, row by row."""

    def __init__(self, split: str, known: frozenset[str]) -> None:
        self._split = split
        self._known = known
        self._first: dict[str, tuple[str, str]] = {}  # clip to the name and place of its first row
        self._tags: dict[str, set[str]] = {}
        # A dict keeps the order; searching a list is slow.
        self._events: dict[str, dict[Event, None]] = {}
        self.warnings: list[str] = []

    def add(self, cells: list[str], where: str) -> None:
        """Add a row.

        Raises:
            RowError: if it is invalid.
        """
        row = name_fields(cells, self._split, where)
        clip_id = self._add_clip(row["filename"], where)
        if self._split == "weak":
            text = row["event_labels"]
            labels = text.split(",")
            self._tags[clip_id] = check_labels(labels, self._known, where)
            if len(self._tags[clip_id]) < len(labels):
                shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
                self.warnings.append(f"{where}: repeats a label ({shown})")
        elif self._split in STRONG_SPLITS and (times := parse_times(row, self._known, where)):
            event = Event(onset=times[0], offset=times[1], label=row["event_label"])
            if event in self._events[clip_id]:
                raise RowError(
                    where, "a repeated event", "the same event is listed twice; remove one row"
                )
            self._tags[clip_id].add(event.label)
            self._events[clip_id][event] = None

    def _add_clip(self, filename: str, where: str) -> str:
        clip_id = clip_id_of(filename)
        name, place = self._first.setdefault(clip_id, (filename, where))
        if filename != name:
            raise RowError(
                where,
                "another name of a clip",
                f"{filename} and {name} ({place.split(', ')[-1]}) would be one clip, because "
                "extensions are ignored; rename one of them",
            )
        if self._split not in STRONG_SPLITS and clip_id in self._tags:
            raise RowError(where, "a repeated clip", f"{filename} is listed twice; remove one row")
        self._tags.setdefault(clip_id, set())
        self._events.setdefault(clip_id, {})
        return clip_id

    def clips(self) -> list[AnnotatedClip]:
        """Return the clips of all valid rows, in the order of first appearance."""
        return [
            AnnotatedClip(
                clip_id=clip_id,
                tags=None if self._split == "unlabeled" else tuple(sorted(tags)),
                events=tuple(
                    sorted(self._events[clip_id], key=lambda event: (event.onset, event.label))
                )
                if self._split in STRONG_SPLITS
                else None,
            )
            for clip_id, tags in self._tags.items()
        ]


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
