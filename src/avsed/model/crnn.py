"""The paper's network, a CRNN that fuses features (Sections 2.1 and 3).

- Seven convolutional blocks embed the log-mel spectrogram; two of them pool in time.
- The blocks use average pooling.
- Linear softmax pooling turns frame scores into clip scores, over valid frames only.
- Dropout draws from its own generator, so that a seed trains the same alone and beside others.
- The recurrent layers have no dropout, because the paper names none.
"""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from avsed.model.dropout import Dropout, DropoutGenerator
from avsed.model.gru import BidirectionalGru
from avsed.model.layers import ReluDropoutPool2d
from avsed.params import Fusion
from avsed.variants import family

# Section 3: output channels of the seven blocks, and their pooling in (time, frequency).
CNN_CHANNELS = (16, 32, 64, 128, 128, 128, 128)
CNN_POOLING = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2))
GRU_HIDDEN_SIZE = 128
GRU_LAYERS = 2


class Crnn(nn.Module):
    """Compute frame and clip scores from any combination of features.

    Each of the paper's variants is this network with other features.

    Attributes:
        kinds: features, in the order of concatenation.
        embeddings: kind to the layers that embed it.
        gru: recurrent layers.
        classifier: from recurrent outputs to classes.
        generator: random generator of the dropout.
    """

    def __init__(
        self,
        feature_dims: Mapping[str, int],
        *,
        embedding_dims: Mapping[str, int],
        n_classes: int,
        dropout: float,
        generator: DropoutGenerator,
        cnn_dtype: torch.dtype,
    ) -> None:
        """Build a variant.

        Args:
            feature_dims: kind to the dims of its features, in the order of concatenation.
            embedding_dims: pretrained kind to its embedding size; see `embedding_dims`.
            n_classes: K.
            dropout: probability.
            generator: random generator of the dropout, on the device that the network moves to.
            cnn_dtype: data type in which convolutional blocks compute; all else is float32.
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
        self.gru = BidirectionalGru(n_inputs, GRU_HIDDEN_SIZE, GRU_LAYERS)
        self.classifier = nn.Linear(2 * GRU_HIDDEN_SIZE, n_classes)

    def forward(self, features: Mapping[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the scores of clips.

        Args:
            features: kind to (B, L, M) spectral or (B, T, dims) pretrained features.
            mask: (B, T) true where a frame counts in the clip scores.

        Returns:
            (B, T, K) frame scores and (B, K) clip scores, in [0, 1].
        """
        # Section 3: features are embedded one by one, and fused before the recurrent layers.
        embedded = [self.embeddings[kind](features[kind]) for kind in self.kinds]
        fused = torch.cat(embedded, dim=2)  # (B, T, sum of embedding sizes)
        hidden = self.gru(fused)  # (B, T, 2 x 128)
        frame_scores = torch.sigmoid(self.classifier(hidden))  # (B, T, K)
        clip_scores = linear_pool(frame_scores, mask)  # (B, K)
        return frame_scores, clip_scores


class SpectralBranch(nn.Module):
    """Standardize a log-mel spectrogram and embed it with seven convolutional blocks."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, n_mels: int, dropout: float, generator: DropoutGenerator, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype = dtype
        # Statistics of each mel band over the training set (Section 4.2), saved with the weights.
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("deviation", torch.ones(n_mels))
        layers: list[nn.Module] = []
        n_inputs = 1
        for width, pooling in zip(CNN_CHANNELS, CNN_POOLING, strict=True):
            layers += [
                nn.Conv2d(n_inputs, width, 3, padding=1),
                nn.BatchNorm2d(width),
                ReluDropoutPool2d(dropout, generator, pooling),
            ]
            n_inputs = width
        self.blocks = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed (B, L, M) spectral frames as (B, T, 128)."""
        standardized = ((log_mel - self.mean) / self.deviation).unsqueeze(1)  # (B, 1, L, M)
        # Channels last is a third faster on a CPU: pooling and normalization vectorize over them.
        standardized = standardized.contiguous(memory_format=torch.channels_last)
        with torch.autocast(log_mel.device.type, self.dtype, enabled=self.dtype != torch.float32):
            maps: Tensor = self.blocks(standardized)  # (B, 128, T, 1)
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
    """Compute clip scores: the mean of frame scores, each weighted by itself.

    Section 2.1, linear softmax pooling.

    Args:
        frame_scores: (..., T, K) in [0, 1].
        mask: (..., T) true where a frame counts; at least one frame of each clip.

    Returns:
        (..., K) in [0, 1]; 0 where all frame scores of a class are 0.

    Examples:
        (0.2² + 0.6²) / (0.2 + 0.6):

        >>> mask = torch.tensor([True, True])
        >>> linear_pool(torch.tensor([[0.2], [0.6]]), mask)
        tensor([0.5000])
    """
    counted = frame_scores * mask.unsqueeze(-1)
    # All scores of a class can underflow to 0, and 0 / 0 must not become NaN.
    return counted.square().sum(-2) / counted.sum(-2).clamp_min(torch.finfo(counted.dtype).tiny)
