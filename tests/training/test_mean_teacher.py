"""Costs, the teacher's average and the learning rate, against values computed by hand."""

import math

import pytest
import torch
from torch import nn

from avsed.training.mean_teacher import (
    classification_cost,
    consistency_cost,
    consistency_weight,
    learning_rate,
    strong_cost,
    teacher_decay,
    update_teachers,
)
from tests.helpers.training import PAPER


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.001 * math.exp(-5)),
        (6_250, 0.001 * math.exp(-1.25)),
        (12_500, 0.001),
        (12_501, 0.001 * 0.99995),
        (49_999, 0.001 * 0.99995**37_499),
    ],
)
def test_the_learning_rate_is_the_papers(step: int, expected: float) -> None:
    assert learning_rate(step, PAPER) == pytest.approx(expected)


def test_the_consistency_weight_is_flat_unless_ramped() -> None:
    assert consistency_weight(0, PAPER) == 2.0
    ramped = PAPER.model_copy(update={"consistency_ramp": True})
    assert consistency_weight(0, ramped) == pytest.approx(2 * math.exp(-5))
    assert consistency_weight(12_500, ramped) == 2.0


def test_the_teacher_is_first_a_plain_and_then_an_exponential_average() -> None:
    assert [teacher_decay(step, PAPER) for step in (0, 1, 9)] == [0.0, 0.5, 0.9]
    assert teacher_decay(5_000, PAPER) == 0.999
    assert teacher_decay(0, PAPER.model_copy(update={"teacher_warmup": False})) == 0.999


def test_the_classification_cost_is_each_systems_cross_entropy() -> None:
    scores = torch.tensor([[[0.8, 0.4]], [[0.5, 0.5]]])
    targets = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    cost = classification_cost(scores, targets)
    assert cost.tolist() == pytest.approx([-(math.log(0.8) + math.log(0.6)) / 2, math.log(2)])


def test_the_consistency_cost_adds_clip_and_valid_frame_errors() -> None:
    students = torch.tensor([[[[0.5], [0.5], [0.9]]]] * 2), torch.tensor([[[0.5]]] * 2)
    frame_scores = torch.tensor([[[[0.4], [0.2], [0.0]]], [[[0.5], [0.5], [0.0]]]])
    teachers = frame_scores, torch.tensor([[[0.3]], [[0.5]]])
    mask = torch.tensor([[[True, True, False]]] * 2)
    cost = consistency_cost(students, teachers, mask)
    assert cost.tolist() == pytest.approx([0.2**2 + (0.1**2 + 0.3**2) / 2, 0.0])


def test_the_strong_cost_is_each_systems_cross_entropy_over_valid_frames() -> None:
    scores = torch.tensor([[[[0.8, 0.4], [0.5, 0.9], [0.1, 0.1]]], [[[0.5, 0.5]] * 3]])
    targets = torch.tensor([[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], [[[0.0, 1.0]] * 3]])
    mask = torch.tensor([[[True, True, False]], [[True, True, True]]])
    found = math.log(0.8) + math.log(0.6) + math.log(0.5) + math.log(0.9)
    cost = strong_cost(scores, targets, mask)
    assert cost.tolist() == pytest.approx([-found / 4, math.log(2)])


def test_a_nan_score_shows_in_the_consistency_cost_of_its_system_only() -> None:
    scores = torch.tensor([[[math.nan]], [[0.5]]], requires_grad=True)
    frame_scores = scores.unsqueeze(2)
    mask = torch.ones(2, 1, 1, dtype=torch.bool)
    same = frame_scores.detach(), scores.detach()
    costs = consistency_cost((frame_scores, scores), same, mask)
    costs = costs + classification_cost(scores, torch.ones(2, 1, 1))
    assert costs.isfinite().tolist() == [False, True]
    (gradients,) = torch.autograd.grad(costs.sum(), scores)
    assert gradients[1].item() == pytest.approx(-2.0)


@pytest.mark.parametrize(("decay", "expected"), [(0.0, 3.0), (1.0, 1.0), (0.75, 1.5)])
def test_the_teacher_moves_towards_the_student(decay: float, expected: float) -> None:
    teacher, student = nn.Linear(2, 2), nn.Linear(2, 2)
    nn.init.ones_(teacher.weight)
    nn.init.constant_(student.weight, 3.0)
    update_teachers([teacher], [student], decay=decay)
    assert teacher.weight.tolist() == [[expected] * 2] * 2
    assert student.weight.tolist() == [[3.0] * 2] * 2


def test_running_statistics_are_not_averaged() -> None:
    teacher, student = nn.BatchNorm1d(1), nn.BatchNorm1d(1)
    student(torch.tensor([[5.0], [7.0]]))
    update_teachers([teacher], [student], decay=0.0)
    assert teacher.running_mean is not None
    assert teacher.running_mean.item() == 0.0
