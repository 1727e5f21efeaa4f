"""Describe a trained model in its folder: decisions.json and README.md (not in the paper)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsed.dataset.annotations import read_classes, read_list
from avsed.dataset.clips import read_clips
from avsed.evaluation.metrics import F1_AVERAGES
from avsed.evaluation.system import choose_thresholds, find_reference
from avsed.model.card import ModelCard, read_model_card
from avsed.model.decisions import Decisions, make_decisions, write_decisions
from avsed.model.scores import ScoredSplit, Scores, read_scores
from avsed.params import Params
from avsed.report.bootstrap import bootstrap_intervals
from avsed.report.rows import (
    TITLES,
    VariantResults,
    describe_setup,
    read_results,
    with_deviation,
    with_ends,
)
from avsed.runtime.files import atomic_write
from avsed.runtime.markdown import markdown_table
from avsed.variants import uses_strong, weak_variant

_LENGTHS = {
    "median_filter_frames": "median filter, frames",
    "max_gap": "filled gaps, s",
    "min_event": "shortest event, s",
}


def describe_model(variant: str, data_dir: Path, params: Params) -> None:
    """Write the thresholds of a model, and a README that says what it is.

    Tuned thresholds are chosen for the mean scores of all seeds, which `avsed predict` uses, on
    validation.

    Args:
        variant: its name.
        data_dir: `models/`, `scores/`, `evaluations/`, `metadata/` and `clips.csv`.
        params: the set-up.

    Raises:
        AvsedError: if a file is missing.
    """
    model_dir = data_dir / "models" / variant
    card = read_model_card(model_dir)
    decisions = _decide(card, read_scores(data_dir / "scores" / f"{variant}.h5"), data_dir, params)
    results = read_results(data_dir / "evaluations", [variant], n_best=params.evaluation.n_best)[
        variant
    ]
    write_decisions(decisions, model_dir)
    with atomic_write(model_dir / "README.md") as part:
        part.write_text(_render(variant, card, decisions, results, params), "utf-8")


def _decide(
    card: ModelCard, splits: Mapping[str, ScoredSplit], data_dir: Path, params: Params
) -> Decisions:
    validation = splits["validation"]
    metadata_dir = data_dir / "metadata"
    classes = read_classes(metadata_dir)
    reference = find_reference(
        validation,
        read_list(metadata_dir, "validation", classes),
        durations={clip.clip_id: clip.duration for clip in read_clips(data_dir / "clips.csv")},
        classes=classes,
    )
    seeds = validation.seeds.values()
    mean = Scores(
        frame_scores=np.mean([scores.frame_scores for scores in seeds], axis=0),
        clip_scores=np.mean([scores.clip_scores for scores in seeds], axis=0),
    )
    thresholds = choose_thresholds(
        mean, reference, postprocess=params.postprocess, params=params.evaluation
    )
    return make_decisions(
        params.postprocess,
        tags=dict(zip(card.classes, thresholds.tags.tolist(), strict=True)),
        events=dict(zip(card.classes, thresholds.events.tolist(), strict=True)),
    )


def _render(
    variant: str, card: ModelCard, decisions: Decisions, results: VariantResults, params: Params
) -> str:
    n_seeds = len(results.counted.seeds)
    lines = [
        f"# {variant}",
        "",
        "A model of avsed for audio tagging and sound event detection. Set-up: "
        f"{describe_setup(params, [variant])}.",
        "",
        "```sh",
        "avsed predict recording.wav --model FOLDER",
        "```",
        "",
        f"The scores of its {n_seeds} networks, trained for {params.train.steps:,} steps each, are "
        "averaged.",
        "",
        *_strong_labels(variant, card),
        *_synthesized(params),
        "## Features",
        "",
        *_features(card),
        "",
        "## Classes and thresholds",
        "",
        *_thresholds(card, decisions),
        "",
        "## Scores",
        "",
        f"In %, on the test clips: mean of the best {params.evaluation.n_best} of {n_seeds} "
        "networks by",
        "validation, and 95% intervals from resamples of the test clips.",
        "",
        *_scores(results),
    ]
    return "\n".join(lines) + "\n"


def _strong_labels(variant: str, card: ModelCard) -> list[str]:
    if card.n_strong_clips:
        text = f"Trained on the events of {card.n_strong_clips:,} strongly labeled clips, too."
    elif uses_strong(variant):
        text = f"Trained without strong labels; equals {weak_variant(variant)}."
    else:
        return []
    return [text, ""]


def _synthesized(params: Params) -> list[str]:
    if params.dataset.source != "demo":
        return []
    return ["**Trained on synthesized sounds and images: not for real recordings.**", ""]


def _features(card: ModelCard) -> list[str]:
    rows = []
    for kind in card.kinds:
        made_by = card.provenance[kind]
        weights = made_by.get("weights", "none needed")
        of_weights = [made_by.get(f"weights_{what}", "") for what in ("licence", "sha256")]
        origin = made_by.get("weights_origin", weights)
        rows.append([str(cell) for cell in (kind, made_by["extractor"], origin, *of_weights)])
    return markdown_table(["features", "network", "weights", "licence", "SHA-256"], rows)


def _thresholds(card: ModelCard, decisions: Decisions) -> list[str]:
    by_class = {
        "threshold of tags": decisions.tags,
        "threshold of events": decisions.events,
        **{
            title: getattr(decisions, name)
            for name, title in _LENGTHS.items()
            if name in decisions.by_class
        },
    }
    rows = [
        [label, *(f"{of_class[label]:g}" for of_class in by_class.values())]
        for label in card.classes
    ]
    return [*_filters(decisions), "", *markdown_table(["class", *by_class], rows)]


def _filters(decisions: Decisions) -> list[str]:
    """Describe how frame decisions become events."""
    if decisions.method == "median":
        frames = decisions.median_filter_frames
        length = f"{frames} frames" if isinstance(frames, int) else "frames"
        lines = [f"Frame decisions are smoothed by a median filter of {length} of 66.24 ms."]
    else:
        lines = ["Events are sound event bounding boxes with a mean score above the threshold."]
    if decisions.max_gap:
        lines.append(f"Then gaps of up to {_seconds(decisions.max_gap)} are filled.")
    if decisions.min_event:
        lines.append(f"Then events shorter than {_seconds(decisions.min_event)} are dropped.")
    return lines


def _seconds(value: float | dict[str, float]) -> str:
    return "the seconds of their class" if isinstance(value, dict) else f"{value:g} s"


def _scores(results: VariantResults) -> list[str]:
    intervals = bootstrap_intervals(results.counted, results.chosen)
    return markdown_table(
        ["metric", "score", "95% interval"],
        [
            [
                title,
                with_deviation(results.averages[metric]),
                with_ends(intervals[metric]) if metric in F1_AVERAGES else "",
            ]
            for metric, title in TITLES.items()
        ],
    )
