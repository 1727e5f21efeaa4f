"""Cores and memory that a process may use, by the limits of its control groups."""

import os
from pathlib import Path

import psutil
import pytest

from avsed.runtime.limits import count_cores, free_memory
from tests.helpers.control_groups import put_into_group

ALL_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
OF_FILES = "inactive_file 3000\nactive_file 1000\nanon 5000\n"
OF_GROUPS_BELOW = (
    "inactive_file 0\nactive_file 0\ntotal_inactive_file 3000\ntotal_active_file 1000\n"
)


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "60000 100000\n"}),
        (
            "3:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n",
            {"cpu/job/cpu.cfs_quota_us": "60000\n", "cpu/job/cpu.cfs_period_us": "100000\n"},
        ),
        # Of a container, which sees its own group as the outermost.
        ("3:cpu:/host/a1b2\n", {"cpu/cpu.cfs_quota_us": "99\n", "cpu/cpu.cfs_period_us": "100\n"}),
    ],
)
def test_a_quota_of_less_than_a_core_is_one(
    own: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_group(tmp_path, monkeypatch, own, files)
    assert count_cores() == 1


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/job\n", {"job/cpu.max": "max 100000\n"}),
        ("0::/job\n", {"job/cpu.max": "9900000 100000\n"}),
        (
            "1:cpu:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "-1\n", "cpu/job/cpu.cfs_period_us": "100000\n"},
        ),
    ],
)
def test_without_a_quota_all_cores_of_this_process_count(
    own: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_group(tmp_path, monkeypatch, own, files)
    assert count_cores() == ALL_CORES


@pytest.mark.parametrize(
    ("own", "files"),
    [
        (
            "0::/job/step\n",
            {
                "job/step/memory.max": "max\n",
                "job/step/memory.current": "9000\n",
                "job/memory.max": "10000\n",
                "job/memory.current": "9000\n",
                "job/memory.stat": OF_FILES,
            },
        ),
        (
            "4:memory:/job\n0::/\n",
            {
                "memory/job/memory.limit_in_bytes": "10000\n",
                "memory/job/memory.usage_in_bytes": "9000\n",
                "memory/job/memory.stat": OF_GROUPS_BELOW,
            },
        ),
    ],
)
def test_memory_that_is_kept_of_files_counts_as_free(
    own: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_group(tmp_path, monkeypatch, own, files)
    assert free_memory() == 10_000 - 9_000 + 3_000 + 1_000


def test_without_a_limit_the_machine_s_free_memory_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into_group(
        tmp_path, monkeypatch, "0::/\n", {"memory.max": "max\n", "memory.current": "9\n"}
    )
    assert free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
