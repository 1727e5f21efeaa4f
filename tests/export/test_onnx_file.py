"""A trained variant as an ONNX file: its scores, its description, and refusals."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from avsed.errors import AvsedError
from avsed.export import network, onnx_file
from avsed.export.onnx_file import write_onnx
from avsed.features.spectral import log_mel
from avsed.framing import (
    FRAME_HOP,
    N_FRAMES,
    SPECTRAL_SAMPLE_RATE,
    TIME_POOLING,
    valid_frames,
)
from avsed.model.card import read_model_card
from avsed.model.decisions import fixed_decisions, write_decisions
from avsed.model.files import load_student, seed_paths
from avsed.params import Postprocess, Spectral
from avsed.prediction.predict import predict
from avsed.prediction.trained_model import load_model
from tests.conftest import run_avsed
from tests.helpers.exported import run_file, tones, write_trained
from tests.helpers.models import CLASSES, PARAMS

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of two seeds; return its folder."""
    return write_trained(tmp_path_factory.mktemp("models") / "spectral", "spectral", n_seeds=2)


@pytest.fixture(scope="module")
def waveform_file(spectral: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "waveform.onnx"
    write_onnx(spectral, path, from_waveform=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "kinds", [("spectral",), ("auditory",), ("spectral", "auditory", "visual")], ids="+".join
)
@pytest.mark.parametrize("mask_padding", [True, False])
def test_scores_equal_pytorchs_at_any_number_of_clips_and_frames(
    kinds: tuple[str, ...], mask_padding: bool, tmp_path: Path
) -> None:
    model_dir = write_trained(tmp_path / "model", *kinds, mask_padding=mask_padding)
    write_onnx(model_dir, tmp_path / "model.onnx")
    card = read_model_card(model_dir)
    student = load_student(card, seed_paths(model_dir)[0], CPU)
    random = np.random.default_rng(0)
    for n_clips, n_frames in ((1, 1), (4, 17), (2, N_FRAMES), (1, 500)):
        features = {
            kind: random.normal(-60, 15, (n_clips, 4 * n_frames, dims)).astype(np.float32)
            if kind == "spectral"
            else random.uniform(0, 1, (n_clips, n_frames, dims)).astype(np.float32)
            for kind, dims in zip(card.kinds, card.feature_dims, strict=True)
        }
        n_valid = random.integers(1, n_frames, n_clips, endpoint=True)
        found = run_file(tmp_path / "model.onnx", **features, valid_frames=n_valid)
        mask = np.arange(n_frames) < n_valid[:, None]
        with torch.inference_mode():
            expected = student(
                {kind: torch.from_numpy(values) for kind, values in features.items()},
                torch.from_numpy(mask if mask_padding else np.ones_like(mask)),
            )
        assert n_frames == 1 or expected[0].std() > 0.01  # scores that differ
        for scores, reference in zip(found, expected, strict=True):
            np.testing.assert_allclose(scores, reference.numpy(), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_scores_are_the_mean_of_all_seeds_or_those_of_one(spectral: Path, tmp_path: Path) -> None:
    spectra = np.random.default_rng(0).normal(-60, 15, (1, 604, 128)).astype(np.float32)
    frames = {}
    for seed in (None, 0, 1):
        write_onnx(spectral, tmp_path / "model.onnx", seed=seed)
        frames[seed], _ = run_file(
            tmp_path / "model.onnx", spectral=spectra, valid_frames=np.array([N_FRAMES])
        )
    assert np.abs(frames[0] - frames[1]).max() > 0.01
    np.testing.assert_allclose(frames[None], (frames[0] + frames[1]) / 2, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("duration", [10.0, 3.3])
def test_the_waveform_of_a_file_gets_the_scores_of_predict(
    duration: float, spectral: Path, waveform_file: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    n_samples = round(duration * SPECTRAL_SAMPLE_RATE)
    waveform = (random.normal(size=n_samples) * np.logspace(-5, -1, n_samples)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", waveform, SPECTRAL_SAMPLE_RATE, "FLOAT")
    expected = predict(load_model(spectral), tmp_path / "noise.wav")
    n_valid = valid_frames(duration)
    frame_scores, clip_scores = run_file(
        waveform_file, waveform=waveform[None], valid_frames=np.array([n_valid])
    )
    np.testing.assert_allclose(frame_scores[0, :n_valid], expected.frame_scores, rtol=0, atol=1e-4)
    np.testing.assert_allclose(clip_scores[0], expected.clip_scores, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_features_of_a_short_clip_are_padded_with_silence_to_get_the_scores_of_predict(
    spectral: Path, tmp_path: Path
) -> None:
    waveform = tones(3.3, SPECTRAL_SAMPLE_RATE).astype(np.float32)
    soundfile.write(tmp_path / "tones.wav", waveform, SPECTRAL_SAMPLE_RATE, "FLOAT")
    expected = predict(load_model(spectral), tmp_path / "tones.wav").frame_scores
    write_onnx(spectral, tmp_path / "model.onnx")
    n_valid = valid_frames(3.3)
    spectra = log_mel(waveform, cast(Spectral, PARAMS["spectral"]))[None]  # of 10 s
    without_padding = spectra[:, : TIME_POOLING * n_valid]
    with_zeros = np.zeros_like(spectra)
    with_zeros[:, : TIME_POOLING * n_valid] = without_padding

    def difference(features: NDArray[np.float32]) -> float:
        rounded = features.astype(np.float16).astype(np.float32)  # as features are stored
        frame_scores, _ = run_file(
            tmp_path / "model.onnx", spectral=rounded, valid_frames=np.array([n_valid])
        )
        return float(np.abs(frame_scores[0, :n_valid] - expected).max())

    assert difference(spectra) < 1e-4
    assert difference(without_padding) > 0.1
    assert difference(with_zeros) > 0.1


def test_silence_and_clips_of_different_lengths_are_padded(waveform_file: Path) -> None:
    silence = np.zeros((1, 221_000), np.float32)
    expected = run_file(waveform_file, waveform=silence, valid_frames=np.array([7]))
    found = run_file(waveform_file, waveform=silence[:, :100], valid_frames=np.array([7]))
    for scores, reference in zip(found, expected, strict=True):
        assert np.isfinite(reference).all()
        np.testing.assert_array_equal(scores, reference)


def fix_number_of_frames(model: ModelProto) -> None:
    """Do what a traced GRU does: accept the number of frames of the example only."""
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 604


def fix_number_of_clips(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def reset_before_the_product(model: ModelProto) -> None:
    """Compute the GRU of the original paper, which is not PyTorch's."""
    for node in model.graph.node:
        if node.op_type == "GRU":
            (attribute,) = (a for a in node.attribute if a.name == "linear_before_reset")
            attribute.i = 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (fix_number_of_frames, r"dimensions for input: spectral"),
        (fix_number_of_clips, r"dimensions for input: spectral"),
        (reset_before_the_product, r"scores differ by \S+, more than 1e-05"),
    ],
)
def test_a_network_that_is_not_pytorchs_is_refused_and_leaves_no_file(
    damage: Callable[[ModelProto], None],
    problem: str,
    spectral: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build = onnx_file.build_model

    def build_damaged(*arguments: object, **options: object) -> ModelProto:
        model = build(*arguments, **options)  # type: ignore[arg-type]
        damage(model)
        return model

    monkeypatch.setattr(onnx_file, "build_model", build_damaged)
    path = tmp_path / "model.onnx"
    assert run_avsed(monkeypatch, "export", spectral, "--onnx", path, "--seed", "0") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: the exported network does not compute the scores of PyTorch")
    assert re.search(problem, said), said
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_pytorchs_order_of_the_gates_would_be_seen(
    spectral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_reorder_gates", lambda weight: weight)
    with pytest.raises(AvsedError, match="scores differ"):
        write_onnx(spectral, tmp_path / "model.onnx", seed=0)


def test_the_file_describes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model_dir = write_trained(tmp_path / "model", "spectral", "auditory")
    tuned = Postprocess(threshold=0.3, median_filter_frames=5)
    write_decisions(fixed_decisions(CLASSES, tuned), model_dir)
    (model_dir / "README.md").write_text("# The model card\n")
    path = tmp_path / "model.onnx"
    assert run_avsed(monkeypatch, "export", model_dir, "--onnx", path) == 0
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    described = {entry.key: entry.value for entry in model.metadata_props}
    assert described.pop("avsed") == "0.1.0"
    assert described.pop("model_card") == "# The model card\n"
    values = {key: json.loads(text) for key, text in described.items()}
    assert values["classes"] == list(CLASSES)
    assert values["decisions"] == json.loads((model_dir / "decisions.json").read_text())
    assert values["frame_hop"] == FRAME_HOP
    assert values["seeds"] == [0]
    spectral, auditory = values["features"].values()
    assert spectral["front_end"]["sample_rate"] == 22_100
    assert spectral["front_end"]["hop_length"] == 366
    assert spectral["provenance"]["window_length"] == 2048
    assert auditory["front_end"]["n_mels"] == 64
    card = read_model_card(model_dir)
    assert auditory["provenance"] == card.provenance["auditory"]
    assert len(auditory["provenance"]["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--onnx, --html: nothing to write; give one of them"),
        (["--onnx", "a.onnx", "--seed", "7"], "has no such seed; use one of 0, 1"),
        (["--onnx", "."], ".: is a folder; name a file in it"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    spectral: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_avsed(monkeypatch, "export", spectral, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_model_without_spectral_features_takes_no_waveform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model_dir = write_trained(tmp_path / "auditory", "auditory")
    path = tmp_path / "model.onnx"
    assert run_avsed(monkeypatch, "export", model_dir, "--onnx", path, "--waveform") == 2
    assert "has no spectral features, only auditory; omit --waveform" in capsys.readouterr().err
    assert not path.exists()


def test_a_missing_package_names_its_extra(spectral: Path, tmp_path: Path) -> None:
    arguments = ["avsed", "export", str(spectral), "--onnx", str(tmp_path / "model.onnx")]
    code = f"import sys; sys.modules['onnx'] = None; sys.argv = {arguments}\n"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}import avsed.cli as c; c.main()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: onnx is not installed; run `pip install '.[onnx]'` in the clone of avsed\n"
    )
