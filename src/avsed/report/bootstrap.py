"""Compute 95% intervals of F1 scores and their differences by resampling the test clips.

Not in the paper. Each resample draws as many clips as there are, with replacement, and recomputes
the mean of the seeds chosen on validation. The interval reaches from the 2.5th to the 97.5th
percentile of the resamples (B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993,
Section 13.3). It reflects the choice of test clips, not the randomness of training.

A resample is a row of weights: how often each clip is drawn. Its counts are a weighted sum.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avsed.evaluation.counts import CountedClips
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.evaluation.resampling import draw_resamples

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95% interval, in %; NaN if no resample has an annotated event."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A variant's mean minus its baseline's on the clips that both have.

    Attributes:
        mean: of the chosen seeds minus that of the baseline, in %.
        interval: of this difference.
    """

    mean: float
    interval: Interval

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0, to the two decimals shown."""
        return round(self.interval.low, 2) > 0 or round(self.interval.high, 2) < 0


def bootstrap_intervals(
    counted: CountedClips, seeds: Mapping[str, Sequence[str]]
) -> dict[str, Interval]:
    """Compute a variant's interval for each F1 score.

    Args:
        counted: the variant's counts.
        seeds: metric to the chosen seeds.

    Returns:
        Metric to interval.
    """
    weights = draw_resamples(len(counted.clip_ids))
    return {
        metric: _interval(mean_f1(metric, _stacked(counted, metric, seeds), weights))
        for metric in F1_AVERAGES
    }


def bootstrap_differences(
    counted: CountedClips,
    seeds: Mapping[str, Sequence[str]],
    other: CountedClips,
    other_seeds: Mapping[str, Sequence[str]],
) -> dict[str, Difference]:
    """Compute a variant's difference from another for each F1 score.

    Both variants use the same resamples of the clips that both have.

    Args:
        counted: the variant's counts.
        seeds: metric to the variant's chosen seeds.
        other: the other variant's counts.
        other_seeds: metric to the other's chosen seeds.

    Returns:
        Metric to difference.
    """
    shared = common_clips(counted, other)
    mine = [counted.clip_ids.index(clip_id) for clip_id in shared]
    others = [other.clip_ids.index(clip_id) for clip_id in shared]
    # The first row has every clip once.
    weights = np.concatenate([np.ones((1, len(shared)), np.int64), draw_resamples(len(shared))])
    differences = {}
    for metric in F1_AVERAGES:
        whole, *resampled = mean_f1(
            metric, _stacked(counted, metric, seeds)[:, mine], weights
        ) - mean_f1(metric, _stacked(other, metric, other_seeds)[:, others], weights)
        differences[metric] = Difference(
            mean=100.0 * float(whole), interval=_interval(np.array(resampled))
        )
    return differences


def compare_psds(
    counted: CountedClips, seeds: Sequence[str], metric: str, methods: tuple[str, str]
) -> tuple[list[float], Difference]:
    """Compare two methods of post-processing by a PSDS of the same seeds and clips.

    Args:
        counted: the variant's PSDS.
        seeds: to average.
        metric: a PSDS.
        methods: the second is compared with the first.

    Returns:
        Mean of each method, in %, and the second's difference from the first.
    """
    first, second = (
        np.mean([counted.psds[seed][method][metric] for seed in seeds], axis=0)
        for method in methods
    )
    whole, *resampled = second - first
    return [100.0 * float(first[0]), 100.0 * float(second[0])], Difference(
        mean=100.0 * float(whole), interval=_interval(np.array(resampled))
    )


def common_clips(counted: CountedClips, other: CountedClips) -> list[str]:
    """List the clips that two variants have, in the order of the first."""
    known = frozenset(other.clip_ids)
    return [clip_id for clip_id in counted.clip_ids if clip_id in known]


def mean_f1(
    metric: str, counts: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average the F1 of S seeds in each of R resamples.

    Args:
        metric: one of `F1_AVERAGES`.
        counts: (S, n, K, 3) hits, false alarms and misses.
        weights: (R, n) how often each clip was drawn.

    Returns:
        (R,) in [0, 1]; NaN if no drawn clip has a reference.
    """
    # BLAS multiplies floats only; float64 represents integers of this size exactly.
    sums = np.tensordot(weights.astype(np.float64), counts.astype(np.float64), axes=(1, 1))
    return np.asarray(F1_AVERAGES[metric](sums).mean(axis=1))  # sums: (R, S, K, 3)


def _stacked(
    counted: CountedClips, metric: str, seeds: Mapping[str, Sequence[str]]
) -> NDArray[np.int64]:
    return np.stack([counted.seeds[seed][metric] for seed in seeds[metric]])


def _interval(f1: NDArray[np.float64]) -> Interval:
    defined = f1[~np.isnan(f1)]
    if not len(defined):
        return Interval(low=math.nan, high=math.nan)
    low, high = np.percentile(100.0 * defined, PERCENTILES)
    return Interval(low=float(low), high=float(high))
