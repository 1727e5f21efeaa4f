"""The CRNN: convolutional spectral branch, fusion, recurrent layers, pooling (2.1 and 3)."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from avsed.config import Fusion
from avsed.recurrent import BidirectionalGru, run_together
from avsed.variants import family

# Section 3: output channels of the seven blocks, and their pooling in (time, frequency).
CNN_CHANNELS = (16, 32, 64, 128, 128, 128, 128)
CNN_POOLING = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2))
GRU_HIDDEN_SIZE = 128
GRU_LAYERS = 2


class Dropout(nn.Module):
    """Dropout whose random numbers come from a generator of its own.

    Unlike torch's, it leaves the global random state alone, so that systems which are trained
    side by side draw what they would draw alone. It also compares 16-bit numbers, four of which
    come of each draw, which takes a third of the time on a CPU; the probability is rounded to a
    multiple of 2^-16.
    """

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.n_dropped = round(probability * 2**16)
        self.scale = 2**16 / (2**16 - self.n_dropped)

    def forward(self, inputs: Tensor) -> Tensor:
        """Zero elements at random and scale the others up; in evaluation, pass all."""
        if not self.training or self.n_dropped == 0:
            return inputs
        n_draws = -(-inputs.numel() // 4)
        draws = torch.empty(n_draws, dtype=torch.int64, device=inputs.device)
        draws.random_(-(2**63), None, generator=self.generator)
        kept = draws.view(torch.int16)[: inputs.numel()] >= self.n_dropped - 2**15
        # The mask in the inputs' own memory order, whichever that is: they are dense.
        mask = kept.to(inputs.dtype).mul_(self.scale).as_strided(inputs.shape, inputs.stride())
        return inputs * mask


class Crnn(nn.Module):
    """Frame and clip scores from any combination of features.

    All of the paper's seven variants are this class with other features.
    """

    def __init__(
        self,
        feature_dims: Mapping[str, int],
        *,
        fusion: Fusion,
        n_classes: int,
        dropout: float,
        generator: torch.Generator,
        cnn_dtype: torch.dtype,
    ) -> None:
        """Build a variant.

        Args:
            feature_dims: kind to dims of each of its features, in the order of concatenation.
            fusion: embedding sizes.
            n_classes: K.
            dropout: probability.
            generator: of the dropout, on the device on which the model will be.
            cnn_dtype: of the convolutional blocks' arithmetic; all else is float32.
        """
        super().__init__()
        self.generator = generator
        self.kinds = tuple(feature_dims)
        self.embeddings = nn.ModuleDict()
        n_inputs = 0
        for kind, dims in feature_dims.items():
            if kind == "spectral":
                self.embeddings[kind] = SpectralBranch(dims, dropout, generator, cnn_dtype)
                n_inputs += CNN_CHANNELS[-1]
            else:
                size = embedding_dim(
                    kind, beside_spectral="spectral" in feature_dims, fusion=fusion
                )
                self.embeddings[kind] = nn.Sequential(
                    nn.Linear(dims, size), nn.ReLU(), Dropout(dropout, generator)
                )
                n_inputs += size
        # The paper names no dropout in or behind the recurrent layers.
        self.gru = BidirectionalGru(n_inputs, GRU_HIDDEN_SIZE, GRU_LAYERS)
        self.classifier = nn.Linear(2 * GRU_HIDDEN_SIZE, n_classes)

    def forward(self, features: Mapping[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Score clips.

        Args:
            features: kind to (B, L, M) spectral or (B, T, dims) other features.
            mask: (B, T) true where a frame counts in the clip scores.

        Returns:
            (B, T, K) frame scores and (B, K) clip scores, in [0, 1].
        """
        embedded = [self.embeddings[kind](features[kind]) for kind in self.kinds]
        hidden = self.gru(torch.cat(embedded, dim=2))  # (B, T, 2 x 128)
        frame_scores = torch.sigmoid(self.classifier(hidden))  # (B, T, K)
        return frame_scores, linear_pool(frame_scores, mask)


def score_together(
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
    hidden = run_together([model.gru for model in models], embedded)
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


class SpectralBranch(nn.Module):
    """Standardise a log-mel spectrogram and embed it by seven convolutional blocks."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, n_mels: int, dropout: float, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype = dtype
        # Of the training set, per band (Section 4.2); saved with the weights.
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("deviation", torch.ones(n_mels))
        layers: list[nn.Module] = []
        n_inputs = 1
        for width, pooling in zip(CNN_CHANNELS, CNN_POOLING, strict=True):
            layers += [
                nn.Conv2d(n_inputs, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                Dropout(dropout, generator),
                nn.AvgPool2d(pooling),
            ]
            n_inputs = width
        self.blocks = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed (B, L, M) spectral frames as (B, T, 128)."""
        standardised = (log_mel - self.mean) / self.deviation
        # Channels last: faster by a third on a CPU, as pooling and normalising vectorise over them.
        image = standardised.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, self.dtype, enabled=self.dtype != torch.float32):
            maps: Tensor = self.blocks(image)  # (B, 128, T, 1)
        return maps.to(log_mel.dtype).squeeze(3).transpose(1, 2)


def embedding_dim(kind: str, *, beside_spectral: bool, fusion: Fusion) -> int:
    """Look up the embedding size of a pretrained feature (Section 3), by its family."""
    if beside_spectral:
        return {"auditory": fusion.auditory_dim, "visual": fusion.visual_dim}[family(kind)]
    return {
        "auditory": fusion.standalone_auditory_dim,
        "visual": fusion.standalone_visual_dim,
    }[family(kind)]


def linear_pool(frame_scores: Tensor, mask: Tensor) -> Tensor:
    """Average frame scores, each weighted by itself, into clip scores.

    Section 2.1, linear softmax pooling.

    Args:
        frame_scores: (..., T, K) in [0, 1].
        mask: (..., T) true where a frame counts; at least one a clip.

    Returns:
        (..., K) in [0, 1]; 0 where all of a class's frame scores are 0.
    """
    counted = frame_scores * mask.unsqueeze(-1)
    # All scores of a class can be 0 (underflow); 0 / 0 must not become NaN.
    return counted.square().sum(-2) / counted.sum(-2).clamp_min(torch.finfo(counted.dtype).tiny)
