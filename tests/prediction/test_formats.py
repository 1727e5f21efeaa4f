"""Formats of predictions, by their specifications and by programs that read them.

Where parselmouth (Praat itself), webvtt-py or crowsetta (Raven) are installed, they read the files
as well.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import sed_eval

from avsed.dataset.annotations import read_list_file
from avsed.evaluation.postprocess import DetectedEvent
from avsed.framing import FRAME_HOP
from avsed.prediction.files import ResultsFolder
from avsed.prediction.formats import (
    FILE_FORMATS,
    to_audacity,
    to_raven,
    to_textgrid,
    to_webvtt,
)
from avsed.prediction.predict import Prediction

CLASSES = ("Dog", 'Katze "Möhre"', "A --> B & <i>")
DOG, CAT, HOSTILE = CLASSES


def event(first: int, end: int, label: str, score: float) -> DetectedEvent:
    return DetectedEvent(onset=first * FRAME_HOP, offset=end * FRAME_HOP, label=label, score=score)


# Two dogs that touch, a cat over both, one in the last frame, which is cut.
EVENTS = (
    event(10, 20, DOG, 0.91234),
    event(15, 40, CAT, 0.5),
    event(20, 25, DOG, 0.7),
    event(30, 31, HOSTILE, 0.6),
    DetectedEvent(onset=59 * FRAME_HOP, offset=3.95, label=DOG, score=1.0),
)


def predicted(
    name: str = "a.wav", events: tuple[DetectedEvent, ...] = EVENTS, duration: float = 3.95
) -> Prediction:
    return Prediction(
        path=Path(name),
        has_audio=True,
        has_video=False,
        duration=duration,
        classes=CLASSES,
        frame_scores=np.zeros((60, 3), np.float32),
        clip_scores=np.zeros(3, np.float32),
        tags=(),
        events=events,
        warning="",
    )


def test_the_list_of_dcase_is_read_by_avsed_and_sed_eval(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path, ["tsv"])
    results.add(predicted("a.wav", EVENTS[:1]))
    results.add(predicted("quiet.wav", ()))
    results.write_lists()
    text = (tmp_path / "events.tsv").read_text("utf-8")
    assert text == (
        "filename\tonset\toffset\tevent_label\na.wav\t0.662\t1.325\tDog\nquiet.wav\t\t\t\n"
    )
    clips = read_list_file(tmp_path / "events.tsv", "test", CLASSES)
    assert [(clip.clip_id, len(clip.events or ())) for clip in clips] == [("a", 1), ("quiet", 0)]
    # Without libmagic, dcase_util 0.2.20 does not read .tsv.
    (tmp_path / "one.csv").write_text(text.partition("quiet")[0], "utf-8")
    (read,) = sed_eval.io.load_event_list(str(tmp_path / "one.csv"))
    assert (read.filename, read.onset, read.offset, read.event_label) == (
        "a.wav",
        0.662,
        1.325,
        "Dog",
    )


def test_csv_quotes_as_rfc_4180(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path, ["csv"])
    results.add(predicted('1, "2".wav', EVENTS[:2]))
    results.add(predicted("quiet.wav", ()))
    results.write_lists()
    content = (tmp_path / "events.csv").read_bytes().decode()
    assert content == (
        "filename,onset,offset,event_label,score\r\n"
        '"1, ""2"".wav",0.662,1.325,Dog,0.9123\r\n'
        '"1, ""2"".wav",0.994,2.650,"Katze ""Möhre""",0.5000\r\n'
        "quiet.wav,,,,\r\n"
    )
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert rows[1] == {
        "filename": '1, "2".wav',
        "onset": "0.994",
        "offset": "2.650",
        "event_label": CAT,
        "score": "0.5000",
    }


@pytest.mark.parametrize("name", ["tsv", "csv"])
def test_a_list_keeps_the_rows_of_earlier_runs(name: str, tmp_path: Path) -> None:
    for medium in ('"a".wav', "b.wav", '"a".wav'):
        results = ResultsFolder(tmp_path, [name])  # type: ignore[list-item]
        results.add(predicted(medium, EVENTS[:2]))
        results.write_lists()
    both = ResultsFolder(tmp_path / "new", [name])  # type: ignore[list-item]
    (tmp_path / "new").mkdir()
    for medium in ('"a".wav', "b.wav"):
        both.add(predicted(medium, EVENTS[:2]))
    both.write_lists()
    file_name = f"events.{name}"
    assert (tmp_path / file_name).read_bytes() == (tmp_path / "new" / file_name).read_bytes()


def test_media_of_one_stem_have_files_of_their_own(tmp_path: Path) -> None:
    results = ResultsFolder(tmp_path, list(FILE_FORMATS))  # type: ignore[arg-type]
    for name in ("a.wav", "a.mp4", "quiet.wav"):
        results.add(predicted(name, () if name == "quiet.wav" else EVENTS))
    assert len(list(tmp_path.iterdir())) == 3 * len(FILE_FORMATS)


def test_audacity_gets_a_label_a_line() -> None:
    first, *_ = to_audacity(predicted()).splitlines()
    assert first == "0.662443\t1.324887\tDog"
    assert to_audacity(predicted(events=())) == ""


# The columns of every selection table that Raven Pro saves, separated by tabs.
RAVEN_REQUIRED = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
)


def test_raven_gets_the_columns_that_it_requires() -> None:
    header, *rows = (line.split("\t") for line in to_raven(predicted()).splitlines())
    assert tuple(header[:7]) == RAVEN_REQUIRED
    assert len(rows) == len(EVENTS)
    assert rows[1] == [
        *("2", "Spectrogram 1", "1", "0.993665", "2.649774", "0.0", "11050.0"),
        *("a.wav", CAT, "0.5000"),
    ]
    assert to_raven(predicted(events=())) == "\t".join(header) + "\n"


def test_crowsetta_reads_the_selection_table(tmp_path: Path) -> None:
    crowsetta = pytest.importorskip("crowsetta")
    path = tmp_path / "a.wav.selections.txt"
    path.write_text(to_raven(predicted()), "utf-8")
    raven = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Annotation")
    boxes = raven.to_bbox()
    assert [box.label for box in boxes] == [event.label for event in EVENTS]
    assert [box.onset for box in boxes] == pytest.approx([e.onset for e in EVENTS], abs=1e-6)


def read_intervals(textgrid: str) -> dict[str, list[tuple[float, float, str]]]:
    """Read the tiers of a TextGrid in long format."""
    tiers = {}
    for tier in textgrid.split("IntervalTier")[1:]:
        name, *texts = re.findall(r'(?:name|text) = "((?:[^"]|"")*)"', tier)
        times = [float(second) for second in re.findall(r"x(?:min|max) = (\S+)", tier)]
        assert int(re.findall(r"intervals: size = (\d+)", tier)[0]) == len(texts)
        tiers[name.replace('""', '"')] = [
            (onset, offset, text.replace('""', '"'))
            for onset, offset, text in zip(times[2::2], times[3::2], texts, strict=True)
        ]
    return tiers


@pytest.mark.parametrize("events", [EVENTS, ()])
def test_tiers_of_a_textgrid_cover_the_whole_time(events: tuple[DetectedEvent, ...]) -> None:
    tiers = read_intervals(to_textgrid(predicted(events=events)))
    assert list(tiers) == list(CLASSES)
    for label, intervals in tiers.items():
        assert intervals[0][0] == 0 and intervals[-1][1] == 3.95
        for (onset, offset, _), (following, *_) in zip(
            intervals, [*intervals[1:], (3.95, 0, "")], strict=True
        ):
            assert onset < offset == following
        found = [e for e in intervals if e[2]]
        assert [text for *_, text in found] == [label] * len(found)
        expected = [(e.onset, e.offset) for e in events if e.label == label]
        for (onset, offset, _), times in zip(found, expected, strict=True):
            assert (onset, offset) == pytest.approx(times, abs=1e-6)


def test_events_that_touch_but_for_rounding_touch_in_a_textgrid() -> None:
    apart = (
        DetectedEvent(onset=1.0, offset=2.0, label=DOG, score=0.9),
        DetectedEvent(onset=2.0000004, offset=3.0, label=DOG, score=0.9),
    )
    assert read_intervals(to_textgrid(predicted(events=apart)))[DOG] == [
        (0.0, 1.0, ""),
        (1.0, 2.0, DOG),
        (2.0, 3.0, DOG),
        (3.0, 3.95, ""),
    ]


@pytest.mark.parametrize("events", [EVENTS, ()])
def test_praat_reads_the_textgrid(events: tuple[DetectedEvent, ...], tmp_path: Path) -> None:
    parselmouth = pytest.importorskip("parselmouth")
    path = tmp_path / "a.TextGrid"
    path.write_text(to_textgrid(predicted(events=events)), "utf-8")
    grid = parselmouth.read(str(path))
    assert parselmouth.praat.call(grid, "Get end time") == 3.95
    for number, label in enumerate(CLASSES, start=1):
        assert parselmouth.praat.call(grid, "Get tier name", number) == label
        n_intervals = parselmouth.praat.call(grid, "Get number of intervals", number)
        texts = [
            parselmouth.praat.call(grid, "Get label of interval", number, interval + 1)
            for interval in range(n_intervals)
        ]
        assert texts.count(label) == sum(e.label == label for e in events)
        assert set(texts) <= {label, ""}


def test_webvtt_has_hours_overlapping_cues_and_escapes() -> None:
    late = DetectedEvent(onset=3599.9996, offset=360_000.5, label=HOSTILE, score=0.756)
    assert to_webvtt(predicted(events=(*EVENTS[:2], late))) == (
        "WEBVTT\n\n"
        "00:00:00.662 --> 00:00:01.325\nDog 0.91\n\n"
        '00:00:00.994 --> 00:00:02.650\nKatze "Möhre" 0.50\n\n'
        "01:00:00.000 --> 100:00:00.500\nA --&gt; B &amp; &lt;i&gt; 0.76\n"
    )
    assert to_webvtt(predicted(events=())) == "WEBVTT\n"


def test_a_cue_ends_after_it_starts() -> None:
    short = DetectedEvent(onset=3.9412, offset=3.9414, label=DOG, score=0.9)
    assert "00:00:03.941 --> 00:00:03.942" in to_webvtt(predicted(events=(short,)))


@pytest.mark.parametrize("events", [EVENTS, ()])
def test_webvtt_py_reads_the_track(events: tuple[DetectedEvent, ...], tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    path = tmp_path / "a.vtt"
    path.write_text(to_webvtt(predicted(events=events)), "utf-8")
    captions = webvtt.read(str(path))
    assert len(captions) == len(events)
    for caption, expected in zip(captions, events, strict=True):
        assert caption.start_in_seconds == pytest.approx(expected.onset, abs=1.0)
