"""The metrics table: as JSON for DVC, as Markdown beside the paper's Table 3 for people.

Beyond the paper: 95% intervals of the F1 scores, and of the differences between variants.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avsed.bootstrap import (
    N_RESAMPLES,
    Difference,
    Interval,
    bootstrap_differences,
    bootstrap_intervals,
    common_clips,
)
from avsed.config import Params
from avsed.counts import read_counts
from avsed.errors import AvsedError
from avsed.metrics import F1_AVERAGES
from avsed.protocol import Result, average_best
from avsed.runtime.files import written_whole

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
_F1_TITLES = [TITLES[metric] for metric in F1_AVERAGES]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the report says of a variant.

    Attributes:
        results: by metric.
        n_seeds: seeds that have scores; fewer than were trained where some diverged.
        n_clips: the test clips it was scored on, in words.
        intervals: by F1 score.
        against: the variant that it is compared with, if any.
        differences: from that variant, by F1 score.
        n_common: test clips that both have.
    """

    results: Mapping[str, Result]
    n_seeds: int
    n_clips: str
    intervals: Mapping[str, Interval]
    against: str | None
    differences: Mapping[str, Difference]
    n_common: int


def summarize(
    evaluations_dir: Path,
    variants: Mapping[str, str | None],
    params: Params,
    *,
    table_path: Path,
    intervals_path: Path,
    report_path: Path,
) -> None:
    """Write the table of all variants.

    Args:
        evaluations_dir: two files for each variant, as `evaluate_variant` writes them.
        variants: the rows in their order, and what each is compared with.
        params: the set-up, named in the report.
        table_path: becomes JSON: variant to metrics in %.
        intervals_path: becomes JSON: variant to F1 scores to the ends of their intervals, and to
            their differences from the variant that it is compared with, in %.
        report_path: becomes Markdown, with the paper's figures beside ours.

    Raises:
        AvsedError: if a variant's evaluation is missing, or has fewer seeds than are to be kept.
    """
    rows = read_rows(evaluations_dir, variants, params)
    table = {
        variant: {metric: round(result.mean, 2) for metric, result in row.results.items()}
        for variant, row in rows.items()
    }
    intervals = {variant: _bounds(row) for variant, row in rows.items()}
    for path, text in (
        (table_path, json.dumps(table, indent=2) + "\n"),
        (intervals_path, json.dumps(intervals, indent=2) + "\n"),
        (report_path, render_report(rows, params)),
    ):
        with written_whole(path) as part:
            part.write_text(text, "utf-8")


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
            against=other,
            differences=bootstrap_differences(
                counted[variant], seeds[variant], counted[other], seeds[other]
            )
            if other
            else {},
            n_common=len(common_clips(counted[variant], counted[other or variant])),
        )
        for variant, other in variants.items()
    }


def _bounds(row: Row) -> dict[str, dict[str, float | None]]:
    """Lay out a variant's intervals as flat numbers; None where undefined."""
    bounds = {}
    for metric, interval in row.intervals.items():
        numbers = {"low": interval.low, "high": interval.high}
        if metric in row.differences:
            difference = row.differences[metric]
            numbers["difference"] = difference.mean
            numbers["difference_low"] = difference.interval.low
            numbers["difference_high"] = difference.interval.high
        bounds[metric] = {
            name: None if math.isnan(number) else round(number, 2)
            for name, number in numbers.items()
        }
    return bounds


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


def render_report(rows: Mapping[str, Row], params: Params) -> str:
    """Render the report as Markdown.

    Args:
        rows: variant to what is said of it.
        params: the set-up.
    """
    lines = [
        f"# Test scores, {describe_setup(params)}",
        "",
        *_explanation(params),
        *_missing_seeds(rows, params),
        "",
        *_table_of_scores(rows, params),
        "",
        *_table_of_intervals(rows),
        "",
        *_table_of_differences(rows),
    ]
    return "\n".join(lines) + "\n"


def _table_of_scores(rows: Mapping[str, Row], params: Params) -> list[str]:
    lines = _header(*TITLES.values(), "test clips")
    # Beside the scores of one's own clips the paper's would say nothing.
    with_paper = params.dataset.source != "local"
    for variant, row in rows.items():
        cells = [with_deviation(row.results[metric]) for metric in TITLES]
        if with_paper:
            for number, paper in enumerate(PAPER_TABLE_3.get(variant, ())):
                cells[number] += f" ({paper:.2f})"
        lines.append(f"| {variant} | {' | '.join(cells)} | {row.n_clips} |")
    return lines


def _table_of_intervals(rows: Mapping[str, Row]) -> list[str]:
    lines = [
        "## 95% intervals",
        "",
        f"Of the means above, over {N_RESAMPLES:,} resamples of the test clips: how much hangs on "
        "these clips,",
        "not on the chance in training. PSDS has none: it would take hours.",
        "",
        *_header(*_F1_TITLES),
    ]
    for variant, row in rows.items():
        cells = [with_ends(row.intervals[metric]) for metric in F1_AVERAGES]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def _table_of_differences(rows: Mapping[str, Row]) -> list[str]:
    lines = [
        "## Differences",
        "",
        "On the clips that both have, resampled together, with 95% intervals. **Bold** where the "
        "interval",
        "excludes 0; of 20 equal variants one would be bold by chance.",
        "",
        *_header("less", *_F1_TITLES, "common clips"),
    ]
    for variant, row in rows.items():
        if row.against:
            cells = [_with_interval(row.differences[metric]) for metric in F1_AVERAGES]
            lines.append(f"| {variant} | {row.against} | {' | '.join(cells)} | {row.n_common} |")
    return lines


def _header(*titles: str) -> list[str]:
    return [f"| variant | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(titles)}"]


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


def _explanation(params: Params) -> list[str]:
    best, seeds = params.evaluation.n_best, params.train.n_seeds
    lines = [
        f"In %. Mean of the best {best} of {seeds} seeds by validation, chosen for each metric,",
        "± their standard deviation where there are several."
        + ("" if params.dataset.source == "local" else " In brackets the paper's Table 3."),
    ]
    lines.append("PSDS is not in the paper.")
    if params.evaluation.thresholds == "tuned":
        lines.append("Thresholds of each seed and class are tuned on validation.")
    if has_random_weights(params):
        lines += [
            "",
            "**Random weights: this table shows that the machinery works, not what the paper's "
            "pretrained features do.**",
        ]
    return lines


def _missing_seeds(rows: Mapping[str, Row], params: Params) -> list[str]:
    fewer = [
        f"{variant} has {row.n_seeds}"
        for variant, row in rows.items()
        if row.n_seeds != params.train.n_seeds
    ]
    if not fewer:
        return []
    return ["", f"Not all {params.train.n_seeds} seeds have scores: {', '.join(fewer)}."]


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


def _with_interval(difference: Difference) -> str:
    if math.isnan(difference.interval.low):
        return "undefined"
    mean = f"{difference.mean:+.2f}"
    if difference.is_significant:
        mean = f"**{mean}**"
    return f"{mean} ({with_ends(difference.interval)})"


def _test_clips(evaluation: Mapping[str, Mapping[str, int]]) -> str:
    scored, listed = evaluation["test"]["n_clips"], evaluation["test"]["n_listed"]
    return str(scored) if scored == listed else f"{scored} of {listed}"
