"""Check the lists of a data set for errors and oddities (Section 4.1)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from avsed.dataset.annotations import (
    REQUIRED_SPLITS,
    STRONG_SPLITS,
    AnnotatedClip,
    Event,
    ListReading,
    examine_list,
    labels_used,
)
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.runtime.files import atomic_write
from avsed.sources.clip_ends import require_events
from avsed.sources.shared_clips import examples, find_shared_clips, find_shared_names
from avsed.sources.youtube.lists import Segment, segment_of

N_PER_KIND = 20  # errors of one kind that are shown
N_CLASSES = 1000  # classes that are shown; vocabularies are smaller, texts in their place are not
_N_ROWS_NAMED = 5  # rows with the same oddity; of more, only the first is reported


@dataclass(frozen=True, kw_only=True)
class MetadataCheck:
    """The content of the lists of a data set, with errors and warnings.

    Attributes:
        paths: split to list, including unreadable lists.
        classes: the label vocabulary.
        classes_known: False if the vocabulary was collected from the lists.
        problems: "<list>: <kind>" to errors that stop the pipeline, one line each with the file.
        warnings: accepted oddities, one line each with the file.
        n_clips: split to the number of clips, for readable lists; likewise below.
        n_events: strong split to the number of events.
        class_clips: labeled split to class to the number of clips.
        class_events: strong split to class to the number of events.
    """

    paths: Mapping[str, Path]
    classes: tuple[str, ...]
    classes_known: bool
    problems: dict[str, list[str]]
    warnings: list[str]
    n_clips: dict[str, int]
    n_events: dict[str, int]
    class_clips: dict[str, dict[str, int]]
    class_events: dict[str, dict[str, int]]

    @property
    def errors(self) -> list[str]:
        """All errors."""
        return [error for errors in self.problems.values() for error in errors]


def check_metadata(paths: Mapping[str, Path], classes: Sequence[str] | None) -> MetadataCheck:
    """Read and check all lists of a data set.

    Args:
        paths: split to list.
        classes: the label vocabulary; if None, every label in the lists is a class.
    """
    known = tuple(classes) if classes is not None else _gather_classes(paths)
    clips: dict[str, list[AnnotatedClip]] = {}
    problems: dict[str, list[str]] = {}
    warnings: list[str] = []
    for split, path in paths.items():
        try:
            reading = examine_list(path, split, known)
        except AvsedError as error:
            problems[f"{path}: unreadable"] = [str(error)]
            continue
        clips[split] = reading.clips
        problems |= _list_problems(path, split, reading)
        warnings += _list_warnings(path, split, reading, known)
    clip_ids = {split: [clip.clip_id for clip in clips[split]] for split in clips}
    problems["clips in two lists"] = find_shared_clips(paths, clip_ids)
    events = {
        split: _count_events(clips[split], known) for split in STRONG_SPLITS if split in clips
    }
    return MetadataCheck(
        paths=paths,
        classes=known,
        classes_known=classes is not None,
        problems=problems,
        warnings=warnings + find_shared_names(paths, clip_ids),
        n_clips={split: len(found) for split, found in clip_ids.items()},
        n_events={split: sum(counts.values()) for split, counts in events.items()},
        class_clips={s: _count_clips(clips[s], known) for s in clips if s != "unlabeled"},
        class_events=events,
    )


def format_check(check: MetadataCheck) -> list[str]:
    """Format a check as lines of text: counts, errors as in `format_errors`, warnings."""
    lists = [
        [
            f"{split}: {check.paths[split]}",
            f"{n_clips:,}",
            f"{check.n_events[split]:,}" if split in check.n_events else "",
        ]
        for split, n_clips in check.n_clips.items()
    ]
    lines = [*_table([["list", "clips", "events"], *lists]), ""]
    if check.class_clips:
        lines += [*_table(_class_rows(check)), ""]
        if len(check.classes) > N_CLASSES:
            lines[-1:] = [f"... and {len(check.classes) - N_CLASSES:,} more classes", ""]
    if not check.classes_known:
        lines += [
            "No vocabulary is known: every label is taken for a class, "
            "so that a misspelt one shows only in the counts.",
            "",
        ]
    lines += [f"error: {error}" for error in format_errors(check)]
    lines += [f"warning: {warning}" for warning in check.warnings]
    total = f"{_plural(len(check.errors), 'error')}, {_plural(len(check.warnings), 'warning')}"
    return [*lines, total]


def format_errors(check: MetadataCheck) -> list[str]:
    """Return the first errors of each kind, and the number of the others."""
    lines = []
    for kind, errors in check.problems.items():
        lines += errors[:N_PER_KIND]
        if len(errors) > N_PER_KIND:
            lines.append(f"{kind}: {len(errors) - N_PER_KIND:,} more errors of this kind")
    return lines


def write_errors(check: MetadataCheck, path: Path) -> None:
    """Write all errors to a file, one line each."""
    with atomic_write(path) as part:
        part.write_text("".join(f"{error}\n" for error in check.errors), "utf-8")


def _class_rows(check: MetadataCheck) -> list[list[str]]:
    columns: dict[str, Mapping[str, int]] = {}
    for split, counts in check.class_clips.items():
        columns[f"{split} clips"] = counts
        if split in check.class_events:
            columns[f"{split} events"] = check.class_events[split]
    return [
        ["class", *columns],
        *(
            [name, *(f"{counts[name]:,}" for counts in columns.values())]
            for name in check.classes[:N_CLASSES]
        ),
    ]


def _gather_classes(paths: Mapping[str, Path]) -> tuple[str, ...]:
    found: set[str] = set()
    for split, path in paths.items():
        with suppress(AvsedError):  # reported when the list is read
            found |= labels_used(path, split)
    return tuple(sorted(found))


def _list_problems(path: Path, split: str, reading: ListReading) -> dict[str, list[str]]:
    if reading.errors:  # unreadable rows may contain what seems to be missing
        return {f"{path}: {kind}": errors for kind, errors in reading.errors.items()}
    missing = []
    if not reading.clips:
        # `prepare` writes the optional list without clips where there is none.
        missing = [f"{path}: has no clips; add at least one"] * (split in REQUIRED_SPLITS)
    elif split in STRONG_SPLITS:
        try:
            require_events(path, split, reading.clips)
        except AvsedError as error:
            missing = [str(error)]
    return {f"{path}: missing": missing}


def _list_warnings(
    path: Path, split: str, reading: ListReading, classes: Sequence[str]
) -> list[str]:
    """Find oddities within one list."""
    found = [*_short_clips(reading.clips), *_event_warnings(reading.clips)]
    # Unreadable rows may contain what seems to be missing.
    if not reading.errors and reading.clips:
        found += _clips_without_events(reading.clips, split)
        found += _unused_classes(reading.clips, classes)
    return _repeated_labels(reading.warnings) + [f"{path}: {warning}" for warning in found]


def _repeated_labels(warnings: list[str]) -> list[str]:
    if len(warnings) <= _N_ROWS_NAMED:
        return warnings
    return [f"{warnings[0]}; so do {len(warnings) - 1:,} more rows of this list"]


def _short_clips(clips: Sequence[AnnotatedClip]) -> list[str]:
    short = [clip.clip_id for clip in clips if _clip_end(clip.clip_id) < CLIP_DURATION]
    return [_clips(short, f" nominally shorter than {CLIP_DURATION:g} s")] if short else []


def _event_warnings(clips: Sequence[AnnotatedClip]) -> list[str]:
    """Find overlapping events of one class, and events that end after their clip."""
    overlaps: list[str] = []  # with the clip of each; likewise below
    late: list[str] = []
    long: list[str] = []
    excess = 0.0
    for clip in clips:
        end = _clip_end(clip.clip_id)
        events = clip.events or ()
        overlaps += [clip.clip_id for pair in combinations(events, 2) if _overlap(*pair)]
        late += [clip.clip_id for event in events if event.onset >= end]
        beyond = [event.offset - end for event in events if event.onset < end < event.offset]
        long += [clip.clip_id for _ in beyond]
        excess = max([excess, *beyond])
    warnings = []
    if overlaps:
        what = _plural(len(overlaps), "overlap")
        warnings.append(f"{what} of two events of one class, in {_clips(overlaps)}")
    if long:
        what = f"{_plural(len(long), 'event')} past the clip's end by up to {excess:.3f} s"
        warnings.append(f"{what}, cut at {CLIP_DURATION:g} s, in {_clips(long)}")
    if late:
        what = f"{_plural(len(late), 'event')} wholly after the clip's end"
        warnings.append(f"{what}, dropped from {CLIP_DURATION:g} s on, in {_clips(late)}")
    return warnings


def _overlap(first: Event, second: Event) -> bool:
    """Return whether two events, sorted by onset, overlap."""
    return first.label == second.label and second.onset < first.offset


def _clips_without_events(clips: Sequence[AnnotatedClip], split: str) -> list[str]:
    empty = [clip.clip_id for clip in clips if clip.events == ()]
    used = "trained on" if split == "strong" else "scored"
    return [_clips(empty, f" without events, {used} all the same")] if empty else []


def _unused_classes(clips: Sequence[AnnotatedClip], classes: Sequence[str]) -> list[str]:
    if clips[0].tags is None:
        return []
    counts = _count_clips(clips, classes)
    unused = [name for name in classes if not counts[name]]
    if not unused:
        return []
    return [f"{_plural(len(unused), 'class', 'classes')} without a clip {examples(unused)}"]


def _segment(clip_id: str) -> Segment | None:
    try:
        return segment_of(clip_id)
    except AvsedError:  # a name of another format
        return None


def _clip_end(clip_id: str) -> float:
    segment = _segment(clip_id)
    return segment.duration if segment else CLIP_DURATION


def _count_clips(clips: Sequence[AnnotatedClip], classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(tag for clip in clips for tag in clip.tags or ())
    return {name: counts[name] for name in classes}


def _count_events(clips: Sequence[AnnotatedClip], classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(event.label for clip in clips for event in clip.events or ())
    return {name: counts[name] for name in classes}


def _clips(clip_ids: Sequence[str], what: str = "") -> str:
    """Format a warning about distinct clips, with their number and examples."""
    distinct = list(dict.fromkeys(clip_ids))
    return f"{_plural(len(distinct), 'clip')}{what} {examples(distinct)}"


def _plural(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format a table: the first column left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    ]
