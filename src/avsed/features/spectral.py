"""Spectral features: the standard log-mel spectrogram (Section 4.2).

The values are librosa's, computed in double precision. librosa itself is not imported, because that
takes longer than all else that `avsed predict` does with a clip.
"""

import math

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
    # Clips shorter than 10 s are padded, so that all have 604 spectral frames. The middle of window
    # k is at k hops, so that frames align with the video's.
    half = params.window_length // 2
    padded = np.zeros(n_samples(CLIP_DURATION, SPECTRAL_SAMPLE_RATE) + 2 * half)
    # A silent clip has no peak to divide by; it stays silent.
    padded[half : half + len(waveform)] = waveform / peak if peak > 0 else waveform
    windows = np.lib.stride_tricks.sliding_window_view(padded, params.window_length)
    windows = windows[::SPECTRAL_HOP_LENGTH] * hann_window(params.window_length)
    magnitudes = np.abs(np.fft.rfft(windows)) @ mel_filters(params.window_length)
    # Absolute dB with a fixed floor: the loudest moment does not decide the quietest value.
    decibels = 20.0 * np.log10(np.maximum(magnitudes, params.log_floor))
    return decibels.astype(np.float32)


def hann_window(length: int) -> NDArray[np.float64]:
    """Return the periodic Hann window, (length,)."""
    return np.hanning(length + 1)[:-1]


def mel_filters(window_length: int) -> NDArray[np.float64]:
    """Build librosa's default mel filters at `SPECTRAL_SAMPLE_RATE`.

    The mel scale is that of Slaney's Auditory Toolbox (1998), linear below 1 kHz and logarithmic
    above. Each filter is a triangle over frequency with an area of 1.

    Returns:
        (bins, 128).
    """
    bins = np.fft.rfftfreq(window_length, 1.0 / SPECTRAL_SAMPLE_RATE)[:, None]
    mels_below_1_khz = 15.0
    mels_per_log = 27.0 / math.log(6.4)
    highest = mels_below_1_khz + mels_per_log * math.log(SPECTRAL_SAMPLE_RATE / 2 / 1000.0)
    mels = np.linspace(0.0, highest, N_MELS + 2)
    above = 1000.0 * np.exp((mels - mels_below_1_khz) / mels_per_log)
    edges = np.where(mels < mels_below_1_khz, mels * 1000.0 / mels_below_1_khz, above)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - lower) / (center - lower), (upper - bins) / (upper - center)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float64] = triangles * 2.0 / (upper - lower)
    return filters
