"""Write the results page, its figures and their data."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.report.page.illustrate import illustrate
from avsed.runtime.process import run_stage
from avsed.variants import with_zero_shot


def main() -> None:
    illustrate(
        Path("data"),
        Path("reports"),
        variants=with_zero_shot(load_variants()),
        params=load_params(),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
