"""Batches: which clips they contain, how often and in which order; mel band statistics."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avsed.dataset.annotations import AnnotatedClip
from avsed.dataset.loading import ClipFeatures, require_made_by
from avsed.dataset.shards import Shard, write_shard
from avsed.errors import AvsedError
from avsed.params import Auditory, Strong
from avsed.training.batches import (
    TrainingData,
    band_statistics,
    batches,
    shuffled_cycles,
    tag_targets,
)
from avsed.training.strong import StrongClips


def clips(prefix: str, values: list[float], n_valid: int = 151) -> ClipFeatures:
    return ClipFeatures(
        clip_ids=tuple(f"{prefix}{i}" for i in range(len(values))),
        features={
            "auditory": torch.tensor(values, dtype=torch.float16)[:, None, None].expand(-1, 151, 3)
        },
        mask=(torch.arange(151) < n_valid).expand(len(values), -1),
    )


DATA = TrainingData(
    kinds=("auditory",),
    classes=("Cat", "Dog"),
    weak=clips("w", [0.0, 1.0, 2.0]),
    unlabeled=clips("u", [10.0, 11.0, 12.0, 13.0], n_valid=60),
    targets=torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),
    features_key=("key",),
    provenance={"auditory": {}},
)
CPU = torch.device("cpu")
# The first batches of seed 7, as drawn before there were strong clips.
RECORDED = [[0, 1, 11, 13, 10], [2, 0, 12, 13, 12], [2, 1, 10, 11, 12], [0, 1, 10, 11, 13]]
STRONG = replace(
    DATA,
    strong=StrongClips(
        clips=clips("s", [20.0, 21.0], n_valid=90),
        targets=torch.arange(2).view(2, 1, 1).expand(2, 151, 2).bool(),
        params=Strong(weight=1.0, n_clips=3),
    ),
)


def drawn_clips(data: TrainingData, n_batches: int) -> list[list[int]]:
    """Return the values of the clips in each batch of a system, which name them."""
    stream = batches(data, n_weak=2, n_unlabeled=3, seeds=[7], device=CPU)
    return [next(stream).features["auditory"][0, :, 0, 0].int().tolist() for _ in range(n_batches)]


def test_a_batch_holds_the_weak_clips_first_with_their_targets() -> None:
    batch = next(batches(DATA, n_weak=2, n_unlabeled=3, seeds=[0, 1], device=CPU))
    assert batch.features["auditory"].dtype == torch.float32
    for system in range(2):
        values = batch.features["auditory"][system, :, 0, 0]
        assert (values[:2] < 10).all()
        assert (values[2:] >= 10).all()
        for value, target in zip(values[:2], batch.targets[system], strict=True):
            assert target.tolist() == DATA.targets[int(value)].tolist()
        assert batch.mask[system].sum(1).tolist() == [151, 151, 60, 60, 60]


def test_the_clips_of_a_seed_stay_those_of_earlier_versions() -> None:
    assert drawn_clips(DATA, 4) == RECORDED


def test_strong_clips_stand_last_and_do_not_change_the_others() -> None:
    drawn = drawn_clips(STRONG, 4)
    assert [values[:5] for values in drawn] == RECORDED
    assert {value for values in drawn for value in values[5:]} == {20, 21}
    batch = next(batches(STRONG, n_weak=2, n_unlabeled=3, seeds=[0, 1], device=CPU))
    assert batch.mask[1].sum(1).tolist() == [151, 151, 60, 60, 60, 90, 90, 90]
    assert batch.strong_targets is not None
    assert batch.strong_targets.dtype == torch.float32
    assert batch.strong_targets.shape == (2, 3, 151, 2)
    for system in range(2):
        values = batch.features["auditory"][system, 5:, 0, 0]
        assert batch.strong_targets[system, :, 0, 0].tolist() == (values - 20).tolist()


def test_strong_clips_are_drawn_from_another_random_stream_than_weak_ones() -> None:
    strong = StrongClips(
        clips=clips("s", [float(value) for value in range(20, 32)]),
        targets=torch.zeros(12, 151, 2, dtype=torch.bool),
        params=Strong(weight=1.0, n_clips=2),
    )
    weak = clips("w", [float(value) for value in range(12)])
    data = replace(DATA, weak=weak, targets=torch.zeros(12, 2), strong=strong)
    (drawn,) = drawn_clips(data, 1)
    assert drawn[5:] != [value + 20 for value in drawn[:2]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alignment": "centered"}, "alignment paper, but the parameters say centered"),
        ({"precision": "float32"}, "dtype torch.bfloat16, but the parameters say torch.float32"),
        ({"weights": "pretrained"}, "weights random, but the parameters say pretrained"),
    ],
)
def test_features_of_other_parameters_are_rejected(
    changed: dict[str, str], message: str, tmp_path: Path
) -> None:
    params = Auditory(
        network="vggish", alignment="paper", activation="relu", precision="auto", weights="random"
    )
    made = {"alignment": "paper", "dtype": "torch.bfloat16", "weights": "random"}
    folder = tmp_path / "auditory"
    write_shard(
        folder / "part-00000.h5",
        Shard(
            clip_ids=("a",),
            features=np.zeros((1, 151, 128), np.float16),
            valid_frames=np.full(1, 151, np.int16),
            left_out={},
            provenance=made,
            code="code",
            key="key",
        ),
    )
    require_made_by(tmp_path, "auditory", params)
    with pytest.raises(AvsedError, match=f"{message}; run `dvc repro extract`"):
        require_made_by(tmp_path, "auditory", params.model_copy(update=changed))


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    def order(*seeds: int, n_skipped: int = 0) -> list[list[float]]:
        stream = batches(
            DATA, n_weak=1, n_unlabeled=1, seeds=seeds, device=CPU, n_skipped=n_skipped
        )
        drawn = [next(stream).features["auditory"][:, 1, 0, 0].tolist() for _ in range(12)]
        return list(map(list, zip(*drawn, strict=True)))

    first, second = order(1, 2)
    assert first != second
    assert order(2) == [second]
    assert order(1, n_skipped=5)[0][:7] == first[5:]


@pytest.mark.parametrize(("n_clips", "n_drawn"), [(7, 3), (3, 5), (4, 4), (1, 2)])
def test_each_cycle_draws_every_clip_once(n_clips: int, n_drawn: int) -> None:
    stream = shuffled_cycles(n_clips, n_drawn, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(stream) for _ in range(n_clips * 3)])
    for cycle in drawn[: n_clips * 3].reshape(3, n_clips):
        assert sorted(cycle.tolist()) == list(range(n_clips))


def test_targets_are_one_where_a_clip_has_the_tag() -> None:
    listed = [
        AnnotatedClip(clip_id="a", tags=("Dog",)),
        AnnotatedClip(clip_id="b", tags=()),
        AnnotatedClip(clip_id="c", tags=("Cat", "Dog")),
    ]
    assert tag_targets(listed, ("Cat", "Dog")).tolist() == [[0, 1], [0, 0], [1, 1]]


def test_bands_are_standardized_over_valid_frames_of_all_training_clips() -> None:
    log_mel = torch.zeros(2, 604, 2, dtype=torch.float16)
    log_mel[:, :240, 0] = torch.tensor([-40.0, -20.0])[:, None]
    log_mel[:, :240, 1] = -100.0  # never varies
    log_mel[:, 240:] = 50.0  # padding
    half = [
        ClipFeatures(
            clip_ids=(str(row),),
            features={"spectral": log_mel[row : row + 1]},
            mask=(torch.arange(151) < 60)[None],
        )
        for row in range(2)
    ]
    data = TrainingData(
        kinds=("spectral",),
        classes=("Cat",),
        weak=half[0],
        unlabeled=half[1],
        targets=torch.ones(1, 1),
        features_key=("key",),
        provenance={"spectral": {}},
    )
    mean, deviation = band_statistics(data)
    assert mean.tolist() == [-30.0, -100.0]
    assert deviation.tolist() == [10.0, math.inf]
