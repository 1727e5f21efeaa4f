"""Seconds, samples and frames."""

import pytest

from avsed.framing import (
    FRAME_HOP,
    N_FRAMES,
    N_SPECTRAL_FRAMES,
    event_frames,
    frame_onset,
    valid_frames,
)


def test_ten_seconds_have_the_papers_604_and_151_frames() -> None:
    assert N_SPECTRAL_FRAMES == 604
    assert N_FRAMES == 151
    assert pytest.approx(0.06624, abs=1e-5) == FRAME_HOP


def test_ten_seconds_fill_all_frames() -> None:
    assert valid_frames(10.0) == 151
    assert valid_frames(11.0) == 151


@pytest.mark.parametrize(("duration", "expected"), [(0.01, 1), (0.0663, 1), (0.07, 2), (5.0, 76)])
def test_a_short_clip_has_the_frames_that_it_reaches_into(duration: float, expected: int) -> None:
    assert valid_frames(duration) == expected


@pytest.mark.parametrize(
    ("onset", "offset", "first", "stop"),
    [
        (0.0, 10.0, 0, 151),
        (0.07, 0.2, 1, 4),  # frames 1, 2 and 3 start at 0.066, 0.132 and 0.199 s
        (0.0663, 0.1325, 1, 2),  # the borders, rounded as lists do
        (0.02, 0.03, 0, 1),
        (0.0001, 0.0002, 0, 1),
        (9.99, 12.0, 150, 151),
        (12.0, 13.0, 181, 151),  # empty
    ],
)
def test_an_event_covers_the_frames_that_it_reaches_into(
    onset: float, offset: float, first: int, stop: int
) -> None:
    assert event_frames(onset, offset) == slice(first, stop)


def test_an_event_until_the_end_of_a_clip_covers_its_last_frame() -> None:
    for duration in (0.5, 3.337, 8.0, 9.999):
        assert event_frames(0.0, duration).stop == valid_frames(duration)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan")])
def test_a_duration_that_is_not_positive_is_rejected(duration: float) -> None:
    with pytest.raises(ValueError, match="longer than 0 s"):
        valid_frames(duration)


def test_a_frame_starts_where_the_one_before_ends() -> None:
    assert frame_onset(0) == 0.0
    assert frame_onset(31) == pytest.approx(31 * 4 * 366 / 22100)
