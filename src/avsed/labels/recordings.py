"""The common result of all readers: recordings with labels, and a count of what was dropped."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

Split = Literal["train", "validation", "test", ""]
N_EXAMPLES = 5  # distinct examples of one reason
N_CHARACTERS = 200  # of an example
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """A label of a recording, of a part of it or of all of it.

    Attributes:
        text: as written in the file.
        onset: seconds; None if the label is of the whole recording.
        offset: seconds; None likewise.
    """

    text: str
    onset: float | None = None
    offset: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A recording and its labels.

    Attributes:
        name: file name of the media, with or without extension and folders.
        labels: in the order of the file.
        is_annotated: False if nobody labeled it; a recording without sounds is annotated.
        duration: seconds of the media, more than 0, if the file states it.
        split: the data set's own split; empty if it has none.
        fold: the data set's own fold; empty if it has none.
        aliases: other usual names of the media.
    """

    name: str
    labels: tuple[Label, ...] = ()
    is_annotated: bool = True
    duration: float | None = None
    split: Split = ""
    fold: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Choices that some formats leave to the user.

    Attributes:
        label_column: column with the labels; empty to find it.
        tiers: names of the tiers with labels; empty for all.
        name_of_mid: returns the name of one of AudioSet's mids (machine IDs); empty if unknown.
    """

    label_column: str = ""
    tiers: tuple[str, ...] = ()
    name_of_mid: Callable[[str], str] = lambda mid: ""


@dataclass(kw_only=True)
class Remarks:
    """What an import dropped or changed: counts and examples by reason."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, reason: str, example: str) -> None:
        """Count a case of a reason, such as "dropped events without a label"."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        shown = self.examples.setdefault(reason, {})
        if len(shown) <= N_EXAMPLES:
            text = " ".join(example.split())  # labels can have several lines
            shown[text if len(text) <= N_CHARACTERS else f"{text[:N_CHARACTERS]}..."] = None

    def lines(self) -> list[str]:
        """Return one line for each reason, with a few distinct examples."""
        return [
            f"{reason}: {count:,} ({_some(self.examples[reason])})"
            for reason, count in self.counts.items()
        ]


def _some(examples: Iterable[str]) -> str:
    shown = list(examples)
    return ", ".join([*shown[:N_EXAMPLES], *(["..."] if len(shown) > N_EXAMPLES else [])])


def base_name(name: str) -> str:
    """Return the last part of a path or URL, with slashes of any system."""
    return PurePosixPath(name.replace("\\", "/")).name


def name_beside(path: Path) -> str:
    """Return the name of the recording that a file of labels has beside it."""
    return str(path.with_suffix(""))


def parse_seconds(text: str) -> float:
    """Parse a time in seconds, with a point or a comma before the decimals.

    Raises:
        ValueError: if it is not a finite number.

    >>> parse_seconds("1.5"), parse_seconds("1,5")
    (1.5, 1.5)
    """
    text = text.strip()
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if "_" in text or not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number
