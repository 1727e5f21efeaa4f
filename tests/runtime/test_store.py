"""The store: the keys of its entries depend on code by import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from avsed.runtime.store import source_files
from tests.conftest import ROOT


def test_source_files_follow_imports_of_the_package() -> None:
    names = {path.name for path in source_files("avsed.features.spectral")}
    assert names == {
        "spectral.py",
        "extractor.py",
        "framing.py",
        "media.py",
        "ffmpeg.py",
        "header.py",
        "wav.py",
    }


# Prints the keys of the code behind features, seeds and a hash of work that depends on it.
PRINT_KEYS = """
from avsed.runtime.store import code_key
print(code_key(("avsed.training.seed_group",)))
print(code_key(("avsed.features.networks.vgg16", "avsed.features.extraction.batching")))
"""


def test_a_comment_in_the_runtime_changes_no_key_and_one_elsewhere_does(tmp_path: Path) -> None:
    package = shutil.copytree(ROOT / "src" / "avsed", tmp_path / "avsed")

    def keys() -> list[str]:
        command = [sys.executable, "-c", PRINT_KEYS]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.split()

    def comment(path: Path) -> None:
        path.write_text(path.read_text() + "# a comment\n")

    before = keys()
    for path in (*(package / "runtime").glob("*.py"), *(package / "commands").glob("*.py")):
        comment(path)
    for name in ("cli", "config", "errors", "params"):
        comment(package / f"{name}.py")
    assert keys() == before
    comment(package / "framing.py")
    assert not set(keys()) & set(before)
