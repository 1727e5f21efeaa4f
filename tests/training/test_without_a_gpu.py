"""A training step on a simulated GPU, up to its costs.

PyTorch's fake tensors have a device, a shape and a data type, but no values. Operations that mix
devices fail, and so does reading a value, for which a program would wait for a real GPU.
"""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
)

from avsed.dataset.loading import ClipFeatures
from avsed.model.crnn import Crnn, embedding_dims
from avsed.model.dropout import DropoutGenerator
from avsed.model.together import forward_together
from avsed.params import Strong
from avsed.training.batches import TrainingData, batches
from avsed.training.mean_teacher import classification_cost, consistency_cost, strong_cost
from avsed.training.strong import StrongClips
from tests.helpers.training import FUSION

GPU = torch.device("cuda", 0)
SHAPES = {"spectral": (604, 128), "auditory": (151, 128), "visual": (151, 4096)}
# For a single system, PyTorch's own GRU would need a real GPU.
N_SYSTEMS, N_WEAK, N_UNLABELED, N_STRONG, N_CLASSES = 3, 3, 2, 2, 10


def make_data() -> TrainingData:
    def clips(name: str, n_clips: int) -> ClipFeatures:
        return ClipFeatures(
            clip_ids=tuple(f"{name} {number}" for number in range(n_clips)),
            features={kind: torch.zeros(n_clips, *shape).half() for kind, shape in SHAPES.items()},
            mask=torch.ones(n_clips, 151, dtype=torch.bool),
        )

    return TrainingData(
        kinds=tuple(SHAPES),
        classes=tuple(f"class {number}" for number in range(N_CLASSES)),
        weak=clips("weak", N_WEAK),
        unlabeled=clips("unlabeled", N_UNLABELED),
        targets=torch.zeros(N_WEAK, N_CLASSES),
        features_key=(),
        provenance={},
        strong=StrongClips(
            clips=clips("strong", N_STRONG),
            targets=torch.zeros(N_STRONG, 151, N_CLASSES, dtype=torch.bool),
            params=Strong(weight=1.0, n_clips=N_STRONG),
        ),
    )


def on_gpu(data: TrainingData) -> TrainingData:
    def move(clips: ClipFeatures) -> ClipFeatures:
        features = {kind: of_kind.to(GPU) for kind, of_kind in clips.features.items()}
        return replace(clips, features=features, mask=clips.mask.to(GPU))

    assert data.strong
    targets = data.strong.targets.to(GPU)
    return replace(
        data,
        weak=move(data.weak),
        unlabeled=move(data.unlabeled),
        targets=data.targets.to(GPU),
        strong=replace(data.strong, clips=move(data.strong.clips), targets=targets),
    )


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("features_on_gpu", [False, True])
def test_batches_and_costs_mix_no_devices_and_read_nothing_back(features_on_gpu: bool) -> None:
    students, teachers = (
        [
            Crnn(
                {kind: dims for kind, (_, dims) in SHAPES.items()},
                embedding_dims=embedding_dims(SHAPES, FUSION),
                n_classes=N_CLASSES,
                dropout=0.33,
                generator=DropoutGenerator(0, torch.device("cpu")),
                cnn_dtype=torch.float32,
            )
            for _ in range(N_SYSTEMS)
        ]
        for _ in range(2)
    )
    data = make_data()
    with FakeTensorMode(allow_non_fake_inputs=True):
        for model in (*students, *teachers):
            model.to(GPU)
        drawn = batches(
            on_gpu(data) if features_on_gpu else data,
            n_weak=N_WEAK,
            n_unlabeled=N_UNLABELED,
            seeds=range(N_SYSTEMS),
            device=GPU,
        )
        batch = next(drawn)
        scores = forward_together(students, batch.features, batch.mask)
        with torch.no_grad():
            teacher_scores = forward_together(teachers, batch.features, batch.mask)
        costs = classification_cost(scores[1][:, :N_WEAK], batch.targets)
        costs = costs + consistency_cost(scores, teacher_scores, batch.mask)
        assert batch.strong_targets is not None
        of_strong = scores[0][:, -N_STRONG:], batch.strong_targets, batch.mask[:, -N_STRONG:]
        costs = costs + strong_cost(*of_strong)
        assert costs.device == GPU
        assert costs.dtype == torch.float32
        assert costs.shape == (N_SYSTEMS,)
        assert costs.requires_grad
        with pytest.raises(DataDependentOutputException):
            costs[0].item()
