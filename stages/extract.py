"""Extract all kinds of features that the variants use, from all clips."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.dataset.clips import read_clips
from avsed.features.extraction.extract import extract_features
from avsed.features.kinds import make_recipes
from avsed.runtime.process import run_stage


def main() -> None:
    extract_features(
        make_recipes(load_variants(), load_params()),
        read_clips(Path("data/clips.csv")),
        clips_dir=Path("data/clips"),
        out_dir=Path("data/features"),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
