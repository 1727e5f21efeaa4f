"""CPU cores and memory available to this process, including container limits."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

# Linux control groups, version 1 or 2, set by containers and batch systems.
GROUPS_DIR = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def count_cores() -> int:
    """Count the cores available to this process; a fraction counts as one."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        n_cores = len(os.sched_getaffinity(0))
    else:
        n_cores = os.cpu_count() or 1
    return max(1, min([n_cores, *map(math.ceil, _core_quotas())]))


def free_memory() -> int:
    """Return the memory still available to this process, in bytes."""
    available: int = psutil.virtual_memory().available
    return max(0, min([available, *_memory_left()]))


def _core_quotas() -> Iterator[float]:
    for group in _groups("cpu"):
        quota = _numbers(group / "cpu.max") or (
            _numbers(group / "cpu.cfs_quota_us") + _numbers(group / "cpu.cfs_period_us")
        )
        if len(quota) == 2 and quota[0] > 0:  # negative: no limit
            yield quota[0] / quota[1]


def _memory_left() -> Iterator[int]:
    for group in _groups("memory"):
        limit = _numbers(group / "memory.max") or _numbers(group / "memory.limit_in_bytes")
        used = _numbers(group / "memory.current") or _numbers(group / "memory.usage_in_bytes")
        if limit and used:
            # The page cache is released when memory is needed.
            yield limit[0] - used[0] + _kept_of_files(group)


def _kept_of_files(group: Path) -> int:
    lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    values = {name: int(value) for name, value in lines}
    prefix = "total_" if "total_inactive_file" in values else ""  # version 1, with groups below
    return values[f"{prefix}inactive_file"] + values[f"{prefix}active_file"]


def _groups(controller: str) -> Iterator[Path]:
    """Yield the control groups of this process, from the innermost to the outermost."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        outermost = GROUPS_DIR / controller if controllers else GROUPS_DIR
        group = outermost / path.lstrip("/")
        yield group
        while group != outermost:
            group = group.parent
            yield group


def _numbers(path: Path) -> tuple[int, ...]:
    """Read the numbers of a limit; empty if there is no such file or no limit."""
    try:
        return tuple(map(int, path.read_text().split()))
    except (OSError, ValueError):  # "max"
        return ()
