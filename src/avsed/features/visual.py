"""Visual features: VGG16, pretrained for image classification (Section 4.2)."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import VGG16_Weights, vgg16

from avsed.config import Visual
from avsed.features.extractor import Extractor
from avsed.features.weights import load_weights
from avsed.framing import N_FRAMES, valid_frames
from avsed.hardware import choose_device, choose_dtype
from avsed.media import read_images

PUBLISHED = VGG16_Weights.IMAGENET1K_V1
BATCH_SIZE = 32  # pictures; more gains nothing on a CPU

# The paper's "last feedforward layer" gives 1,000 class scores if taken literally (fc8); its
# 4,096 outputs are those of the layer before (fc7), taken after the ReLU.
LAYERS = {"fc6": 2, "fc7": 5, "fc8": 7}  # layers of torchvision's classifier to keep


def make_extractor(params: Visual) -> Extractor:
    """Set up VGG16 with its weights.

    Raises:
        AvsedError: if the weights cannot be had.
    """
    device = choose_device()
    network = vgg16(weights=None)
    sha256 = load_weights(network, params.weights, url=PUBLISHED.url)
    network.classifier = network.classifier[: LAYERS[params.layer]]
    dtype = choose_dtype(device, params.precision)
    network = network.to(device, dtype).to(memory_format=torch.channels_last).eval()
    preprocess = PUBLISHED.transforms(crop_size=params.crop_size, resize_size=params.resize_size)

    def embed(images: list[Tensor]) -> NDArray[np.float32]:
        batch = torch.stack(images).to(device, dtype, memory_format=torch.channels_last)
        with torch.inference_mode():
            embeddings: Tensor = network(batch)
        return embeddings.float().cpu().numpy()

    def extract(path: Path, duration: float) -> NDArray[np.float32]:
        # A still scene repeats pictures to the bit; the network sees each run of them once.
        distinct: list[Tensor] = []
        index: list[int] = []
        previous: NDArray[np.uint8] | None = None
        for image in read_images(path):
            if previous is None or not np.array_equal(image, previous):
                distinct.append(preprocess(torch.from_numpy(image.transpose(2, 0, 1).copy())))
                previous = image
            index.append(len(distinct) - 1)
        embeddings = np.concatenate(
            [embed(distinct[i : i + BATCH_SIZE]) for i in range(0, len(distinct), BATCH_SIZE)]
        )
        return _pad(embeddings[index], valid_frames(duration))

    return Extractor(
        kind="visual",
        stream="video",
        extract=extract,
        provenance={
            "extractor": "vgg16",
            "layer": params.layer,
            "dtype": str(dtype),
            "resize_size": params.resize_size,
            "crop_size": params.crop_size,
            "weights": params.weights,
            "weights_sha256": sha256,
        },
    )


def _pad(embeddings: NDArray[np.float32], n_valid: int) -> NDArray[np.float32]:
    """Hold the last picture until the clip ends; zeros after that, up to 151 frames."""
    padded = np.zeros((N_FRAMES, embeddings.shape[1]), dtype=np.float32)
    held = np.minimum(np.arange(n_valid), len(embeddings) - 1)
    padded[:n_valid] = embeddings[held]
    return padded
