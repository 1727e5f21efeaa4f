"""Control groups of Linux, which limit cores and memory, written as files."""

from pathlib import Path

import pytest

from avsed.runtime import limits


def put_into_group(
    folder: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str]
) -> None:
    """Make the package read these files instead of Linux's, as if this process were in groups.

    Args:
        folder: becomes the files.
        monkeypatch: restores Linux's afterwards.
        own: text of /proc/self/cgroup.
        files: path below /sys/fs/cgroup to text.
    """
    (folder / "own").write_text(own)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(limits, "OWN_GROUPS", folder / "own")
    monkeypatch.setattr(limits, "GROUPS_DIR", folder / "groups")


def leave_memory(n_bytes: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package find the given number of bytes of free memory."""
    files = {
        "memory.max": f"{n_bytes + 1}",
        "memory.current": "1",
        "memory.stat": "inactive_file 0\nactive_file 0\n",
    }
    put_into_group(folder, monkeypatch, "0::/\n", files)
