"""Sound event bounding boxes against values worked out by hand and those of the package sebbs."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.evaluation.boxes import score_boxes
from tests.evaluation.boxes_cases import REFERENCE_PATH, make_cases


def plateaus(*parts: tuple[int, float]) -> NDArray[np.float64]:
    """Return runs of frames: their number and score."""
    return np.concatenate([np.full(n_frames, score) for n_frames, score in parts])


def boxes_of(
    scores: NDArray[np.float64],
    *,
    half_step: int = 2,
    merge_absolute: float = 0.2,
    merge_relative: float = 2.0,
) -> list[tuple[int, int, float]]:
    """Return first frame, frame after the last and score of each box."""
    of_frames = score_boxes(
        scores, half_step=half_step, merge_absolute=merge_absolute, merge_relative=merge_relative
    )
    edges = np.flatnonzero(np.diff(of_frames, prepend=0.0, append=0.0)).tolist()
    return [
        (first, end, round(float(of_frames[first]), 6))
        for first, end in pairwise(edges)
        if of_frames[first] > 0
    ]


def test_a_box_lasts_from_the_steepest_rise_to_the_steepest_fall_by_hand() -> None:
    # At borders 0 to 8, the means of two frames after less those of two frames before are
    # 0, 0.3, 0.7, 0.3, -0.1, -0.4, -0.7, -0.2, 0 (out of the clip: 0).
    scores = np.array([0.0, 0.0, 0.6, 0.8, 1.0, 0.4, 0.2, 0.0])
    assert boxes_of(scores) == [(2, 5, 0.8)]


def test_a_threshold_changes_no_border() -> None:
    ramp = np.concatenate([np.linspace(0, 0.5, 6), np.full(10, 0.9), np.linspace(0.5, 0, 6)])
    assert boxes_of(ramp) == [(6, 16, 0.9)]


@pytest.mark.parametrize(
    ("gap", "absolute", "relative", "is_merged"),
    [
        (0.65, 0.3, 2.0, True),  # 0.9 - 0.65 = 0.25, 0.9 / 0.65 = 1.4
        (0.65, 0.2, 2.0, False),
        (0.65, 0.3, 1.3, False),
        (0.75, 0.2, 1.5, True),  # the higher of 0.8 and 0.9 counts: 0.15
        (0.75, 0.12, 1.5, False),
    ],
)
def test_candidates_are_merged_if_the_gap_is_shallow_in_both_terms(
    gap: float, absolute: float, relative: float, is_merged: bool
) -> None:
    scores = plateaus((10, 0.0), (20, 0.8), (10, gap), (20, 0.9), (10, 0.0))
    found = boxes_of(scores, merge_absolute=absolute, merge_relative=relative)
    if is_merged:
        mean = (20 * 0.8 + 10 * gap + 20 * 0.9) / 50
        assert found == [(10, 60, round(mean, 6))]
    else:
        assert found == [(10, 30, 0.8), (40, 60, 0.9)]


def test_a_sound_shorter_than_the_filter_keeps_its_borders() -> None:
    assert boxes_of(plateaus((10, 0.0), (3, 0.8), (20, 0.0)), half_step=5) == [(10, 13, 0.8)]


@pytest.mark.parametrize("n_frames", [1, 2, 151])
def test_a_sound_that_fills_the_clip_is_one_box(n_frames: int) -> None:
    assert boxes_of(np.full(n_frames, 0.5), half_step=4) == [(0, n_frames, 0.5)]


def test_boxes_reach_the_edges_of_the_clip() -> None:
    scores = plateaus((10, 0.9), (20, 0.0), (10, 0.7))
    assert boxes_of(scores) == [(0, 10, 0.9), (30, 40, 0.7)]


def test_silence_has_no_box() -> None:
    assert boxes_of(np.zeros(20)) == []


# The package differs in these cases: in three, the filter is equal at two neighboring borders, of
# which it takes one by rounding errors; in 129, a gap is 3.004 times lower where the limit is 3.
DIFFERENT = [61, 129, 220, 248]


def test_boxes_are_those_of_sebbs() -> None:
    with np.load(REFERENCE_PATH) as reference:
        assert str(reference["version"]) == "1.0.2"
        ends = np.cumsum(reference["n_boxes"])
        expected = np.split(reference["boxes"], ends[:-1])
    different = []
    for number, (case, boxes) in enumerate(zip(make_cases(), expected, strict=True)):
        found = boxes_of(
            case.scores,
            half_step=case.half_step,
            merge_absolute=case.merge_absolute,
            merge_relative=case.merge_relative,
        )
        if len(found) != len(boxes) or not np.allclose(found, boxes, atol=2e-4):
            different.append(number)
    assert different == DIFFERENT
