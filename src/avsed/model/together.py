"""The forward pass of several systems at once: the fast version of `Crnn.forward`."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from avsed.model.crnn import Crnn, linear_pool
from avsed.model.gru import gru_together


def forward_together(
    models: Sequence[Crnn], features: Mapping[str, Tensor], mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Score clips by S systems of one variant, each with clips of its own.

    Their small products are done as one; only the convolutions, which gain nothing by it, stay one
    system's after the other's. Each system's scores are what it gives alone.

    Args:
        models: S systems.
        features: kind to (S, B, L, M) spectral or (S, B, T, dims) other features.
        mask: (S, B, T) true where a frame counts in the clip scores.

    Returns:
        (S, B, T, K) frame scores and (S, B, K) clip scores, in [0, 1].
    """
    embedded = torch.cat([_embed(models, kind, features[kind]) for kind in models[0].kinds], dim=3)
    hidden = gru_together([model.gru for model in models], embedded)
    frame_scores = torch.sigmoid(_apply_linear([model.classifier for model in models], hidden))
    return frame_scores, linear_pool(frame_scores, mask)


def _embed(models: Sequence[Crnn], kind: str, features: Tensor) -> Tensor:
    """Embed (S, B, ...) features of one kind as (S, B, T, size)."""
    embeddings = [cast(nn.Sequential, model.embeddings[kind]) for model in models]
    if kind == "spectral":
        return torch.stack(
            [embed(of_one) for embed, of_one in zip(embeddings, features, strict=True)]
        )
    linears = [cast(nn.Linear, linear) for linear, _, _ in embeddings]
    dropouts = [dropout for _, _, dropout in embeddings]
    pairs = zip(dropouts, torch.relu(_apply_linear(linears, features)), strict=True)
    return torch.stack([dropout(of_one) for dropout, of_one in pairs])


def _apply_linear(layers: Sequence[nn.Linear], inputs: Tensor) -> Tensor:
    """Apply S linear layers, each to its own of (S, B, T, inputs)."""
    outputs = torch.baddbmm(
        torch.stack([layer.bias for layer in layers]).unsqueeze(1),
        inputs.flatten(1, 2),
        torch.stack([layer.weight for layer in layers]).mT,
    )
    return outputs.view(*inputs.shape[:3], -1)
