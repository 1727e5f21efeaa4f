"""Write the lists of clips and their annotations in one form, and have the weights at hand."""

from pathlib import Path

from avsed.cli import run
from avsed.config import load_params
from avsed.features.published import VGG16, VGGISH, find_weights
from avsed.prepare import prepare_lists


def main() -> None:
    params = load_params()
    prepare_lists(params.dataset, params.local, Path("data/metadata"))
    # Only the extraction needs them, but collecting may take days, after which it would stop.
    find_weights(params.auditory.weights, VGGISH)
    find_weights(params.visual.weights, VGG16)


if __name__ == "__main__":
    run(main)
