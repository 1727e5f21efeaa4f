"""Visual features: VGG16, pretrained for image classification (Section 4.2)."""

import torch
from torch import Tensor
from torchvision.models import VGG16_Weights, vgg16

from avsed.dataset.media import Image
from avsed.features.extractor import Extractor, FeatureSpec, hold_images
from avsed.features.published import VGG16
from avsed.features.weights import load_weights, name_weights
from avsed.framing import N_FRAMES
from avsed.params import Visual
from avsed.runtime.device import choose_device, choose_dtype

BATCH_SIZES = {"cpu": 32, "cuda": 128}  # pictures; more gains nothing on a CPU

# The paper's "last feedforward layer" gives 1,000 class scores if taken literally (fc8); its
# 4,096 outputs are those of the layer before (fc7), taken after the ReLU.
LAYERS = {"fc6": 2, "fc7": 5, "fc8": 7}  # layers of torchvision's classifier to keep
DIMS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}


def make_extractor(params: Visual) -> Extractor:
    """Set up VGG16 with its weights.

    Raises:
        AvsedError: if the weights cannot be had.
    """
    device = choose_device()
    network = vgg16(weights=None)
    sha256 = load_weights(network, params.weights, VGG16)
    network.classifier = network.classifier[: LAYERS[params.layer]]
    dtype = choose_dtype(device, params.precision)
    network = network.to(device, dtype).to(memory_format=torch.channels_last).eval()
    preprocess = VGG16_Weights.IMAGENET1K_V1.transforms(
        crop_size=params.crop_size, resize_size=params.resize_size
    )

    def each_image(image: Image) -> Tensor:
        preprocessed: Tensor = preprocess(torch.from_numpy(image).permute(2, 0, 1))
        return preprocessed.to(dtype)

    @torch.inference_mode()
    def embed(images: Tensor) -> Tensor:
        embeddings: Tensor = network(images.to(device, memory_format=torch.channels_last))
        return embeddings

    return Extractor(
        spec=FeatureSpec(
            kind="visual",
            stream="video",
            n_frames=N_FRAMES,
            dims=DIMS[params.layer],
            provenance={
                "extractor": "vgg16",
                "layer": params.layer,
                "dtype": str(dtype),
                "resize_size": params.resize_size,
                "crop_size": params.crop_size,
                "weights": name_weights(params.weights, sha256, VGG16),
                "weights_sha256": sha256,
            },
        ),
        sample_rate=None,
        each_image=each_image,
        prepare=hold_images,
        embed=embed,
        batch_size=BATCH_SIZES[device.type],
    )
