"""Spectral features: the standard log-mel spectrogram (Section 4.2)."""

import librosa
import numpy as np
import torch
from numpy.typing import NDArray

from avsed.dataset.media import Media
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.framing import (
    CLIP_DURATION,
    N_SPECTRAL_FRAMES,
    SPECTRAL_HOP_LENGTH,
    SPECTRAL_SAMPLE_RATE,
    n_samples,
)
from avsed.params import Spectral

N_MELS = 128  # Section 4.2; the CNN pools them to 1 by seven poolings of 2


def make_extractor(params: Spectral) -> Extractor:
    """Return the extractor of the log-mel spectrogram (Section 4.2), which needs no network."""

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        spectrogram = log_mel(media.waveforms[SPECTRAL_SAMPLE_RATE], params)
        return ClipInputs(rows=torch.from_numpy(spectrogram), index=np.arange(N_SPECTRAL_FRAMES))

    return Extractor(
        spec=FeatureSpec(
            kind="spectral",
            stream="audio",
            n_frames=N_SPECTRAL_FRAMES,
            dims=N_MELS,
            provenance={
                "extractor": "log-mel",
                "window_length": params.window_length,
                "log_floor": params.log_floor,
            },
        ),
        sample_rate=SPECTRAL_SAMPLE_RATE,
        each_image=None,
        prepare=prepare,
        embed=lambda rows: rows,
        batch_size=N_SPECTRAL_FRAMES,
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
    # Clips shorter than 10 s are padded, so that all have 604 spectral frames.
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
        center=True,  # the middle of window k is at k hops, so that frames align with the video's
    )
    # Absolute dB with a fixed floor: top_db would let the loudest moment decide the quietest value.
    decibels = librosa.amplitude_to_db(magnitudes, ref=1.0, amin=params.log_floor, top_db=None)
    return np.ascontiguousarray(decibels.T, dtype=np.float32)
