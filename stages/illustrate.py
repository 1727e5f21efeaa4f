"""Write the results page, its figures and their data."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.report.page.illustrate import illustrate
from avsed.report.rows import reported_variants
from avsed.runtime.process import run_stage


def main() -> None:
    params = load_params()
    variants = reported_variants(load_variants(), Path("data/metadata"), params)
    illustrate(
        Path("data"),
        Path("reports"),
        variants=variants,
        params=params,
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
