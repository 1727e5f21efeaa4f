"""Models to export, whose normalization layers have statistics as after training."""

from pathlib import Path
from typing import cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from avsed.features.spectral import log_mel
from avsed.framing import SPECTRAL_SAMPLE_RATE
from avsed.model.card import read_model_card
from avsed.model.crnn import Crnn, SpectralBranch
from avsed.model.files import load_student, save_weights, seed_paths
from avsed.params import Spectral
from tests.helpers.models import PARAMS, write_model


def tones(duration: float, sample_rate: int) -> NDArray[np.float64]:
    """Return tones that come and go, in a little noise."""
    seconds = np.arange(round(duration * sample_rate)) / sample_rate
    noise = np.random.default_rng(0).normal(scale=0.003, size=len(seconds))
    on_and_off = [
        np.sin(2 * np.pi * hertz * seconds) * (np.sin(2 * np.pi * hertz * seconds / 700) > 0.3)
        for hertz in (220, 1333, 3111)
    ]
    sound: NDArray[np.float64] = 0.2 * np.sum(on_and_off, axis=0) + noise
    return sound


def write_trained(
    model_dir: Path, *kinds: str, n_seeds: int = 1, mask_padding: bool = True
) -> Path:
    """Write a model with random weights, and with the statistics of tones."""
    model_dir.mkdir(exist_ok=True)
    write_model(model_dir, *kinds, n_seeds=n_seeds, mask_padding=mask_padding)
    card = read_model_card(model_dir)
    for path in seed_paths(model_dir).values():
        student = load_student(card, path, torch.device("cpu"))
        if "spectral" in kinds:
            _set_statistics(student)
        weights = student.state_dict()
        weights["classifier.weight"] *= 0.3  # otherwise, scores are near 0 or 1
        save_weights(path, weights, curve="[]")
    return model_dir


@torch.no_grad()
def _set_statistics(student: Crnn) -> None:
    branch = cast(SpectralBranch, student.embeddings["spectral"])
    waveform = tones(10.0, SPECTRAL_SAMPLE_RATE).astype(np.float32)
    spectrum = torch.from_numpy(log_mel(waveform, cast(Spectral, PARAMS["spectral"])))
    branch.mean.copy_(spectrum.mean(0))
    branch.deviation.copy_(spectrum.std(0))
    for layer in branch.blocks:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # those of this clip
    branch.train()
    branch(spectrum[None])
    branch.eval()


def run_file(path: Path, **inputs: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    """Run an ONNX file; return its frame scores and clip scores."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found: list[NDArray[np.float32]] = session.run(["frame_scores", "clip_scores"], inputs)
    return found
