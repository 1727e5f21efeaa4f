"""EfficientNet-B0 (Tan and Le, 2019), pretrained for image classification; not in the paper."""

from torch import Tensor
from torchvision.models import EfficientNet_B0_Weights, efficientnet_b0

from avsed.features.pretrained import PictureNetwork
from avsed.features.published import PublishedWeights


class EfficientNet(PictureNetwork):
    """The 1,280 values before the classes, for a fortieth of VGG16's arithmetic."""

    name = "efficientnet"
    dims = 1280
    published = PublishedWeights(
        EfficientNet_B0_Weights.IMAGENET1K_V1.url,
        "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
    )

    def __init__(self) -> None:
        self.network = efficientnet_b0()
        self.preprocess = EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()

    def extract(self, inputs: Tensor) -> Tensor:
        """Embed (batch_size, 3, 224, 224) pictures as (batch_size, 1280)."""
        features: Tensor = self.network.avgpool(self.network.features(inputs)).flatten(1)
        return features
