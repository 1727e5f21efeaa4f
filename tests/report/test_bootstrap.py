"""Bootstrap intervals against values computed by hand and by a plain loop."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.evaluation.counts import CountedClips
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.evaluation.resampling import N_RESAMPLES, draw_resamples
from avsed.report.bootstrap import (
    Difference,
    Interval,
    bootstrap_differences,
    bootstrap_intervals,
    mean_f1,
)

METRICS = tuple(F1_AVERAGES)
FOUND, MISSED, NOTHING = [1, 0, 0], [0, 0, 1], [0, 0, 0]


def counted(clip_ids: str, *seeds: list[list[int]]) -> CountedClips:
    """Return counts of one class, the same in all metrics, of clips named by a letter."""
    return CountedClips(
        clip_ids=tuple(clip_ids),
        seeds={
            str(seed): dict.fromkeys(METRICS, np.array(counts)[:, None])
            for seed, counts in enumerate(seeds)
        },
    )


def chosen(*seeds: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(METRICS, seeds)


def random_counts(rng: np.random.Generator, n_seeds: int, n_clips: int) -> CountedClips:
    letters = "abcdefghijklmnopqrstuvwxyz"[:n_clips]
    seeds = {
        str(seed): {metric: rng.integers(0, 3, size=(n_clips, 4, 3)) for metric in METRICS}
        for seed in range(n_seeds)
    }
    return CountedClips(clip_ids=tuple(letters), seeds=seeds)


def plain_f1(metric: str, clips: list[NDArray[np.int64]]) -> float:
    """Sum the counts clip by clip, and compute F1 by its definition."""
    hits, false_alarms, misses = ([0.0] * 4 for _ in range(3))
    for clip in clips:
        for k in range(4):
            hits[k] += clip[k, 0]
            false_alarms[k] += clip[k, 1]
            misses[k] += clip[k, 2]
    if metric != "event_f1":
        return 2 * sum(hits) / (2 * sum(hits) + sum(false_alarms) + sum(misses))
    by_class = [
        2 * hits[k] / (2 * hits[k] + false_alarms[k] + misses[k])
        for k in range(4)
        if hits[k] + misses[k]
    ]
    return sum(by_class) / len(by_class)


def plain_mean(counted: CountedClips, metric: str, seeds: list[str], drawn: list[int]) -> float:
    scores = []
    for seed in seeds:
        counts = counted.seeds[seed][metric]
        scores.append(plain_f1(metric, [counts[clip] for clip in drawn]))
    return sum(scores) / len(scores)


def drawn_clips(n_clips: int) -> list[list[int]]:
    return [
        [clip for clip in range(n_clips) for _ in range(row[clip])]
        for row in draw_resamples(n_clips).tolist()
    ]


def test_a_resample_has_as_many_clips_and_is_the_same_every_time() -> None:
    resamples = draw_resamples(7)
    assert resamples.shape == (N_RESAMPLES, 7)
    assert (resamples.sum(axis=1) == 7).all()
    assert (resamples == draw_resamples(7)).all()
    assert not (resamples[0] == resamples[1]).all()


def test_clips_are_drawn_with_the_frequencies_of_drawing_with_replacement() -> None:
    # Of 2 clips: both once in half of the resamples, one of them twice in a quarter each.
    first = draw_resamples(2)[:, 0]
    shares = [float(np.mean(first == times)) for times in (0, 1, 2)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.04)  # four deviations


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_are_those_of_a_plain_loop(metric: str) -> None:
    variant = random_counts(np.random.default_rng(0), n_seeds=3, n_clips=5)
    scores = [plain_mean(variant, metric, ["2", "0"], drawn) for drawn in drawn_clips(5)]
    interval = bootstrap_intervals(variant, chosen("2", "0"))[metric]
    low, high = np.percentile(scores, [2.5, 97.5])
    assert interval.low == pytest.approx(100 * low, abs=1e-9)
    assert interval.high == pytest.approx(100 * high, abs=1e-9)
    assert interval.low < interval.high


@pytest.mark.parametrize("metric", METRICS)
def test_differences_are_those_of_a_plain_loop_over_the_common_clips(metric: str) -> None:
    rng = np.random.default_rng(1)
    variant, other = random_counts(rng, 2, 6), random_counts(rng, 3, 5)
    # Of the six clips a to f, the other has e, d, c, b and a, in this order.
    other = CountedClips(clip_ids=other.clip_ids[::-1], seeds=other.seeds)
    differences = [
        plain_mean(variant, metric, ["0", "1"], drawn)
        - plain_mean(other, metric, ["2"], [4 - clip for clip in drawn])
        for drawn in [list(range(5)), *drawn_clips(5)]
    ]
    found = bootstrap_differences(variant, chosen("0", "1"), other, chosen("2"))[metric]
    low, high = np.percentile(differences[1:], [2.5, 97.5])
    assert found.mean == pytest.approx(100 * differences[0], abs=1e-9)
    assert found.interval.low == pytest.approx(100 * low, abs=1e-9)
    assert found.interval.high == pytest.approx(100 * high, abs=1e-9)


def test_the_interval_of_equal_clips_has_no_width() -> None:
    # Each clip has a hit and a miss: 2 / 3, whichever are drawn.
    variant = counted("abc", [[1, 0, 1]] * 3)
    for interval in bootstrap_intervals(variant, chosen("0")).values():
        assert interval.low == interval.high == pytest.approx(200 / 3)


def test_the_mean_over_seeds_is_resampled_and_not_each_seed_apart() -> None:
    # What one seed finds the other misses: a resample of m a's and 2 - m b's has recalls m/2 and
    # 1 - m/2, so F1 of 1 and 0, or 2/3 twice.
    variant = counted("ab", [FOUND, MISSED], [MISSED, FOUND])
    interval = bootstrap_intervals(variant, chosen("0", "1"))["clip_f1"]
    assert [interval.low, interval.high] == pytest.approx([50.0, 200 / 3])


def test_differences_are_paired() -> None:
    # Both vary alike with the clips, so that their difference does not.
    one, other = counted("abcd", [FOUND, MISSED] * 2), counted("abcd", [FOUND, MISSED] * 2)
    interval = bootstrap_intervals(one, chosen("0"))["clip_f1"]
    difference = bootstrap_differences(one, chosen("0"), other, chosen("0"))["clip_f1"]
    assert interval.high - interval.low > 30
    assert difference == Difference(mean=0.0, interval=Interval(low=0.0, high=0.0))
    assert not difference.is_significant


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.1, 2.0, True), (-2.0, -0.1, True), (-0.1, 2.0, False), (0.001, 2.0, False)],
)
def test_a_difference_is_significant_where_its_interval_excludes_zero(
    low: float, high: float, expected: bool
) -> None:
    difference = Difference(mean=1.0, interval=Interval(low=low, high=high))
    assert difference.is_significant == expected


def test_resamples_without_any_reference_are_left_out() -> None:
    # Of the two clips only a has a reference: F1 is 1 where it is drawn, else undefined.
    variant = counted("ab", [FOUND, NOTHING])
    assert bootstrap_intervals(variant, chosen("0"))["event_f1"] == Interval(low=100.0, high=100.0)


def test_no_common_clips_leave_the_difference_undefined() -> None:
    one, other = counted("a", [FOUND]), counted("b", [FOUND])
    difference = bootstrap_differences(one, chosen("0"), other, chosen("0"))["clip_f1"]
    assert math.isnan(difference.mean)
    assert math.isnan(difference.interval.low)
    assert not difference.is_significant


def test_counts_weighted_by_one_are_those_of_the_whole() -> None:
    counts = np.random.default_rng(2).integers(0, 5, size=(2, 6, 4, 3))
    for metric, average in F1_AVERAGES.items():
        whole = np.mean([float(average(seed.sum(axis=0))) for seed in counts])
        weights = np.ones((1, 6), np.int64)
        assert mean_f1(metric, counts, weights)[0] == pytest.approx(whole, abs=1e-12)
