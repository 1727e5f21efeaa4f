"""Compare the methods of post-processing by PSDS, from the same scores. Not in the paper."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from avsed.evaluation.metrics import F1_AVERAGES
from avsed.evaluation.resampling import N_PSDS_RESAMPLES
from avsed.params import METHODS
from avsed.report.bootstrap import Difference, compare_psds
from avsed.report.rows import TITLES, VariantResults, with_interval
from avsed.runtime.markdown import markdown_table

_PSDS = [metric for metric in TITLES if metric not in F1_AVERAGES]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A PSDS of a variant by method.

    Attributes:
        means: method to the mean of the seeds chosen by this PSDS, in %.
        difference: of the second method from the first.
    """

    means: Mapping[str, float]
    difference: Difference

    def as_json(self) -> dict[str, float | None]:
        """Return all numbers, rounded; None where undefined."""
        numbers = {
            **self.means,
            "difference": self.difference.mean,
            "difference_low": self.difference.interval.low,
            "difference_high": self.difference.interval.high,
        }
        return {
            name: None if math.isnan(number) else round(number, 2)
            for name, number in numbers.items()
        }


Comparisons = Mapping[str, Mapping[str, Comparison]]  # variant to PSDS to comparison


def compare_postprocessing(results: Mapping[str, VariantResults]) -> Comparisons:
    """Compare the methods for each variant, and PSDS 1 and 2."""
    comparisons: dict[str, dict[str, Comparison]] = {}
    for variant, found in results.items():
        comparisons[variant] = {}
        for metric in _PSDS:
            means, difference = compare_psds(found.counted, found.chosen[metric], metric, METHODS)
            comparisons[variant][metric] = Comparison(
                means=dict(zip(METHODS, means, strict=True)), difference=difference
            )
    return comparisons


def table_of_postprocessing(comparisons: Comparisons) -> list[str]:
    """Render the comparison as a section of the report."""
    first, second = METHODS
    table = [
        [
            variant,
            *(
                cell
                for comparison in by_metric.values()
                for cell in (
                    *(f"{mean:.2f}" for mean in comparison.means.values()),
                    with_interval(comparison.difference),
                )
            ),
        ]
        for variant, by_metric in comparisons.items()
    ]
    columns = [
        f"{TITLES[metric]}, {column}"
        for metric in _PSDS
        for column in (first, second, "difference")
    ]
    return [
        "## Post-processing",
        "",
        "PSDS of the same scores with the median filter and with sound event bounding boxes "
        "(docs/method.md), and",
        f"their difference with its 95% interval from {N_PSDS_RESAMPLES} paired resamples of the "
        "test clips. **Bold**: the",
        "interval excludes 0. Not in the paper. The settings of both are fixed; those of boxes are "
        "usually tuned.",
        "",
        *markdown_table(["variant", *columns], table),
    ]
