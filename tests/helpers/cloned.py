"""A clone of the repository in which commands run as a user runs them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT

# Few clips. VGG16 with random weights, because it has several layers to choose from. The auditory
# network stays YAMNet, which takes less time than VGGish.
SMALL = {
    "n_weak: [0-9]+(?=\n  n_unl.*\n  n_val)": "n_weak: 3",
    "n_unlabeled: [0-9]+(?=\n  n_val)": "n_unlabeled: 1",
    "n_validation: [0-9]+": "n_validation: 2",
    "n_test: [0-9]+": "n_test: 2",
    "n_strong: [0-9]+": "n_strong: 2",
    "\n  steps: [0-9]+": "\n  steps: 2",
    "network: efficientnet_lite0\n  weights: pretrained": "network: vgg16\n  weights: random",
    "resize_size: 128\n  crop_size: 128": "resize_size: 64\n  crop_size: 64",
}
# These rows need auditory features once more, and two more variants to be trained.
LEFT_OUT_ROWS = r"\n  # Not in the paper: windows centered on the frames\n(.*\n)+"


@dataclass(frozen=True)
class Clone:
    """A copy of the repository.

    Attributes:
        path: its folder.
        variables: additional environment variables of its commands.
    """

    path: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.path / "src"),
            "AVSED_STORE": "",
            "DVC_NO_ANALYTICS": "1",
            **self.variables,
        }

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert bool(done.returncode) == fails, output
        return output

    def replace(self, name: str, pattern: str, text: str) -> None:
        path = self.path / name
        content, n_replaced = re.subn(pattern, text, path.read_text())
        assert n_replaced == 1, pattern
        path.write_text(content)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-m", "c")


def copy_repository(path: Path) -> Clone:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in listed:
        if (ROOT / name).exists():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path / name)
    clone = Clone(path)
    clone.run("git", "init", "-q")
    for pattern, text in SMALL.items():
        clone.replace("profiles/demo.yaml", pattern, text)
    clone.replace("variants.yaml", LEFT_OUT_ROWS, "")
    clone.commit()
    return clone


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))
