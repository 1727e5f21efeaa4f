"""Score validation and test clips with YAMNet alone, without training."""

from pathlib import Path

from avsed.runtime.process import run_stage
from avsed.variants import ZERO_SHOT
from avsed.zero_shot.score import score_zero_shot


def main() -> None:
    score_zero_shot(
        clips_dir=Path("data/clips"),
        clips_path=Path("data/clips.csv"),
        metadata_dir=Path("data/metadata"),
        out_path=Path("data/scores") / f"{ZERO_SHOT}.h5",
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
