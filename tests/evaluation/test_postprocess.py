"""Thresholds, median filter, and conversion of frames to events."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import (
    DetectedEvent,
    Filters,
    decide,
    decide_tags,
    decisions_to_events,
    detect_events,
    make_filters,
    smooth,
)
from avsed.framing import FRAME_HOP, N_FRAMES
from avsed.params import PAPER_POSTPROCESS, EventSettings


def filters(
    median: int | Sequence[int],
    largest_gap: int | Sequence[int] = 0,
    shortest_event: int | Sequence[int] = 0,
) -> Filters:
    """Return filters, of which one number is for all of up to four classes."""
    of_median, of_gaps, of_events = (
        np.array([length] * 4 if isinstance(length, int) else length)
        for length in (median, largest_gap, shortest_event)
    )
    return Filters(median=of_median, largest_gap=of_gaps, shortest_event=of_events)


def one_class(*active: int, n_frames: int = 40) -> NDArray[np.float64]:
    """Return scores of 0.9 in the given frames and 0.1 elsewhere; (T, 1)."""
    scores = np.full((n_frames, 1), 0.1)
    scores[list(active)] = 0.9
    return scores


def active_frames(scores: NDArray[np.float64], *, n_valid: int | None = None) -> list[int]:
    decisions = decide(scores, threshold=0.5, filters=filters(7), n_valid=n_valid or len(scores))
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
    decisions = decide(scores, threshold=0.5, filters=filters(1), n_valid=1)
    assert decisions.tolist() == [[False, True]]
    assert decide_tags(scores[0], threshold=0.5, classes=("Cat", "Dog")) == ("Dog",)


def test_each_class_may_have_a_threshold_of_its_own() -> None:
    scores = np.array([[0.4, 0.4]])
    thresholds = np.array([0.3, 0.5])
    assert decide_tags(scores[0], threshold=thresholds, classes=("Cat", "Dog")) == ("Cat",)
    decisions = decide(scores, threshold=thresholds, filters=filters(1), n_valid=1)
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
    smoothed = smooth(scores, filters=filters(7), n_valid=n_valid)
    decisions = decide(scores, threshold=threshold, filters=filters(7), n_valid=n_valid)
    assert smoothed.shape == (n_valid, 3)
    assert (decisions[:n_valid] == (smoothed > threshold)).all()


def test_a_score_that_is_nan_is_not_smoothed_away() -> None:
    scores = np.array([[0.1], [np.nan], [0.1]])
    with pytest.raises(ValueError, match="a score is NaN"):
        smooth(scores, filters=filters(3), n_valid=3)


@pytest.mark.parametrize("n_active", [1, 2, 3])
def test_median_filter_of_seven_removes_up_to_three_frames(n_active: int) -> None:
    assert active_frames(one_class(*range(20, 20 + n_active))) == []


def test_median_filter_of_seven_keeps_four_frames() -> None:
    assert active_frames(one_class(20, 21, 22, 23)) == [20, 21, 22, 23]


def test_two_frames_at_the_edge_survive_by_reflection() -> None:
    # Frame 0 sees 2 1 0 | 0 1 2 3: four of seven are active; frame 1 sees 1 0 | 0 1 2 3 4: four.
    assert active_frames(one_class(0, 1)) == [0, 1]


@pytest.mark.parametrize("size", [1, 3, 7, 11, 21, 41])
@pytest.mark.parametrize("n_frames", [1, 2, 4, 5, 151])
def test_decisions_equal_a_literal_median_filter(size: int, n_frames: int) -> None:
    scores = np.random.default_rng(size * n_frames).random((n_frames, 3))
    decisions = decide(scores, threshold=0.4, filters=filters(size), n_valid=n_frames)
    np.testing.assert_array_equal(decisions, literal_median(scores > 0.4, size))


def test_padding_is_inactive_whatever_its_scores() -> None:
    scores = np.full((40, 1), 0.9)
    assert active_frames(scores, n_valid=25) == list(range(25))


def test_padding_changes_no_decision_on_the_clip() -> None:
    scores = np.random.default_rng(0).random((40, 4))
    padded = scores.copy()
    padded[25:] = np.nan
    alone = decide(scores[:25], threshold=0.5, filters=filters(7), n_valid=25)
    decisions = decide(padded, threshold=0.5, filters=filters(7), n_valid=25)
    np.testing.assert_array_equal(decisions[:25], alone)


def test_scores_in_single_precision_are_decided_alike() -> None:
    scores = np.random.default_rng(1).random((151, 4), dtype=np.float32)
    single = decide(scores, threshold=0.5, filters=filters(7), n_valid=151)
    double = decide(scores.astype(np.float64), threshold=0.5, filters=filters(7), n_valid=151)
    np.testing.assert_array_equal(single, double)


def literal_gaps_and_events(
    decisions: NDArray[np.bool_], largest_gap: int, shortest_event: int
) -> NDArray[np.bool_]:
    """Fill gaps between runs, then drop runs, one after the other."""
    filtered = decisions.copy()
    for column in filtered.T:
        for value, is_filled, limit in (
            (False, True, largest_gap),
            (True, False, shortest_event - 1),
        ):
            edges = np.flatnonzero(np.diff(column, prepend=not column[0], append=not column[-1]))
            for first, end in pairwise(edges):
                is_gap = not value and first > 0 and end < len(column)
                if column[first] == value and end - first <= limit and (value or is_gap):
                    column[first:end] = is_filled
    return filtered


@pytest.mark.parametrize(
    ("largest_gap", "shortest_event"), [(0, 3), (2, 0), (1, 2), (3, 4), (9, 12)]
)
@pytest.mark.parametrize("n_frames", [1, 2, 12, 151])
def test_gaps_are_filled_then_short_events_dropped(
    n_frames: int, largest_gap: int, shortest_event: int
) -> None:
    scores = np.random.default_rng(n_frames + largest_gap).random((n_frames, 4))
    of_case = filters(1, largest_gap, shortest_event)
    for threshold in (0.3, 0.5, 0.8):
        decisions = decide(scores, threshold=threshold, filters=of_case, n_valid=n_frames)
        expected = literal_gaps_and_events(scores > threshold, largest_gap, shortest_event)
        np.testing.assert_array_equal(decisions, expected)
        smoothed = smooth(scores, filters=of_case, n_valid=n_frames)
        np.testing.assert_array_equal(decisions, smoothed > threshold)


def test_each_class_may_have_filters_of_its_own() -> None:
    scores = np.tile(one_class(3, 4, 5, 7, 20), 4)
    decisions = decide(
        scores,
        threshold=0.5,
        filters=filters([1, 1, 3, 1], [0, 1, 0, 1], [0, 0, 0, 6]),
        n_valid=40,
    )
    active = [np.flatnonzero(column).tolist() for column in decisions.T]
    # As they are; the gap filled; lone frames dropped and the gap filled; a run of 5 dropped.
    assert active == [[3, 4, 5, 7, 20], [3, 4, 5, 6, 7, 20], [3, 4, 5, 6], []]


def test_boxes_take_the_place_of_the_median_filter() -> None:
    """A threshold drops or keeps a box as a whole."""
    scores = np.tile(one_class(*range(10, 20)), 2)
    scores[20:30] = 0.6
    scores[35:38] = 0.75  # too short for the median filter
    scores[36] = 0.6
    settings = EventSettings(
        method="boxes", median_filter_frames=9, step_filter_frames=4, merge_absolute=0.2
    )
    expected = {(10, 20): 0.9, (22, 30): 0.6, (35, 38): (0.75 + 0.6 + 0.75) / 3}
    for threshold, n_found in ((0.5, 3), (0.65, 2), (0.72, 1), (0.9, 0)):
        events = detect_events(
            scores,
            classes=("Cat", "Dog"),
            threshold=np.array([threshold, 1.0]),
            settings=settings,
            n_valid=40,
            duration=2.65,
        )
        found = {
            (round(event.onset / FRAME_HOP), round(event.offset / FRAME_HOP)): event.score
            for event in events
            if event.label == "Cat"
        }
        above = {span: score for span, score in expected.items() if score > threshold}
        assert len(found) == len(events) == n_found
        assert found == pytest.approx(above)


@pytest.mark.parametrize("n_valid", [1, 40, 151])
def test_boxes_smooth_scores_as_they_decide(n_valid: int) -> None:
    scores = np.random.default_rng(3).random((151, 2))
    settings = EventSettings(
        method="boxes", median_filter_frames=7, max_gap=0.2, min_event=0.2, step_filter_frames=6
    )
    of_case = make_filters(settings, ("Cat", "Dog"))
    smoothed = smooth(scores, filters=of_case, n_valid=n_valid)
    for threshold in (0.2, 0.5, 0.7):
        decisions = decide(scores, threshold=threshold, filters=of_case, n_valid=n_valid)
        np.testing.assert_array_equal(decisions[:n_valid], smoothed > threshold)
        assert not decisions[n_valid:].any()


def test_seconds_become_whole_frames() -> None:
    """3 frames last 198.7 ms, 4 last 265.0 ms."""
    settings = EventSettings(
        median_filter_frames={"Dog": 3, "Cat": 5},
        max_gap=0.2,
        min_event={"Cat": 0.2, "Dog": 3 * FRAME_HOP},
    )
    found = make_filters(settings, ("Cat", "Dog"))
    assert found.median.tolist() == [5, 3]
    assert found.largest_gap.tolist() == [3, 3]
    assert found.shortest_event.tolist() == [4, 3]


@pytest.mark.parametrize(
    ("by_class", "message"),
    [
        ({"Cat": 0.1}, "postprocess.max_gap: class Dog is missing; give one number for all cl"),
        ({"Cat": 0.1, "Dgo": 0.1, "Dog": 0.1}, "postprocess.max_gap: class Dgo is unknown; give"),
    ],
)
def test_a_setting_of_other_classes_is_refused(by_class: dict[str, float], message: str) -> None:
    with pytest.raises(AvsedError, match=message):
        make_filters(EventSettings(median_filter_frames=7, max_gap=by_class), ("Cat", "Dog"))


def test_nan_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        active_frames(np.array([[0.2], [np.nan]]))
    with pytest.raises(ValueError, match="NaN"):
        decide_tags(np.array([np.nan]), threshold=0.5, classes=("Cat",))


@pytest.mark.parametrize("size", [0, -1, 6])
def test_a_filter_length_that_is_not_odd_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        decide(one_class(), threshold=0.5, filters=filters(size), n_valid=40)


@pytest.mark.parametrize("n_valid", [0, 41])
def test_a_count_of_valid_frames_outside_the_clip_is_refused(n_valid: int) -> None:
    with pytest.raises(ValueError, match=f"n_valid is {n_valid}; it must be from 1 to 40"):
        decide(one_class(), threshold=0.5, filters=filters(7), n_valid=n_valid)


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


@pytest.mark.parametrize("duration", [10.0, 9.98])
def test_an_event_in_the_last_frame_ends_with_the_clip(duration: float) -> None:
    events = detect_events(
        np.ones((N_FRAMES, 1), dtype=np.float32),
        classes=("Dog",),
        threshold=0.5,
        settings=PAPER_POSTPROCESS,
        n_valid=N_FRAMES,
        duration=duration,
    )
    assert events == (DetectedEvent(onset=0.0, offset=duration, label="Dog", score=1.0),)


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
    events = detect_events(
        scores,
        classes=("Cat",),
        threshold=0.5,
        settings=PAPER_POSTPROCESS,
        n_valid=25,
        duration=1.65,
    )
    # Of 15 frames, which the median filter joined, 3 have a score of 0.1 and 12 one of 0.9.
    (event,) = events
    assert (event.onset, event.offset, event.label) == (10 * FRAME_HOP, 1.65, "Cat")
    assert event.score == pytest.approx((3 * 0.1 + 12 * 0.9) / 15)


def test_tags_keep_the_order_of_the_classes() -> None:
    scores = np.array([0.9, 0.2, 0.7])
    assert decide_tags(scores, threshold=0.5, classes=("Dog", "Cat", "Blender")) == (
        "Dog",
        "Blender",
    )
