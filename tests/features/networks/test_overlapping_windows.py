"""Layers applied to overlapping windows compute the same as on each window alone."""

import pytest
import torch
from torch import nn

from avsed.features.networks.overlapping_windows import apply_to_windows


def small_network(*, n_convolutions: tuple[int, ...]) -> nn.Sequential:
    """Build blocks with the given numbers of convolutions."""
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


@pytest.mark.parametrize(("n_convolutions", "n_rows"), [(1, 4), (2, 6), (3, 8), (4, 10)])
@torch.inference_mode()
def test_windows_that_are_too_short_are_refused(n_convolutions: int, n_rows: int) -> None:
    layers = small_network(n_convolutions=(n_convolutions,))
    sequence = torch.randn(30, 8, dtype=torch.float64)
    windows = torch.stack([sequence[start : start + n_rows] for start in range(30 - n_rows + 1)])
    computed = apply_to_windows(layers, sequence, n_rows=n_rows, hop=1)
    torch.testing.assert_close(
        computed.movedim(-1, 1), layers(windows[:, None]), rtol=1e-12, atol=1e-12
    )
    with pytest.raises(ValueError, match=f"windows have {n_rows - 2} rows, too few of which"):
        apply_to_windows(layers, sequence, n_rows=n_rows - 2, hop=1)
