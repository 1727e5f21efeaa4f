"""A variant's result: the best seeds on validation, averaged on test (Section 5)."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

METRICS = ("clip_f1", "segment_f1", "event_f1")


@dataclass(frozen=True, kw_only=True)
class Result:
    """A variant's test score in one metric.

    Attributes:
        mean: of the chosen seeds, in %.
        deviation: their standard deviation, in %; NaN of a single seed.
    """

    mean: float
    deviation: float


def average_best(
    validation: Mapping[str, Mapping[str, float]],
    test: Mapping[str, Mapping[str, float]],
    *,
    n_best: int,
) -> dict[str, Result]:
    """Average the test scores of the seeds that are best on validation (Section 5).

    The paper does not say by which metric seeds are chosen; we choose by the one averaged.

    Args:
        validation: seed to metrics in [0, 1].
        test: likewise, of the same seeds.
        n_best: seeds to keep; of equal ones, those that come first.

    Returns:
        Metric to its result.
    """
    results = {}
    for metric in METRICS:
        ranked = sorted(validation, key=lambda seed: -validation[seed][metric])
        scores = [100.0 * test[seed][metric] for seed in ranked[:n_best]]
        results[metric] = Result(
            mean=statistics.fmean(scores),
            deviation=statistics.stdev(scores) if len(scores) > 1 else math.nan,
        )
    return results
