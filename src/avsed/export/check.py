"""Compare the scores of an exported variant with those of PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from avsed.errors import AvsedError
from avsed.export.variant import Variant, spectral_params
from avsed.features.spectral import log_mel
from avsed.framing import N_FRAMES, SPECTRAL_SAMPLE_RATE, TIME_POOLING, n_samples
from avsed.model.crnn import SpectralBranch

TOLERANCE = 1e-5  # of scores in [0, 1]
# Spectra that differ by 1e-5 dB can be rounded to different float16 numbers, 0.03 dB apart.
WAVEFORM_TOLERANCE = 1e-4
# Numbers of clips and frames. A graph that takes one of them for a constant fails at the others.
SIZES = ((1, N_FRAMES), (3, 40), (2, 2 * N_FRAMES + 1))
# Numbers of clips, and seconds of their waveforms; they are padded to 10 s.
DURATIONS = ((1, 10.0), (3, 2.5), (2, 0.01))

_CANNOT_RUN = (
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.NotImplemented,
    errors.RuntimeException,
)


@dataclass(frozen=True, kw_only=True)
class _Clips:
    """Random clips: the inputs of the exported network, and PyTorch's of the same clips."""

    inputs: dict[str, NDArray[np.float32]]
    features: dict[str, NDArray[np.float32]]
    valid_frames: NDArray[np.int64]


def require_same_scores(model: bytes, variant: Variant, *, from_waveform: bool) -> float:
    """Compare the scores of an ONNX model with PyTorch's, for random clips of several sizes.

    Args:
        model: the content of an ONNX file.
        variant: whose scores it should compute.
        from_waveform: whether it takes waveforms instead of spectral features.

    Returns:
        The largest difference of a score.

    Raises:
        AvsedError: if a difference exceeds the tolerance, or onnxruntime cannot run the model.
    """
    tolerance = WAVEFORM_TOLERANCE if from_waveform else TOLERANCE
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        largest = max(
            _compare(session, variant, clips) for clips in _draw_clips(variant, from_waveform)
        )
    except _CANNOT_RUN as error:
        problem = " ".join(str(error).split())
    else:
        if largest <= tolerance:
            return largest
        problem = f"scores differ by {largest:.1e}, more than {tolerance:.0e}"
    raise AvsedError(
        f"the exported network does not compute the scores of PyTorch ({problem}); use the "
        "versions of torch, onnx and onnxruntime in requirements.txt"
    )


def _compare(session: onnxruntime.InferenceSession, variant: Variant, clips: _Clips) -> float:
    """Return the largest difference of a score; infinite for NaN, or another number of scores."""
    found = session.run(
        ["frame_scores", "clip_scores"], {**clips.inputs, "valid_frames": clips.valid_frames}
    )
    expected = variant.score(
        {kind: torch.from_numpy(of_kind) for kind, of_kind in clips.features.items()},
        torch.from_numpy(clips.valid_frames),
    )
    differences = [
        float(np.abs(scores - reference.numpy()).max())
        if scores.shape == reference.shape
        else np.inf
        for scores, reference in zip(found, expected, strict=True)
    ]
    return max(np.inf if np.isnan(difference) else difference for difference in differences)


def _draw_clips(variant: Variant, from_waveform: bool) -> Iterator[_Clips]:
    """Draw clips of all sizes."""
    random = np.random.default_rng(2021)
    if from_waveform:
        sizes = [(n_clips, N_FRAMES, duration) for n_clips, duration in DURATIONS]
    else:
        sizes = [(n_clips, n_frames, 0.0) for n_clips, n_frames in SIZES]
    for n_clips, n_frames, duration in sizes:
        inputs, features = {}, {}
        for kind, dims in zip(variant.card.kinds, variant.card.feature_dims, strict=True):
            if kind == "spectral" and from_waveform:
                inputs["waveform"] = _draw_waveforms(random, n_clips, duration)
                params = spectral_params(variant.card)
                spectra = [log_mel(one, params) for one in inputs["waveform"]]
                features[kind] = np.stack(spectra).astype(np.float16).astype(np.float32)
            elif kind == "spectral":
                features[kind] = inputs[kind] = _draw_spectra(variant, random, n_clips, n_frames)
            else:  # outputs of a ReLU, most of them 0
                drawn = np.maximum(random.normal(-1.0, 1.0, (n_clips, n_frames, dims)), 0.0)
                features[kind] = inputs[kind] = drawn.astype(np.float32)
        valid_frames = random.integers(1, n_frames, n_clips, endpoint=True)
        yield _Clips(inputs=inputs, features=features, valid_frames=valid_frames)


def _draw_waveforms(
    random: np.random.Generator, n_clips: int, duration: float
) -> NDArray[np.float32]:
    """Draw (n_clips, n_samples) noise, silent first and then rising by 80 dB."""
    length = n_samples(duration, SPECTRAL_SAMPLE_RATE)
    loudness = np.logspace(-4.0, 0.0, length)
    loudness[: length // 5] = 0.0
    return (loudness * random.uniform(-1.0, 1.0, (n_clips, length))).astype(np.float32)


def _draw_spectra(
    variant: Variant, random: np.random.Generator, n_clips: int, n_frames: int
) -> NDArray[np.float32]:
    """Draw (n_clips, L, M) spectra like those of training, by the statistics of the mel bands."""
    student = next(iter(variant.students.values()))
    branch = cast(SpectralBranch, student.embeddings["spectral"])
    mean, deviation = branch.mean.numpy(), branch.deviation.numpy()
    # The pooling drops spectral frames that fill no frame.
    shape = (n_clips, TIME_POOLING * n_frames + TIME_POOLING - 1, len(mean))
    drawn: NDArray[np.float32] = random.standard_normal(shape, np.float32) * deviation + mean
    return drawn
