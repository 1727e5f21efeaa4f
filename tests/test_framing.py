"""Seconds, samples and frames."""

import pytest

from avsed.framing import FRAME_HOP, N_FRAMES, N_SPECTRAL_FRAMES, frame_onset, valid_frames


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


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan")])
def test_a_duration_that_is_not_positive_is_rejected(duration: float) -> None:
    with pytest.raises(ValueError, match="longer than 0 s"):
        valid_frames(duration)


def test_a_frame_starts_where_the_one_before_ends() -> None:
    assert frame_onset(0) == 0.0
    assert frame_onset(31) == pytest.approx(31 * 4 * 366 / 22100)
