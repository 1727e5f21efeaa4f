"""PSDS against values computed by hand and by sed_scores_eval."""

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.annotations import Event
from avsed.evaluation.postprocess import detect_events, make_filters, smooth
from avsed.evaluation.psds import _stack, find_detections, polyphonic_scores
from avsed.framing import FRAME_HOP, N_FRAMES, valid_frames
from avsed.params import PAPER_POSTPROCESS
from tests.evaluation.psds_cases import (
    KINDS,
    REFERENCE_PATH,
    SEED,
    Case,
    digest,
    make_cases,
    score_with_sed_scores_eval,
)

CLASSES = ("Cat", "Dog", "Speech")


def event(first: int, end: int, label: str = "Cat") -> Event:
    """Return an event that lasts exactly from one frame to another."""
    return Event(onset=first * FRAME_HOP, offset=end * FRAME_HOP, label=label)


def frames(*active: tuple[int, int, float], column: int = 0) -> NDArray[np.float64]:
    """Return scores of runs of frames (first, end, score), and 0.01 elsewhere; (T, K)."""
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


def score_case(case: Case) -> dict[str, float]:
    return polyphonic_scores(
        case.frame_scores, case.reference, case.classes, durations=case.durations
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


@pytest.mark.parametrize(("n_frames", "expected"), [(3, 0.0), (2, 0.82)])
def test_a_false_alarm_in_an_event_of_another_class_counts_more(
    n_frames: int, expected: float
) -> None:
    # In 20 clips, a false alarm of 10 frames comes 18 times an hour. If 3 frames lie in an event of
    # a dog, 0.2 s long, it counts as another 1800 s / 0.2 s = 9000.
    clips = {f"clip{i}": frames() for i in range(20)}
    reference: dict[str, list[Event]] = {clip_id: [] for clip_id in clips}
    clips["clip3"] = frames((30, 60, 0.5))
    reference["clip3"] = [event(30, 60)]
    clips["clip7"] = np.maximum(frames((25, 35, 0.9)), frames((30, 30 + n_frames, 0.5), column=1))
    reference["clip7"] = [event(30, 30 + n_frames, "Dog")]
    scores = score(clips, reference)
    assert scores == {"psds1": pytest.approx(0.82), "psds2": pytest.approx(expected)}


def test_a_class_whose_counts_never_change_is_not_found() -> None:
    # The only detection is valid (no false alarm), and covers too little of the event.
    scores = score({"a": np.full((1, 3), 0.5)}, {"a": [event(0, 60)]})
    assert scores == {"psds1": 0.0, "psds2": 0.0}


def test_an_event_shorter_than_the_rounding_is_found_by_any_detection_of_its_clip() -> None:
    clips = {f"clip{i}": frames() for i in range(20)}
    clips["clip3"] = frames((60, 90, 0.9))  # 18 false alarms an hour
    clips["clip7"] = frames((60, 90, 0.9))
    reference: dict[str, list[Event]] = {clip_id: [] for clip_id in clips}
    reference["clip3"] = [Event(onset=1.0, offset=1.0 + 1e-7, label="Cat")]
    reference["clip7"] = [event(60, 90)]
    assert score(clips, reference) == {"psds1": pytest.approx(0.82), "psds2": pytest.approx(0.82)}


@pytest.mark.slow
def test_the_scores_are_those_of_sed_scores_eval() -> None:
    cases = list(make_cases())
    with np.load(REFERENCE_PATH) as reference:
        assert (str(reference["version"]), int(reference["seed"])) == ("0.0.4", SEED)
        assert str(reference["digest"]) == digest(cases), "these are not the cases of the reference"
        expected = reference["psds"]
    computed = np.array([list(score_case(case).values()) for case in cases])
    assert np.abs(computed - expected).max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_distinguishes_systems_of_each_kind(kind: str) -> None:
    with np.load(REFERENCE_PATH) as reference:
        expected = reference["psds"][KINDS.index(kind) :: len(KINDS)]
    assert len(expected) == 300
    assert ((expected > 0) & (expected < 1)).sum(axis=0).min() >= 30


@pytest.mark.slow
def test_the_scores_are_those_of_the_installed_sed_scores_eval() -> None:
    pytest.importorskip("sed_scores_eval")
    for case in make_cases():
        expected = score_with_sed_scores_eval(case)
        assert list(score_case(case).values()) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize("duration", [10.0, 9.97, 3.2])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.6])
def test_smoothed_scores_have_the_events_of_the_other_metrics(
    duration: float, threshold: float
) -> None:
    scores = np.random.default_rng(1).random((N_FRAMES, 3))
    n_valid = valid_frames(duration)
    smoothed = smooth(scores, filters=make_filters(PAPER_POSTPROCESS, CLASSES), n_valid=n_valid)
    stacked = _stack({"a": smoothed}, {"a": []}, CLASSES, {"a": duration})
    detected = set()
    for label, of_class in zip(CLASSES, stacked.scores.T, strict=True):
        found = find_detections(of_class)
        neighbors = np.maximum(of_class[found.first - 1], of_class[found.end])
        is_active = (of_class[found.row] > threshold) & (neighbors <= threshold)
        onsets, offsets = stacked.times[found.first], stacked.times[found.end]
        detected |= {
            Event(onset=onset, offset=offset, label=label)
            for onset, offset in zip(onsets[is_active], offsets[is_active], strict=True)
        }
    expected = detect_events(
        scores,
        classes=CLASSES,
        threshold=threshold,
        settings=PAPER_POSTPROCESS,
        n_valid=n_valid,
        duration=duration,
    )
    assert detected == {Event(onset=e.onset, offset=e.offset, label=e.label) for e in expected}


def test_a_class_may_have_any_name() -> None:
    clips = {"a": np.tile(frames((30, 60, 0.9))[:, :1], 2)}
    events = [event(30, 60, "onset"), event(30, 60, "back\\slash")]
    names = ("onset", "back\\slash")
    found = polyphonic_scores(clips, {"a": events}, names, durations={"a": 10.0})
    assert found == {"psds1": 1.0, "psds2": 1.0}


def test_nothing_annotated_is_refused() -> None:
    with pytest.raises(ValueError, match="no event is annotated"):
        score({"a": frames()}, {"a": []})


def test_what_cannot_be_scored_is_refused() -> None:
    events = [event(30, 60)]
    with pytest.raises(ValueError, match="name different clips"):
        score({"a": frames()}, {"a": events, "b": []})
    with pytest.raises(ValueError, match="'Bird' is not among the classes"):
        score({"a": frames()}, {"a": [*events, event(1, 2, "Bird")]})
    with pytest.raises(ValueError, match="a score is NaN"):
        score({"a": frames((30, 60, float("nan")))}, {"a": events})
