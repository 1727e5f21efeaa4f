"""Open an HDF5 file that a stage has written, or say which stage to run."""

from pathlib import Path

import h5py

from avsed.errors import AvsedError


def open_results(path: Path, stage: str) -> h5py.File:
    """Open a variant's file for reading.

    Args:
        path: named like the variant.
        stage: that writes it.

    Raises:
        AvsedError: if it cannot be read.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise AvsedError(
            f"{path}: cannot be read ({error}); run `dvc repro {stage}@{path.stem}`"
        ) from None
