"""ReLU, dropout and average pooling as one operation, equal to PyTorch's to the bit.

On a CPU, a step of training then takes a sixth less time.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from avsed.model.dropout import Dropout, DropoutGenerator


class ReluDropoutPool2d(nn.Module):
    """ReLU, dropout, and average pooling without overlap, by sizes that are powers of two.

    The inputs are changed in place.
    """

    def __init__(
        self, probability: float, generator: DropoutGenerator, pooling: tuple[int, int]
    ) -> None:
        super().__init__()
        self.dropout = Dropout(probability, generator)
        self.pooling = pooling

    def forward(self, maps: Tensor) -> Tensor:
        """Pool (B, C, height, width) maps; rows and columns that fill no cell are left out."""
        mask = self.dropout.draw_mask(maps) if self.dropout.drops else None
        pooled: Tensor = _ReluDropoutPool.apply(maps, mask, self.dropout.scale, self.pooling)
        return pooled


class _ReluDropoutPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, mask: Tensor | None, scale: float, pooling: tuple[int, int]
    ) -> Tensor:
        # Batch normalization, which stands before, needs its outputs no more.
        active = maps.detach().relu_()
        if mask is not None:
            active.mul_(mask)
        ctx.save_for_backward(active)
        # Rounded to the type of the maps, as in the mask.
        ctx.scale = torch.tensor(scale, dtype=maps.dtype).item() if mask is not None else 1.0
        ctx.pooling = pooling
        n_channels = maps.shape[1]
        # A convolution of each channel by itself takes a third of the time of PyTorch's pooling.
        weight = maps.new_full((n_channels, 1, *pooling), 1.0 / (pooling[0] * pooling[1]))
        return functional.conv2d(active, weight, stride=pooling, groups=n_channels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (active,) = ctx.saved_tensors
        height, width = ctx.pooling
        # Scaled before it is spread, where it is four times as small.
        scaled = (gradient * ctx.scale).div_(height * width)
        spread = functional.interpolate(scaled, scale_factor=(height, width), mode="nearest")
        unused = (0, active.shape[3] - spread.shape[3], 0, active.shape[2] - spread.shape[2])
        if any(unused):
            spread = functional.pad(spread, unused).contiguous(memory_format=torch.channels_last)
        # Dropped elements are 0, as are those that the ReLU set to 0.
        return torch.ops.aten.threshold_backward(spread, active, 0), None, None, None
