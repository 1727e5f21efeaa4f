"""Folders of what is being written, which a later run removes where a kill has left them."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX, _SUFFIX = "avsed-", ".part"


@contextmanager
def folder_in_work(parent: Path) -> Iterator[Path]:
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
