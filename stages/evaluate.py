"""Compute the metrics of every seed of one variant."""

import argparse
from pathlib import Path

from avsed.cli import run
from avsed.config import load_params
from avsed.evaluation import evaluate_variant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", help="e.g. spectral+visual")
    variant = parser.parse_args().variant

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
    run(main)
