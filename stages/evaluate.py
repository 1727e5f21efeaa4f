"""Compute the metrics of every seed of one variant."""

from pathlib import Path

from avsed.config import load_params, require_variant
from avsed.evaluation.evaluate import evaluate_variant
from avsed.runtime.process import run_stage_of_variant
from avsed.variants import ZERO_SHOT


def main(variant: str) -> None:
    if variant != ZERO_SHOT:
        require_variant(variant)
    params = load_params()
    evaluate_variant(
        Path("data/scores") / f"{variant}.h5",
        metadata_dir=Path("data/metadata"),
        clips_path=Path("data/clips.csv"),
        postprocess=params.postprocess,
        params=params.evaluation,
        out_path=Path("data/evaluations") / f"{variant}.json",
        counts_path=Path("data/evaluations") / f"{variant}.h5",
    )


if __name__ == "__main__":
    run_stage_of_variant(main, __doc__)
