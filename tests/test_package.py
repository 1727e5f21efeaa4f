"""Packages and releases: the wheel, the citation and the workflows agree."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from ruamel.yaml import YAML

import avsed
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def source_files() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src/avsed"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.removeprefix("src/") for name in listed.stdout.splitlines()}


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_package(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(
        ROOT / "src", project / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__")
    )
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(project)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"avsed-{avsed.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == source_files()
    assert {"avsed/py.typed", "avsed/export/page.html", "avsed/export/page.js"} < names


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = read_yaml(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == avsed.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    names = [author["name"] for author in citation["authors"]]
    assert names == [author["name"] for author in PYPROJECT["project"]["authors"]]
    paper = citation["preferred-citation"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert paper["title"] in readme and paper["url"] in readme


def test_the_workflows_test_every_version_of_python() -> None:
    tests = read_yaml(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]["tests"]
    versions = tests["strategy"]["matrix"]["python"]
    allowed = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert all(allowed.contains(version) for version in versions)
    minors = [int(version.partition(".")[2]) for version in versions]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert not allowed.contains(f"3.{minors[0] - 1}")
    assert {"run": ".ci/run"} in tests["steps"]


def test_only_the_tag_of_the_version_is_published_after_the_tests() -> None:
    release = read_yaml(ROOT / ".github" / "workflows" / "release.yml")
    (pattern,) = release["on"]["push"]["tags"]
    assert fnmatch(f"v{avsed.__version__}", pattern)
    assert not fnmatch("visual@v1.0.0", pattern)  # of a model
    assert set(release["jobs"]["publish"]["needs"]) == {"tests", "build"}
    steps = release["jobs"]["build"]["steps"]
    (check,) = (step["run"] for step in steps if step.get("name") == "The tag is the version")
    for tag, status in ((f"v{avsed.__version__}", 0), ("v99.0.0", 1)):
        environment = os.environ | {"GITHUB_REF_NAME": tag}
        done = subprocess.run(["bash", "-c", check], cwd=ROOT, env=environment, check=False)
        assert done.returncode == status
