"""The forward pass of several systems at once, with the results of `Crnn.forward`."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from avsed.model.crnn import Crnn, linear_pool
from avsed.model.gru import gru_together


def forward_together(
    models: Sequence[Crnn], features: Mapping[str, Tensor], mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the scores of S systems of one variant, each for its own clips.

    The small matrix products of the systems are batched. Convolutions gain nothing from that and
    run one system after the other.

    Args:
        models: S networks.
        features: kind to (S, B, L, M) spectral or (S, B, T, dims) pretrained features.
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
    """Apply S linear layers to (S, B, T, inputs), each to its own inputs."""
    outputs = torch.baddbmm(
        torch.stack([layer.bias for layer in layers]).unsqueeze(1),
        inputs.flatten(1, 2),
        torch.stack([layer.weight for layer in layers]).mT,
    )
    return outputs.view(*inputs.shape[:3], -1)
