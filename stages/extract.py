"""Extract all kinds of features from all clips."""

from pathlib import Path

from avsed.cli import run
from avsed.clips import read_clips
from avsed.config import load_params
from avsed.extraction import Recipe, extract_features
from avsed.features.auditory import make_extractor as make_auditory
from avsed.features.spectral import make_extractor as make_spectral
from avsed.features.visual import make_extractor as make_visual


def main() -> None:
    params = load_params()
    extract_features(
        {
            "spectral": Recipe(make_spectral, params.spectral),
            "auditory": Recipe(make_auditory, params.auditory),
            "visual": Recipe(make_visual, params.visual),
        },
        read_clips(Path("data/clips.csv")),
        clips_dir=Path("data/clips"),
        out_dir=Path("data/features"),
    )


if __name__ == "__main__":
    run(main)
