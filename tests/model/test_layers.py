"""ReLU, dropout and pooling in one operation compute what PyTorch's layers do."""

import pytest
import torch
from torch import Tensor, nn

from avsed.model.dropout import Dropout, DropoutGenerator
from avsed.model.layers import ReluDropoutPool2d


def generator(seed: int) -> DropoutGenerator:
    return DropoutGenerator(seed, torch.device("cpu"))


def maps(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


def run(layers: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Return outputs, and gradients of the inputs of a layer before."""
    leaf = inputs.clone().requires_grad_()
    outputs = layers(leaf * 1.0)
    outputs.backward(maps(*outputs.shape, dtype=outputs.dtype, seed=1))
    assert leaf.grad is not None
    return [outputs.detach(), leaf.grad]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("height", "width", "pooling"), [(20, 8, (2, 2)), (7, 6, (1, 2))])
def test_relu_dropout_and_pooling_are_pytorchs_to_the_bit(
    height: int, width: int, pooling: tuple[int, int], training: bool, dtype: torch.dtype
) -> None:
    inputs = maps(3, 16, height, width, dtype=dtype)
    ours = ReluDropoutPool2d(0.33, generator(5), pooling)
    dropout = Dropout(0.33, generator(5))
    theirs = nn.Sequential(nn.ReLU(), dropout, nn.AvgPool2d(pooling))
    for found, expected in zip(
        run(ours.train(training), inputs), run(theirs.train(training), inputs), strict=True
    ):
        assert torch.equal(found, expected)


def test_rows_that_fill_no_cell_are_left_out() -> None:
    inputs = maps(2, 16, 7, 9, dtype=torch.float32)
    ours = ReluDropoutPool2d(0.0, generator(0), (2, 2))
    theirs = nn.Sequential(nn.ReLU(), nn.AvgPool2d((2, 2)))
    for found, expected in zip(run(ours, inputs), run(theirs, inputs), strict=True):
        assert torch.equal(found, expected)


def test_a_mask_has_the_scale_where_it_keeps() -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        dropout = Dropout(0.33, generator(0))
        mask = dropout.draw_mask(torch.zeros(1000, 100, dtype=dtype))
        assert mask.dtype == dtype
        assert set(mask.flatten().tolist()) == {
            0.0,
            torch.tensor(dropout.scale, dtype=dtype).item(),
        }
        assert (mask == 0).double().mean().item() == pytest.approx(0.33, abs=0.006)
