"""How a stage script is called, and how it ends."""

import errno
import runpy
import sys
from pathlib import Path

import pytest

from avsed.errors import AvsedError
from avsed.runtime.process import run
from tests.conftest import ROOT

STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
OF_VARIANT = {"train", "score", "evaluate"}


def run_stage_script(monkeypatch: pytest.MonkeyPatch, stage: str, *arguments: str) -> int:
    """Run a stage script; give its exit status."""
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
