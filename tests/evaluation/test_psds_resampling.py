"""PSDS in resamples, against PSDS of clips that are copied as often as they are drawn."""

import math
import tracemalloc
from itertools import islice

import numpy as np
import pytest

from avsed.dataset.annotations import Event
from avsed.evaluation.psds import polyphonic_scores
from avsed.evaluation.psds_resampling import resampled_scores
from tests.evaluation.psds_cases import KINDS, Case, make_cases

CASES = list(islice(make_cases(), 3 * len(KINDS)))


def score_copies(case: Case, drawn: list[int]) -> dict[str, float]:
    """Compute PSDS of a data set with copies of the clips."""
    copies = [
        (clip_id, f"{clip_id}-{copy}")
        for clip_id, n in zip(case.frame_scores, drawn, strict=True)
        for copy in range(n)
    ]
    return polyphonic_scores(
        {copy: case.frame_scores[clip_id] for clip_id, copy in copies},
        {copy: case.reference[clip_id] for clip_id, copy in copies},
        case.classes,
        durations={copy: case.durations[clip_id] for clip_id, copy in copies},
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_a_resample_scores_as_copies_of_the_clips(case: Case) -> None:
    n_clips = len(case.frame_scores)
    rng = np.random.RandomState(0)
    weights = rng.multinomial(n_clips, [1 / n_clips] * n_clips, size=4)
    weights[0] = 1  # the whole
    weights[:, 0] += 1  # with an event
    found = resampled_scores(
        case.frame_scores, case.reference, case.classes, durations=case.durations, weights=weights
    )
    for row, drawn in enumerate(weights.tolist()):
        for name, expected in score_copies(case, drawn).items():
            assert found[name][row] == pytest.approx(expected, abs=1e-9)


def test_a_resample_without_events_has_no_score() -> None:
    (case,) = islice((case for case in CASES if not all(case.reference.values())), 1)
    quiet = [int(not events) for events in case.reference.values()]
    found = resampled_scores(
        case.frame_scores,
        case.reference,
        case.classes,
        durations=case.durations,
        weights=np.array([quiet]),
    )
    assert all(math.isnan(of_scenario[0]) for of_scenario in found.values())


def test_memory_does_not_grow_with_the_square_of_the_number_of_classes() -> None:
    classes = [f"class {k}" for k in range(40)]
    rng = np.random.RandomState(0)
    scores = {f"clip {n}": rng.random_sample((151, len(classes))) for n in range(20)}
    reference = {
        clip_id: [Event(onset=2.0, offset=5.0, label=classes[n])]
        for n, clip_id in enumerate(scores)
    }
    tracemalloc.start()
    resampled_scores(
        scores,
        reference,
        classes,
        durations=dict.fromkeys(scores, 10.0),
        weights=np.ones((1, len(scores)), np.int64),
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # It is 5 MB. With an array of all pairs of classes, it was 20 MB.
    assert peak < 10e6
