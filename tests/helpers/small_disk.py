"""A small file system in memory that tests fill up.

Mounting it requires root, or running the tests by `unshare -Urm pytest ...`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = 4096  # bytes; a file system in memory allocates whole pages


@dataclass(frozen=True)
class Disk:
    """A small disk.

    Attributes:
        path: mount point.
    """

    path: Path

    @property
    def n_free(self) -> int:
        return shutil.disk_usage(self.path).free

    def fill(self, *, leaving: int) -> None:
        """Leave the given number of bytes free, a multiple of a page."""
        self.make_room()
        filler_path = self.path / "filler"
        with filler_path.open("wb") as filler:
            while self.n_free > leaving:  # threads of a download may still clean up
                size = filler_path.stat().st_size
                os.posix_fallocate(filler.fileno(), size, self.n_free - leaving)

    def make_room(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)


@contextmanager
def mounted(path: Path, size: int) -> Iterator[Disk]:
    """Mount a disk of the given size in bytes, or skip the test."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here ({error})")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here ({done.stderr.strip()})")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
