"""Render a file's events in the formats of other programs.

Formats of one file for each medium are text (`FILE_FORMATS`), lists of all media are rows
(`LIST_FORMATS`). Times are cut to the precision of each format, equal times to equal text. A medium
without events has its file or its row too.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from avsed.framing import FRAME_HOP, SPECTRAL_SAMPLE_RATE
from avsed.prediction.predict import Prediction

SCORE_DIGITS = 4
# The band of the log-mel spectrogram. Raven requires a band; avsed finds none.
HIGHEST_FREQUENCY = SPECTRAL_SAMPLE_RATE / 2  # Hz
_RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Annotation",
    "Score",
)


def to_json(prediction: Prediction) -> str:
    """Render tags, events and all scores as JSON."""
    clip_scores = prediction.clip_scores.tolist()
    frame_scores = prediction.frame_scores.T.tolist()
    content = {
        "filename": prediction.name,
        "path": str(prediction.path.resolve()),
        "duration": round(prediction.duration, 3),
        "warning": prediction.warning,
        "tags": list(prediction.tags),
        "events": [
            {
                "onset": round(event.onset, 3),
                "offset": round(event.offset, 3),
                "event_label": event.label,
                "score": round(event.score, SCORE_DIGITS),
            }
            for event in prediction.events
        ],
        "clip_scores": {
            label: round(score, SCORE_DIGITS)
            for label, score in zip(prediction.classes, clip_scores, strict=True)
        },
        "frame_hop": FRAME_HOP,  # seconds
        "frame_scores": {
            label: [round(score, SCORE_DIGITS) for score in scores]
            for label, scores in zip(prediction.classes, frame_scores, strict=True)
        },
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def to_audacity(prediction: Prediction) -> str:
    """Render a label track of Audacity, which has no place for scores."""
    return "".join(
        f"{event.onset:.6f}\t{event.offset:.6f}\t{event.label}\n" for event in prediction.events
    )


def to_raven(prediction: Prediction) -> str:
    """Render a selection table of Raven (Cornell Lab of Ornithology)."""
    rows = [_RAVEN_COLUMNS] + [
        (
            str(number),
            "Spectrogram 1",
            "1",
            f"{event.onset:.6f}",
            f"{event.offset:.6f}",
            "0.0",  # with a decimal, as Raven writes it: crowsetta reads no whole numbers
            f"{HIGHEST_FREQUENCY:.1f}",
            prediction.name,
            event.label,
            f"{event.score:.{SCORE_DIGITS}f}",
        )
        for number, event in enumerate(prediction.events, start=1)
    ]
    return "".join("\t".join(row) + "\n" for row in rows)


def to_textgrid(prediction: Prediction) -> str:
    """Render a TextGrid of Praat with an interval tier for each class.

    The text of an interval is the class, or empty. Intervals have no place for scores.
    """
    end = f"{prediction.duration:.6f}"
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end}",
        "tiers? <exists>",
        f"size = {len(prediction.classes)}",
        "item []:",
    ]
    for number, label in enumerate(prediction.classes, start=1):
        intervals = _cover(prediction, label, end)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(label)}",
            "        xmin = 0",
            f"        xmax = {end}",
            f"        intervals: size = {len(intervals)}",
        ]
        for index, (onset, offset, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{index}]:",
                f"            xmin = {onset}",
                f"            xmax = {offset}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def _cover(prediction: Prediction, label: str, end: str) -> list[tuple[str, str, str]]:
    """Cover the whole time with the events of a class, and with empty intervals between them.

    Praat refuses intervals that overlap, leave a gap or have no length. Times are compared as
    written: 0.0662400 and 0.0662402 are the same.
    """
    covered, intervals = "0", []
    for event in prediction.events:
        onset, offset = f"{event.onset:.6f}", f"{event.offset:.6f}"
        if event.label != label or onset == offset:
            continue
        if float(onset) > float(covered):
            intervals.append((covered, onset, ""))
        intervals.append((covered if float(onset) == float(covered) else onset, offset, label))
        covered = offset
    if float(covered) < float(end):
        intervals.append((covered, end, ""))
    return intervals


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def to_webvtt(prediction: Prediction) -> str:
    """Render a WebVTT track (W3C) with a cue for each event: class and score."""
    cues = [
        f"{_timestamp(event.onset)} --> {_timestamp(event.offset, after=event.onset)}\n"
        f"{_escaped(event.label)} {event.score:.2f}\n"
        for event in prediction.events
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _timestamp(seconds: float, after: float = -1.0) -> str:
    """Format a time as HH:MM:SS.mmm, at least 1 ms after another."""
    milliseconds = max(round(1000 * seconds), round(1000 * after) + 1)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds / 1000:06.3f}"


def _escaped(text: str) -> str:
    # A cue that contains --> would end; & and < begin an entity and a tag.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True, kw_only=True)
class FileFormat:
    """A format of one file for each medium.

    Attributes:
        ending: follows the whole name of the medium, so that a.wav and a.mp4 have files of their
            own.
        render: returns the content.
    """

    ending: str
    render: Callable[[Prediction], str]


FILE_FORMATS: Mapping[str, FileFormat] = {
    "json": FileFormat(ending=".json", render=to_json),
    "audacity": FileFormat(ending=".txt", render=to_audacity),
    "raven": FileFormat(ending=".selections.txt", render=to_raven),
    "textgrid": FileFormat(ending=".TextGrid", render=to_textgrid),
    "webvtt": FileFormat(ending=".vtt", render=to_webvtt),
}


@dataclass(frozen=True, kw_only=True)
class ListFormat:
    """A list of the events of all media: rows with the medium's name first.

    Attributes:
        file_name: of the list.
        columns: the header.
        dialect: of the csv module.
    """

    file_name: str
    columns: tuple[str, ...]
    dialect: type[csv.Dialect]

    def list_events(self, prediction: Prediction) -> list[tuple[str, ...]]:
        """Return a medium's rows; without events, one row with the name only."""
        rows = [
            {
                "filename": prediction.name,
                "onset": f"{event.onset:.3f}",
                "offset": f"{event.offset:.3f}",
                "event_label": event.label,
                "score": f"{event.score:.{SCORE_DIGITS}f}",
            }
            for event in prediction.events
        ] or [{"filename": prediction.name}]
        return [tuple(row.get(column, "") for column in self.columns) for row in rows]


class _Tsv(csv.Dialect):
    """DCASE's lists: no cell is quoted."""

    delimiter = "\t"
    quoting = csv.QUOTE_NONE
    quotechar = None
    lineterminator = "\n"


DCASE_COLUMNS = ("filename", "onset", "offset", "event_label")
LIST_FORMATS: Mapping[str, ListFormat] = {
    # Programs that read DCASE's lists expect four columns, so this list has no scores.
    "tsv": ListFormat(file_name="events.tsv", columns=DCASE_COLUMNS, dialect=_Tsv),
    "csv": ListFormat(
        file_name="events.csv",
        columns=(*DCASE_COLUMNS, "score"),
        dialect=csv.excel,  # as RFC 4180
    ),
}
FormatName = Literal["tsv", "csv", "json", "audacity", "raven", "textgrid", "webvtt"]
DEFAULT_FORMATS: Sequence[FormatName] = ("tsv", "json", "audacity")
