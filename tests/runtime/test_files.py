"""Atomic writes: failures keep the old file, and later runs delete files of killed ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from avsed.runtime.files import atomic_write

WRITER = """
import sys, time
from pathlib import Path
from avsed.runtime.files import atomic_write

with atomic_write(Path(sys.argv[1])) as part:
    part.write_text(sys.argv[2])
    print("half written", flush=True)
    sys.stdin.read()
"""


def start_to_write(path: Path, text: str) -> "subprocess.Popen[str]":
    """Write a file up to its last step, which waits for the end of the standard input."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), text],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "half written\n"
    return process


def test_a_later_writer_removes_what_a_killed_one_left_and_not_what_is_in_work(
    tmp_path: Path,
) -> None:
    path = tmp_path / "item"
    killed = start_to_write(path, "killed")
    slow = start_to_write(path, "slow")
    killed.kill()
    killed.communicate()
    assert len(list(tmp_path.iterdir())) == 2

    start_to_write(path, "quick").communicate()
    assert path.read_text() == "quick"
    assert len(list(tmp_path.iterdir())) == 2
    slow.communicate()
    assert slow.returncode == 0
    assert path.read_text() == "slow"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "item"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.glob("item*")) == [path]
