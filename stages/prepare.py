"""Write the lists of clips and their annotations in one form, whatever their source."""

from pathlib import Path

from avsed.config import load_params
from avsed.runtime.process import run_stage
from avsed.sources.prepare import prepare_lists


def main() -> None:
    params = load_params()
    prepare_lists(params.dataset, params.local, Path("data/metadata"))


if __name__ == "__main__":
    run_stage(main, __doc__)
