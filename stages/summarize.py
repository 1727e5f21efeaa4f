"""Write the metrics table of all variants, beside the paper's."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.report.rows import reported_variants
from avsed.report.summarize import summarize
from avsed.runtime.process import run_stage


def main() -> None:
    params = load_params()
    variants = reported_variants(load_variants(), Path("data/metadata"), params)
    summarize(
        Path("data/evaluations"),
        variants,
        params,
        metrics_dir=Path("metrics"),
        reports_dir=Path("reports"),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
