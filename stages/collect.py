"""Bring the media of all listed clips into one folder, and record what is in each."""

from pathlib import Path

from avsed.config import load_params
from avsed.runtime.process import run_stage
from avsed.sources.collect import collect_clips


def main() -> None:
    params = load_params()
    collect_clips(
        params.dataset,
        params.local,
        params.download,
        metadata_dir=Path("data/metadata"),
        clips_dir=Path("data/clips"),
        table_path=Path("data/clips.csv"),
        metrics_path=Path("metrics/clips.json"),
        report_path=Path("reports/clips.md"),
    )


if __name__ == "__main__":
    run_stage(main, __doc__)
