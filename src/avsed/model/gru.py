"""The bidirectional GRU (Section 2.1) of one system, or of several systems together.

On a CPU, the backward pass of PyTorch's GRU takes about four times as long as its forward pass,
mostly in small operations of autograd. It also cannot batch systems with different weights. Here
both passes are written out. The two directions of all systems are one batch of matrix products.
Everything that does not depend on the previous frame is computed for all frames at once, including
the gradients of the weights.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class BidirectionalGru(nn.GRU):
    """A bidirectional GRU with the weights, parameter names and results of `nn.GRU`."""

    def __init__(self, n_inputs: int, hidden_size: int, n_layers: int) -> None:
        super().__init__(n_inputs, hidden_size, n_layers, batch_first=True, bidirectional=True)

    def forward(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        """Compute (B, T, 2 x hidden) outputs from (B, T, inputs)."""
        return gru_together([self], inputs.unsqueeze(0)).squeeze(0)


def gru_together(grus: Sequence[BidirectionalGru], inputs: Tensor) -> Tensor:
    """Run S GRUs of the same shape, each on its own inputs.

    Args:
        grus: S GRUs.
        inputs: (S, B, T, inputs).

    Returns:
        (S, B, T, 2 x hidden).
    """
    # For one system, PyTorch's passes are the fastest, except the backward pass on a CPU.
    if len(grus) == 1 and (inputs.is_cuda or not torch.is_grad_enabled()):
        return nn.GRU.forward(grus[0], inputs[0])[0].unsqueeze(0)
    hidden = inputs.transpose(1, 2)  # (S, T, B, inputs)
    for layer in range(grus[0].num_layers):
        hidden = _run_layer(grus, hidden, layer)
    return hidden.transpose(1, 2)


def _run_layer(grus: Sequence[BidirectionalGru], inputs: Tensor, layer: int) -> Tensor:
    """Compute one layer's (S, T, B, 2 x hidden) outputs from (S, T, B, inputs)."""
    weights = [
        torch.stack(
            [
                getattr(gru, f"{name}_l{layer}{suffix}")
                for gru in grus
                for suffix in ("", "_reverse")
            ]
        )
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    weight_ih, weight_hh, bias_ih, bias_hh = weights  # (2 S, 3 x hidden, ...)
    n_systems, n_frames, n_clips, n_inputs = inputs.shape
    size = grus[0].hidden_size
    # The reset and update gates only use the sum of their recurrent and input biases.
    bias = bias_ih + torch.cat([bias_hh[:, : 2 * size], torch.zeros_like(bias_hh[:, :size])], 1)
    projected = torch.baddbmm(
        bias.view(n_systems, 1, 6 * size),
        inputs.reshape(n_systems, -1, n_inputs),
        weight_ih.view(n_systems, 6 * size, n_inputs).transpose(1, 2),
    )
    projected = projected.view(n_systems, n_frames, n_clips, 2, 3 * size).transpose(0, 1)
    # The second direction runs from the last frame to the first.
    both = torch.stack([projected[:, :, :, 0], projected[:, :, :, 1].flip(0)], 2)
    hidden = _Recurrence.apply(
        both.flatten(1, 2), weight_hh.transpose(1, 2).contiguous(), bias_hh[:, 2 * size :, None].mT
    )
    hidden = hidden.view(n_frames, n_systems, 2, n_clips, size)
    return torch.cat([hidden[:, :, 0], hidden[:, :, 1].flip(0)], 3).transpose(0, 1)


class _Recurrence(torch.autograd.Function):
    """The recurrence of a GRU, given its projected inputs.

    h_t = n + z (h_{t-1} - n), where n = tanh(projected inputs + r (W h_{t-1} + b)). The reset gate
    r and the update gate z are sigmoids of the projected inputs plus the projected h_{t-1}.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Compute the hidden states of all frames.

        Args:
            ctx: saves tensors for the backward pass.
            projected: (T, D, B, 3H) of D directions: reset gate, update gate, new state.
            weight: (D, H, 3H) recurrent weights.
            bias: (D, 1, H) recurrent bias of the new state.

        Returns:
            (T, D, B, H).
        """
        n_frames, n_directions, n_clips, _ = projected.shape
        size = weight.shape[1]
        hidden = projected.new_zeros(n_frames + 1, n_directions, n_clips, size)
        gates = projected.new_empty(n_frames, n_directions, n_clips, 2 * size)
        new = projected.new_empty(n_frames, n_directions, n_clips, size)
        recurrent = torch.empty_like(new)  # W h + b of the new state
        # Views of all frames made at once take a third of the time of those made one by one.
        frames = zip(
            hidden[:-1].unbind(),
            hidden[1:].unbind(),
            projected[..., : 2 * size].unbind(),
            projected[..., 2 * size :].unbind(),
            gates.unbind(),
            gates[..., :size].unbind(),
            gates[..., size:].unbind(),
            recurrent.unbind(),
            new.unbind(),
            strict=True,
        )
        product = projected.new_empty(n_directions, n_clips, 3 * size)
        of_gates, of_new = product[..., : 2 * size], product[..., 2 * size :]
        for before, after, at_gates, at_new, both, reset, update, state, candidate in frames:
            torch.bmm(before, weight, out=product)
            torch.add(at_gates, of_gates, out=both).sigmoid_()
            torch.add(of_new, bias, out=state)
            torch.addcmul(at_new, reset, state, out=candidate).tanh_()
            torch.lerp(candidate, before, update, out=after)
        ctx.save_for_backward(hidden, gates, new, recurrent, weight)
        return hidden[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute gradients from the last frame to the first."""
        (from_above,) = gradients
        hidden, gates, new, recurrent, weight = ctx.saved_tensors
        _, n_directions, _, size = new.shape
        reset, update = gates[..., :size], gates[..., size:]
        # Factors from the gradient of h_t to that of each gate's input, before its nonlinearity.
        to_new = (1.0 - update) * (1.0 - new.square())
        to_update = (hidden[:-1] - new) * update * (1.0 - update)
        to_reset = to_new * recurrent * reset * (1.0 - reset)
        factors = torch.stack([to_reset, to_update, to_new * reset], 3)  # (T, D, B, 3, H)
        at_hidden = torch.empty_like(new)
        at_product = torch.empty_like(factors)
        transposed = weight.transpose(1, 2).contiguous()
        carried = torch.zeros_like(new[0])
        frames = zip(
            from_above.unbind(),
            at_hidden.unbind(),
            at_hidden.unsqueeze(3).unbind(),
            update.unbind(),
            factors.unbind(),
            at_product.unbind(),
            at_product.flatten(3).unbind(),
            strict=True,
        )
        for above, at_state, spread, kept, factor, at_gates, flat in reversed(list(frames)):
            torch.add(above, carried, out=at_state)
            torch.mul(spread, factor, out=at_gates)
            torch.mul(at_state, kept, out=carried)
            carried.baddbmm_(flat, transposed)
        at_projected = at_product.clone()
        torch.mul(at_hidden, to_new, out=at_projected[..., 2, :])
        products = at_product.flatten(3).transpose(0, 1).reshape(n_directions, -1, 3 * size)
        before = hidden[:-1].permute(1, 3, 0, 2).reshape(n_directions, size, -1)
        return (
            at_projected.flatten(3),
            torch.bmm(before, products),
            products[..., 2 * size :].sum(1, keepdim=True),
        )
