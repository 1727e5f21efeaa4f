"""Read the rows of a list, and check the fields of each."""

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from avsed.errors import AvsedError, show
from avsed.params import explain_class_name

HEADERS = {
    "weak": ["filename", "event_labels"],
    "unlabeled": ["filename"],
    "validation": ["filename", "onset", "offset", "event_label"],
    "test": ["filename", "onset", "offset", "event_label"],
    "strong": ["filename", "onset", "offset", "event_label"],
}
MAX_NAMES = 300  # characters of the classes' names in a message
# A name becomes a path, so it must not lead out of its folder.
_FILENAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,254}")


class RowError(AvsedError):
    """An error in a row of a list.

    Attributes:
        kind: the problem of such rows, by which they are counted.
    """

    def __init__(self, where: str, kind: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.kind = kind


def read_lines(path: Path) -> list[str]:
    """Read lines ended by CR, LF or CRLF, as in editors; `splitlines` splits at more characters.

    Raises:
        AvsedError: if the file is not text, or cannot be read.
        FileNotFoundError: if there is no such file.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AvsedError(
            f"{path}, line {line}: is not UTF-8 text ({error.reason}); save it as UTF-8"
        ) from error
    return [line.rstrip("\n") for line in io.StringIO(text, newline=None)]


def read_rows(path: Path, split: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the cells of each row of a list.

    Raises:
        AvsedError: if the file is missing, not text, or has other columns than the split's.
    """
    header = HEADERS[split]
    try:
        lines = read_lines(path)
    except FileNotFoundError:
        raise AvsedError(
            f"{path}: no such list; create one with the columns {', '.join(header)}"
        ) from None
    if not lines or [_unquote(cell) for cell in lines[0].split("\t")] != header:
        found = show(", ".join(lines[0].split("\t"))) if lines else "nothing"
        raise AvsedError(
            f"{path}, line 1: columns are {found}; expected, separated by tabs: {', '.join(header)}"
        )
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            yield f"{path}, line {number}", [cell.strip() for cell in line.split("\t")]


def name_fields(cells: list[str], split: str, where: str) -> dict[str, str]:
    """Return the fields of a row by column, without the quotation marks of spreadsheets.

    Raises:
        RowError: if there are too many, a quotation mark is not closed, or the file name is
            invalid.
    """
    header = HEADERS[split]
    if len(cells) > len(header):
        raise RowError(where, "too many fields", f"has {len(cells)} fields; expected {len(header)}")
    padding = [""] * (len(header) - len(cells))  # editors strip the tabs of empty fields
    row = {}
    for column, cell in zip(header, cells + padding, strict=True):
        row[column] = _unquote(cell)
        if row[column].startswith('"'):
            raise RowError(
                where,
                "a lone quotation mark",
                f"{column} {show(cell)} begins with a quotation mark; remove it, or "
                "enclose the whole cell in quotation marks as spreadsheets do",
            )
    if not _FILENAME.fullmatch(row["filename"]):
        raise RowError(
            where,
            "an invalid file name",
            f"{show(row['filename'])} is not a valid file name; use up to 255 letters, "
            "digits, spaces and . _ -, without folders",
        )
    return row


def _unquote(cell: str) -> str:
    """Remove the quotation marks that enclose a cell, as in CSV; return other cells unchanged.

    Spreadsheets enclose a cell that contains a comma or a quotation mark, and double the marks
    within it (RFC 4180, section 2).
    """
    inside = cell[1:-1]
    encloses = len(cell) > 1 and cell[0] == cell[-1] == '"'
    if not encloses or '"' in inside.replace('""', ""):
        return cell
    return inside.replace('""', '"').strip()


def check_labels(labels: Iterable[str], known: frozenset[str], where: str) -> set[str]:
    """Return the distinct labels of a field.

    Raises:
        RowError: if there is none, or one is not among the classes or cannot be one.
    """
    found = {label.strip() for label in labels if label.strip()}
    for label in sorted(found - known):
        if problem := explain_class_name(label):
            raise RowError(where, "a label that cannot be a class", problem)
        advice = "correct the label or add it to the classes"
        if len(found) > 1:
            advice += " (a comma separates two labels: class names contain none)"
        raise RowError(
            where,
            "an unknown label",
            f"{show(label)} is not among the classes {_names(known)}; {advice}",
        )
    if not found:
        raise RowError(
            where, "no label", "has no label; clips without tags belong in unlabeled.tsv"
        )
    return found


def _names(classes: frozenset[str]) -> str:
    names = ", ".join(sorted(classes))
    more = f"... ({len(classes):,} classes)"
    return names if len(names) <= MAX_NAMES else f"{names[:MAX_NAMES]}{more}"


def parse_times(
    row: Mapping[str, str], known: frozenset[str], where: str
) -> tuple[float, float] | None:
    """Parse the onset and offset of an event; None if the row is a clip without events.

    Raises:
        RowError: if the row is neither.
    """
    if not row["event_label"]:
        if row["onset"] or row["offset"]:
            raise RowError(
                where, "no label", "has times but no event_label; name the event's class"
            )
        return None
    if "," in row["event_label"]:
        raise RowError(
            where,
            "a label that cannot be a class",
            f"{explain_class_name(row['event_label'])}; for several classes, write one row each",
        )
    check_labels([row["event_label"]], known, where)
    try:
        onset, offset = (_number(row[name]) for name in ("onset", "offset"))
    except ValueError:
        raise RowError(
            where,
            "invalid times",
            f"onset {show(row['onset'])} and offset {show(row['offset'])} must be "
            "seconds, with a point before decimals",
        ) from None
    if not (math.isfinite(onset) and math.isfinite(offset) and 0 <= onset < offset):
        raise RowError(
            where,
            "invalid times",
            f"the event lasts from {onset} s to {offset} s; the onset must be 0 or more "
            "and before the offset",
        )
    return onset, offset


def _number(text: str) -> float:
    """Parse a decimal number; unlike float(), reject underscores and the like.

    Raises:
        ValueError: if it is not a number.
    """
    if "_" in text:
        raise ValueError(text)
    return float(text)
