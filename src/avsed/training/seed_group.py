"""Students and teachers of several seeds that take each step together (Sections 2.3 and 4.3.1).

Training together turns the small operations of several small networks into fewer, larger ones. Each
seed has its own initial weights, batches, dropout and batch-norm statistics, and trains as it would
alone.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from avsed.model.crnn import Crnn, SpectralBranch
from avsed.model.dropout import DropoutGenerator
from avsed.params import Train
from avsed.runtime.device import choose_dtype
from avsed.training.batches import TrainingData, batches
from avsed.training.curves import Point

N_POINTS = 100  # of a learning curve
_global_random_state = threading.Lock()


class SeedGroup:
    """S students with their teachers, and everything else that further steps depend on.

    Attributes:
        seeds: S; each decides the initial weights, batches and dropout of one system.
        params: training parameters.
        strong_weight: weight of the cost of strong clips; 0 without strong clips.
        students: S networks, in the order of the seeds.
        teachers: S networks.
        optimizer: Adam over the weights of all students.
        batches: endless iterator.
        step: number of steps taken.
        curves: seed to its learning curve so far.
        diverged: seed to the first point's step with NaN or infinite costs or weights.
    """

    def __init__(
        self,
        data: TrainingData,
        bands: tuple[Tensor, Tensor] | None,
        embedding_dims: Mapping[str, int],
        params: Train,
        *,
        seeds: Sequence[int],
        device: torch.device,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        """Set up the systems at step 0, or at a saved state.

        Args:
            data: clips and targets.
            bands: (M,) mean and (M,) deviation of the mel bands; None without spectral features.
            embedding_dims: pretrained kind to its embedding size.
            params: training parameters.
            seeds: S.
            device: device of networks and batches.
            state: a `state_dict` of the same seeds.
        """
        self.seeds = tuple(seeds)
        self.params = params
        self.step = 0
        self.curves: dict[int, list[Point]] = {seed: [] for seed in seeds}
        self.diverged: dict[int, int] = {}
        # Four independent seeds: initial weights, the student's and the teacher's dropout, batches.
        drawn = [list(map(int, np.random.SeedSequence(seed).generate_state(4))) for seed in seeds]
        build = partial(build_model, data, bands, embedding_dims, params, device=device)
        self.students = [build(seed=states[0], dropout_seed=states[1]) for states in drawn]
        # A teacher starts as a copy of its student, with its own dropout.
        self.teachers = [build(seed=states[0], dropout_seed=states[2]) for states in drawn]
        weights = [weight for student in self.students for weight in student.parameters()]
        self.optimizer = torch.optim.Adam(weights, lr=params.learning_rate, fused=True)
        self.strong_weight = data.strong.params.weight if data.strong else 0.0
        # Summed since the last point.
        self._costs = torch.zeros(3 if data.strong else 2, len(seeds), device=device)
        if state is not None:
            self.load_state_dict(state)
        self.batches = batches(
            data,
            n_weak=params.n_weak,
            n_unlabeled=params.n_unlabeled,
            seeds=[states[3] for states in drawn],
            device=device,
            n_skipped=self.step,
        )

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or every seed has diverged."""
        return self.step == self.params.steps or len(self.diverged) == len(self.seeds)

    def record_costs(self, costs: Tensor) -> bool:
        """Count a step and its costs.

        Only a new point of the curves reads values back, for which a GPU has to be waited for.

        Args:
            costs: (2, S) or (3, S) costs of the step, as `training_step` returns them.

        Returns:
            Whether the curves have a new point.
        """
        self._costs += costs
        self.step += 1
        interval = max(1, self.params.steps // N_POINTS)
        has_point = self.step % interval == 0 or self.step == self.params.steps
        if has_point:
            self._add_points(n_steps=self.step % interval or interval)
        return has_point

    def _add_points(self, n_steps: int) -> None:
        """Add the mean costs of the last `n_steps` steps to the curves, and find diverged seeds."""
        costs = (self._costs / n_steps).T.tolist()
        self._costs.zero_()
        for seed, student, of_seed in zip(self.seeds, self.students, costs, strict=True):
            self.curves[seed].append(Point(self.step, *of_seed))
            # The costs were computed before the last update of the weights, which can fail too.
            finite = np.isfinite(of_seed).all() and all(
                bool(weight.isfinite().all()) for weight in student.parameters()
            )
            if not finite:
                self.diverged.setdefault(seed, self.step)

    def weights(self, seed: int) -> dict[str, Tensor]:
        """Return a student's state dict, on the CPU."""
        student = self.students[self.seeds.index(seed)]
        return {name: tensor.cpu().contiguous() for name, tensor in student.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that further steps depend on; the batches depend on the step only."""
        models = (*self.students, *self.teachers)
        return {
            "step": self.step,
            "curves": {seed: list(map(tuple, points)) for seed, points in self.curves.items()},
            "diverged": self.diverged,
            "costs": self._costs,
            "models": [model.state_dict() for model in models],
            "dropout": [model.generator.get_state() for model in models],
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict` of the same seeds."""
        self.step = state["step"]
        self.curves = {
            seed: [Point(*values) for values in points] for seed, points in state["curves"].items()
        }
        self.diverged = dict(state["diverged"])
        self._costs.copy_(state["costs"])
        models = (*self.students, *self.teachers)
        for model, weights, dropout in zip(models, state["models"], state["dropout"], strict=True):
            model.load_state_dict(weights)
            model.generator.set_state(dropout)
        self.optimizer.load_state_dict(state["optimizer"])


def build_model(
    data: TrainingData,
    bands: tuple[Tensor, Tensor] | None,
    embedding_dims: Mapping[str, int],
    params: Train,
    *,
    seed: int,
    dropout_seed: int,
    device: torch.device,
) -> Crnn:
    """Build a network with PyTorch's default initial weights.

    Args:
        data: determines kinds, dims and classes.
        bands: (M,) mean and (M,) deviation of the mel bands; None without spectral features.
        embedding_dims: pretrained kind to its embedding size.
        params: training parameters.
        seed: seed of the initial weights.
        dropout_seed: seed of the dropout.
        device: device of the network.
    """
    # PyTorch's layers draw their weights from the global random state, which is restored.
    with _global_random_state, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Crnn(
            {kind: data.weak.features[kind].shape[2] for kind in data.kinds},
            embedding_dims=embedding_dims,
            n_classes=len(data.classes),
            dropout=params.dropout,
            generator=DropoutGenerator(dropout_seed, device),
            cnn_dtype=choose_dtype(device, params.precision),
        )
    if bands is not None:
        branch = cast(SpectralBranch, model.embeddings["spectral"])
        branch.mean.copy_(bands[0])
        branch.deviation.copy_(bands[1])
    return model.to(device).train()
