"""The formats of labels that can be imported, and how each is recognized."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avsed.errors import AvsedError
from avsed.labels.readers.audioset import read_segments, read_strong
from avsed.labels.readers.data_sets import read_esc50, read_fsd50k, read_urbansound8k, read_vggsound
from avsed.labels.readers.dcase import EVENT, NAMES, ONSETS, read_dcase
from avsed.labels.readers.elan import read_eaf
from avsed.labels.readers.json_files import read_jams, read_label_studio
from avsed.labels.readers.praat import read_textgrid
from avsed.labels.readers.selections import read_audacity, read_raven
from avsed.labels.readers.tables import delimiter_of
from avsed.labels.recordings import ReadOptions, Recording, Remarks

_HEAD_SIZE = 4096  # bytes in which a format is recognized
_TIME = r"-?\d+(?:[.,]\d+)?"


@dataclass(frozen=True, kw_only=True)
class Head:
    """The beginning of a file.

    Attributes:
        suffix: extension of its name, in lower case.
        text: its first characters.
        columns: fields of its first line, without quotation marks.
    """

    suffix: str
    text: str
    columns: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of labels.

    Attributes:
        name: of the option --format.
        matches: whether a file that begins so is of this format.
        read: reads a file.
    """

    name: str
    matches: Callable[[Head], bool]
    read: Callable[[Path, ReadOptions, Remarks], list[Recording]]


def _has(*columns: str) -> Callable[[Head], bool]:
    return lambda head: head.columns.issuperset(columns)


def _ends(suffix: str) -> Callable[[Head], bool]:
    return lambda head: head.suffix == suffix


def _begins(pattern: str) -> Callable[[Head], bool]:
    return lambda head: re.match(pattern, head.text) is not None


def _is_dcase(head: Head) -> bool:
    labels = head.columns.intersection((*EVENT, *ONSETS))
    return bool(head.columns.intersection(NAMES)) and (bool(labels) or "fold" not in head.columns)


# The first that matches is read: specific headers stand before general ones.
FORMATS = (
    Format(name="textgrid", matches=_ends(".textgrid"), read=read_textgrid),
    Format(name="eaf", matches=_ends(".eaf"), read=read_eaf),
    Format(name="jams", matches=_ends(".jams"), read=read_jams),
    Format(name="label-studio", matches=_begins(r"\s*\[\s*(\{|\])"), read=read_label_studio),
    Format(
        name="audioset",
        matches=_begins(r'(?:#.*\n)*(?:# YTID|[\w-]{11}, ?\d+\.\d+, ?\d+\.\d+, ?"?/[mtg]/)'),
        read=read_segments,
    ),
    Format(
        name="audioset-strong",
        matches=_has("segment_id", "start_time_seconds", "end_time_seconds", "label"),
        read=read_strong,
    ),
    Format(name="fsd50k", matches=_has("fname", "labels"), read=read_fsd50k),
    Format(name="urbansound8k", matches=_has("slice_file_name", "class"), read=read_urbansound8k),
    Format(name="esc50", matches=_has("filename", "fold", "category"), read=read_esc50),
    Format(name="raven", matches=_has("Begin Time (s)", "End Time (s)"), read=read_raven),
    Format(name="dcase", matches=_is_dcase, read=read_dcase),
    Format(
        name="vggsound",
        matches=_begins(r"[\w-]{11},\d+,.+,(train|test)\s"),
        read=read_vggsound,
    ),
    Format(name="audacity", matches=_begins(rf"{_TIME}\t{_TIME}(\t|\r?\n|$)"), read=read_audacity),
)
NAMES_OF_FORMATS = tuple(form.name for form in FORMATS)


def read_labels(
    path: Path, name: str | None, options: ReadOptions, remarks: Remarks
) -> list[Recording]:
    """Read a file of labels.

    Args:
        path: the file.
        name: of its format; None to recognize it.
        options: choices of some formats.
        remarks: counts what is dropped.

    Raises:
        AvsedError: if the format cannot be recognized, or the file is invalid.
    """
    form = _recognize(path) if name is None else FORMATS[NAMES_OF_FORMATS.index(name)]
    try:
        return form.read(path, options, remarks)
    except KeyError as error:  # a column, if --format names another format than the file's
        raise AvsedError(
            f"{path}: is not a file of the format {form.name}: {error} is missing; name another "
            f"--format ({', '.join(NAMES_OF_FORMATS)})"
        ) from None


def _recognize(path: Path) -> Format:
    head = _read_head(path)
    for form in FORMATS:
        if form.matches(head):
            return form
    raise AvsedError(
        f"{path}: its format is not recognized; name it with --format "
        f"({', '.join(NAMES_OF_FORMATS)})"
    )


def _read_head(path: Path) -> Head:
    try:
        with path.open("rb") as file:
            content = file.read(_HEAD_SIZE)
    except FileNotFoundError:
        raise AvsedError(f"{path}: no such file; name the file with the labels") from None
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from error
    text = content.decode("utf-8-sig", "replace").lstrip("\r\n")
    line = text.splitlines()[0] if text else ""
    fields = line.split(delimiter_of(line))
    return Head(
        suffix=path.suffix.lower(),
        text=text,
        columns=frozenset(name.strip().strip('"') for name in fields),
    )
