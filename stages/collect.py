"""Bring the media of all listed clips into one folder, and record what is in each."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.features.published import VGG16, VGGISH, find_weights
from avsed.runtime.process import run_stage
from avsed.sources.collect import collect_clips
from avsed.variants import kinds_of_variant


def main() -> None:
    params = load_params()
    # Only the extraction needs them, but collecting may take days, after which it would stop.
    kinds = {kind for variant in load_variants() for kind in kinds_of_variant(variant)}
    if kinds & {"auditory", "auditory_centered"}:
        find_weights(params.auditory.weights, VGGISH)
    if "visual" in kinds:
        find_weights(params.visual.weights, VGG16)
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
