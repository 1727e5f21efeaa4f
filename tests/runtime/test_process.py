"""Arguments and exit statuses of stage scripts."""

import errno
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from avsed.errors import AvsedError
from avsed.runtime.process import PIPELINE_MODULES, run
from tests.conftest import ROOT
from tests.helpers.models import write_model

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
OF_VARIANT = {"train", "score", "evaluate", "describe"}


def run_stage_script(monkeypatch: pytest.MonkeyPatch, stage: str, *arguments: str) -> int:
    """Run a stage script and return its exit status."""
    path = str(ROOT / "stages" / f"{stage}.py")
    monkeypatch.setattr(sys, "argv", [path, *arguments])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(path, run_name="__main__")
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_users_mistake_is_one_line_and_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise AvsedError("here: this is wrong; do that")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: here: this is wrong; do that\n"


def test_a_full_disk_is_one_line_and_exit_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "data/features/part")

    with pytest.raises(SystemExit) as caught:
        run(main)
    assert caught.value.code == 2
    assert "No space left on device: 'data/features/part'" in capsys.readouterr().err


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_takes_no_argument_but_its_variant(
    stage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    variant = ["visual"] if stage in OF_VARIANT else []
    for odd in ("--workers=2", "more"):
        assert run_stage_script(monkeypatch, stage, *variant, odd) == 2
        said = capsys.readouterr().err
        assert said == f"error: unrecognized arguments: {odd}; see `{stage}.py --help`\n"
    assert run_stage_script(monkeypatch, stage, "--help") == 0
    assert "`dvc repro` runs this" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())  # none has begun


@pytest.mark.parametrize("stage", sorted(OF_VARIANT))
@pytest.mark.parametrize("variant", ["visual+spectral", "spectral+spectral", "VISUAL", "../x", ""])
def test_a_stage_of_a_variant_refuses_other_names(
    stage: str, variant: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert run_stage_script(monkeypatch, stage, variant) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: variants.yaml: {variant!r} is not a row; use one of spectral, ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_without_what_it_reads_is_one_line(
    stage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    variant = ["visual"] if stage in OF_VARIANT else []
    assert run_stage_script(monkeypatch, stage, *variant) == 2
    said = capsys.readouterr().err
    assert "no such file" in said.lower() and said.count("\n") == 1


def run_without_the_pipeline(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that cannot import the packages of `avsed[pipeline]`."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({sorted(PIPELINE_MODULES)}))"
    return subprocess.run(
        [sys.executable, "-c", f"{blocked}\n{code}"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


def test_the_modules_of_the_pipeline_are_those_of_its_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text).name for text in project["optional-dependencies"]["pipeline"]]
    packages = packages_distributions()
    providers = {canonicalize_name(package) for m in PIPELINE_MODULES for package in packages[m]}
    assert providers == {*map(canonicalize_name, asked), "dvc-data"}  # required by dvc


def test_what_needs_the_pipeline_names_its_extra(tmp_path: Path) -> None:
    code = "sys.argv = ['avsed', 'clips', 'retry']; import avsed.cli as c; c.main()"
    ended = run_without_the_pipeline(tmp_path, code)
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: yt_dlp is not installed; run `pip install '.[pipeline]'` in the clone of avsed\n"
    )


def test_another_missing_module_is_an_error_of_the_program() -> None:
    def main() -> None:
        raise ModuleNotFoundError("No module named 'else'", name="else")

    with pytest.raises(ModuleNotFoundError):
        run(main)


@pytest.mark.slow
def test_prediction_does_not_need_the_pipeline(tmp_path: Path, clip_path: Path) -> None:
    write_model(tmp_path / "spectral", "spectral")
    command = ["avsed", "predict", str(clip_path), "--model", "spectral", "--plot", "a.png"]
    command += ["--html", "a.html"]
    code = f"sys.argv = {command}; import avsed.cli as c; c.main()"
    ended = run_without_the_pipeline(tmp_path, code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert clip_path.name in ended.stdout
    assert (tmp_path / "a.png").is_file() and (tmp_path / "a.html").is_file()


@pytest.mark.slow
def test_the_library_does_not_need_the_pipeline(tmp_path: Path) -> None:
    packages = ("dataset", "features", "model", "prediction", "training")
    source = ROOT / "src"
    modules = [
        ".".join(path.relative_to(source).with_suffix("").parts)
        for package in packages
        for path in (source / "avsed" / package).rglob("*.py")
    ]
    ended = run_without_the_pipeline(tmp_path, "\n".join(f"import {name}" for name in modules))
    assert (ended.returncode, ended.stderr) == (0, "")
