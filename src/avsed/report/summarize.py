"""The metrics table: as JSON for DVC, as Markdown beside the paper's Table 3 for people.

Beyond the paper: 95% intervals of the F1 scores, and of the differences between variants.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from avsed.evaluation.metrics import F1_AVERAGES
from avsed.params import Params
from avsed.report.bootstrap import N_RESAMPLES, Difference
from avsed.report.rows import (
    F1_TITLES,
    PAPER_TABLE_3,
    TITLES,
    Row,
    describe_setup,
    has_random_weights,
    read_rows,
    with_deviation,
    with_ends,
)
from avsed.runtime.files import atomic_write
from avsed.runtime.markdown import markdown_table


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
        with atomic_write(path) as part:
            part.write_text(text, "utf-8")


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
        "of test clips, not the randomness of training. PSDS is omitted, because resampling it "
        "would take hours.",
        "",
        *markdown_table(["variant", *F1_TITLES], table),
    ]


def _table_of_differences(rows: Mapping[str, Row]) -> list[str]:
    table = [
        [
            variant,
            row.baseline,
            *(_with_interval(row.differences[metric]) for metric in F1_AVERAGES),
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


def _with_interval(difference: Difference) -> str:
    if math.isnan(difference.interval.low):
        return "undefined"
    mean = f"{difference.mean:+.2f}"
    if difference.is_significant:
        mean = f"**{mean}**"
    return f"{mean} ({with_ends(difference.interval)})"
