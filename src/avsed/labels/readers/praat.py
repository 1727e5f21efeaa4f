"""Read TextGrids of Praat, in its long and its short text format.

Both formats have the same values in the same order: numbers, quoted texts, and flags such as
<exists>. Everything else is decoration ("TextGrid file formats" in Praat's manual), so that one
reader of values reads both.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from avsed.errors import AvsedError
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks, name_beside

_VALUE = re.compile(
    r'"(?P<text>(?:[^"]|"")*)"'
    r"|(?<!\S)(?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?!\S)"
    r"|(?<!\S)!.*"  # a comment
)


def read_textgrid(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read the intervals with text of all tiers, or of those in the options.

    Points have no duration and are dropped. The recording has the name of the file.

    Raises:
        AvsedError: if the file is missing, binary or damaged, or has no tier of a given name.
    """
    try:
        labels, names, duration = _read(_values(_text(path)), options, remarks)
    except (OverflowError, StopIteration, ValueError):
        raise AvsedError(
            f"{path}: is not a complete TextGrid in text format; save it as text in Praat"
        ) from None
    if missing := set(options.tiers).difference(names):
        raise AvsedError(
            f"{path}: has no tier {min(missing)}; its tiers are {', '.join(dict.fromkeys(names))}"
        )
    return [
        Recording(
            name=name_beside(path),
            labels=tuple(labels),
            duration=duration if duration > 0 else None,
        )
    ]


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AvsedError(f"{path}: cannot be read ({error.strerror})") from error
    if content.startswith(b"ooBinaryFile"):
        raise ValueError("binary")
    # Praat writes UTF-16 if a text is not ASCII, or else UTF-8; old versions wrote Latin-1.
    if content.startswith((b"\xfe\xff", b"\xff\xfe")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _values(text: str) -> Iterator[str | float]:
    """Yield the texts and numbers of a file, without its decoration."""
    for found in _VALUE.finditer(text):
        if found["text"] is not None:
            yield found["text"].replace('""', '"')
        elif found["number"]:
            yield float(found["number"])


def _read(
    values: Iterator[str | float], options: ReadOptions, remarks: Remarks
) -> tuple[list[Label], list[str], float]:
    """Return the labels, the names of the tiers, and the duration.

    Raises:
        StopIteration: if the file ends early.
        ValueError: if it has other values than a TextGrid.
    """
    if (next(values), next(values)) != ("ooTextFile", "TextGrid"):
        raise ValueError("not a TextGrid")
    _number(values)
    duration = _number(values)
    labels: list[Label] = []
    names: list[str] = []
    for _ in range(int(_number(values))):
        kind, name = str(next(values)), str(next(values))
        if kind not in ("IntervalTier", "TextTier"):
            raise ValueError(kind)
        names.append(name)
        _number(values), _number(values)  # the tier's start and end
        for _ in range(int(_number(values))):
            onset = _number(values)
            offset = _number(values) if kind == "IntervalTier" else onset
            text = str(next(values))
            if options.tiers and name not in options.tiers:
                continue
            if kind == "TextTier":
                remarks.add("dropped points, which have no duration", f"{name}: {text}")
            elif text.strip():  # the intervals between sounds have no text
                labels.append(Label(text=text, onset=onset, offset=offset))
    return labels, names, duration


def _number(values: Iterator[str | float]) -> float:
    value = next(values)
    if not isinstance(value, float):
        raise ValueError(value)
    return value
