"""Write the metrics table as JSON for DVC, and as Markdown beside the paper's Table 3.

Not in the paper: PSDS, 95% intervals of F1 scores and of differences between variants, and the
comparison of post-processing.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from avsed.evaluation.metrics import F1_AVERAGES
from avsed.evaluation.resampling import N_RESAMPLES
from avsed.params import Params
from avsed.report.postprocessing import (
    Comparisons,
    compare_postprocessing,
    table_of_postprocessing,
)
from avsed.report.rows import (
    F1_TITLES,
    PAPER_TABLE_3,
    TITLES,
    Row,
    compute_rows,
    describe_setup,
    has_random_weights,
    read_results,
    with_deviation,
    with_ends,
    with_interval,
)
from avsed.runtime.files import atomic_write
from avsed.runtime.markdown import markdown_table
from avsed.variants import ZERO_SHOT, uses_strong


def summarize(
    evaluations_dir: Path,
    variants: Mapping[str, str | None],
    params: Params,
    *,
    metrics_dir: Path,
    reports_dir: Path,
) -> None:
    """Write `table.json` and others for DVC, and `table.md` beside the paper's numbers.

    `table.json` maps variant to metrics, `intervals.json` variant and F1 score to the ends of its
    interval and its difference from the baseline, `postprocessing.json` variant and PSDS to its
    value with each method of post-processing; all in %.

    Args:
        evaluations_dir: two files for each variant, as `evaluate_variant` writes them.
        variants: in the order of the table, with the baseline of each, if any.
        params: the set-up, described in the report.
        metrics_dir: folder for the JSON files.
        reports_dir: folder for the Markdown file.

    Raises:
        AvsedError: if a variant's evaluation is missing, or has fewer seeds than
            `evaluation.n_best`.
    """
    results = read_results(evaluations_dir, variants, n_best=params.evaluation.n_best)
    rows = compute_rows(results, variants)
    table = {
        variant: {metric: round(result.mean, 2) for metric, result in row.results.items()}
        for variant, row in rows.items()
    }
    intervals = {variant: _bounds(row) for variant, row in rows.items()}
    comparisons = compare_postprocessing(results)
    methods = {
        variant: {metric: comparison.as_json() for metric, comparison in by_metric.items()}
        for variant, by_metric in comparisons.items()
    }
    for path, text in (
        (metrics_dir / "table.json", json.dumps(table, indent=2) + "\n"),
        (metrics_dir / "intervals.json", json.dumps(intervals, indent=2) + "\n"),
        (metrics_dir / "postprocessing.json", json.dumps(methods, indent=2) + "\n"),
        (reports_dir / "table.md", render_report(rows, comparisons, params)),
    ):
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")


def _bounds(row: Row) -> dict[str, dict[str, float | None]]:
    """Return the numbers of a variant's intervals by F1 score; None where undefined."""
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


def render_report(rows: Mapping[str, Row], comparisons: Comparisons, params: Params) -> str:
    """Render the report as Markdown.

    Args:
        rows: variant to its row.
        comparisons: of the methods of post-processing.
        params: the set-up, described at the top.
    """
    lines = [
        f"# Test scores, {describe_setup(params, rows)}",
        "",
        *_explanation(rows, params),
        *_missing_seeds(rows, params),
        "",
        *_table_of_scores(rows, params),
        "",
        *_table_of_intervals(rows),
        "",
        *_table_of_differences(rows),
        "",
        *table_of_postprocessing(comparisons),
    ]
    return "\n".join(lines) + "\n"


def _table_of_scores(rows: Mapping[str, Row], params: Params) -> list[str]:
    # The paper's numbers cannot be compared with those of a user's own clips.
    with_paper = params.dataset.source != "local"
    table = []
    for variant, row in rows.items():
        cells = [with_deviation(row.results[metric]) for metric in TITLES]
        if with_paper:
            for column, paper in enumerate(PAPER_TABLE_3.get(variant, ())):
                cells[column] += f" ({paper:.2f})"
        table.append([variant, *cells, row.n_clips])
    return markdown_table(["variant", *TITLES.values(), "test clips"], table)


def _table_of_intervals(rows: Mapping[str, Row]) -> list[str]:
    table = [
        [variant, *(with_ends(row.intervals[metric]) for metric in F1_AVERAGES)]
        for variant, row in rows.items()
    ]
    return [
        "## 95% intervals",
        "",
        f"Intervals of the means above, from {N_RESAMPLES:,} resamples of the test clips. They "
        "reflect the choice",
        "of test clips, not the randomness of training.",
        "",
        *markdown_table(["variant", *F1_TITLES], table),
    ]


def _table_of_differences(rows: Mapping[str, Row]) -> list[str]:
    table = [
        [
            variant,
            row.baseline,
            *(with_interval(row.differences[metric]) for metric in F1_AVERAGES),
            str(row.n_common),
        ]
        for variant, row in rows.items()
        if row.baseline
    ]
    return [
        "## Differences",
        "",
        "Variant minus baseline on the test clips that both have, with 95% intervals from paired "
        "resamples.",
        "**Bold**: the interval excludes 0. About 1 of 20 differences between equal variants would "
        "be bold by chance.",
        "",
        *markdown_table(["variant", "baseline", *F1_TITLES, "common clips"], table),
    ]


def _explanation(rows: Mapping[str, Row], params: Params) -> list[str]:
    best, seeds = params.evaluation.n_best, params.train.n_seeds
    lines = [
        f"In %. Mean of the best {best} of {seeds} seeds by validation, chosen for each metric,",
        "± their standard deviation if there are several."
        + ("" if params.dataset.source == "local" else " In brackets: the paper's Table 3."),
    ]
    lines.append("PSDS is not in the paper.")
    if any(map(uses_strong, rows)):
        lines.append("+strong: trained on strong labels, too, which is not in the paper.")
    if ZERO_SHOT in rows:
        lines.append(
            f"{ZERO_SHOT}: YAMNet's own classes, without training (docs/features.md); it cannot "
            "detect a class that AudioSet lacks."
        )
    if params.evaluation.thresholds == "tuned":
        lines.append("Thresholds of each seed and class are tuned on validation.")
    if has_random_weights(params, rows):
        lines += [
            "",
            "**Random weights: these results test the pipeline, and say nothing about the paper's "
            "pretrained features.**",
        ]
    return lines


def _missing_seeds(rows: Mapping[str, Row], params: Params) -> list[str]:
    fewer = [
        f"{variant} has {row.n_seeds}"
        for variant, row in rows.items()
        if row.n_seeds != params.train.n_seeds and variant != ZERO_SHOT
    ]
    if not fewer:
        return []
    return ["", f"Not all {params.train.n_seeds} seeds have scores: {', '.join(fewer)}."]
