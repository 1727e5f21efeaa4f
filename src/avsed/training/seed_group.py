"""Systems of several seeds that take each step together (Sections 2.3 and 4.3.1).

The small operations of several small networks become fewer and larger ones. Each system has
initial weights, batches, dropout and batch-norm statistics of its own, and ends as it would alone.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from avsed.model.crnn import Crnn, SpectralBranch
from avsed.params import Train
from avsed.runtime.device import choose_dtype
from avsed.training.batches import TrainingData, batches
from avsed.training.curves import Point
from avsed.training.mean_teacher import training_step

N_POINTS = 100  # of a learning curve
_global_state = threading.Lock()


class SeedGroup:
    """S students with their teachers, and all else that their next step depends on.

    Attributes:
        seeds: S, which decide initial weights, batches and dropout.
        step: steps taken.
        curves: seed to its costs so far.
        diverged: seed to the step by which its costs were no finite numbers any more.
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
        """Start, or go back to a state.

        Args:
            data: clips and targets.
            bands: mean and deviation of each band, where the variant has spectral features.
            embedding_dims: pretrained kind to its embedding size.
            params: training.
            seeds: S.
            device: where to compute.
            state: what `state_dict` returned, of the same systems.
        """
        self.seeds = tuple(seeds)
        self.step = 0
        self.curves: dict[int, list[Point]] = {seed: [] for seed in seeds}
        self.diverged: dict[int, int] = {}
        self._params = params
        drawn = [list(map(int, np.random.SeedSequence(seed).generate_state(4))) for seed in seeds]
        # A teacher starts as a copy of its student, with a dropout of its own.
        self.students, self._teachers = (
            [
                build_model(
                    data,
                    bands,
                    embedding_dims,
                    params,
                    seed=states[0],
                    dropout_seed=states[whose],
                    device=device,
                )
                for states in drawn
            ]
            for whose in (1, 2)
        )
        weights = [weight for student in self.students for weight in student.parameters()]
        self._optimizer = torch.optim.Adam(weights, lr=params.learning_rate, fused=True)
        self._costs = torch.zeros(2, len(seeds), device=device)  # summed since the last point
        if state is not None:
            self.load_state_dict(state)
        self._batches = batches(
            data,
            n_weak=params.n_weak,
            n_unlabeled=params.n_unlabeled,
            seeds=[states[3] for states in drawn],
            device=device,
            n_skipped=self.step,
        )

    @property
    def finished(self) -> bool:
        """Whether all steps are taken, or no system is left that they could better."""
        return self.step == self._params.steps or len(self.diverged) == len(self.seeds)

    def take_step(self) -> bool:
        """Take a step; returns whether the curves have a new point.

        Only the making of a point reads anything back from the device.
        """
        self._costs += training_step(
            self.students,
            self._teachers,
            self._optimizer,
            next(self._batches),
            self.step,
            self._params,
        )
        self.step += 1
        n_steps = self._params.steps
        interval = max(1, n_steps // N_POINTS)
        has_point = self.step % interval == 0 or self.step == n_steps
        if has_point:
            last = self.step % interval or interval
            self._add_points(last)
        return has_point

    def _add_points(self, n_steps: int) -> None:
        costs = (self._costs / n_steps).T.tolist()
        self._costs.zero_()
        for seed, student, of_seed in zip(self.seeds, self.students, costs, strict=True):
            self.curves[seed].append(Point(self.step, *of_seed))
            # Weights tell what the costs before this step cannot.
            finite = np.isfinite(of_seed).all() and all(
                bool(weight.isfinite().all()) for weight in student.parameters()
            )
            if not finite:
                self.diverged.setdefault(seed, self.step)

    def weights(self, seed: int) -> dict[str, Tensor]:
        """Give a student's state dict, on the CPU."""
        student = self.students[self.seeds.index(seed)]
        return {name: tensor.cpu().contiguous() for name, tensor in student.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return all that further steps depend on; batches follow from the step."""
        models = (*self.students, *self._teachers)
        return {
            "step": self.step,
            "curves": {seed: list(map(tuple, points)) for seed, points in self.curves.items()},
            "diverged": self.diverged,
            "costs": self._costs,
            "models": [model.state_dict() for model in models],
            "dropout": [model.generator.get_state() for model in models],
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned, of the same systems."""
        self.step = state["step"]
        self.curves = {
            seed: [Point(*values) for values in points] for seed, points in state["curves"].items()
        }
        self.diverged = dict(state["diverged"])
        self._costs.copy_(state["costs"])
        models = (*self.students, *self._teachers)
        for model, weights, dropout in zip(models, state["models"], state["dropout"], strict=True):
            model.load_state_dict(weights)
            model.generator.set_state(dropout)
        self._optimizer.load_state_dict(state["optimizer"])


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
    """Build a system with PyTorch's default initial weights, drawn by a seed of its own."""
    # Layers draw from the global state when they are made; it is put back afterwards.
    with _global_state, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Crnn(
            {kind: data.weak.features[kind].shape[2] for kind in data.kinds},
            embedding_dims=embedding_dims,
            n_classes=len(data.classes),
            dropout=params.dropout,
            generator=torch.Generator(device).manual_seed(dropout_seed),
            cnn_dtype=choose_dtype(device, params.precision),
        )
    if bands is not None:
        branch = cast(SpectralBranch, model.embeddings["spectral"])
        branch.mean.copy_(bands[0])
        branch.deviation.copy_(bands[1])
    return model.to(device).train()
