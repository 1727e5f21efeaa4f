"""What the report says of each variant: its row, the paper's Table 3, the wording of numbers."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsed.errors import AvsedError
from avsed.evaluation.counts import read_counts
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.params import Params
from avsed.report.best_seeds import Result, average_best
from avsed.report.bootstrap import (
    Difference,
    Interval,
    bootstrap_differences,
    bootstrap_intervals,
    common_clips,
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
F1_TITLES = [TITLES[metric] for metric in F1_AVERAGES]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the report says of a variant.

    Attributes:
        results: by metric.
        n_seeds: seeds that have scores; fewer than were trained where some diverged.
        n_clips: the test clips it was scored on, in words.
        intervals: by F1 score.
        baseline: the variant that it is compared with, if any.
        differences: from that variant, by F1 score.
        n_common: test clips that both have.
    """

    results: Mapping[str, Result]
    n_seeds: int
    n_clips: str
    intervals: Mapping[str, Interval]
    baseline: str | None
    differences: Mapping[str, Difference]
    n_common: int


def read_rows(
    evaluations_dir: Path, variants: Mapping[str, str | None], params: Params
) -> dict[str, Row]:
    """Compute what the report says of each variant.

    Args:
        evaluations_dir: two files for each variant, as `evaluate_variant` writes them.
        variants: the rows in their order, and what each is compared with.
        params: the set-up.

    Raises:
        AvsedError: if a variant's evaluation is missing, or has fewer seeds than are to be kept.
    """
    counted = {variant: read_counts(evaluations_dir / f"{variant}.h5") for variant in variants}
    evaluations, results, seeds = {}, {}, {}
    for variant in variants:
        evaluation = read_evaluation(evaluations_dir / f"{variant}.json")
        results[variant] = average_best(
            variant,
            evaluation["validation"]["seeds"],
            evaluation["test"]["seeds"],
            n_best=params.evaluation.n_best,
        )
        seeds[variant] = {metric: result.seeds for metric, result in results[variant].items()}
        evaluations[variant] = evaluation
    return {
        variant: Row(
            results=results[variant],
            n_seeds=len(counted[variant].seeds),
            n_clips=_test_clips(evaluations[variant]),
            intervals=bootstrap_intervals(counted[variant], seeds[variant]),
            baseline=other,
            differences=bootstrap_differences(
                counted[variant], seeds[variant], counted[other], seeds[other]
            )
            if other
            else {},
            n_common=len(common_clips(counted[variant], counted[other or variant])),
        )
        for variant, other in variants.items()
    }


def read_evaluation(path: Path) -> Any:
    """Read a variant's evaluation: JSON, as `evaluate_variant` writes it.

    Raises:
        AvsedError: if it cannot be read.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise AvsedError(
            f"{path}: cannot be read ({error}); run `dvc repro evaluate@{path.stem}`"
        ) from None


def describe_setup(params: Params) -> str:
    """Name the set-up in a few words."""
    data = {
        "demo": "synthesized clips",
        "local": "local clips",
        "youtube": "DCASE 2018 task 4 clips",
    }[params.dataset.source]
    weights = ", ".join(
        f"{network} with {kind} weights"
        for network, kind in (
            ("VGGish", _weights(params.auditory.weights)),
            ("VGG16", _weights(params.visual.weights)),
        )
    )
    return f"profile {params.profile}: {data}, {weights}"


def has_random_weights(params: Params) -> bool:
    """Tell whether a network is not the pretrained one of the paper."""
    return "random" in (params.auditory.weights, params.visual.weights)


def _weights(weights: str) -> str:
    return weights if weights in ("random", "pretrained") else "given"


def with_deviation(result: Result) -> str:
    """Write a result, with its deviation where there is one."""
    if math.isnan(result.deviation):
        return f"{result.mean:.2f}"
    return f"{result.mean:.2f} ± {result.deviation:.2f}"


def with_ends(interval: Interval) -> str:
    """Write an interval by its ends."""
    if math.isnan(interval.low):
        return "undefined"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _test_clips(evaluation: Mapping[str, Mapping[str, int]]) -> str:
    scored, listed = evaluation["test"]["n_clips"], evaluation["test"]["n_listed"]
    return str(scored) if scored == listed else f"{scored} of {listed}"
