"""Score validation and test clips with all students of one variant."""

import argparse
from pathlib import Path

from avsed.cli import run
from avsed.scoring import score_variant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant", help="e.g. spectral+visual")
    variant = parser.parse_args().variant

    score_variant(
        Path("data/models") / variant,
        features_dir=Path("data/features"),
        metadata_dir=Path("data/metadata"),
        out_path=Path("data/scores") / f"{variant}.h5",
    )


if __name__ == "__main__":
    run(main)
