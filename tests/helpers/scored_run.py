"""A run of two seeds of every variant, from made-up scores to its page of results."""

from pathlib import Path

import numpy as np

from avsed.config import load_variants
from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.clips import write_clips
from avsed.evaluation.evaluate import evaluate_variant
from avsed.model.scores import ScoredSplit, Scores, write_scores
from avsed.params import Params
from avsed.report.page.illustrate import COSTS, illustrate
from tests.conftest import ROOT, clip_record

VARIANTS = load_variants(ROOT / "variants.yaml")
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
    """Write a run in which vision finds the dog, but takes the cat of a clip for one."""
    cats = ("both", CAT), ("cat", CAT)
    with_vision = score(("both", CAT), ("both", DOG), ("cat", (1, slice(15, 45))))
    write_classes(folder, CLASSES)
    for split in ("validation", "test"):
        write_list(
            folder,
            split,
            [
                AnnotatedClip(clip_id=clip_id, tags=(), events=events)
                for clip_id, events in CLIPS.items()
            ],
        )
    write_clips(folder / "clips.csv", [clip_record(clip_id) for clip_id in CLIPS])
    for variant in VARIANTS:
        scores = with_vision if "visual" in variant else score(*cats)
        scored = ScoredSplit(
            clip_ids=tuple(CLIPS),
            valid_frames=np.full(len(CLIPS), 151),
            seeds={0: scores, 1: score()},
        )
        write_scores(folder / "scores" / f"{variant}.h5", {"validation": scored, "test": scored})
        evaluate_variant(
            folder / "scores" / f"{variant}.h5",
            metadata_dir=folder,
            clips_path=folder / "clips.csv",
            postprocess=params.postprocess,
            params=params.evaluation,
            out_path=folder / "evaluations" / f"{variant}.json",
            counts_path=folder / "evaluations" / f"{variant}.h5",
        )
        curves = folder / "training" / variant / "plots" / "metrics"
        curves.mkdir(parents=True)
        for cost in COSTS:
            (curves / f"{cost}.tsv").write_text(f"step\t{cost}\n1\t0.5\n2\t0.25\n")


def illustrate_run(
    folder: Path, params: Params, *, name: str = "index.html", out_dir: Path | None = None
) -> Path:
    out_dir = out_dir or folder
    illustrate(
        evaluations_dir=folder / "evaluations",
        scores_dir=folder / "scores",
        training_dir=folder / "training",
        metadata_dir=folder,
        clips_path=folder / "clips.csv",
        variants=VARIANTS,
        params=params,
        page_path=out_dir / name,
        figures_dir=out_dir / "figures",
        data_dir=out_dir / "plots",
    )
    return out_dir / name
