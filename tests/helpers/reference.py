"""A plain implementation of the network and of a training step, for comparison.

Nothing here is fast, and nothing is taken from the package but its parameters: torch's own layers,
one system, float32 or float64 throughout. Parameters have the names of the package's network, so
that weights can be copied.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from avsed.params import Train

CHANNELS = (16, 32, 64, 128, 128, 128, 128)
POOLING = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 2), (1, 2))


class SpectralBlocks(nn.Module):
    """Seven blocks of convolution, batch norm, ReLU, dropout, average pooling (Section 3)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, n_mels: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("deviation", torch.ones(n_mels))
        layers: list[nn.Module] = []
        for n_inputs, n_outputs, pooling in zip((1, *CHANNELS), CHANNELS, POOLING, strict=False):
            layers += [
                nn.Conv2d(n_inputs, n_outputs, kernel_size=3, stride=1, padding="same"),
                nn.BatchNorm2d(n_outputs),
                nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.AvgPool2d(pooling)),
            ]
        self.blocks = nn.Sequential(*layers)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Embed (B, L, M) as (B, L / 4, 128)."""
        maps = self.blocks(((log_mel - self.mean) / self.deviation)[:, None])
        embedded: Tensor = maps[:, :, :, 0].transpose(1, 2)
        return embedded


class ReferenceCrnn(nn.Module):
    """Any of the seven variants."""

    def __init__(
        self,
        feature_dims: Mapping[str, int],
        sizes: Mapping[str, int],
        n_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict()
        for kind, dims in feature_dims.items():
            if kind == "spectral":
                self.embeddings[kind] = SpectralBlocks(dims, dropout)
            else:
                self.embeddings[kind] = nn.Sequential(
                    nn.Linear(dims, sizes[kind]), nn.ReLU(), nn.Dropout(dropout)
                )
        n_inputs = sum(128 if kind == "spectral" else sizes[kind] for kind in feature_dims)
        self.gru = nn.GRU(n_inputs, 128, num_layers=2, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(256, n_classes)

    def forward(self, features: Mapping[str, Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, T, K) frame scores and (B, K) clip scores."""
        embedded = [embed(features[kind]) for kind, embed in self.embeddings.items()]
        frame_scores = self.classifier(self.gru(torch.cat(embedded, dim=-1))[0]).sigmoid()
        counted = frame_scores * mask[:, :, None]
        return frame_scores, (counted**2).sum(1) / counted.sum(1)


def reference_step(
    student: nn.Module,
    teacher: nn.Module,
    optimizer: torch.optim.Optimizer,
    features: Mapping[str, Tensor],
    mask: Tensor,
    targets: Tensor,
    step: int,
    params: Train,
) -> float:
    """Take a step, counted from 0, of the mean teacher (2.3, 4.3.1), and return its cost."""
    if step < params.ramp_steps:
        rate = params.learning_rate * math.exp(-5 * (1 - step / params.ramp_steps) ** 2)
    else:
        rate = params.learning_rate * params.learning_rate_decay ** (step - params.ramp_steps)
    optimizer.param_groups[0]["lr"] = rate

    frame_scores, clip_scores = student(features, mask)
    with torch.no_grad():
        teacher_frame_scores, teacher_clip_scores = teacher(features, mask)
    classification = functional.binary_cross_entropy(clip_scores[: len(targets)], targets)
    clip_consistency = ((clip_scores - teacher_clip_scores) ** 2).mean()
    frame_consistency = ((frame_scores - teacher_frame_scores) ** 2)[mask].mean()
    weight = params.consistency_weight
    if params.consistency_ramp and step < params.ramp_steps:
        weight *= math.exp(-5 * (1 - step / params.ramp_steps) ** 2)
    cost = classification + weight * (clip_consistency + frame_consistency)

    optimizer.zero_grad()
    cost.backward()
    optimizer.step()

    decay = params.teacher_decay
    if params.teacher_warmup:
        decay = min(decay, 1 - 1 / (step + 1))
    with torch.no_grad():
        for average, weights in zip(teacher.parameters(), student.parameters(), strict=True):
            average.mul_(decay).add_(weights, alpha=1 - decay)
    return float(cost.detach())
