"""The log-mel spectrogram of `features/spectral.py` as nodes of an ONNX graph (Section 4.2)."""

import math

import numpy as np
from onnx import TensorProto

from avsed.export.graph import Graph
from avsed.features.spectral import hann_window, mel_filters
from avsed.framing import CLIP_DURATION, SPECTRAL_HOP_LENGTH, SPECTRAL_SAMPLE_RATE, n_samples
from avsed.params import Spectral


def add_log_mel(graph: Graph, waveform: str, params: Spectral) -> str:
    """Add the log-mel spectrogram.

    Args:
        graph: gets the nodes.
        waveform: (B, n_samples) at `SPECTRAL_SAMPLE_RATE`; padded to 10 s if shorter.
        params: window and floor.

    Returns:
        (B, L, 128) spectral features; 604 spectral frames of 10 s.
    """
    magnitudes = _add_magnitudes(graph, _add_padded(graph, waveform, params), params)
    filters = graph.constant(mel_filters(params.window_length), np.float64)
    mel = graph.add("MatMul", magnitudes, filters)
    floored = graph.add("Max", mel, graph.constant(params.log_floor, np.float64))
    to_decibels = graph.constant(20 / math.log(10), np.float64)
    decibels = graph.add("Mul", graph.add("Log", floored), to_decibels)
    # The features of training, and of `avsed predict`, are rounded to float16.
    rounded = graph.add("Cast", decibels, to=TensorProto.FLOAT16)
    return graph.add("Cast", rounded, to=TensorProto.FLOAT)


def _add_padded(graph: Graph, waveform: str, params: Spectral) -> str:
    """Divide waveforms by their peaks; pad them to 10 s, and by half a window on either side."""
    peak = graph.add("ReduceMax", graph.add("Abs", waveform), axes=[1], keepdims=1)
    zero, one = graph.constant(0.0, np.float32), graph.constant(1.0, np.float32)
    # A silent clip has no peak to divide by; it stays silent.
    divisor = graph.add("Where", graph.add("Greater", peak, zero), peak, one)
    scaled = graph.add("Cast", graph.add("Div", waveform, divisor), to=TensorProto.DOUBLE)
    length = graph.add("Shape", waveform, start=1, end=2)
    in_clip = graph.constant([n_samples(CLIP_DURATION, SPECTRAL_SAMPLE_RATE)])
    n_lacking = graph.add("Max", graph.add("Sub", in_clip, length), graph.constant([0]))
    half = params.window_length // 2
    n_after = graph.add("Add", n_lacking, graph.constant([half]))
    pads = graph.add("Concat", graph.constant([0, half, 0]), n_after, axis=0)
    return graph.add("Pad", scaled, pads)


def _add_magnitudes(graph: Graph, padded: str, params: Spectral) -> str:
    """Compute the (B, L, bins) magnitudes of the windows, in double precision."""
    spectrum = graph.add(
        "STFT",
        graph.add("Unsqueeze", padded, graph.constant([2])),
        graph.constant(SPECTRAL_HOP_LENGTH),
        graph.constant(hann_window(params.window_length), np.float64),
        onesided=1,
    )  # (B, L, bins, 2): real and imaginary parts
    return graph.add("ReduceL2", spectrum, axes=[3], keepdims=0)
