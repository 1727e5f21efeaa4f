"""The explicit GRU against PyTorch's."""

import pytest
import torch
from torch import nn

from avsed.model.gru import BidirectionalGru


def pair(n_inputs: int, hidden_size: int, n_layers: int) -> tuple[BidirectionalGru, nn.GRU]:
    ours = BidirectionalGru(n_inputs, hidden_size, n_layers).double()
    theirs = nn.GRU(n_inputs, hidden_size, n_layers, batch_first=True, bidirectional=True).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    ("n_clips", "n_frames", "n_inputs", "hidden_size", "n_layers"),
    [(1, 1, 1, 1, 1), (3, 7, 5, 4, 2), (2, 151, 20, 128, 2)],
)
def test_outputs_and_gradients_equal_those_of_pytorchs_gru(
    n_clips: int, n_frames: int, n_inputs: int, hidden_size: int, n_layers: int
) -> None:
    torch.manual_seed(0)
    ours, theirs = pair(n_inputs, hidden_size, n_layers)
    inputs = torch.randn(n_clips, n_frames, n_inputs, dtype=torch.float64)
    weights = torch.randn(n_clips, n_frames, 2 * hidden_size, dtype=torch.float64)
    results = []
    for gru, run in ((ours, ours), (theirs, lambda x: theirs(x)[0])):
        leaf = inputs.clone().requires_grad_()
        outputs = run(leaf)  # type: ignore[no-untyped-call]
        # Sorted by name, so that both are in the same order.
        leaves = [leaf, *(parameter for _, parameter in sorted(gru.named_parameters()))]
        results.append([outputs, *torch.autograd.grad((outputs * weights).sum(), leaves)])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_without_gradients_outputs_are_the_same() -> None:
    ours, _ = pair(5, 4, 2)
    inputs = torch.randn(3, 7, 5, dtype=torch.float64)
    with torch.no_grad():
        quick = ours(inputs)
    assert torch.allclose(quick, ours(inputs), atol=1e-12)
