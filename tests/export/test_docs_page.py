"""The commands and the Python example of docs/export.md."""

import math
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from avsed.export import page
from avsed.framing import FRAME_HOP, SPECTRAL_SAMPLE_RATE, valid_frames
from avsed.prediction.predict import predict
from avsed.prediction.trained_model import load_model
from tests.conftest import ROOT, run_avsed
from tests.helpers.exported import tones, write_trained
from tests.test_docs import blocks, commands

PAGE = ROOT / "docs" / "export.md"


@pytest.mark.slow
def test_what_the_page_says_is_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model_dir = tmp_path / "data" / "models" / "spectral"
    model_dir.mkdir(parents=True)
    write_trained(model_dir, "spectral", n_seeds=2)
    parts = {"interface": b"1", "loader": b"2", "wasm": b"3"}
    monkeypatch.setattr(page, "read_runtime", lambda: parts)  # test_page.py runs the real one
    written = ["spectral.onnx", "detector.onnx", "detector.html"]
    for command, name in zip(commands(PAGE), written, strict=True):
        assert run_avsed(monkeypatch, *shlex.split(command)[1:]) == 0
        assert capsys.readouterr().out.startswith(f"{name}: ")
        assert Path(name).exists()

    soundfile.write("clip.wav", tones(4.0, SPECTRAL_SAMPLE_RATE), SPECTRAL_SAMPLE_RATE, "FLOAT")
    (example,) = blocks(PAGE, "python")
    ended = subprocess.run(
        [sys.executable, "-c", example], capture_output=True, text=True, check=True
    )
    expected = predict(load_model(model_dir), Path("clip.wav"))
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert [row[0] for row in rows] == list(expected.classes)
    scores = [float(row[1]) for row in rows]
    assert scores == pytest.approx(expected.clip_scores.tolist(), abs=1e-4)
    assert [row[0] for row in rows if row[2] == "True"] == list(expected.tags)
    assert math.ceil(4.0 / FRAME_HOP) == valid_frames(4.0)  # the example's rule
