"""Write the page of results, its figures and their data."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.report.page.illustrate import illustrate
from avsed.runtime.process import run_stage


def main() -> None:
    illustrate(
        evaluations_dir=Path("data/evaluations"),
        scores_dir=Path("data/scores"),
        training_dir=Path("reports/training"),
        metadata_dir=Path("data/metadata"),
        clips_path=Path("data/clips.csv"),
        variants=load_variants(),
        params=load_params(),
        page_path=Path("reports/index.html"),
        figures_dir=Path("reports/figures"),
        data_dir=Path("reports/plots"),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
