"""Thresholds and metrics of one system, from scores and annotations."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.config import load_params
from avsed.dataset.annotations import Event
from avsed.evaluation.system import (
    CANDIDATES,
    Reference,
    Thresholds,
    best_thresholds,
    choose_thresholds,
    compute_metrics,
    estimate_events,
)
from avsed.framing import valid_frames
from avsed.model.scores import Scores
from avsed.params import Postprocess
from tests.conftest import ROOT

CLASSES = ("Cat", "Dog")
PARAMS = load_params(ROOT / "params.yaml")
FIXED = PARAMS.evaluation
TUNED = PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})
A_CAT = Event(onset=2.0, offset=4.0, label="Cat")
# A cat in a, nothing in b.
REFERENCE = Reference(
    classes=CLASSES,
    clip_ids=("a", "b"),
    valid_frames=np.array([151, 151]),
    durations={"a": 10.0, "b": 10.0},
    tags={"a": ("Cat",), "b": ()},
    events={"a": (A_CAT,), "b": ()},
)


def frames(score_of_cat: float, false_score: float = 0.0) -> NDArray[np.float32]:
    """Return scores of the cat in a, and of a false cat in b."""
    scores = np.zeros((2, 151, 2), np.float32)
    scores[0, 31:60, 0] = score_of_cat  # 2.05 s to 3.97 s
    scores[1, 31:60, 0] = false_score
    return scores


def system(frame_scores: NDArray[np.float32], clip_scores: list[list[float]]) -> Scores:
    return Scores(frame_scores=frame_scores, clip_scores=np.array(clip_scores, np.float32))


def choose(scores: Scores, *, postprocess: Postprocess = PARAMS.postprocess) -> Thresholds:
    return choose_thresholds(scores, REFERENCE, postprocess=postprocess, params=TUNED)


def score(
    scores: Scores, thresholds: Thresholds | None = None, *, reference: Reference = REFERENCE
) -> dict[str, float]:
    half = np.full(2, 0.5)
    result = compute_metrics(
        scores,
        reference,
        thresholds=thresholds or Thresholds(tags=half, events=half),
        postprocess=PARAMS.postprocess,
        params=FIXED,
    )
    return dict(result.metrics)


def test_scores_that_say_what_is_annotated_are_perfect() -> None:
    assert score(system(frames(0.9), [[0.9, 0.1], [0.1, 0.1]])) == {
        "clip_f1": 1.0,
        "segment_f1": 1.0,
        "event_f1": 1.0,
        "psds1": 1.0,
        "psds2": 1.0,
    }


def test_a_false_tag_in_a_clip_without_events_counts() -> None:
    scores = score(system(frames(0.0), [[0.9, 0.1], [0.9, 0.1]]))
    assert scores["clip_f1"] == pytest.approx(2 / 3)  # 1 right, 1 false, 0 missed
    assert scores["event_f1"] == 0.0


def test_padding_counts_in_no_metric() -> None:
    scores = system(frames(0.9), [[0.9, 0.1], [0.1, 0.1]])
    scores.frame_scores[:, 91:] = 0.99
    short = replace(REFERENCE, valid_frames=np.array([91, 91]), durations={"a": 6.0, "b": 6.0})
    assert set(score(scores, reference=short).values()) == {1.0}
    assert set(score(scores).values()) != {1.0}


@pytest.mark.parametrize("offset", [4.0, 4.1, 5.0, 6.0, 10.0])
def test_a_perfect_system_is_perfect_whatever_is_listed_past_the_end_of_the_media(
    offset: float,
) -> None:
    n_frames = valid_frames(4.0)
    frame_scores = np.zeros((2, 151, 2), np.float32)
    frame_scores[0, :n_frames, 1] = 0.9  # Dog up to the end
    frame_scores[1, :15, 0] = 0.9  # Cat in the first second
    reference = Reference(
        classes=CLASSES,
        clip_ids=("a", "b"),
        valid_frames=np.array([n_frames, n_frames]),
        durations={"a": 4.0, "b": 4.0},
        tags={"a": ("Cat", "Dog"), "b": ("Cat",)},
        events={
            "a": (
                Event(onset=0.0, offset=offset, label="Dog"),
                Event(onset=4.0, offset=offset + 1.0, label="Cat"),  # behind the end
            ),
            "b": (Event(onset=0.0, offset=1.0, label="Cat"),),
        },
    )
    scores = system(frame_scores, [[0.1, 0.9], [0.9, 0.1]])
    assert set(score(scores, reference=reference).values()) == {1.0}
    tuned = choose_thresholds(scores, reference, postprocess=PARAMS.postprocess, params=TUNED)
    assert set(score(scores, tuned, reference=reference).values()) == {1.0}


@pytest.mark.parametrize(("duration", "offset"), [(10.03, 10.0), (10.0, 10.0), (9.98, 9.98)])
def test_events_end_with_the_clip(duration: float, offset: float) -> None:
    scores = system(np.ones((2, 151, 2), np.float32), [[0.0] * 2] * 2)
    reference = replace(REFERENCE, durations=dict.fromkeys("ab", duration))
    events = estimate_events(scores, reference, threshold=0.5, postprocess=PARAMS.postprocess)
    assert {event.offset for of_clip in events.values() for event in of_clip} == {offset}


def test_a_tag_without_times_stays() -> None:
    reference = replace(REFERENCE, tags={"a": ("Cat", "Dog"), "b": ()}, durations={"a": 3, "b": 10})
    assert reference.tags == {"a": ("Cat", "Dog"), "b": ()}
    assert reference.events["a"] == (Event(onset=2.0, offset=3, label="Cat"),)


# Thresholds


def test_fixed_thresholds_are_the_papers() -> None:
    chosen = choose_thresholds(
        system(frames(0.3), [[0.3, 0.0], [0.0, 0.0]]),
        REFERENCE,
        postprocess=PARAMS.postprocess,
        params=FIXED,
    )
    assert chosen.tags.tolist() == chosen.events.tolist() == [0.5, 0.5]


def test_tuned_thresholds_separate_right_from_wrong_as_near_to_a_half_as_can_be() -> None:
    # Cat: tags at 0.33 against 0.12, events at 0.92 against 0.74. Dog has none: as before.
    scores = system(frames(0.92, 0.74), [[0.33, 0.9], [0.12, 0.9]])
    chosen = choose(scores)
    assert chosen.tags.tolist() == [0.3, 0.5]
    assert chosen.events.tolist() == [0.75, 0.5]
    assert score(scores)["clip_f1"] < 1.0
    tuned = score(scores, chosen)
    assert tuned["segment_f1"] == tuned["event_f1"] == 1.0


def test_tuning_changes_no_score_that_has_no_threshold() -> None:
    scores = system(frames(0.4, 0.3), [[0.4, 0.0], [0.1, 0.0]])
    fixed, tuned = score(scores), score(scores, choose(scores))
    assert fixed["event_f1"] == 0.0
    assert tuned["event_f1"] == 1.0
    assert {name: fixed[name] for name in ("psds1", "psds2")} == {
        name: tuned[name] for name in ("psds1", "psds2")
    }


def test_the_usual_threshold_is_a_candidate_whatever_it_is() -> None:
    postprocess = PARAMS.postprocess.model_copy(update={"threshold": 0.33})
    scores = system(frames(0.34, 0.32), [[0.34, 0.0], [0.32, 0.0]])
    chosen = choose(scores, postprocess=postprocess)
    assert chosen.tags.tolist() == chosen.events.tolist() == [0.33, 0.33]


def test_equally_good_thresholds_are_settled_towards_the_usual_then_the_lower() -> None:
    f1 = np.zeros((len(CANDIDATES), 4))
    f1[[3, 8, 10, 15], 0] = 0.7  # 0.2, 0.45, 0.55, 0.8
    f1[[1, 10, 18], 1] = 0.7  # 0.1, 0.55, 0.95
    f1[:, 2] = math.nan
    f1[18, 3] = 1e-6
    assert best_thresholds(f1, CANDIDATES, usual=0.5).tolist() == [0.45, 0.55, 0.5, 0.95]
