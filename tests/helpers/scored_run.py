"""A run of two seeds of every variant, from artificial scores to the results page."""

from pathlib import Path

import numpy as np

from avsed.config import load_variants
from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.clips import write_clips
from avsed.evaluation.evaluate import evaluate_variant
from avsed.model.scores import ScoredSplit, Scores, write_scores
from avsed.params import Params
from avsed.report.page.illustrate import COSTS, STRONG_COST, illustrate
from avsed.variants import uses_strong
from tests.conftest import ROOT, clip_record

# As if a user had added a variant to variants.yaml.
VARIANTS = {**load_variants(ROOT / "variants.yaml"), "auditory_added": "spectral"}
HOSTILE = "<script>alert('Dog')</script>"
CLASSES = ("Cat", HOSTILE)
CLIPS = {
    "both": (
        Event(onset=1.0, offset=3.0, label="Cat"),
        Event(onset=5.0, offset=8.0, label=HOSTILE),
    ),
    "cat": (Event(onset=1.0, offset=3.0, label="Cat"),),
    "silent": (),
}
# Frames 15 to 44: 0.99 s to 2.98 s; 81 to 120: 5.37 s to 8.01 s.
CAT, DOG = (0, slice(15, 45)), (1, slice(81, 121))


def score(*found: tuple[str, tuple[int, slice]]) -> Scores:
    frame_scores = np.zeros((len(CLIPS), 151, 2), np.float32)
    for clip_id, (k, frames) in found:
        frame_scores[list(CLIPS).index(clip_id), frames, k] = 0.9
    return Scores(frame_scores=frame_scores, clip_scores=frame_scores.max(axis=1))


def write_run(folder: Path, params: Params) -> None:
    """Write a run in which vision finds the dog, but mistakes the cat of a clip for a dog."""
    data_dir = folder / "data"
    cats = ("both", CAT), ("cat", CAT)
    with_vision = score(("both", CAT), ("both", DOG), ("cat", (1, slice(15, 45))))
    write_test_set(data_dir)
    for variant in VARIANTS:
        scores = with_vision if "visual" in variant else score(*cats)
        scored = ScoredSplit(
            clip_ids=tuple(CLIPS),
            valid_frames=np.full(len(CLIPS), 151),
            seeds={0: scores, 1: score()},
        )
        scores_path = data_dir / "scores" / f"{variant}.h5"
        write_scores(scores_path, {"validation": scored, "test": scored})
        evaluate_variant(
            scores_path,
            metadata_dir=data_dir / "metadata",
            clips_path=data_dir / "clips.csv",
            postprocess=params.postprocess,
            params=params.evaluation,
            out_path=data_dir / "evaluations" / f"{variant}.json",
            counts_path=data_dir / "evaluations" / f"{variant}.h5",
        )
        write_curves(folder / "reports", variant)


def write_test_set(data_dir: Path) -> None:
    """Write the lists and `clips.csv`; validation and test have the same clips."""
    metadata_dir = data_dir / "metadata"
    metadata_dir.mkdir(parents=True)
    write_classes(metadata_dir, CLASSES)
    clips = [
        AnnotatedClip(clip_id=clip_id, tags=(), events=events) for clip_id, events in CLIPS.items()
    ]
    for split in ("validation", "test"):
        write_list(metadata_dir, split, clips)
    write_clips(data_dir / "clips.csv", [clip_record(clip_id) for clip_id in CLIPS])


def write_curves(reports_dir: Path, variant: str) -> None:
    """Write learning curves of two steps that differ by cost."""
    curves = reports_dir / "training" / variant / "plots" / "metrics"
    curves.mkdir(parents=True)
    costs = dict(zip(COSTS, ((0.5, 0.25), (0.125, 2.0)), strict=True))
    if uses_strong(variant):
        costs[STRONG_COST] = (0.75, 0.375)
    for cost, (first, second) in costs.items():
        (curves / f"{cost}.tsv").write_text(f"step\t{cost}\n1\t{first}\n20\t{second}\n")


def illustrate_run(folder: Path, params: Params, *, reports_dir: Path | None = None) -> Path:
    """Write the page of a run; another `reports_dir` shares the learning curves of the run."""
    if reports_dir and not (reports_dir / "training").exists():
        reports_dir.mkdir(exist_ok=True)
        (reports_dir / "training").symlink_to(folder / "reports" / "training")
    reports_dir = reports_dir or folder / "reports"
    illustrate(folder / "data", reports_dir, variants=VARIANTS, params=params)
    return reports_dir / "index.html"
