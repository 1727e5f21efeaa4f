"""Mean teacher training: costs, one step, schedules (Sections 2.3 and 4.3.1).

All functions work on S systems at once: a system is a student with its teacher, and has its own
batch. The systems do not influence each other.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from avsed.model.crnn import Crnn
from avsed.model.together import forward_together
from avsed.params import Train
from avsed.training.batches import Batch


def classification_cost(clip_scores: Tensor, targets: Tensor) -> Tensor:
    """Compute the binary cross-entropy of each system's weak clips (Section 2.3).

    Args:
        clip_scores: (S, B, K) of the students, in [0, 1].
        targets: (S, B, K) zeros and ones.

    Returns:
        (S,).
    """
    # NaN scores are replaced by 0.5, because cross-entropy on NaN aborts a GPU. The consistency
    # cost still becomes NaN and reveals them.
    scores = clip_scores.nan_to_num(0.5)
    return functional.binary_cross_entropy(scores, targets, reduction="none").mean((1, 2))


def consistency_cost(
    students: tuple[Tensor, Tensor], teachers: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Compute how much each student and its teacher disagree (Section 2.3).

    Args:
        students: (S, B, T, K) frame scores and (S, B, K) clip scores.
        teachers: likewise.
        mask: (S, B, T) true where a frame counts.

    Returns:
        (S,) mean squared error of the clip scores plus that of the frame scores that count.
    """
    clip_errors = (students[1] - teachers[1]).square().mean((1, 2))  # (S,)
    frame_errors = (students[0] - teachers[0]).square().mean(3)  # (S, B, T)
    return clip_errors + (frame_errors * mask).sum((1, 2)) / mask.sum((1, 2))


def strong_cost(frame_scores: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Compute the binary cross-entropy of the frames of each system's strong clips.

    Not in the paper.

    Args:
        frame_scores: (S, B, T, K) of the students, in [0, 1].
        targets: (S, B, T, K) zeros and ones.
        mask: (S, B, T) true where a frame counts.

    Returns:
        (S,) mean over the classes of the frames that count.
    """
    scores = frame_scores.nan_to_num(0.5)  # as in `classification_cost`
    costs = functional.binary_cross_entropy(scores, targets, reduction="none").mean(3)  # (S, B, T)
    return (costs * mask).sum((1, 2)) / mask.sum((1, 2))


def training_step(
    students: Sequence[Crnn],
    teachers: Sequence[Crnn],
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    params: Train,
    *,
    strong_weight: float = 0.0,
) -> Tensor:
    """Take one step of mean teacher training (Section 2.3).

    Args:
        students: S networks.
        teachers: S networks.
        optimizer: optimizer of all students.
        batch: clips of S systems.
        step: number of steps taken before.
        params: training parameters.
        strong_weight: weight of the cost of the strong clips, for batches with strong clips.

    Returns:
        (2, S) classification and consistency cost of each student, detached; (3, S) with the
        strong cost if the batch has strong clips.
    """
    # The paper pads shorter clips to 10 s and does not say whether the padding counts.
    mask = batch.mask if params.mask_padding else torch.ones_like(batch.mask)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, params)

    # Student and teacher see the same clips, each with its own dropout.
    frame_scores, clip_scores = forward_together(students, batch.features, mask)
    # No gradient: a teacher learns from its student's weights only. It stays in training mode, so
    # that its batch norm normalizes by the same clips.
    with torch.no_grad():
        teacher_scores = forward_together(teachers, batch.features, mask)

    # Weak clips, which stand first, have both costs; other clips have the consistency cost.
    n_weak = batch.targets.shape[1]
    classification = classification_cost(clip_scores[:, :n_weak], batch.targets)
    consistency = consistency_cost((frame_scores, clip_scores), teacher_scores, mask)
    cost = classification + consistency_weight(step, params) * consistency
    costs = [classification, consistency]
    if batch.strong_targets is not None:
        # Strong clips, which stand last, have no clip cost, as in the DCASE baselines since 2019:
        # their tags follow from their events.
        n_strong = batch.strong_targets.shape[1]
        strong = strong_cost(frame_scores[:, -n_strong:], batch.strong_targets, mask[:, -n_strong:])
        cost = cost + strong_weight * strong
        costs.append(strong)

    optimizer.zero_grad()
    # A student's weights change its own cost only, so the sum trains each student as if alone.
    cost.sum().backward()  # type: ignore[no-untyped-call]  # torch has no type here
    optimizer.step()
    update_teachers(teachers, students, decay=teacher_decay(step, params))
    return torch.stack(costs).detach()


@torch.no_grad()
def update_teachers(
    teachers: Sequence[nn.Module], students: Sequence[nn.Module], *, decay: float
) -> None:
    """Move the teachers' weights towards their students' weights (Section 2.3).

    Each weight becomes `decay` times itself plus `1 - decay` times the student's.
    """
    # parameters() leaves out the running statistics of batch norm. The paper averages weights; the
    # teacher's statistics come from its own forward passes.
    averages: list[Tensor] = [weight for teacher in teachers for weight in teacher.parameters()]
    weights: list[Tensor] = [weight for student in students for weight in student.parameters()]
    torch._foreach_lerp_(averages, weights, 1.0 - decay)


def learning_rate(step: int, params: Train) -> float:
    """Compute the learning rate at a step, counted from 0 (Section 4.3.1)."""
    decay = params.learning_rate_decay ** max(step - params.ramp_steps, 0)
    return params.learning_rate * _ramp(step, params.ramp_steps) * decay


def consistency_weight(step: int, params: Train) -> float:
    """Compute the weight of the consistency cost at a step, counted from 0 (Section 4.3.1)."""
    # The paper names a weight of 2 and no ramp. Systems that it builds on ramp the weight like the
    # learning rate.
    ramp = _ramp(step, params.ramp_steps) if params.consistency_ramp else 1.0
    return params.consistency_weight * ramp


def teacher_decay(step: int, params: Train) -> float:
    """Compute the decay of the teacher's average after a step, counted from 0 (Section 4.3.1)."""
    if not params.teacher_warmup:
        return params.teacher_decay
    # With the paper's 0.999 alone, the teacher stays near its random initial weights for the first
    # thousand steps. During a warm-up it is the plain average of all students so far.
    return min(1.0 - 1.0 / (step + 1), params.teacher_decay)


def _ramp(step: int, ramp_steps: int) -> float:
    """Compute a factor that rises from exp(-5) to 1 in the first `ramp_steps` steps."""
    if step >= ramp_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / ramp_steps) ** 2)
