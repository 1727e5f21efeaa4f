"""Choose the best seeds on validation, and average their test metrics (Section 5)."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from avsed.errors import AvsedError

# F1 scores as in Table 3; PSDS is not in the paper.
METRICS = ("clip_f1", "segment_f1", "event_f1", "psds1", "psds2")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One metric of a variant on test.

    Attributes:
        mean: over the chosen seeds, in %.
        deviation: standard deviation of the chosen seeds, in %; NaN for a single seed.
        seeds: the chosen seeds, best on validation first.
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
    """Average the test metrics of the seeds that are best on validation.

    Section 5: the best 5 of 20 seeds.

    Args:
        variant: name for error messages.
        validation: seed to metrics in [0, 1].
        test: likewise, for the same seeds.
        n_best: number of seeds to choose; ties go to the seed that comes first.

    Returns:
        Results by metric.

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
        # The paper does not specify the metric by which seeds are chosen. Each metric chooses its
        # own seeds here, so none is averaged over seeds that are only good in another.
        ranked = sorted(validation, key=lambda seed: -validation[seed][metric])
        best = tuple(ranked[:n_best])
        # Test never chooses: these means estimate what to expect on new clips.
        scores = [100.0 * test[seed][metric] for seed in best]
        results[metric] = Result(
            mean=statistics.fmean(scores),
            # Of a sample (n - 1): the seeds stand for all that could be trained.
            deviation=statistics.stdev(scores) if len(scores) > 1 else math.nan,
            seeds=best,
        )
    return results
