"""Write the data of the figures as TSV and JSON, for `dvc plots` and other programs."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from avsed.dataset.annotations import Event
from avsed.report.page.analysis import Analysis, ClassScores
from avsed.report.page.boundary_errors import BIN_CENTERS
from avsed.report.page.example_clips import ExampleClip
from avsed.report.page.figures import Curves
from avsed.runtime.files import atomic_write


def write_class_f1(
    path: Path,
    class_scores: Mapping[str, Mapping[str, ClassScores]],
    classes: Sequence[str],
    titles: Mapping[str, str],
) -> None:
    """Write the F1 of each class in %; classes without annotated events are omitted.

    Args:
        path: TSV output.
        class_scores: variant to F1 score to its classes.
        classes: K labels.
        titles: of the F1 scores.
    """
    _write_tsv(
        path,
        ("variant", "measure", "class", "f1", "lowest", "highest"),
        (
            (variant, title, label, *_rounded(f1.mean[k], f1.lowest[k], f1.highest[k]))
            for variant, by_metric in class_scores.items()
            for metric, title in titles.items()
            for f1 in [by_metric[metric]]
            for k, label in enumerate(classes)
            if not math.isnan(f1.mean[k])
        ),
    )


def write_segment_errors(path: Path, analyses: Mapping[str, Analysis]) -> None:
    """Write the rates of substitutions, deletions and insertions in % as TSV."""
    _write_tsv(
        path,
        ("variant", "measure", "kind", "rate"),
        (
            (variant, "segment errors", kind, *_rounded(rate))
            for variant, analysis in analyses.items()
            for kind, rate in analysis.segment_error_rates.items()
        ),
    )


def write_boundary_errors(
    path: Path, analyses: Mapping[str, Analysis], classes: Sequence[str]
) -> None:
    """Write the histograms of onset and offset errors as TSV: events by bin center."""
    _write_tsv(
        path,
        ("variant", "measure", "class", "error", "events"),
        (
            (variant, boundary, label, error, *_rounded(n_events))
            for variant, analysis in analyses.items()
            for boundary, counts in (
                ("onset", analysis.onset_errors),
                ("offset", analysis.offset_errors),
            )
            for k, label in enumerate(classes)
            for error, n_events in zip(BIN_CENTERS, counts[k].tolist(), strict=True)
        ),
    )


def write_learning_curves(path: Path, curves: Curves) -> None:
    """Write the learning curves of all variants as one TSV file, with a column `variant`.

    Cells of costs that a variant does not have are empty.
    """
    costs = list(dict.fromkeys(cost for by_cost in curves.values() for cost in by_cost))
    _write_tsv(
        path,
        ("variant", "step", *costs),
        (
            (variant, step, *values)
            for variant, by_cost in curves.items()
            for steps, _ in [by_cost[costs[0]]]
            for step, *values in zip(
                steps,
                *(by_cost[cost][1] if cost in by_cost else [""] * len(steps) for cost in costs),
                strict=True,
            )
        ),
    )


def write_clips_found(
    path: Path,
    clips: Sequence[ExampleClip],
    truth: Mapping[str, Sequence[Event]],
    analyses: Mapping[str, Analysis],
) -> None:
    """Write the example clips as JSON, with annotated and estimated events.

    Args:
        path: JSON output.
        clips: the example clips.
        truth: clip to its annotated events.
        analyses: variant to its errors, with timelines of the example clips.
    """
    described = [
        {
            "reason": clip.reason,
            "clip_id": clip.clip_id,
            "with_vision": round(clip.with_vision, 2),
            "without_vision": round(clip.without_vision, 2),
            "annotated": _described(truth[clip.clip_id]),
            "estimated": {
                variant: [_described(events) for events in analysis.timelines[clip.clip_id].events]
                for variant, analysis in analyses.items()
                if clip.clip_id in analysis.timelines
            },
        }
        for clip in clips
    ]
    with atomic_write(path) as part:
        part.write_text(json.dumps(described, indent=2) + "\n", "utf-8")


def _described(events: Iterable[Event]) -> list[dict[str, float | str]]:
    return [
        {"onset": round(event.onset, 3), "offset": round(event.offset, 3), "label": event.label}
        for event in events
    ]


def _write_tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _rounded(*values: float) -> list[float]:
    return [round(float(value), 2) for value in values]
