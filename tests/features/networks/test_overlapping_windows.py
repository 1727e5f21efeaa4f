"""Layers applied to overlapping windows compute the same as on each window alone."""

import pytest
import torch
from torch import nn

from avsed.features.networks.overlapping_windows import apply_to_windows


def small_network(*, n_convolutions: tuple[int, ...]) -> nn.Sequential:
    """Build blocks with so many convolutions each."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    n_inputs = 1
    for n_in_block in n_convolutions:
        for _ in range(n_in_block):
            layers += [nn.Conv2d(n_inputs, 3, 3, padding=1), nn.ReLU()]
            n_inputs = 3
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("hop", [1, 2, 3, 4, 5, 6, 8, 12, 50])
@pytest.mark.parametrize("n_convolutions", [(1,), (2,), (1, 1), (1, 1, 2), (1, 1, 2, 2)])
@torch.inference_mode()
def test_layers_see_each_window_with_its_own_padding(
    n_convolutions: tuple[int, ...], hop: int
) -> None:
    layers = small_network(n_convolutions=n_convolutions)
    sequence = torch.randn(237, 16, dtype=torch.float64)
    windows = [sequence[start : start + 96] for start in range(0, 237 - 96 + 1, hop)]
    expected = torch.cat([layers(window[None, None]) for window in windows])
    computed = apply_to_windows(layers, sequence, n_rows=96, hop=hop)
    torch.testing.assert_close(computed.movedim(-1, 1), expected, rtol=1e-12, atol=1e-12)


def test_windows_without_rows_to_share_are_refused() -> None:
    # Of 8 rows, 2 at each end depend on the padding, and of the 4 after the pooling all do.
    layers = small_network(n_convolutions=(3, 1))
    with pytest.raises(ValueError, match="windows of 4 rows share too few of them"):
        apply_to_windows(layers, torch.zeros(30, 8, dtype=torch.float64), n_rows=8, hop=2)
