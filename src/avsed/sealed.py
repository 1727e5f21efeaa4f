"""Files that end in a hash of themselves, so that damage is told before anybody reads them.

HDF5's library may hang on damage, or give other values. It reads no further than to its own end,
which stands before the seal.
"""

import hashlib
from functools import cache
from pathlib import Path

import h5py

_MARK = b"\nsha256:"
_LENGTH = len(_MARK) + 64


def seal(path: Path) -> None:
    """Append a finished file's hash to it."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(_MARK + digest.encode())


def require_seal(path: Path) -> None:
    """Refuse a file that is not as it was sealed; reads all of it, once in a process.

    Raises:
        OSError: if it cannot be read, or is not.
    """
    stat = path.stat()
    _require_seal(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@cache
def _require_seal(path: Path, *_: int) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = max(path.stat().st_size - _LENGTH, 0)
        while block := file.read(min(left, 2**20)):
            digest.update(block)
            left -= len(block)
        if file.read() != _MARK + digest.hexdigest().encode():
            raise OSError("damaged, cut short, or not written by this avsed")


def open_sealed(path: Path) -> h5py.File:
    """Open a sealed HDF5 file for reading.

    Raises:
        OSError: if it cannot be read, or is not as it was sealed.
    """
    require_seal(path)
    return h5py.File(path, "r")
