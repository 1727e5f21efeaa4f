"""A variant's result: the best seeds on validation, averaged on test (Section 5)."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from avsed.errors import AvsedError

METRICS = ("clip_f1", "segment_f1", "event_f1", "psds1", "psds2")


@dataclass(frozen=True, kw_only=True)
class Result:
    """A variant's test score in one metric.

    Attributes:
        mean: of the chosen seeds, in %.
        deviation: their standard deviation, in %; NaN of a single seed.
        seeds: the chosen ones, best first.
    """

    mean: float
    deviation: float
    seeds: tuple[str, ...]


def average_best(
    variant: str,
    validation: Mapping[str, Mapping[str, float]],
    test: Mapping[str, Mapping[str, float]],
    *,
    n_best: int,
) -> dict[str, Result]:
    """Average the test scores of the seeds that are best on validation (Section 5).

    The paper does not say by which metric seeds are chosen; we choose by the one averaged.

    Args:
        variant: whose seeds they are, for the message of an error.
        validation: seed to metrics in [0, 1].
        test: likewise, of the same seeds.
        n_best: seeds to keep; of equal ones, those that come first.

    Returns:
        Metric to its result.

    Raises:
        AvsedError: if there are fewer than `n_best` seeds.
    """
    if len(validation) < n_best:
        raise AvsedError(
            f"{variant}: {len(validation)} seeds have scores, but evaluation.n_best is {n_best}; "
            "lower it or raise train.n_seeds"
        )
    results = {}
    for metric in METRICS:
        ranked = sorted(validation, key=lambda seed: -validation[seed][metric])
        best = tuple(ranked[:n_best])
        scores = [100.0 * test[seed][metric] for seed in best]
        results[metric] = Result(
            mean=statistics.fmean(scores),
            deviation=statistics.stdev(scores) if len(scores) > 1 else math.nan,
            seeds=best,
        )
    return results
