"""Score validation and test clips with all students of one variant."""

from pathlib import Path

from avsed.config import require_variant
from avsed.model.score import score_variant
from avsed.runtime.process import run_stage_of_variant


def main(variant: str) -> None:
    require_variant(variant)
    score_variant(
        Path("data/models") / variant,
        features_dir=Path("data/features"),
        metadata_dir=Path("data/metadata"),
        out_path=Path("data/scores") / f"{variant}.h5",
    )


if __name__ == "__main__":
    run_stage_of_variant(main, __doc__)
