"""The front end that VGGish and YAMNet share: log-mel examples of 0.96 s.

As in audioset/vggish and audioset/yamnet of the TensorFlow models repository. The published weights
of both take 64 mel bands; the paper says 128, for which no weights are published.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, n_samples

SAMPLE_RATE = 16_000  # Hz
WINDOW_LENGTH = 400  # samples, 25 ms
HOP_LENGTH = 160  # samples, 10 ms
N_MELS = 64  # of the published weights
MEL_RANGE = (125.0, 7500.0)  # Hz
EXAMPLE_FRAMES = 96  # of 10 ms: the networks see 0.96 s
# Section 4.2: examples overlap by 900 ms. Example k thus starts at 0.06 k seconds, frame k at
# 0.06624 k; `centered` places the middle of example k at the onset of frame k instead.
PAPER_EXAMPLE_HOP = 6  # frames of 10 ms


def log_mel_frames(waveform: NDArray[np.float32], *, log_offset: float) -> NDArray[np.float32]:
    """Compute the log-mel frames of all examples in the paper's alignment, each frame once.

    Example k consists of the frames from 6 k to 6 k + 96.

    Args:
        waveform: (n_samples,) at `SAMPLE_RATE`, at most 10 s; full scale is 1.
        log_offset: added to magnitudes before the logarithm; differs between the networks.

    Returns:
        (996, 64).
    """
    padded = np.zeros(n_samples(CLIP_DURATION, SAMPLE_RATE), dtype=np.float32)
    padded[: len(waveform)] = waveform
    n_frames = (N_FRAMES - 1) * PAPER_EXAMPLE_HOP + EXAMPLE_FRAMES
    return _log_mel(padded, HOP_LENGTH * np.arange(n_frames), log_offset)


def log_mel_examples(
    waveform: NDArray[np.float32],
    alignment: Literal["paper", "centered"],
    *,
    log_offset: float,
) -> NDArray[np.float32]:
    """Cut a waveform into the 151 overlapping log-mel examples of a clip (Section 4.2).

    Args:
        waveform: (n_samples,) at `SAMPLE_RATE`, at most 10 s; full scale is 1.
        alignment: paper (example k starts at 0.06 k seconds) or centered (its middle lies at
            the onset of frame k, with silence around the clip).
        log_offset: added to magnitudes before the logarithm; differs between the networks.

    Returns:
        (151, 96, 64).
    """
    if alignment == "paper":
        frames = log_mel_frames(waveform, log_offset=log_offset)
        windows = np.lib.stride_tricks.sliding_window_view(frames, EXAMPLE_FRAMES, axis=0)
        return np.ascontiguousarray(windows[::PAPER_EXAMPLE_HOP].transpose(0, 2, 1))
    margin = EXAMPLE_FRAMES * HOP_LENGTH // 2
    padded = np.zeros(n_samples(CLIP_DURATION, SAMPLE_RATE) + 2 * margin, dtype=np.float32)
    padded[margin : margin + len(waveform)] = waveform
    starts = np.rint(np.arange(N_FRAMES) * FRAME_HOP * SAMPLE_RATE).astype(int)
    # The starts are 1059.9 samples apart, not a multiple of `HOP_LENGTH`: overlapping examples have
    # few frames in common (some of those that are 8 apart). Each frame is computed once.
    frame_starts, index = np.unique(
        starts[:, None] + HOP_LENGTH * np.arange(EXAMPLE_FRAMES), return_inverse=True
    )
    log_mel = _log_mel(padded, frame_starts, log_offset)
    return log_mel[index.reshape(N_FRAMES, EXAMPLE_FRAMES)]


def _log_mel(
    padded: NDArray[np.float32], starts: NDArray[np.intp], log_offset: float
) -> NDArray[np.float32]:
    """Compute the log-mel spectrum of the frames that start at these samples, (n, 64)."""
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_LENGTH)[starts]
    fft_length = 512  # the window's next power of two
    # The reference's Hann window is periodic: numpy's symmetric one without its last point.
    hann = np.hanning(WINDOW_LENGTH + 1)[:-1].astype(np.float32)
    magnitudes = np.abs(np.fft.rfft(frames * hann, fft_length))
    log_mel: NDArray[np.float32] = np.log(magnitudes @ _mel_filters(fft_length) + log_offset)
    return log_mel.astype(np.float32)


def _mel_filters(fft_length: int) -> NDArray[np.float64]:
    """Build the reference's mel filters, (n_bins, 64): triangles over mel, not over Hz.

    librosa's triangles are linear in Hz, which moves the log-mel by up to 0.014.
    """
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2, fft_length // 2 + 1)
    bins = 1127.0 * np.log1p(frequencies / 700.0)[:, None]  # mel, by HTK's formula
    lowest, highest = (1127.0 * math.log1p(hertz / 700.0) for hertz in MEL_RANGE)
    edges = np.linspace(lowest, highest, N_MELS + 2)
    lower, center, upper = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - lower) / (center - lower), (upper - bins) / (upper - center)
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0  # the constant part of the signal
    return filters
