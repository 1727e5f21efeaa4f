"""Write files atomically and with checksums, and add paths to disk errors."""

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
    """Create a temporary folder for unfinished files, and delete it when the block ends.

    The folder is locked while its process lives. Folders of killed processes in `parent` are
    deleted first, once per process.

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
        except FileNotFoundError:  # another process has just deleted it as a leftover
            continue
        return folder, lock


@cache
def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            with FileLock(folder / "lock", timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # in use, owned by another user, or deleted
            continue


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock file."""
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except FileNotFoundError:  # its folder was deleted in the meantime
        return False


def append_checksum(path: Path) -> None:
    """Append the SHA-256 of a finished file to it."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.write(_MARK + digest.encode())


def verify_checksum(path: Path) -> None:
    """Verify the checksum at the end of a file; read the whole file, once per process.

    Raises:
        OSError: if the file cannot be read, or its content does not match the checksum.
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
    """Open an HDF5 file with a checksum for reading.

    Raises:
        OSError: if it cannot be read, or its content does not match the checksum.
    """
    verify_checksum(path)
    return h5py.File(path, "r")


@contextmanager
def open_results(path: Path, stage: str) -> Iterator[h5py.File]:
    """Open a variant's file for reading.

    Args:
        path: named like the variant.
        stage: the stage that writes it.

    Raises:
        AvsedError: if it cannot be read, or a dataset or attribute is missing.
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
    """Yield a temporary path; rename it to `path` if the block raises nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with name_disk_errors(path), work_folder(path.parent) as folder:
        part = folder / path.name
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)


@contextmanager
def name_disk_errors(path: Path) -> Iterator[None]:
    """Add the path to disk errors; errors raised by write() carry no file name."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_hdf5(path: Path, libver: tuple[str, str] | None = None) -> Iterator[h5py.File]:
    """Create an HDF5 file in memory; write it with a checksum if the block raises nothing.

    HDF5 itself prints tracebacks and crashes at exit if the disk becomes full.
    """
    with h5py.File(path, "w", driver="core", backing_store=False, libver=libver) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with atomic_write(path) as part:
        part.write_bytes(image)
        append_checksum(part)


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
