"""Mean teacher: costs, the teacher's update, the learning rate (Sections 2.3 and 4.3.1)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from avsed.config import Train


def classification_cost(clip_scores: Tensor, targets: Tensor) -> Tensor:
    """Compute the binary cross-entropy of weak clips (Section 2.3).

    Args:
        clip_scores: (B, K) of the student, in [0, 1].
        targets: (B, K) zeros and ones.
    """
    return functional.binary_cross_entropy(clip_scores, targets)


def consistency_cost(
    student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Compute how far student and teacher disagree (Section 2.3).

    Args:
        student: (B, T, K) frame scores and (B, K) clip scores.
        teacher: likewise.
        mask: (B, T) true where a frame counts.

    Returns:
        The mean squared error of the clip scores plus that of the frame scores which count.
    """
    frame_errors = (student[0] - teacher[0]).square().mean(2)
    frame_cost = (frame_errors * mask).sum() / mask.sum()
    return functional.mse_loss(student[1], teacher[1]) + frame_cost


def consistency_weight(step: int, params: Train) -> float:
    """Give the weight of the consistency cost at a step, counted from 0."""
    # The paper gives a weight of 2 and no ramp; its forerunners ramp it with the learning rate.
    ramp = _ramp(step, params.ramp_steps) if params.consistency_ramp else 1.0
    return params.consistency_weight * ramp


def learning_rate(step: int, params: Train) -> float:
    """Give the learning rate at a step, counted from 0 (Section 4.3.1)."""
    decay = params.learning_rate_decay ** max(step - params.ramp_steps, 0)
    return params.learning_rate * _ramp(step, params.ramp_steps) * decay


def _ramp(step: int, ramp_steps: int) -> float:
    """Rise from exp(-5) to 1 in the first `ramp_steps` steps."""
    if step >= ramp_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / ramp_steps) ** 2)


def teacher_decay(step: int, params: Train) -> float:
    """Give the decay of the teacher's average after a step, counted from 0.

    The paper's 0.999 alone would keep the teacher near its random start for a thousand steps, so
    that the average is a plain one at first, unless `teacher_warmup` is off.
    """
    if not params.teacher_warmup:
        return params.teacher_decay
    return min(1.0 - 1.0 / (step + 1), params.teacher_decay)


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, *, decay: float) -> None:
    """Move the teacher's weights towards the student's (Section 2.3).

    Weights only: batch norm's running statistics are not averaged. The teacher normalises by its
    own batch.
    """
    averages: list[Tensor] = list(teacher.parameters())
    weights: list[Tensor] = list(student.parameters())
    torch._foreach_lerp_(averages, weights, 1.0 - decay)
