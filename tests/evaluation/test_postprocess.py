"""Thresholds, median filter, and conversion of frames to events."""

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.evaluation.postprocess import (
    decide,
    decide_tags,
    decisions_to_events,
    scores_to_events,
    smooth,
)
from avsed.framing import FRAME_HOP, N_FRAMES


def one_class(*active: int, n_frames: int = 40) -> NDArray[np.float64]:
    """Return scores of 0.9 in the given frames and 0.1 elsewhere; (T, 1)."""
    scores = np.full((n_frames, 1), 0.1)
    scores[list(active)] = 0.9
    return scores


def active_frames(scores: NDArray[np.float64], *, n_valid: int | None = None) -> list[int]:
    decisions = decide(
        scores, threshold=0.5, median_filter_frames=7, n_valid=n_valid or len(scores)
    )
    frames: list[int] = np.flatnonzero(decisions[:, 0]).tolist()
    return frames


def literal_median(decisions: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Compute each frame's majority, with edges mirrored as (d c b a | a b c d | d c b a)."""
    n_frames, n_classes = decisions.shape
    filtered = np.zeros_like(decisions)
    for k in range(n_classes):
        for frame in range(n_frames):
            votes = 0
            for neighbor in range(frame - size // 2, frame + size // 2 + 1):
                mirrored = neighbor % (2 * n_frames)
                if mirrored >= n_frames:
                    mirrored = 2 * n_frames - 1 - mirrored
                votes += int(decisions[mirrored, k])
            filtered[frame, k] = votes > size // 2
    return filtered


def test_a_score_equal_to_the_threshold_is_inactive() -> None:
    scores = np.array([[0.5, 0.5001]])
    decisions = decide(scores, threshold=0.5, median_filter_frames=1, n_valid=1)
    assert decisions.tolist() == [[False, True]]
    assert decide_tags(scores[0], threshold=0.5, classes=("Cat", "Dog")) == ("Dog",)


def test_each_class_may_have_a_threshold_of_its_own() -> None:
    scores = np.array([[0.4, 0.4]])
    thresholds = np.array([0.3, 0.5])
    assert decide_tags(scores[0], threshold=thresholds, classes=("Cat", "Dog")) == ("Cat",)
    decisions = decide(scores, threshold=thresholds, median_filter_frames=1, n_valid=1)
    assert decisions.tolist() == [[True, False]]


def test_median_filter_fills_a_gap_of_three_frames() -> None:
    before, after = range(10, 16), range(19, 25)
    assert active_frames(one_class(*before, *after)) == list(range(10, 25))


def test_median_filter_keeps_a_gap_of_four_frames() -> None:
    before, after = range(10, 16), range(20, 26)
    assert active_frames(one_class(*before, *after)) == [*before, *after]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.83])
@pytest.mark.parametrize("n_valid", [1, 4, 40])
def test_smoothed_scores_give_the_same_decisions_at_any_threshold(
    threshold: float, n_valid: int
) -> None:
    scores = np.random.default_rng(0).random((40, 3))
    smoothed = smooth(scores, median_filter_frames=7, n_valid=n_valid)
    decisions = decide(scores, threshold=threshold, median_filter_frames=7, n_valid=n_valid)
    assert smoothed.shape == (n_valid, 3)
    assert (decisions[:n_valid] == (smoothed > threshold)).all()


def test_a_score_that_is_nan_is_not_smoothed_away() -> None:
    scores = np.array([[0.1], [np.nan], [0.1]])
    with pytest.raises(ValueError, match="a score is NaN"):
        smooth(scores, median_filter_frames=3, n_valid=3)


@pytest.mark.parametrize("n_active", [1, 2, 3])
def test_median_filter_of_seven_removes_up_to_three_frames(n_active: int) -> None:
    assert active_frames(one_class(*range(20, 20 + n_active))) == []


def test_median_filter_of_seven_keeps_four_frames() -> None:
    assert active_frames(one_class(20, 21, 22, 23)) == [20, 21, 22, 23]


def test_two_frames_at_the_edge_survive_by_reflection() -> None:
    # Frame 0 sees 2 1 0 | 0 1 2 3: four of seven are active; frame 1 sees 1 0 | 0 1 2 3 4: four.
    assert active_frames(one_class(0, 1)) == [0, 1]


@pytest.mark.parametrize("size", [1, 3, 7, 11])
@pytest.mark.parametrize("n_frames", [1, 2, 5, 151])
def test_decisions_equal_a_literal_median_filter(size: int, n_frames: int) -> None:
    scores = np.random.default_rng(size * n_frames).random((n_frames, 3))
    decisions = decide(scores, threshold=0.4, median_filter_frames=size, n_valid=n_frames)
    np.testing.assert_array_equal(decisions, literal_median(scores > 0.4, size))


def test_padding_is_inactive_whatever_its_scores() -> None:
    scores = np.full((40, 1), 0.9)
    assert active_frames(scores, n_valid=25) == list(range(25))


def test_padding_changes_no_decision_on_the_clip() -> None:
    scores = np.random.default_rng(0).random((40, 4))
    padded = scores.copy()
    padded[25:] = np.nan
    alone = decide(scores[:25], threshold=0.5, median_filter_frames=7, n_valid=25)
    decisions = decide(padded, threshold=0.5, median_filter_frames=7, n_valid=25)
    np.testing.assert_array_equal(decisions[:25], alone)


def test_scores_in_single_precision_are_decided_alike() -> None:
    scores = np.random.default_rng(1).random((151, 4), dtype=np.float32)
    single = decide(scores, threshold=0.5, median_filter_frames=7, n_valid=151)
    double = decide(scores.astype(np.float64), threshold=0.5, median_filter_frames=7, n_valid=151)
    np.testing.assert_array_equal(single, double)


def test_nan_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        active_frames(np.array([[0.2], [np.nan]]))
    with pytest.raises(ValueError, match="NaN"):
        decide_tags(np.array([np.nan]), threshold=0.5, classes=("Cat",))


@pytest.mark.parametrize("size", [0, -1, 6])
def test_a_filter_length_that_is_not_odd_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        decide(one_class(), threshold=0.5, median_filter_frames=size, n_valid=40)


@pytest.mark.parametrize("n_valid", [0, 41])
def test_a_count_of_valid_frames_outside_the_clip_is_refused(n_valid: int) -> None:
    with pytest.raises(ValueError, match=f"n_valid is {n_valid}; it must be from 1 to 40"):
        decide(one_class(), threshold=0.5, median_filter_frames=7, n_valid=n_valid)


def test_a_run_lasts_from_its_first_frame_to_the_end_of_its_last() -> None:
    decisions = np.zeros((151, 1), dtype=bool)
    decisions[10:15] = True
    (event,) = decisions_to_events(decisions, classes=("Dog",), duration=10.0)
    assert event.onset == pytest.approx(0.6624, abs=1e-4)  # 10 x 66.24 ms
    assert event.offset == pytest.approx(0.9937, abs=1e-4)  # 15 x 66.24 ms


def test_events_are_sorted_by_onset_then_label() -> None:
    decisions = np.zeros((20, 2), dtype=bool)
    decisions[[0, 1, 8], 0] = True
    decisions[[0, 4, 5], 1] = True
    events = decisions_to_events(decisions, classes=("Dog", "Cat"), duration=10.0)
    assert [(round(event.onset / FRAME_HOP), event.label) for event in events] == [
        (0, "Cat"),
        (0, "Dog"),
        (4, "Cat"),
        (8, "Dog"),
    ]


@pytest.mark.parametrize(("duration", "offset"), [(10.0, 10.0), (10.03, 10.0), (9.98, 9.98)])
def test_an_event_in_the_last_frame_ends_with_the_clip(duration: float, offset: float) -> None:
    events = scores_to_events(
        np.ones((N_FRAMES, 1), dtype=np.float32),
        classes=("Dog",),
        threshold=0.5,
        median_filter_frames=7,
        n_valid=N_FRAMES,
        duration=duration,
    )
    assert events == (Event(onset=0.0, offset=offset, label="Dog"),)


def test_events_of_longer_media_end_with_them() -> None:
    decisions = np.zeros((300, 2), dtype=bool)
    decisions[10:20, 1] = decisions[140:290, 0] = decisions[295:, 1] = True
    assert decisions_to_events(decisions, classes=("Cat", "Dog"), duration=19.8) == (
        Event(onset=10 * FRAME_HOP, offset=20 * FRAME_HOP, label="Dog"),
        Event(onset=140 * FRAME_HOP, offset=290 * FRAME_HOP, label="Cat"),
        Event(onset=295 * FRAME_HOP, offset=19.8, label="Dog"),
    )


def test_a_run_behind_the_end_of_the_clip_is_no_event() -> None:
    decisions = np.zeros((N_FRAMES, 1), dtype=bool)
    decisions[100:] = True  # from 6.6 s
    assert decisions_to_events(decisions, classes=("Dog",), duration=5.0) == ()


def test_decisions_of_another_number_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        decisions_to_events(np.ones((5, 3), dtype=bool), classes=("Cat", "Dog"), duration=1.0)


@pytest.mark.parametrize("seed", range(5))
def test_events_cover_exactly_the_active_frames(seed: int) -> None:
    decisions = np.random.default_rng(seed).random((N_FRAMES, 3)) > 0.5
    events = decisions_to_events(decisions, classes=("A", "B", "C"), duration=10.0)
    covered = np.zeros_like(decisions)
    for event in events:
        first, end = round(event.onset / FRAME_HOP), round(event.offset / FRAME_HOP)
        assert not covered[max(first - 1, 0) : end + 1, "ABC".index(event.label)].any()
        covered[first:end, "ABC".index(event.label)] = True
    np.testing.assert_array_equal(covered, decisions)


def test_scores_become_events_of_the_clip_alone() -> None:
    scores = one_class(3, *range(10, 14), *range(17, 30))  # a lone frame, and a gap of three
    events = scores_to_events(
        scores,
        classes=("Cat",),
        threshold=0.5,
        median_filter_frames=7,
        n_valid=25,
        duration=1.65,
    )
    assert events == (Event(onset=10 * FRAME_HOP, offset=1.65, label="Cat"),)


def test_tags_keep_the_order_of_the_classes() -> None:
    scores = np.array([0.9, 0.2, 0.7])
    assert decide_tags(scores, threshold=0.5, classes=("Dog", "Cat", "Blender")) == (
        "Dog",
        "Blender",
    )
