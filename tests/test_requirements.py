"""What `make install` installs: all that pyproject.toml asks for, each by version and hash."""

import re
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned(name: str) -> dict[NormalizedName, Requirement]:
    """Read the packages of a file of pip's, each of which must have hashes."""
    text = re.sub(r"\\\n *", "", (ROOT / name).read_text())
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement, *hashes = line.split("--hash=")
        assert hashes, line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in hashes), line
        found[canonicalize_name(Requirement(requirement).name)] = Requirement(requirement)
    return found


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-build.txt", "docs/site/requirements.txt"]
)
def test_every_package_has_one_version_and_no_address(name: str) -> None:
    for requirement in pinned(name).values():
        assert [specifier.operator for specifier in requirement.specifier] == ["=="]
        assert requirement.url is None
    # Hashes alone say what is meant, wherever pip takes it from.
    assert not re.search(r"^\s*-(?!-hash)|://", (ROOT / name).read_text(), re.MULTILINE)


def test_what_pyproject_asks_for_is_pinned_within_its_range() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    asked = [
        *PYPROJECT["project"]["dependencies"],
        *(text for extra in extras.values() for text in extra),
    ]
    versions = pinned("requirements.txt")
    for requirement in map(Requirement, asked):
        if requirement.name != "avsed":
            (version,) = versions[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(version.version), requirement


def test_what_builds_the_site_is_pinned_within_its_range_and_to_what_is_used() -> None:
    site, everything = pinned("docs/site/requirements.txt"), pinned("requirements.txt")
    for requirement in map(Requirement, PYPROJECT["dependency-groups"]["docs"]):
        (version,) = site[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(version.version)
    for name in set(site) & set(everything):
        assert site[name].specifier == everything[name].specifier


def test_what_builds_is_pinned_to_what_is_used() -> None:
    build = pinned("requirements-build.txt")
    asked = PYPROJECT["dependency-groups"]["build"]
    assert set(build) == {Requirement(text).name for text in asked}
    (backend,) = map(Requirement, PYPROJECT["build-system"]["requires"])
    (version,) = build[canonicalize_name(backend.name)].specifier
    assert backend.specifier.contains(version.version)
    everything = pinned("requirements.txt")
    for name, requirement in build.items():
        assert requirement.specifier == everything[name].specifier


def test_make_installs_nothing_without_its_hash_but_avsed_itself() -> None:
    commands = re.findall(r"pip install (.*)", (ROOT / "Makefile").read_text())
    for command in commands[:-1]:
        assert "--require-hashes" in command
        # With build isolation pip would fetch what builds a package, without a look at hashes.
        assert "--no-build-isolation" in command or "--no-binary" not in command
    assert {"--no-deps", "--no-build-isolation", "--editable"} <= set(commands[-1].split())


def test_make_needs_no_compiler() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"pip install (.*)", makefile)[:-1]:
        assert "--only-binary :all:" in command
    # These are written in Python only.
    assert "SOURCES := antlr4-python3-runtime,dcase-util,sed-eval\n" in makefile
    assert set(pinned("requirements-build.txt")) == {"setuptools"}
    assert not set(pinned("requirements.txt")) & {"cython", "pandas", "sed-scores-eval"}


def test_the_image_has_all_files_of_git() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    excluded = [f":(glob){pattern}{end}" for pattern in patterns for end in ("", "/**")]
    listed = subprocess.run(
        ["git", "ls-files", "--", *excluded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def test_the_image_has_a_python_that_avsed_allows() -> None:
    (version,) = re.findall(r"^FROM python:([\d.]+)-slim$", (ROOT / "Dockerfile").read_text(), re.M)
    assert SpecifierSet(PYPROJECT["project"]["requires-python"]).contains(version)
