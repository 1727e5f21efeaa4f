"""The illustrated results: a page, its figures, and the data of the figures (not in the paper)."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from avsed.dataset.annotations import Event, read_classes, read_list
from avsed.dataset.clips import read_clips
from avsed.errors import AvsedError
from avsed.evaluation.counts import read_counts
from avsed.params import Params
from avsed.report.page.analysis import Analysis, analyze_variant, class_f1_ranges
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
from avsed.report.rows import read_evaluation, read_rows
from avsed.runtime.files import atomic_write

COSTS = ("classification_cost", "consistency_cost")


def illustrate(
    *,
    evaluations_dir: Path,
    scores_dir: Path,
    training_dir: Path,
    metadata_dir: Path,
    clips_path: Path,
    variants: Mapping[str, str | None],
    params: Params,
    page_path: Path,
    figures_dir: Path,
    data_dir: Path,
) -> None:
    """Write the page of results, its figures as PNG, and their data.

    Args:
        evaluations_dir: two files for each variant, as `evaluate_variant` writes them.
        scores_dir: a file for each variant, as `write_scores` writes it.
        training_dir: a folder for each variant, as `open_curve` writes it.
        metadata_dir: the lists.
        clips_path: `clips.csv`, for the clips' durations.
        variants: the rows of the table in their order, and what each is compared with.
        params: the set-up.
        page_path: becomes HTML.
        figures_dir: gets a PNG file for each figure.
        data_dir: gets TSV and JSON files of what the figures show.

    Raises:
        AvsedError: if a file is missing.
    """
    rows = read_rows(evaluations_dir, variants, params)
    classes = read_classes(metadata_dir)
    counted = {variant: read_counts(evaluations_dir / f"{variant}.h5") for variant in rows}
    class_scores = {
        variant: class_f1_ranges(counted[variant], row.results) for variant, row in rows.items()
    }
    seeds = {variant: row.results[METRIC].seeds for variant, row in rows.items()}
    clips = choose_clips(counted, seeds)
    listed = {clip.clip_id: clip for clip in read_list(metadata_dir, "test", classes)}
    truth = {clip.clip_id: listed[clip.clip_id].events or () for clip in clips}
    analyses = {
        variant: analyze_variant(
            scores_dir / f"{variant}.h5",
            read_evaluation(evaluations_dir / f"{variant}.json"),
            row.results,
            metadata_dir=metadata_dir,
            clips_path=clips_path,
            params=params,
            clip_ids=list(truth),
        )
        for variant, row in rows.items()
    }
    write_class_f1(data_dir / "class_f1.tsv", class_scores, classes, F1_TITLES)
    write_segment_errors(data_dir / "segment_errors.tsv", analyses)
    write_boundary_errors(data_dir / "boundary_errors.tsv", analyses, classes)
    curves = _read_curves(training_dir, rows)
    write_learning_curves(data_dir / "learning_curves.tsv", curves)
    write_clips_found(data_dir / "clips.json", clips, truth, analyses)

    figures = {
        "class_f1": draw_class_f1(class_scores, classes, F1_TITLES),
        "segment_errors": draw_segment_errors(analyses),
        "boundary_errors": draw_boundary_errors(analyses, classes),
        "learning_curves": draw_curves(curves),
    }
    durations = {record.clip_id: record.duration for record in read_clips(clips_path)}
    of_clips = _draw_clips(clips, truth, analyses, classes, durations)
    for name, figure in (figures | of_clips).items():
        save_png(figure, figures_dir / f"{name}.png")
    content = Content(
        rows=rows,
        classes=classes,
        class_scores=class_scores,
        analyses=analyses,
        svgs={name: to_svg(figure, name) for name, figure in figures.items()},
        clips=list(
            zip(clips, (to_svg(figure, name) for name, figure in of_clips.items()), strict=True)
        ),
    )
    with atomic_write(page_path) as part:
        part.write_text(render_page(content, params), "utf-8")


def _draw_clips(
    clips: Sequence[ExampleClip],
    truth: Mapping[str, Sequence[Event]],
    analyses: Mapping[str, Analysis],
    classes: Sequence[str],
    durations: Mapping[str, float],
) -> dict[str, Figure]:
    return {
        f"clip_{number}_{clip.reason}": draw_clip(
            truth[clip.clip_id],
            {variant: found.timelines.get(clip.clip_id) for variant, found in analyses.items()},
            classes,
            duration=durations[clip.clip_id],
        )
        for number, clip in enumerate(clips, start=1)
    }


def _read_curves(training_dir: Path, variants: Iterable[str]) -> Curves:
    """Read variant to cost to its steps and values."""
    curves: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
    for variant in variants:
        curves[variant] = {}
        for cost in COSTS:
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
