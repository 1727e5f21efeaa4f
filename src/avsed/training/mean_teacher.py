"""Mean teacher: costs, the teacher's update, the learning rate (Sections 2.3 and 4.3.1)."""

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

    Scores that are no numbers, which would stop a GPU for good inside the cross-entropy, count as
    0.5 here; the consistency cost tells them.

    Args:
        clip_scores: (S, B, K) of the students, in [0, 1].
        targets: (S, B, K) zeros and ones.

    Returns:
        (S,).
    """
    scores = clip_scores.nan_to_num(0.5)
    return functional.binary_cross_entropy(scores, targets, reduction="none").mean((1, 2))


def consistency_cost(
    students: tuple[Tensor, Tensor], teachers: tuple[Tensor, Tensor], mask: Tensor
) -> Tensor:
    """Compute how far each student and its teacher disagree (Section 2.3).

    Args:
        students: (S, B, T, K) frame scores and (S, B, K) clip scores.
        teachers: likewise.
        mask: (S, B, T) true where a frame counts.

    Returns:
        (S,): the mean squared error of the clip scores plus that of the frame scores which count.
    """
    clip_errors = (students[1] - teachers[1]).square().mean((1, 2))
    frame_errors = (students[0] - teachers[0]).square().mean(3)
    return clip_errors + (frame_errors * mask).sum((1, 2)) / mask.sum((1, 2))


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
def update_teachers(
    teachers: Sequence[nn.Module], students: Sequence[nn.Module], *, decay: float
) -> None:
    """Move the teachers' weights towards their students' (Section 2.3).

    Weights only: batch norm's running statistics are not averaged. The teacher normalises by its
    own batch.
    """
    averages: list[Tensor] = [weight for teacher in teachers for weight in teacher.parameters()]
    weights: list[Tensor] = [weight for student in students for weight in student.parameters()]
    torch._foreach_lerp_(averages, weights, 1.0 - decay)


def training_step(
    students: Sequence[Crnn],
    teachers: Sequence[Crnn],
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    params: Train,
) -> Tensor:
    """Take one step of mean teacher training (Section 2.3).

    Args:
        students: S systems.
        teachers: theirs.
        optimizer: of all students.
        batch: of S systems.
        step: counted from 0.
        params: training.

    Returns:
        (2, S): each student's classification and consistency cost, detached.
    """
    mask = batch.mask if params.mask_padding else torch.ones_like(batch.mask)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, params)

    frame_scores, clip_scores = forward_together(students, batch.features, mask)
    with torch.no_grad():
        teacher_scores = forward_together(teachers, batch.features, mask)
    n_weak = batch.targets.shape[1]
    classification = classification_cost(clip_scores[:, :n_weak], batch.targets)
    consistency = consistency_cost((frame_scores, clip_scores), teacher_scores, mask)
    # A student's weights bear on its own cost only, so that the sum trains each as if alone.
    cost = (classification + consistency_weight(step, params) * consistency).sum()

    optimizer.zero_grad()
    cost.backward()  # type: ignore[no-untyped-call]  # torch has no type here
    optimizer.step()
    update_teachers(teachers, students, decay=teacher_decay(step, params))
    return torch.stack([classification, consistency]).detach()
