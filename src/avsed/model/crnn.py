"""The CRNN: convolutional spectral branch, fusion, recurrent layers, pooling (2.1 and 3)."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from avsed.model.dropout import Dropout
from avsed.model.gru import BidirectionalGru
from avsed.params import Fusion
from avsed.variants import family

# Section 3: output channels of the seven blocks, and their pooling in (time, frequency).
CNN_CHANNELS = (16, 32, 64, 128, 128, 128, 128)
CNN_POOLING = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2))
GRU_HIDDEN_SIZE = 128
GRU_LAYERS = 2


class Crnn(nn.Module):
    """Frame and clip scores from any combination of features.

    All of the paper's seven variants are this class with other features.
    """

    def __init__(
        self,
        feature_dims: Mapping[str, int],
        *,
        embedding_dims: Mapping[str, int],
        n_classes: int,
        dropout: float,
        generator: torch.Generator,
        cnn_dtype: torch.dtype,
    ) -> None:
        """Build a variant.

        Args:
            feature_dims: kind to dims of each of its features, in the order of concatenation.
            embedding_dims: pretrained kind to its embedding size; see `embedding_dims`.
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
                self.embeddings[kind] = nn.Sequential(
                    nn.Linear(dims, embedding_dims[kind]), nn.ReLU(), Dropout(dropout, generator)
                )
                n_inputs += embedding_dims[kind]
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
        standardized = (log_mel - self.mean) / self.deviation
        # Channels last: faster by a third on a CPU, as pooling and normalising vectorise over them.
        image = standardized.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, self.dtype, enabled=self.dtype != torch.float32):
            maps: Tensor = self.blocks(image)  # (B, 128, T, 1)
        return maps.to(log_mel.dtype).squeeze(3).transpose(1, 2)


def embedding_dims(kinds: Collection[str], fusion: Fusion) -> dict[str, int]:
    """Look up the embedding sizes of a variant's pretrained features (Section 3).

    Returns:
        Kind to size. The size depends on the kind's family and on whether the variant has spectral
        features.
    """
    if "spectral" in kinds:
        sizes = {"auditory": fusion.auditory_dim, "visual": fusion.visual_dim}
    else:
        sizes = {
            "auditory": fusion.standalone_auditory_dim,
            "visual": fusion.standalone_visual_dim,
        }
    return {kind: sizes[family(kind)] for kind in kinds if kind != "spectral"}


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
