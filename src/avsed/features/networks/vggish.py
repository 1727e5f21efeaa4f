"""Auditory features: VGGish, pretrained for audio classification (Section 4.2).

The network is that of audioset/vggish in the TensorFlow models repository.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from avsed.dataset.media import Media
from avsed.errors import AvsedError
from avsed.features.extractor import ClipInputs, Extractor, FeatureSpec
from avsed.features.networks.log_mel_examples import (
    EXAMPLE_FRAMES,
    PAPER_EXAMPLE_HOP,
    SAMPLE_RATE,
    log_mel_examples,
    log_mel_frames,
)
from avsed.features.networks.overlapping_windows import apply_to_windows
from avsed.features.weights.load import load_weights
from avsed.features.weights.published import PublishedWeights
from avsed.framing import N_FRAMES
from avsed.params import Auditory
from avsed.runtime.device import choose_device, choose_dtype

PUBLISHED = PublishedWeights(  # converted from TensorFlow's by the project torchvggish
    url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    sha256="10086976245803799d9194e9a73d9b6c1549c71d1b80106f5cade5608a561f4b",
    licence="Apache-2.0",
)
LOG_OFFSET = 0.01
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
        embeddings: Tensor = self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))
        return embeddings

    def embed_overlapping(self, frames: Tensor) -> Tensor:
        """Embed the overlapping examples of a clip, and compute once what they share.

        For the 996 frames of a clip on an x86 CPU, the embeddings are bit-identical to those that
        `forward` computes of all examples. Other devices, and small inputs (up to 320 frames
        in float32 with PyTorch 2.14), use kernels that round differently for different shapes.

        Args:
            frames: (L, 64) log-mel; an example starts every `PAPER_EXAMPLE_HOP` of them.

        Returns:
            (N, 128).
        """
        maps = apply_to_windows(self.features, frames, n_rows=EXAMPLE_FRAMES, hop=PAPER_EXAMPLE_HOP)
        embeddings: Tensor = self.embeddings(maps.flatten(1))
        return embeddings


def make_extractor(params: Auditory) -> Extractor:
    """Return the extractor of VGGish's embeddings (Section 4.2).

    Raises:
        AvsedError: if the weights are not found, or the published ones do not respond as published.
    """
    device = choose_device()
    with torch.device("meta"):  # as VGG16
        network = Vggish(params.activation)
    loaded = load_weights(network, params.weights, PUBLISHED)
    if loaded["weights"] == "pretrained":
        check_response(network, params.activation)
    dtype = choose_dtype(device, params.precision)
    network = network.to(device, dtype).to(memory_format=torch.channels_last).eval()

    # A row of inputs is a whole clip in the paper's alignment. If examples are centered on the
    # frames, it is one example: 66.24 ms are not a multiple of the log-mel hop, and after the first
    # pooling, no two examples have a row in common.
    overlapping = params.alignment == "paper"

    def prepare(media: Media[object], duration: float) -> ClipInputs:
        waveform = media.waveforms[SAMPLE_RATE]
        if overlapping:
            rows = log_mel_frames(waveform, log_offset=LOG_OFFSET)[None]
        else:
            rows = log_mel_examples(waveform, params.alignment, log_offset=LOG_OFFSET)
        return ClipInputs(rows=torch.from_numpy(rows).to(dtype), index=np.arange(N_FRAMES))

    @torch.inference_mode()
    def embed(rows: Tensor) -> Tensor:
        rows = rows.to(device)
        if overlapping:
            return torch.stack([network.embed_overlapping(frames) for frames in rows])
        embeddings: Tensor = network(rows)
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
                **loaded,
            },
        ),
        sample_rate=SAMPLE_RATE,
        each_image=None,
        prepare=prepare,
        embed=embed,
        batch_size=1 if overlapping else BATCH_SIZES[device.type],
    )


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
    apart = EXAMPLE_FRAMES // PAPER_EXAMPLE_HOP  # the reference's do not overlap
    examples = log_mel_examples(sine, "paper", log_offset=LOG_OFFSET)[: 3 * apart : apart]
    embeddings = network.eval()(torch.from_numpy(examples))
    response = (embeddings.mean().item(), embeddings.std(correction=0).item())
    published = PUBLISHED_RESPONSE[activation]
    if not np.allclose(response, published, rtol=RESPONSE_TOLERANCE, atol=0.0):
        raise AvsedError(
            f"{PUBLISHED.url}: VGGish answers a sine of 1 kHz with mean {response[0]:.3f} and "
            f"deviation {response[1]:.3f}, but {published[0]} and {published[1]} are published; "
            "torch computes wrong results on this machine; install another version"
        )
