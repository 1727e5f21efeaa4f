"""Read delimited text with a header, whatever the order of its columns."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avsed.dataset.rows import read_lines
from avsed.errors import AvsedError
from avsed.labels.recordings import Remarks

UNREADABLE = "dropped rows that cannot be read"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of text.

    Attributes:
        columns: names in the header.
        rows: place and fields by column of each row, read when requested.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[str, Mapping[str, str]]]


def read_table(path: Path, remarks: Remarks) -> Table:
    """Read a table separated by tabs, commas or semicolons, whichever its header contains.

    Args:
        path: the file.
        remarks: counts the rows that cannot be read, such as those with too many fields.

    Raises:
        AvsedError: if the file cannot be read, or names a column twice.
    """
    lines = text_lines(path)
    delimiter = delimiter_of(lines[0] if lines else "")
    try:
        columns = tuple(split_line(lines[0], delimiter)) if lines else ()
    except csv.Error as error:
        raise AvsedError(f"{path}, line 1: is not a header ({error}); correct it") from None
    if len(set(columns)) < len(columns):
        raise AvsedError(f"{path}, line 1: names a column twice; remove one of them")
    return Table(columns=columns, rows=_rows(path, lines, columns, delimiter, remarks))


def text_lines(path: Path) -> list[str]:
    """Read the lines of a text file.

    Raises:
        AvsedError: if it is missing, or not text.
    """
    try:
        return read_lines(path)
    except FileNotFoundError:
        raise AvsedError(f"{path}: no such file; name the file with the labels") from None


def delimiter_of(header: str) -> str:
    """Return the character that separates the fields of a line."""
    return next((mark for mark in "\t;" if mark in header), ",")


def split_line(line: str, delimiter: str) -> list[str]:
    """Split a line into fields, without blanks and quotation marks around them.

    Lines are split one by one: with a whole file, a quotation mark that is not closed would take
    all further rows into one field.

    Raises:
        csv.Error: if a quotation mark is not closed.
    """
    reader = csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True)
    return [field.strip() for field in next(reader, [])]


def find_column(columns: Sequence[str], *names: str) -> str:
    """Return the first of some names that is a column; empty if none is."""
    return next((name for name in names if name in columns), "")


def _rows(
    path: Path, lines: Sequence[str], columns: Sequence[str], delimiter: str, remarks: Remarks
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            fields = split_line(line, delimiter)
        except csv.Error:
            remarks.add(UNREADABLE, where)
            continue
        if len(fields) > len(columns):
            remarks.add(UNREADABLE, where)
            continue
        padding = [""] * (len(columns) - len(fields))  # editors strip the tabs of empty fields
        yield where, dict(zip(columns, fields + padding, strict=True))
