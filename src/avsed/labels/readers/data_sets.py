"""Read the labels of FSD50K, UrbanSound8K, ESC-50 and VGGSound, whose clips have tags only."""

import csv
from pathlib import Path

from avsed.labels.readers.audioset import clip_names
from avsed.labels.readers.tables import UNREADABLE, read_table, split_line, text_lines
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks, Split, parse_seconds

_ESC_50_DURATION = 5.0  # seconds; all clips of ESC-50
_VGGSOUND_DURATION = 10.0  # seconds; all clips of VGGSound
_FSD50K_SPLITS: dict[str, Split] = {"train": "train", "val": "validation"}
_VGGSOUND_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def read_fsd50k(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read dev.csv, with the splits train and val, or eval.csv, which has no split column.

    The names have no extension. Names of classes contain no commas, which separate them.
    """
    table = read_table(path, remarks)
    has_split = "split" in table.columns
    found = []
    for where, row in table.rows:
        split = _FSD50K_SPLITS.get(row["split"], "") if has_split else "test"
        if not row["fname"] or not split:
            remarks.add(UNREADABLE, where)
            continue
        labels = tuple(Label(text=text) for text in row["labels"].split(","))
        found.append(Recording(name=row["fname"], labels=labels, split=split))
    return found


def read_urbansound8k(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read UrbanSound8K.csv.

    Its start and end are times in the recording from which the clip was cut, not in the clip.
    """
    found = []
    for where, row in read_table(path, remarks).rows:
        try:
            duration = parse_seconds(row["end"]) - parse_seconds(row["start"])
            if duration <= 0:
                raise ValueError(row)
        except ValueError:
            remarks.add(UNREADABLE, where)
            continue
        found.append(
            Recording(
                name=row["slice_file_name"],
                labels=(Label(text=row["class"]),),
                duration=round(duration, 6),
                fold=row["fold"],
            )
        )
    return found


def read_esc50(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read esc50.csv."""
    return [
        Recording(
            name=row["filename"],
            labels=(Label(text=row["category"]),),
            duration=_ESC_50_DURATION,
            fold=row["fold"],
        )
        for _, row in read_table(path, remarks).rows
    ]


def read_vggsound(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read vggsound.csv: video, start in seconds, label and split, without a header."""
    found = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            video, start, label, split = split_line(line, ",")
            names = clip_names(video, parse_seconds(start), _VGGSOUND_DURATION)
            found.append(
                Recording(
                    name=names[0],
                    labels=(Label(text=label),),
                    duration=_VGGSOUND_DURATION,
                    split=_VGGSOUND_SPLITS[split],
                    aliases=names[1:],
                )
            )
        except (csv.Error, KeyError, ValueError):
            remarks.add(UNREADABLE, f"{path}, line {number}")
    return found
