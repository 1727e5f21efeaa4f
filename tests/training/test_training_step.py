"""One training step, against the paper's formulas and against a plain reference."""

import copy
from dataclasses import replace

import pytest
import torch

from avsed.model.crnn import Crnn, embedding_dims
from avsed.model.dropout import DropoutGenerator
from avsed.training.batches import Batch
from avsed.training.mean_teacher import consistency_weight, training_step
from avsed.training.seed_group import build_model
from tests.helpers.reference import ReferenceCrnn, reference_step
from tests.helpers.training import AUDITORY_DIMS, CPU, FUSION, training_data
from tests.helpers.training import SHORT as PARAMS


def models(dropout: float) -> tuple[Crnn, Crnn]:
    params = PARAMS.model_copy(update={"dropout": dropout})
    first, second = (
        build_model(
            training_data(), None, AUDITORY_DIMS, params, seed=1, dropout_seed=seed, device=CPU
        )
        for seed in (2, 3)
    )
    return first, second


def batch() -> Batch:
    weak, unlabeled = training_data().weak, training_data().unlabeled
    return Batch(
        features={
            "auditory": torch.cat(
                [weak.features["auditory"][:4], unlabeled.features["auditory"]]
            ).float()[None]
        },
        mask=torch.cat([weak.mask[:4], unlabeled.mask])[None],
        targets=training_data().targets[None, :4],
    )


def test_a_step_follows_section_2_3() -> None:
    student, teacher = models(dropout=0.0)
    plain = copy.deepcopy(student)
    optimizer = torch.optim.Adam(student.parameters(), lr=1.0)
    costs = training_step([student], [teacher], optimizer, batch(), 2, PARAMS)

    # The same step, written out. Student and teacher start equal, so their consistency cost is 0.
    one = batch()
    _, clip_scores = plain({"auditory": one.features["auditory"][0]}, one.mask[0])
    targets = one.targets[0]
    expected = -(
        targets * clip_scores[:4].log() + (1 - targets) * (1 - clip_scores[:4]).log()
    ).mean()
    assert costs.flatten().tolist() == pytest.approx([expected.item(), 0.0], rel=1e-5)
    gradients = torch.autograd.grad(expected, list(plain.parameters()))
    # The first step of Adam moves each weight by the learning rate, whatever the gradient's size.
    # Step 2 is the first after the ramp, and the teacher's decay is 1 - 1/3.
    moved = zip(plain.parameters(), student.parameters(), teacher.parameters(), gradients,
                strict=True)  # fmt: skip
    for before, after, average, gradient in moved:
        step = before - 0.01 * gradient / (gradient.abs() + 1e-8)
        assert torch.allclose(after, step, atol=1e-5)
        assert torch.allclose(average, before + (step - before) / 3, atol=1e-5)


def test_a_step_with_strong_clips_adds_their_cost_and_no_clip_cost() -> None:
    strong_targets = torch.zeros(1, 2, 151, 3)
    strong_targets[0, 0, 40:100, 1] = 1.0
    one = replace(batch(), strong_targets=strong_targets)  # its last two clips are the strong ones
    student, teacher = models(dropout=0.0)
    plain = copy.deepcopy(student)
    optimizer = torch.optim.Adam(student.parameters(), lr=1.0)
    costs = training_step([student], [teacher], optimizer, one, 2, PARAMS, strong_weight=0.5)

    # The same step, written out; the clips have 120 valid frames.
    frame_scores, clip_scores = plain({"auditory": one.features["auditory"][0]}, one.mask[0])
    cross_entropy = torch.nn.functional.binary_cross_entropy
    classification = cross_entropy(clip_scores[:4], one.targets[0])
    strong = cross_entropy(frame_scores[4:, :120], strong_targets[0, :, :120])
    expected = [classification.item(), 0.0, strong.item()]
    assert costs.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    gradients = torch.autograd.grad(classification + 0.5 * strong, list(plain.parameters()))
    for after, gradient in zip(student.parameters(), gradients, strict=True):
        assert after.grad is not None
        assert torch.allclose(after.grad, gradient, atol=1e-7)


VARIANTS = [
    ("spectral",),
    ("spectral", "visual"),
    ("spectral", "auditory"),
    ("spectral", "auditory", "visual"),
    ("visual",),
    ("auditory",),
    ("auditory", "visual"),
]


@pytest.mark.parametrize("kinds", VARIANTS, ids="+".join)
def test_steps_together_equal_the_references_steps(kinds: tuple[str, ...]) -> None:
    """Compare costs, gradients, learning rates, students and teachers, in double precision."""
    n_systems, n_frames, n_clips, n_weak = 3, 10, 5, 3
    shapes = {"spectral": (4 * n_frames, 128), "auditory": (n_frames, 6), "visual": (n_frames, 7)}
    dims = {kind: shapes[kind][1] for kind in kinds}
    sizes = embedding_dims(kinds, FUSION)
    params = PARAMS.model_copy(update={"ramp_steps": 3, "consistency_ramp": True})

    torch.manual_seed(0)
    references, ours = [], []
    for _ in range(n_systems):
        pair = [ReferenceCrnn(dims, sizes, n_classes=4, dropout=0.0).double() for _ in range(2)]
        pair[1].load_state_dict(pair[0].state_dict())
        references.append(pair)
        for reference in pair:
            model = Crnn(
                dims,
                embedding_dims=sizes,
                n_classes=4,
                dropout=0.0,
                generator=DropoutGenerator(0, torch.device("cpu")),
                cnn_dtype=torch.float32,
            ).double()
            model.load_state_dict(reference.state_dict())
            ours.append(model)
    students, teachers = ours[::2], ours[1::2]
    optimizer = torch.optim.Adam([weight for one in students for weight in one.parameters()])
    optimizers = [torch.optim.Adam(student.parameters()) for student, _ in references]

    for step in range(5):
        features = {
            kind: torch.randn(n_systems, n_clips, *shapes[kind], dtype=torch.float64)
            for kind in kinds
        }
        mask = torch.arange(n_frames) < torch.randint(3, n_frames + 1, (n_systems, n_clips, 1))
        targets = torch.randint(0, 2, (n_systems, n_weak, 4)).double()
        batch = Batch(features=features, mask=mask, targets=targets)
        costs = training_step(students, teachers, optimizer, batch, step, params)
        for system, (reference, its_teacher) in enumerate(references):
            expected = reference_step(
                reference,
                its_teacher,
                optimizers[system],
                {kind: of_all[system] for kind, of_all in features.items()},
                mask[system],
                targets[system],
                step,
                params,
            )
            weight = consistency_weight(step, params)
            cost = (costs[0] + weight * costs[1])[system].item()
            assert cost == pytest.approx(expected, rel=1e-9)
            rates = [one.param_groups[0]["lr"] for one in (optimizer, optimizers[system])]
            assert rates[0] == pytest.approx(rates[1], rel=1e-12)
            mine = students[system], teachers[system]
            for model, its_reference in zip(mine, (reference, its_teacher), strict=True):
                expected_state = its_reference.state_dict()
                for name, value in model.state_dict().items():
                    assert torch.allclose(value, expected_state[name], atol=1e-8), (step, name)
            parameters = zip(students[system].parameters(), reference.parameters(), strict=True)
            for ours_of_it, theirs in parameters:
                assert ours_of_it.grad is not None
                assert theirs.grad is not None
                assert torch.allclose(ours_of_it.grad, theirs.grad, atol=1e-9)


def cost_of(one: Batch, **changed: object) -> float:
    """Return the cost of a first step, whose dropout is always the same."""
    params = PARAMS.model_copy(update=changed)
    student, teacher = models(dropout=params.dropout)
    optimizer = torch.optim.Adam(student.parameters())
    costs = training_step([student], [teacher], optimizer, one, 0, params)
    return (costs[0] + params.consistency_weight * costs[1]).item()


def test_unlabeled_clips_have_the_consistency_cost_only() -> None:
    one, other = batch(), batch()
    other.features["auditory"][:, 4:] += 1.0
    assert cost_of(one, consistency_weight=0.0) == cost_of(other, consistency_weight=0.0)
    assert cost_of(one) != cost_of(other)


def test_without_masking_padded_frames_count_in_the_cost() -> None:
    whole = replace(batch(), mask=torch.ones(1, 6, 151, dtype=torch.bool))
    assert cost_of(batch(), mask_padding=False) == cost_of(whole)
    assert cost_of(batch()) != cost_of(whole)
