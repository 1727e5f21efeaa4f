"""Spectral features: the standard log-mel spectrogram (Section 4.2)."""

from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray

from avsed.config import Spectral
from avsed.features.extractor import Extractor
from avsed.framing import CLIP_DURATION, SPECTRAL_HOP_LENGTH, SPECTRAL_SAMPLE_RATE, n_samples
from avsed.media import read_audio

N_MELS = 128  # the CNN pools them to 1 by seven poolings of 2


def make_extractor(params: Spectral) -> Extractor:
    """Set up the log-mel spectrogram."""

    def extract(path: Path, duration: float) -> NDArray[np.float32]:
        return log_mel(read_audio(path, SPECTRAL_SAMPLE_RATE), params)

    return Extractor(
        kind="spectral",
        stream="audio",
        extract=extract,
        provenance={
            "extractor": "log-mel",
            "window_length": params.window_length,
            "log_floor": params.log_floor,
        },
    )


def log_mel(waveform: NDArray[np.float32], params: Spectral) -> NDArray[np.float32]:
    """Compute the log-mel spectrogram of a waveform (Section 4.2).

    Args:
        waveform: (n_samples,) at `SPECTRAL_SAMPLE_RATE`, at most 10 s.
        params: window and floor.

    Returns:
        (604, 128) in dB relative to a magnitude of 1, of the waveform divided by its peak.
    """
    peak = np.abs(waveform).max(initial=0.0)
    padded = np.zeros(n_samples(CLIP_DURATION, SPECTRAL_SAMPLE_RATE), dtype=np.float32)
    # A silent clip has no peak to divide by; it stays silent.
    padded[: len(waveform)] = waveform / peak if peak > 0 else waveform
    magnitudes = librosa.feature.melspectrogram(
        y=padded,
        sr=SPECTRAL_SAMPLE_RATE,
        n_fft=params.window_length,
        hop_length=SPECTRAL_HOP_LENGTH,
        n_mels=N_MELS,
        power=1.0,  # magnitude, not power
        center=True,
    )
    decibels = librosa.amplitude_to_db(magnitudes, ref=1.0, amin=params.log_floor, top_db=None)
    return np.ascontiguousarray(decibels.T, dtype=np.float32)
