"""The public interface for Python, and what the pages and the notebook show of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import assert_type

import numpy as np
import pytest
import soundfile

import avsed
from avsed.dataset.annotations import (
    DCASE_2018_CLASSES,
    AnnotatedClip,
    Event,
    write_classes,
    write_list,
)
from avsed.prediction import trained_model
from avsed.prediction.predict import predict
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene
from tests.conftest import ROOT
from tests.helpers.models import CLASSES, write_model
from tests.test_docs import blocks

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model, an annotated clip and a recording, in the places of the repository."""
    folder = tmp_path_factory.mktemp("python")
    data = folder / "data"
    write_model(data / "models" / "spectral", "spectral")
    (data / "clips").mkdir()
    event = Event(onset=1.0, offset=2.5, label="Dog")
    scene = Scene(
        clip_id="Ydemo_t00000_0.000_4.000",
        duration=4.0,
        events=(event,),
        seed=1,
        background_level=-30.0,
    )
    render_clip(scene, data / "clips" / f"{scene.clip_id}.mp4")
    write_classes(data / "metadata", CLASSES)
    clip = AnnotatedClip(clip_id=scene.clip_id, tags=("Dog",), events=(event,))
    write_list(data / "metadata", "test", [clip])
    noise = np.random.default_rng(0).normal(scale=0.1, size=3 * 22_050)
    soundfile.write(folder / "talk.mp3", noise, 22_050)
    return folder


def run_python(lines: str, folder: Path) -> str:
    """Run lines in a process of their own; return what they print."""
    variables = {"PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return done.stdout


def expected_from(folder: Path) -> avsed.Prediction:
    model = trained_model.load_model(folder / "data" / "models" / "spectral")
    return predict(model, folder / "talk.mp3")


@pytest.mark.slow
def test_the_lines_of_the_readme_print_tags_and_events(folder: Path) -> None:
    (lines,) = blocks(ROOT / "README.md", "python")
    expected = expected_from(folder)
    assert run_python(lines, folder) == f"{expected.tags} {expected.events}\n"


@pytest.mark.slow
def test_the_lines_of_the_page_print_events_and_scores(folder: Path) -> None:
    (lines,) = blocks(ROOT / "docs" / "predict.md", "python")
    expected = expected_from(folder)
    printed = run_python(lines, folder).splitlines()
    assert len(printed) == len(expected.events) + len(expected.frame_scores)
    onset, score = printed[-1].split()
    assert float(onset) == pytest.approx(0.06624 * (len(expected.frame_scores) - 1), abs=1e-3)
    column = expected.classes.index("Speech")
    assert float(score) == pytest.approx(expected.frame_scores[-1, column], rel=1e-6)


def test_a_model_predicts_what_the_command_predicts(folder: Path) -> None:
    model = assert_type(avsed.load_model(str(folder / "data/models/spectral")), avsed.Model)
    found = assert_type(model.predict(str(folder / "talk.mp3")), avsed.Prediction)
    expected = expected_from(folder)
    assert model.classes == found.classes == CLASSES
    assert np.array_equal(found.frame_scores, expected.frame_scores)
    assert found.events == expected.events
    assert found.frame_onsets[:3] == pytest.approx([0.0, 0.06624, 0.13249], abs=1e-5)
    assert len(found.frame_onsets) == len(found.frame_scores)


def test_without_a_folder_the_model_is_yamnet(tmp_path: Path) -> None:
    times = np.arange(16_000 * 4) / 16_000
    soundfile.write(tmp_path / "tone.wav", np.sin(2 * np.pi * 440 * times), 16_000)
    model = avsed.load_model()
    assert model.classes == DCASE_2018_CLASSES
    # YAMNet takes a sine of 440 Hz for a telephone.
    assert model.predict(tmp_path / "tone.wav").tags == ("Alarm_bell_ringing",)
    assert len(avsed.load_model(classes="audioset").classes) == 521


def test_arguments_that_contradict_each_other_are_refused(folder: Path) -> None:
    with pytest.raises(avsed.AvsedError, match="classes: a trained model has its own; omit"):
        avsed.load_model(folder / "data/models/spectral", classes="dcase")
    with pytest.raises(avsed.AvsedError, match="weights: YAMNet's are fixed; name the model"):
        avsed.load_model(weights={"auditory": "a.pth"})
    with pytest.raises(avsed.AvsedError, match="uses no such network"):
        avsed.load_model(folder / "data/models/spectral", weights={"visual": "a.pth"})


def test_importing_avsed_loads_no_large_library(tmp_path: Path) -> None:
    lines = "import sys, avsed; print(*dir(avsed)); print(*sys.modules)"
    names, loaded = run_python(lines, tmp_path).splitlines()
    assert set(avsed.__all__) < set(names.split())
    assert not set(loaded.split()) & {"numpy", "torch", "pydantic"}


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(avsed, name).__module__.startswith("avsed.") for name in avsed.__all__)
    with pytest.raises(AttributeError, match="module 'avsed' has no attribute 'load_modle'"):
        avsed.load_modle  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(folder: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (folder / "docs").mkdir()
    lines = "\n".join([*sources, 'figure.savefig("scores.png")'])
    printed = run_python(lines, folder / "docs")
    assert "annotated tags: Dog" in printed
    assert re.search(r"^annotated   1\.00 s to   2\.50 s  Dog$", printed, re.MULTILINE)
    assert re.search(r"^\d+ hits, \d+ false alarms, \d+ misses$", printed, re.MULTILINE)
    assert (folder / "docs" / "scores.png").read_bytes().startswith(b"\x89PNG")


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
