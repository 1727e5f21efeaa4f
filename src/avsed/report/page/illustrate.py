"""Write the results page, its figures, and the data of the figures (not in the paper)."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from avsed.errors import AvsedError
from avsed.model.scores import read_scores
from avsed.params import Params
from avsed.report.page.analysis import (
    Analysis,
    ClassScores,
    TestSet,
    analyze_variant,
    class_f1_ranges,
    read_test_set,
)
from avsed.report.page.example_clips import METRIC, ExampleClip, choose_clips
from avsed.report.page.figure_data import (
    write_boundary_errors,
    write_class_f1,
    write_clips_found,
    write_learning_curves,
    write_segment_errors,
)
from avsed.report.page.figures import (
    Curves,
    draw_boundary_errors,
    draw_class_f1,
    draw_clip,
    draw_curves,
    draw_segment_errors,
    save_png,
    to_svg,
)
from avsed.report.page.page import F1_TITLES, Content, render_page
from avsed.report.rows import Row, compute_rows, read_results
from avsed.runtime.files import atomic_write
from avsed.variants import ZERO_SHOT, uses_strong

COSTS = ("classification_cost", "consistency_cost")
STRONG_COST = "strong_cost"


@dataclass(frozen=True, kw_only=True)
class _Findings:
    """Everything the page and the figures show.

    Attributes:
        rows: variant to its row of the table.
        test_set: the annotated test clips.
        curves: the costs of training.
        class_scores: variant and F1 score to the F1 of each class.
        examples: the example clips.
        analyses: variant to its errors.
    """

    rows: Mapping[str, Row]
    test_set: TestSet
    curves: Curves
    class_scores: Mapping[str, Mapping[str, ClassScores]]
    examples: list[ExampleClip]
    analyses: Mapping[str, Analysis]


def illustrate(
    data_dir: Path, reports_dir: Path, *, variants: Mapping[str, str | None], params: Params
) -> None:
    """Write `index.html`, its figures as PNG in `figures/`, and their data in `plots/`.

    Args:
        data_dir: `evaluations/`, `scores/`, `metadata/` and `clips.csv`.
        reports_dir: `training/` with the learning curves; the results are written here, too.
        variants: in the order of the table, with the baseline of each, if any.
        params: the set-up.

    Raises:
        AvsedError: if a file is missing.
    """
    findings = _analyze(data_dir, reports_dir / "training", variants, params)
    _write_data(findings, reports_dir / "plots")
    figures, of_clips = _draw(findings), _draw_clips(findings)
    for name, figure in (figures | of_clips).items():
        save_png(figure, reports_dir / "figures" / f"{name}.png")
    _write_page(findings, figures, of_clips, params, reports_dir / "index.html")


def _analyze(
    data_dir: Path, training_dir: Path, variants: Mapping[str, str | None], params: Params
) -> _Findings:
    results = read_results(data_dir / "evaluations", variants, n_best=params.evaluation.n_best)
    test_set = read_test_set(data_dir / "metadata", data_dir / "clips.csv")
    examples = choose_clips(
        {variant: found.counted for variant, found in results.items()},
        {variant: found.chosen[METRIC] for variant, found in results.items()},
    )
    return _Findings(
        rows=compute_rows(results, variants),
        test_set=test_set,
        curves=_read_curves(training_dir, [row for row in variants if row != ZERO_SHOT]),
        class_scores={variant: class_f1_ranges(found) for variant, found in results.items()},
        examples=examples,
        # Scores are read here, one variant at a time: those of all variants may not fit in memory.
        analyses={
            variant: analyze_variant(
                read_scores(data_dir / "scores" / f"{variant}.h5")["test"],
                found,
                test_set,
                params=params,
                clip_ids=[clip.clip_id for clip in examples],
            )
            for variant, found in results.items()
        },
    )


def _write_data(findings: _Findings, plots_dir: Path) -> None:
    classes, analyses = findings.test_set.classes, findings.analyses
    write_class_f1(plots_dir / "class_f1.tsv", findings.class_scores, classes, F1_TITLES)
    write_segment_errors(plots_dir / "segment_errors.tsv", analyses)
    write_boundary_errors(plots_dir / "boundary_errors.tsv", analyses, classes)
    write_learning_curves(plots_dir / "learning_curves.tsv", findings.curves)
    events = findings.test_set.events
    write_clips_found(plots_dir / "clips.json", findings.examples, events, analyses)


def _draw(findings: _Findings) -> dict[str, Figure]:
    classes = findings.test_set.classes
    return {
        "class_f1": draw_class_f1(findings.class_scores, classes, F1_TITLES),
        "segment_errors": draw_segment_errors(findings.analyses),
        "boundary_errors": draw_boundary_errors(findings.analyses, classes),
        "learning_curves": draw_curves(findings.curves),
    }


def _draw_clips(findings: _Findings) -> dict[str, Figure]:
    test_set, events = findings.test_set, findings.test_set.events
    return {
        f"clip_{number}_{clip.reason}": draw_clip(
            events[clip.clip_id],
            {
                variant: found.timelines.get(clip.clip_id)
                for variant, found in findings.analyses.items()
            },
            test_set.classes,
            duration=test_set.durations[clip.clip_id],
        )
        for number, clip in enumerate(findings.examples, start=1)
    }


def _write_page(
    findings: _Findings,
    figures: Mapping[str, Figure],
    of_clips: Mapping[str, Figure],
    params: Params,
    path: Path,
) -> None:
    clip_svgs = [to_svg(figure, name) for name, figure in of_clips.items()]
    content = Content(
        rows=findings.rows,
        classes=findings.test_set.classes,
        class_scores=findings.class_scores,
        analyses=findings.analyses,
        svgs={name: to_svg(figure, name) for name, figure in figures.items()},
        clips=list(zip(findings.examples, clip_svgs, strict=True)),
    )
    with atomic_write(path) as part:
        part.write_text(render_page(content, params), "utf-8")


def _read_curves(training_dir: Path, variants: Iterable[str]) -> Curves:
    """Read the learning curves of all variants, as the stage train writes them."""
    curves: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for variant in variants:
        curves[variant] = {}
        for cost in (*COSTS, STRONG_COST) if uses_strong(variant) else COSTS:
            path = training_dir / variant / "plots" / "metrics" / f"{cost}.tsv"
            try:
                with path.open(encoding="utf-8", newline="") as file:
                    points = list(csv.DictReader(file, delimiter="\t"))
            except OSError as error:
                raise AvsedError(
                    f"{path}: cannot be read ({error}); run `dvc repro train@{variant}`"
                ) from None
            curves[variant][cost] = (
                [int(point["step"]) for point in points],
                [float(point[cost]) for point in points],
            )
    return curves
