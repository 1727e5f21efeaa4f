"""Write the metrics table of all variants, beside the paper's."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.report.summarize import summarize
from avsed.runtime.process import run_stage
from avsed.variants import with_zero_shot


def main() -> None:
    summarize(
        Path("data/evaluations"),
        with_zero_shot(load_variants()),
        load_params(),
        metrics_dir=Path("metrics"),
        reports_dir=Path("reports"),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
