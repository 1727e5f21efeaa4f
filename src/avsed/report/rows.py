"""Read each variant's results once, compute its row of the tables, and format the numbers."""

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsed.dataset.annotations import has_strong_clips
from avsed.errors import AvsedError
from avsed.evaluation.counts import CountedClips, read_counts
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.params import Auditory, ExtraNetworks, Params, Visual
from avsed.report.best_seeds import Result, average_best
from avsed.report.bootstrap import (
    Difference,
    Interval,
    bootstrap_differences,
    bootstrap_intervals,
    common_clips,
)
from avsed.variants import (
    ZERO_SHOT,
    kinds_of_variant,
    uses_strong,
    with_zero_shot,
    without_strong,
)

# Table 3, in %: clip micro F1, segment micro F1, event macro F1. It has no PSDS.
PAPER_TABLE_3 = {
    "spectral": (76.22, 70.09, 33.03),
    "spectral+visual": (80.72, 73.81, 32.58),
    "spectral+auditory": (81.03, 74.74, 33.40),
    "spectral+auditory+visual": (83.72, 76.86, 32.65),
    "visual": (61.60, 51.83, 15.68),
    "auditory": (78.17, 70.20, 18.83),
    "auditory+visual": (80.04, 71.01, 22.31),
}
TITLES = {
    "clip_f1": "clip micro F1",
    "segment_f1": "segment micro F1",
    "event_f1": "event macro F1",
    "psds1": "PSDS 1",
    "psds2": "PSDS 2",
}
_NETWORK_TITLES = {
    "vggish": "VGGish",
    "yamnet": "YAMNet",
    "vgg16": "VGG16",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
F1_TITLES = [TITLES[metric] for metric in F1_AVERAGES]


@dataclass(frozen=True, kw_only=True)
class VariantResults:
    """Metrics and counts of all seeds of a variant, and the seeds chosen among them.

    Attributes:
        evaluation: metrics of all seeds, as `evaluate_variant` writes them.
        counted: counts by test clip of all seeds.
        averages: metric to its mean over the chosen seeds.
    """

    evaluation: Mapping[str, Any]
    counted: CountedClips
    averages: Mapping[str, Result]

    @property
    def chosen(self) -> dict[str, tuple[str, ...]]:
        """Metric to the seeds chosen by it, best first."""
        return {metric: result.seeds for metric, result in self.averages.items()}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A variant's row in the tables of the report.

    Attributes:
        results: by metric.
        n_seeds: seeds with scores; fewer than trained if some diverged.
        n_clips: scored test clips, as text.
        intervals: by F1 score.
        baseline: the variant it is compared with, if any.
        differences: from the baseline, by F1 score.
        n_common: test clips that both have.
    """

    results: Mapping[str, Result]
    n_seeds: int
    n_clips: str
    intervals: Mapping[str, Interval]
    baseline: str | None
    differences: Mapping[str, Difference]
    n_common: int


def reported_variants(
    variants: Mapping[str, str | None], metadata_dir: Path, params: Params
) -> dict[str, str | None]:
    """Return the rows of the table: those of variants.yaml, and the one without training.

    Rows that end in `+strong` are omitted if they were trained without strong labels, because they
    equal the row without `+strong`.

    Args:
        variants: variant to its baseline, if any.
        metadata_dir: folder of the lists.
        params: the set-up.
    """
    if params.strong.is_on and has_strong_clips(metadata_dir):
        return with_zero_shot(variants)
    omitted = [variant for variant in variants if uses_strong(variant)]
    if omitted:
        print(f"omitted, because no strong labels are used: {', '.join(omitted)}")
    return with_zero_shot(without_strong(variants))


def read_results(
    evaluations_dir: Path, variants: Iterable[str], *, n_best: int
) -> dict[str, VariantResults]:
    """Read the evaluations and counts of all variants, and average their best seeds.

    Args:
        evaluations_dir: two files for each variant, as `evaluate_variant` writes them.
        variants: in the order of the table.
        n_best: seeds to choose; 1 of the row without training.

    Raises:
        AvsedError: if a variant's evaluation is missing, or has fewer seeds than `n_best`.
    """
    results = {}
    for variant in variants:
        counted = read_counts(evaluations_dir / f"{variant}.h5")
        evaluation = _read_evaluation(evaluations_dir / f"{variant}.json")
        validation, test = (evaluation[split]["seeds"] for split in ("validation", "test"))
        n_chosen = 1 if variant == ZERO_SHOT else n_best
        averages = average_best(variant, validation, test, n_best=n_chosen)
        results[variant] = VariantResults(evaluation=evaluation, counted=counted, averages=averages)
    return results


def compute_rows(
    results: Mapping[str, VariantResults], baselines: Mapping[str, str | None]
) -> dict[str, Row]:
    """Compute the rows of the tables.

    Args:
        results: of all variants.
        baselines: variant to the variant it is compared with, if any.
    """
    return {
        variant: _compute_row(found, baselines[variant], results)
        for variant, found in results.items()
    }


def _compute_row(
    found: VariantResults, baseline: str | None, results: Mapping[str, VariantResults]
) -> Row:
    differences: dict[str, Difference] = {}
    other = found
    if baseline:
        other = results[baseline]
        differences = bootstrap_differences(
            found.counted, found.chosen, other.counted, other.chosen
        )
    return Row(
        results=found.averages,
        n_seeds=len(found.counted.seeds),
        n_clips=_format_n_clips(found.evaluation["test"]),
        intervals=bootstrap_intervals(found.counted, found.chosen),
        baseline=baseline,
        differences=differences,
        n_common=len(common_clips(found.counted, other.counted)),
    )


def _read_evaluation(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AvsedError(
            f"{path}: cannot be read ({error}); run `dvc repro evaluate@{path.stem}`"
        ) from None


def describe_setup(params: Params, rows: Collection[str]) -> str:
    """Describe the profile, the data, and the networks of a table's rows with their weights."""
    data = {
        "demo": "synthesized clips",
        "local": "local clips",
        "youtube": "DCASE 2018 task 4 clips",
    }[params.dataset.source]
    networks = [
        f"{network} with {weights} weights" for network, weights in _networks(params, rows).items()
    ]
    return f"profile {params.profile}: {', '.join([data, *networks])}"


def has_random_weights(params: Params, rows: Collection[str]) -> bool:
    """Check whether a network of a table's rows has random instead of pretrained weights."""
    return "random" in _networks(params, rows).values()


def _networks(params: Params, rows: Collection[str]) -> dict[str, str]:
    """Return the networks of a table's rows, and the weights of each."""
    kinds = {kind for row in rows if row != ZERO_SHOT for kind in kinds_of_variant(row)}
    networks = {}
    for kind in sorted(kinds):
        section = params.section_of(kind)
        if isinstance(section, Auditory | Visual):
            networks[_NETWORK_TITLES[section.network]] = _weights(section.weights)
        elif isinstance(section, ExtraNetworks):
            networks[kind] = _weights(section.weights)
    return networks


def _weights(weights: str) -> str:
    return weights if weights in ("random", "pretrained") else "given"


def with_deviation(result: Result) -> str:
    """Format a mean, with its standard deviation if there are several seeds."""
    if math.isnan(result.deviation):
        return f"{result.mean:.2f}"
    return f"{result.mean:.2f} ± {result.deviation:.2f}"


def with_ends(interval: Interval) -> str:
    """Format an interval by its two ends."""
    if math.isnan(interval.low):
        return "undefined"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def with_interval(difference: Difference) -> str:
    """Format a difference with its interval; bold if the interval excludes 0."""
    if math.isnan(difference.interval.low):
        return "undefined"
    mean = f"{difference.mean:+.2f}"
    if difference.is_significant:
        mean = f"**{mean}**"
    return f"{mean} ({with_ends(difference.interval)})"


def _format_n_clips(test: Mapping[str, int]) -> str:
    scored, listed = test["n_clips"], test["n_listed"]
    return str(scored) if scored == listed else f"{scored} of {listed}"
