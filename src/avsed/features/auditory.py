"""Auditory features: VGGish, pretrained for audio classification (Section 4.2).

Front end and network are those of audioset/vggish in the TensorFlow models repository. Its
published weights take 64 mel bands; the paper says 128, for which no weights are published.
"""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avsed.dataset.media import Media
from avsed.errors import AvsedError
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.features.published import VGGISH
from avsed.features.weights import load_weights, name_weights
from avsed.framing import CLIP_DURATION, FRAME_HOP, N_FRAMES, n_samples
from avsed.params import Auditory
from avsed.runtime.device import choose_device, choose_dtype

SAMPLE_RATE = 16_000  # Hz
WINDOW_LENGTH = 400  # samples, 25 ms
HOP_LENGTH = 160  # samples, 10 ms
N_MELS = 64  # of the published weights
MEL_RANGE = (125.0, 7500.0)  # Hz
LOG_OFFSET = 0.01
EXAMPLE_FRAMES = 96  # of 10 ms: the network sees 0.96 s
# Section 4.2: examples overlap by 900 ms. Example k thus starts at 0.06 k seconds, frame k at
# 0.06624 k; `centered` places the middle of example k at the onset of frame k instead.
PAPER_EXAMPLE_HOP = 960  # samples, 60 ms
DIMS = 128
BATCH_SIZES = {"cpu": 38, "cuda": 512}  # examples; a CPU is fastest with a quarter of a clip

# The reference's own test (vggish_smoke_test.py): mean and deviation of the embeddings of a sine.
SINE_FREQUENCY = 1000.0  # Hz
PUBLISHED_RESPONSE = {"relu": (0.131, 0.238), "none": (-0.0333, 0.380)}
RESPONSE_TOLERANCE = 0.1  # of each; the reference's


class Vggish(nn.Module):
    """VGGish without its PCA post-processing.

    Parameters are named as in the published PyTorch state dict.
    """

    def __init__(self, activation: Literal["relu", "none"]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_inputs = 1
        for widths in ((64,), (128,), (256, 256), (512, 512)):
            for width in widths:
                layers += [nn.Conv2d(n_inputs, width, 3, padding=1), nn.ReLU()]
                n_inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, DIMS),
            nn.ReLU() if activation == "relu" else nn.Identity(),
        )

    def forward(self, examples: Tensor) -> Tensor:
        """Embed examples.

        Args:
            examples: (N, 96, 64) log-mel.

        Returns:
            (N, 128).
        """
        maps = self.features(examples.unsqueeze(1))
        # TensorFlow's order of flattening: time, frequency, channel.
        embedding: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embedding


def make_extractor(params: Auditory) -> Extractor:
    """Return the extractor of VGGish's embeddings (Section 4.2).

    Raises:
        AvsedError: if the weights are not found, or the published ones do not respond as published.
    """
    device = choose_device()
    network = Vggish(params.activation)
    sha256 = load_weights(network, params.weights, VGGISH)
    if sha256 == VGGISH.sha256:
        check_response(network, params.activation)
    dtype = choose_dtype(device, params.precision)
    network = network.to(device, dtype).to(memory_format=torch.channels_last).eval()

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        examples = log_mel_examples(media.waveforms[SAMPLE_RATE], params.alignment)
        return ClipInputs(rows=torch.from_numpy(examples).to(dtype), index=np.arange(N_FRAMES))

    @torch.inference_mode()
    def embed(examples: Tensor) -> Tensor:
        embeddings: Tensor = network(examples.to(device))
        return embeddings

    return Extractor(
        spec=FeatureSpec(
            kind="auditory",
            stream="audio",
            n_frames=N_FRAMES,
            dims=DIMS,
            provenance={
                "extractor": "vggish",
                "alignment": params.alignment,
                "activation": params.activation,
                "dtype": str(dtype),
                "weights": name_weights(params.weights, sha256, VGGISH),
                "weights_sha256": sha256,
            },
        ),
        sample_rate=SAMPLE_RATE,
        each_image=None,
        prepare=prepare,
        embed=embed,
        batch_size=BATCH_SIZES[device.type],
    )


def make_centered_extractor(params: Auditory) -> Extractor:
    """Return the extractor with windows centered on the frames, as a further kind of features.

    Next to `auditory` in one table, it shows the effect of the paper's alignment.

    Raises:
        AvsedError: as `make_extractor`.
    """
    extractor = make_extractor(params)
    return replace(extractor, spec=replace(extractor.spec, kind="auditory_centered"))


@torch.inference_mode()
def check_response(network: Vggish, activation: Literal["relu", "none"]) -> None:
    """Repeat the reference's smoke test: three seconds of a 1 kHz sine.

    Args:
        network: with the published weights, in float32 on the CPU.
        activation: of its last layer.

    Raises:
        AvsedError: if mean and deviation of its embeddings differ by more than 10% from the
            published ones.
    """
    times = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    sine = np.sin(2.0 * np.pi * SINE_FREQUENCY * times).astype(np.float32)
    apart = EXAMPLE_FRAMES * HOP_LENGTH // PAPER_EXAMPLE_HOP  # the reference's do not overlap
    examples = log_mel_examples(sine, "paper")[: 3 * apart : apart]
    embeddings = network.eval()(torch.from_numpy(examples))
    response = (embeddings.mean().item(), embeddings.std(correction=0).item())
    published = PUBLISHED_RESPONSE[activation]
    if not np.allclose(response, published, rtol=RESPONSE_TOLERANCE, atol=0.0):
        raise AvsedError(
            f"{VGGISH.url}: VGGish answers a sine of 1 kHz with mean {response[0]:.3f} and "
            f"deviation {response[1]:.3f}, but {published[0]} and {published[1]} are published; "
            "torch computes wrong results on this machine; install another version"
        )


def log_mel_examples(
    waveform: NDArray[np.float32], alignment: Literal["paper", "centered"]
) -> NDArray[np.float32]:
    """Cut a waveform into the 151 overlapping log-mel examples of a clip (Section 4.2).

    Args:
        waveform: (n_samples,) at `SAMPLE_RATE`, at most 10 s; full scale is 1.
        alignment: paper (example k starts at 0.06 k seconds) or centered (its middle lies at
            the onset of frame k, with silence around the clip).

    Returns:
        (151, 96, 64).
    """
    clip_length = n_samples(CLIP_DURATION, SAMPLE_RATE)
    margin = EXAMPLE_FRAMES * HOP_LENGTH // 2 if alignment == "centered" else 0
    padded = np.zeros(clip_length + 2 * margin, dtype=np.float32)
    padded[margin : margin + len(waveform)] = waveform
    if alignment == "centered":
        starts = np.rint(np.arange(N_FRAMES) * FRAME_HOP * SAMPLE_RATE).astype(int)
    else:
        starts = np.arange(N_FRAMES) * PAPER_EXAMPLE_HOP

    # Examples overlap by 90 of 96 frames in the paper's alignment; each frame is computed once.
    frame_starts, index = np.unique(
        starts[:, None] + HOP_LENGTH * np.arange(EXAMPLE_FRAMES), return_inverse=True
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_LENGTH)[frame_starts]
    fft_length = 512  # the window's next power of two
    # The reference's Hann window is periodic: numpy's symmetric one without its last point.
    hann = np.hanning(WINDOW_LENGTH + 1)[:-1].astype(np.float32)
    magnitudes = np.abs(np.fft.rfft(windows * hann, fft_length))
    log_mel = np.log(magnitudes @ _mel_filters(fft_length) + LOG_OFFSET).astype(np.float32)
    return log_mel[index.reshape(N_FRAMES, EXAMPLE_FRAMES)]


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
