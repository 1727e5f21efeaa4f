"""Visual features: VGG16, pretrained for image classification (Section 4.2)."""

import torch
from torch import Tensor
from torchvision.models import VGG16_Weights, vgg16

from avsed.features.extractor import Extractor
from avsed.features.pretrained import image_extractor
from avsed.features.weights.published import PublishedWeights
from avsed.params import Visual

PUBLISHED = PublishedWeights(
    url=VGG16_Weights.IMAGENET1K_V1.url,
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    licence="BSD-3-Clause (torchvision)",
)

# The paper's "last feedforward layer" would be the 1,000 class scores (fc8) if taken literally. Its
# 4,096 values per frame are the outputs of the layer before (fc7), taken after the ReLU.
LAYERS = {"fc6": 2, "fc7": 5, "fc8": 7}  # layers of torchvision's classifier to keep
DIMS = {"fc6": 4096, "fc7": 4096, "fc8": 1000}


def make_extractor(params: Visual) -> Extractor:
    """Return the extractor of VGG16's embeddings (Section 4.2).

    Raises:
        AvsedError: if the weights are not found, or do not fit the network.
    """
    with torch.device("meta"):  # `load_weights` allocates: drawing initial weights takes a second
        network = vgg16(weights=None)
    classifier = network.classifier[: LAYERS[params.layer]]

    def embed(images: Tensor) -> Tensor:  # (batch_size, 3, crop_size, crop_size)
        embeddings: Tensor = classifier(network.avgpool(network.features(images)).flatten(1))
        return embeddings

    return image_extractor(
        "visual",
        params,
        network=network,
        published=PUBLISHED,
        # As the published weights require, except for the sizes, which the demo reduces.
        preprocess=VGG16_Weights.IMAGENET1K_V1.transforms(
            crop_size=params.crop_size, resize_size=params.resize_size
        ),
        embed=embed,
        dims=DIMS[params.layer],
        settings={
            "extractor": "vgg16",
            "layer": params.layer,
            "dtype": "",  # filled in; keeps its place in the stored order
            "resize_size": params.resize_size,
            "crop_size": params.crop_size,
        },
        autocast=False,  # VGG16 has no normalization layers
    )
