"""Write the lists of clips and their annotations in one form, whatever their source."""

from pathlib import Path

from avsed.config import load_params, load_variants
from avsed.features.kinds import require_weights
from avsed.runtime.process import run_stage
from avsed.sources.prepare import prepare_lists


def main() -> None:
    params = load_params()
    # Only the extraction needs them, but collecting may take days, after which it would stop.
    require_weights(load_variants(), params)
    prepare_lists(params.dataset, params.local, Path("data/metadata"))


if __name__ == "__main__":
    run_stage(main, __doc__)
