"""Extract one kind of features from all clips."""

import argparse
from importlib import import_module
from pathlib import Path

from avsed.cli import run
from avsed.clips import read_clips
from avsed.config import load_params
from avsed.extraction import extract_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["spectral", "auditory", "visual"])
    kind = parser.parse_args().kind

    params = getattr(load_params(), kind)
    # The modules of the three kinds have the same function; only the one needed is loaded.
    extractor = import_module(f"avsed.features.{kind}").make_extractor(params)
    extract_features(
        extractor,
        read_clips(Path("data/clips.csv")),
        clips_dir=Path("data/clips"),
        out_dir=Path("data/features") / kind,
    )


if __name__ == "__main__":
    run(main)
