"""Seeds that train together get the results of training alone."""

from typing import cast

import pytest
import torch

from avsed.training.seed_group import SeedGroup
from tests.helpers.training import train_together, training_data


def scores_of(group: SeedGroup, seed: int) -> torch.Tensor:
    student = group.students[group.seeds.index(seed)].eval()
    weak = training_data().weak
    with torch.inference_mode():
        frame_scores, _ = student({"auditory": weak.features["auditory"].float()}, weak.mask)
    return cast(torch.Tensor, frame_scores)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.33])
def test_each_seed_of_a_group_ends_as_it_would_alone(dropout: float) -> None:
    """40 steps at the paper's learning rate, with the same masks of dropout."""
    changed = {"n_steps": 40, "n_frames": 20, "dropout": dropout, "learning_rate": 0.001}
    together = train_together(3, 4, 5, **changed)  # type: ignore[arg-type]
    for seed in together.seeds:
        alone = train_together(seed, **changed)  # type: ignore[arg-type]
        assert torch.allclose(scores_of(together, seed), scores_of(alone, seed), atol=1e-3)
    assert not torch.allclose(scores_of(together, 3), scores_of(together, 4), atol=1e-2)
