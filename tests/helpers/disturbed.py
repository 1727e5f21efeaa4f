"""A clone with a finished demo, one stage of which is to be made again and is disturbed at it."""

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
    """Copy a finished demo, with a mark in the environment and a TMPDIR of its own."""
    shutil.copytree(finished_demo, path / "clone", symlinks=True)
    (path / "tmp").mkdir()
    common = {MARK: str(path), "TMPDIR": str(path / "tmp")}
    return Clone(path / "clone", common | variables)


def undo(clone: Clone, stage: str) -> None:
    """Have the last commit know nothing of a stage's outputs, so that nothing recovers them."""
    path = clone.path / "dvc.lock"
    yaml = YAML()
    lock = yaml.load(path)
    del lock["stages"][stage]
    yaml.dump(lock, path)
    clone.commit()
    forget(clone)


def forget(clone: Clone) -> None:
    """Go back to the last commit, and lose what could spare the stage its work."""
    clone.run("git", "checkout", "-q", "dvc.lock")
    for name in (".dvc/cache/runs", ".avsed"):
        shutil.rmtree(clone.path / name, ignore_errors=True)


def read_lock(path: Path) -> dict[str, object]:
    """Read what DVC knows of all stages, in no order."""
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
    """List temporary files and folders, also those that are in work."""
    folders = [clone.path / name for name in (".avsed", "data", "metrics", "reports")]
    found = [
        path
        for folder in folders
        for pattern in ("*.part", "*.part.*", "*.committed", "tmp*", "*.checkpoint")
        for path in folder.rglob(pattern)
    ]
    # PyTorch makes a folder for what it compiles, which it never removes.
    in_tmp = Path(clone.variables["TMPDIR"]).iterdir()
    return found + [path for path in in_tmp if not path.name.startswith("torchinductor_")]


def living(clone: Clone) -> dict[int, list[str]]:
    """Find all processes that were started in a clone, and their command lines."""
    mark = f"{MARK}={clone.variables[MARK]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().decode().split("\0")
                    found[int(entry.name)] = command
            except OSError:  # it has just ended
                continue
    return found


@contextmanager
def started(clone: Clone, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command in a process group of its own, as a terminal does."""
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
    """Read what the last command that was started has printed."""
    return (clone.path.parent / "output").read_text()


def wait_for_stage(clone: Clone, stage: str, process: "subprocess.Popen[str]") -> int:
    """Wait until DVC has started a stage; gives its process."""
    script = f"stages/{stage.partition('@')[0]}.py"
    while process.poll() is None:
        for pid, command in living(clone).items():
            if command[1:2] == [script]:
                return pid
        time.sleep(0.01)
    raise AssertionError(f"{stage} was not started: {output_of(clone)}")


def wait_for_end(clone: Clone) -> float:
    """Wait until no process is left; gives the seconds that it took."""
    start = time.monotonic()
    while left := living(clone):
        assert time.monotonic() - start < PATIENCE, left
        time.sleep(0.01)
    return time.monotonic() - start
