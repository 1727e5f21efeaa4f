"""EfficientNet-B0 (Tan and Le, 2019), pretrained for image classification; not in the paper."""

from torch import Tensor
from torchvision.models import EfficientNet_B0_Weights, efficientnet_b0

from avsed.features.extractor import Extractor
from avsed.features.pretrained import image_extractor
from avsed.features.weights.published import PublishedWeights
from avsed.params import ExtraNetworks

PUBLISHED = PublishedWeights(
    url=EfficientNet_B0_Weights.IMAGENET1K_V1.url,
    sha256="7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
    licence="BSD-3-Clause (torchvision)",
)


def make_extractor(params: ExtraNetworks) -> Extractor:
    """Return the extractor of the 1,280 values before the classes."""
    network = efficientnet_b0()

    def embed(images: Tensor) -> Tensor:  # (batch_size, 3, 224, 224)
        features: Tensor = network.avgpool(network.features(images)).flatten(1)
        return features

    return image_extractor(
        "visual_efficientnet",
        params,
        network=network,
        published=PUBLISHED,
        preprocess=EfficientNet_B0_Weights.IMAGENET1K_V1.transforms(),
        embed=embed,
        dims=1280,
        settings={"extractor": "efficientnet"},
    )
