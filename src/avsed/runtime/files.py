"""Write files whole or not at all, with checksums, and name disk errors."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import h5py
from filelock import FileLock, Timeout

from avsed.errors import AvsedError

_PREFIX, _SUFFIX = "avsed-", ".part"
_MARK = b"\nsha256:"
_LENGTH = len(_MARK) + 64


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder for unfinished files, which is removed when the block ends.

    It holds a lock for as long as its process lives. What processes that were killed have left in
    `parent` is removed first, once in a process.

    Args:
        parent: a folder, which may be shared with other processes and machines.
    """
    _remove_leftovers(parent.resolve())
    folder, lock = _make_locked(parent)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _make_locked(parent: Path) -> tuple[Path, FileLock]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=_PREFIX, suffix=_SUFFIX))
        lock = FileLock(folder / "lock")
        try:
            lock.acquire()
        except FileNotFoundError:  # another process has just taken it for a leftover
            continue
        return folder, lock


@cache
def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            with FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # in work, or another user's, or gone
            continue


def append_checksum(path: Path) -> None:
    """Append a finished file's hash to it."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(_MARK + digest.encode())


def verify_checksum(path: Path) -> None:
    """Refuse a file that is not as it was sealed; reads all of it, once in a process.

    Raises:
        OSError: if it cannot be read, or is not.
    """
    stat = path.stat()
    _verify_checksum(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@cache
def _verify_checksum(path: Path, *_: int) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = max(path.stat().st_size - _LENGTH, 0)
        while block := file.read(min(left, 2**20)):
            digest.update(block)
            left -= len(block)
        if file.read() != _MARK + digest.hexdigest().encode():
            raise OSError("damaged, cut short, or not written by this avsed")


def open_verified(path: Path) -> h5py.File:
    """Open a sealed HDF5 file for reading.

    Raises:
        OSError: if it cannot be read, or is not as it was sealed.
    """
    verify_checksum(path)
    return h5py.File(path, "r")


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
        with open_verified(path) as file:
            yield file
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise AvsedError(
            f"{path}: cannot be read ({reason}); run `dvc repro {stage}@{path.stem}`"
        ) from None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path, renamed to `path` when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_disk_errors(path), work_folder(path.parent) as folder:
        part = folder / path.name
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


@contextmanager
def name_disk_errors(path: Path) -> Iterator[None]:
    """Have an error of the disk say where: what comes of writing has no name in it."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_hdf5(path: Path, libver: tuple[str, str] | None = None) -> Iterator[h5py.File]:
    """Give an HDF5 file in memory, written to `path` and sealed when the block ends well.

    On a disk that fills up, HDF5 itself prints tracebacks and crashes when the process ends.
    """
    with h5py.File(path, "w", driver="core", backing_store=False, libver=libver) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic_write(path) as part:
        part.write_bytes(image)
        append_checksum(part)


def file_sha256(path: Path) -> str:
    """Hash a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
