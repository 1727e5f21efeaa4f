"""Describe the model of one variant in its folder: thresholds and README."""

from pathlib import Path

from avsed.config import load_params, require_variant
from avsed.report.describe import describe_model
from avsed.runtime.process import run_stage_of_variant


def main(variant: str) -> None:
    require_variant(variant)
    describe_model(variant, Path("data"), load_params())


if __name__ == "__main__":
    run_stage_of_variant(main, __doc__)
