"""Open an HDF5 file that a stage has written, or say which stage to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from avsed.errors import AvsedError
from avsed.sealed import open_sealed


@contextmanager
def open_results(path: Path, stage: str) -> Iterator[h5py.File]:
    """Open a variant's file for reading.

    Args:
        path: named like the variant.
        stage: that writes it.

    Raises:
        AvsedError: if it cannot be read, or lacks what is read from it.
    """
    try:
        with open_sealed(path) as file:
            yield file
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise AvsedError(
            f"{path}: cannot be read ({reason}); run `dvc repro {stage}@{path.stem}`"
        ) from None
