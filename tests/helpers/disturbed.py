"""A clone with a finished demo, in which one stage runs again and is disturbed."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML

from tests.helpers.cloned import Clone

MARK = "AVSED_TEST"
PATIENCE = 120  # seconds


def copy_demo(finished_demo: Path, path: Path, **variables: str) -> Clone:
    """Copy a finished demo, with its own TMPDIR and a marker in the environment."""
    shutil.copytree(finished_demo, path / "clone", symlinks=True)
    (path / "tmp").mkdir()
    common = {MARK: str(path), "TMPDIR": str(path / "tmp")}
    return Clone(path / "clone", common | variables)


def undo(clone: Clone, stage: str) -> None:
    """Remove a stage's outputs from the last commit, so that they cannot be recovered."""
    path = clone.path / "dvc.lock"
    yaml = YAML()
    lock = yaml.load(path)
    del lock["stages"][stage]
    yaml.dump(lock, path)
    clone.commit()
    forget(clone)


def forget(clone: Clone) -> None:
    """Restore the last commit and delete everything that would let the stage skip work."""
    clone.run("git", "checkout", "-q", "dvc.lock")
    for name in (".dvc/cache/runs", ".avsed"):
        shutil.rmtree(clone.path / name, ignore_errors=True)


def read_lock(path: Path) -> dict[str, object]:
    """Read DVC's records of all stages, in any order."""
    stages: dict[str, object] = YAML(typ="safe").load(path / "dvc.lock")["stages"]
    return stages


def contents(path: Path) -> dict[str, str]:
    """Hash all files that stages read and write."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in ("data", "metrics", "reports")
        for file in sorted((path / folder).rglob("*"))
        if file.is_file()
    }


def leftovers(clone: Clone) -> list[Path]:
    """List temporary files and folders, including those in use."""
    folders = [clone.path / name for name in (".avsed", "data", "metrics", "reports")]
    found = [
        path
        for folder in folders
        for pattern in ("*.part", "*.part.*", "*.committed", "tmp*", "*.checkpoint")
        for path in folder.rglob(pattern)
    ]
    # PyTorch creates a folder for compiled code and never removes it.
    in_tmp = Path(clone.variables["TMPDIR"]).iterdir()
    return found + [path for path in in_tmp if not path.name.startswith("torchinductor_")]


def living(clone: Clone) -> dict[int, list[str]]:
    """Find all processes started in a clone, with their command lines."""
    mark = f"{MARK}={clone.variables[MARK]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().decode().split("\0")
                    found[int(entry.name)] = command
            except OSError:  # the process has just ended
                continue
    return found


@contextmanager
def started(clone: Clone, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command in its own process group, as a terminal does."""
    with (
        (clone.path.parent / "output").open("w") as output,
        subprocess.Popen(
            command,
            cwd=clone.path,
            env=clone.environment,
            start_new_session=True,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        yield process


def output_of(clone: Clone) -> str:
    """Read the output of the command started last."""
    return (clone.path.parent / "output").read_text()


def wait_for_stage(clone: Clone, stage: str, process: "subprocess.Popen[str]") -> int:
    """Wait until DVC has started a stage; return its process."""
    script = f"stages/{stage.partition('@')[0]}.py"
    while process.poll() is None:
        for pid, command in living(clone).items():
            if command[1:2] == [script]:
                return pid
        time.sleep(0.01)
    raise AssertionError(f"{stage} was not started: {output_of(clone)}")


def wait_for_end(clone: Clone) -> float:
    """Wait until no process is left; return the seconds that it took."""
    start = time.monotonic()
    while left := living(clone):
        assert time.monotonic() - start < PATIENCE, left
        time.sleep(0.01)
    return time.monotonic() - start
