"""Clips of 10 s and their events."""

import pytest

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError
from avsed.labels.cleaning import make_clip
from avsed.labels.recordings import Remarks
from avsed.labels.windows import Window, cut_annotations, plan_windows


def spans(duration: float, shortest: float = 1.0) -> list[tuple[float, float]]:
    return [(window.onset, window.offset) for window in plan_windows(duration, shortest)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (10.0, [(0, 10)]),
        (0.4, [(0, 0.4)]),  # all there is
        (10.999, [(0, 10)]),
        (11.0, [(0, 10), (10, 11)]),
        (23.4567, [(0, 10), (10, 20), (20, 23.456)]),
    ],
)
def test_windows_cover_a_recording_but_for_a_short_rest(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    assert spans(duration) == expected


def test_the_shortest_rest_can_be_chosen() -> None:
    assert spans(12.0, shortest=2.5) == [(0, 10)]
    assert spans(10.002, shortest=0.001) == [(0, 10), (10, 10.002)]


Times = tuple[float, float, str]


def cut(*times: Times) -> tuple[dict[str, list[Times]], Remarks]:
    """Cut the events of a recording of 21.5 s into clips."""
    remarks = Remarks()
    events = [Event(onset=onset, offset=offset, label=label) for onset, offset, label in times]
    recording = make_clip("a", events)
    clips = cut_annotations(recording, plan_windows(21.5, 1.0), remarks)
    return {
        clip.clip_id: [(event.onset, event.offset, event.label) for event in clip.events or ()]
        for clip in clips
    }, remarks


def test_events_are_shifted_and_those_across_a_border_are_in_both_clips() -> None:
    clips, remarks = cut((1.0, 2.5, "Dog"), (8.5, 12.3, "Cat"), (5.0, 21.0, "Rain"))
    assert clips == {
        "a_0000.000_0010.000": [(1.0, 2.5, "Dog"), (5.0, 10.0, "Rain"), (8.5, 10.0, "Cat")],
        "a_0010.000_0020.000": [(0.0, 2.3, "Cat"), (0.0, 10.0, "Rain")],
        "a_0020.000_0021.500": [(0.0, 1.0, "Rain")],
    }
    assert list(remarks.counts.values()) == [2]


def test_slivers_at_a_border_are_dropped_but_short_events_are_kept() -> None:
    clips, remarks = cut((9.0, 10.04, "Dog"), (9.98, 10.02, "Click"), (10.0, 10.01, "Click"))
    assert clips["a_0000.000_0010.000"] == [(9.0, 10.0, "Dog"), (9.98, 10.0, "Click")]
    assert clips["a_0010.000_0020.000"] == [(0.0, 0.02, "Click"), (0.0, 0.01, "Click")]
    assert remarks.counts["dropped pieces of events shorter than 0.05 s at a border"] == 1


def test_an_event_that_ends_at_a_border_is_in_one_clip() -> None:
    clips, remarks = cut((9.0, 10.0, "Dog"), (10.0, 11.0, "Cat"))
    assert clips["a_0000.000_0010.000"] == [(9.0, 10.0, "Dog")]
    assert clips["a_0010.000_0020.000"] == [(0.0, 1.0, "Cat")]
    assert not remarks.counts


def test_events_after_the_last_clip_are_counted() -> None:
    clips, remarks = cut((21.6, 22.0, "Dog"))
    assert not any(clips.values())
    assert remarks.lines() == [
        "dropped events after the last clip of a recording: 1 (a at 21.6 s: Dog)"
    ]


def test_two_events_that_become_one_are_listed_once() -> None:
    clips, _ = cut((1.0, 10.0, "Dog"), (1.0, 10.02, "Dog"))
    assert clips["a_0000.000_0010.000"] == [(1.0, 10.0, "Dog")]


def test_a_name_too_long_for_its_clips_is_refused() -> None:
    window = Window(onset=0.0, offset=10.0)
    assert len(f"{window.clip_id('a' * 230)}.flac") <= 255
    with pytest.raises(AvsedError, match="rename the recording to at most 230 characters"):
        window.clip_id("a" * 231)
