"""PSDS against values by hand and against sed_scores_eval used directly."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sed_scores_eval.base_modules.detection import scores_to_event_list
from sed_scores_eval.intersection_based import psds

from avsed.dataset.annotations import Event
from avsed.evaluation.postprocess import scores_to_events, smooth
from avsed.evaluation.psds import _score_table, polyphonic_scores
from avsed.framing import FRAME_HOP, N_FRAMES, valid_frames

CLASSES = ("Cat", "Dog", "Speech")


def event(first: int, end: int, label: str = "Cat") -> Event:
    """Last exactly from one frame to before another."""
    return Event(onset=first * FRAME_HOP, offset=end * FRAME_HOP, label=label)


def frames(*active: tuple[int, int, float], column: int = 0) -> NDArray[np.float64]:
    """Score frames of one class from, up to, with; all others 0.01. (T, K)."""
    scores = np.full((N_FRAMES, len(CLASSES)), 0.01)
    for first, end, score in active:
        scores[first:end, column] = score
    return scores


def score(
    frame_scores: dict[str, NDArray[np.float64]],
    reference: dict[str, list[Event]],
    *,
    duration: float = 10.0,
) -> dict[str, float]:
    return polyphonic_scores(
        frame_scores, reference, CLASSES, durations=dict.fromkeys(reference, duration)
    )


def test_scores_that_say_what_is_annotated_are_perfect() -> None:
    reference = {"a": [event(30, 60)], "quiet": []}
    assert score({"a": frames((30, 60, 0.7)), "quiet": frames()}, reference) == {
        "psds1": 1.0,
        "psds2": 1.0,
    }


@pytest.mark.parametrize(("duration", "expected"), [(10.0, 0.64), (5.0, 0.28)])
def test_a_false_alarm_above_the_event_costs_its_rate_by_hand(
    duration: float, expected: float
) -> None:
    # Of 10 clips one has the event, at 0.5, and another a false alarm, at 0.9. It comes once in
    # 100 s, 36 times an hour: everything is found from 36 of 100 false alarms an hour on.
    n_frames = valid_frames(duration)
    clips = {f"clip{i}": frames()[:n_frames] for i in range(10)}
    clips["clip3"] = frames((10, 40, 0.5))[:n_frames]
    clips["clip7"] = frames((20, 50, 0.9))[:n_frames]
    reference: dict[str, list[Event]] = {clip_id: [] for clip_id in clips}
    reference["clip3"] = [event(10, 40)]
    scores = score(clips, reference, duration=duration)
    assert scores == {"psds1": pytest.approx(expected), "psds2": pytest.approx(expected)}


def test_times_count_more_in_the_first_than_in_the_second() -> None:
    # A third of the event is found: more than 10%, less than 70%.
    scores = score({"a": frames((30, 40, 0.9))}, {"a": [event(30, 60)]})
    assert scores == {"psds1": 0.0, "psds2": 1.0}


def test_a_class_never_found_costs_its_share_and_the_deviation() -> None:
    # Rates of 1 and 0: mean 1/2 less a deviation of 1/2.
    reference = {"a": [event(30, 60), event(90, 100, "Dog")]}
    assert score({"a": frames((30, 60, 0.9))}, reference)["psds1"] == 0.0


def test_a_class_without_events_is_left_out() -> None:
    reference = {"a": [event(30, 60)], "b": [event(90, 120, "Dog")]}
    clips = {"a": frames((30, 60, 0.5)), "b": frames((90, 120, 0.5), column=1)}
    before = score(clips, reference)
    clips["b"][:30, 2] = 0.9
    assert score(clips, reference) == before == {"psds1": 1.0, "psds2": 1.0}


def test_events_of_a_class_that_overlap_or_touch_are_one() -> None:
    clips = {"a": frames((30, 60, 0.9))}
    parts = [event(30, 45), event(40, 50), event(42, 44), event(50, 60)]
    assert score(clips, {"a": parts}) == score(clips, {"a": [event(30, 60)]})
    apart = score({"a": frames((30, 45, 0.9))}, {"a": [event(30, 45), event(60, 75)]})
    assert apart["psds1"] == pytest.approx(0.5)


def test_the_scores_are_those_of_sed_scores_eval() -> None:
    rng = np.random.default_rng(0)
    times = np.minimum(np.arange(N_FRAMES + 1) * FRAME_HOP, 10.0)
    clips, reference, tables, truth = {}, {}, {}, {}
    for clip_id in "abcdefgh":
        scores = rng.random((N_FRAMES, 3)) * 0.5
        first = int(rng.integers(0, 100))
        label = CLASSES[int(rng.integers(2))]  # no Speech
        scores[first : first + 30, CLASSES.index(label)] += 0.6 * rng.random()
        clips[clip_id] = scores
        reference[clip_id] = [event(first, first + 28, label)]
        tables[clip_id] = pd.DataFrame(
            {"onset": times[:-1], "offset": times[1:], "Cat": scores[:, 0], "Dog": scores[:, 1]}
        )
        truth[clip_id] = [(first * FRAME_HOP, (first + 28) * FRAME_HOP, label)]
    durations = dict.fromkeys(clips, 10.0)
    first_scenario = psds(
        tables, truth, durations, dtc_threshold=0.7, gtc_threshold=0.7, alpha_st=1, max_efpr=100
    )
    second_scenario = psds(
        tables,
        truth,
        durations,
        dtc_threshold=0.1,
        gtc_threshold=0.1,
        cttc_threshold=0.3,
        alpha_ct=0.5,
        alpha_st=1,
        max_efpr=100,
    )
    assert 0 < first_scenario[0] < second_scenario[0] < 1
    assert score(clips, reference) == {"psds1": first_scenario[0], "psds2": second_scenario[0]}


@pytest.mark.parametrize("duration", [10.0, 9.97, 3.2])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.6])
def test_smoothed_scores_have_the_events_of_the_other_metrics(
    duration: float, threshold: float
) -> None:
    scores = np.random.default_rng(1).random((N_FRAMES, 3))
    n_valid = valid_frames(duration)
    smoothed = smooth(scores, median_filter_frames=7, n_valid=n_valid)
    detected = scores_to_event_list(_score_table(smoothed, list(CLASSES), duration), threshold)
    expected = scores_to_events(
        scores,
        classes=CLASSES,
        threshold=threshold,
        median_filter_frames=7,
        n_valid=n_valid,
        duration=duration,
    )
    assert detected == sorted((event.onset, event.offset, event.label) for event in expected)


def test_a_class_may_have_any_name() -> None:
    clips = {"a": np.tile(frames((30, 60, 0.9))[:, :1], 2)}
    events = [event(30, 60, "onset"), event(30, 60, "back\\slash")]
    names = ("onset", "back\\slash")
    found = polyphonic_scores(clips, {"a": events}, names, durations={"a": 10.0})
    assert found == {"psds1": 1.0, "psds2": 1.0}


def test_nothing_annotated_is_refused() -> None:
    with pytest.raises(ValueError, match="no event is annotated"):
        score({"a": frames()}, {"a": []})
