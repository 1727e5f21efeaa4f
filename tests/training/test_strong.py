"""Training on strong labels: targets, effect, and the paper's set-up without them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.shards import Shard, write_shard
from avsed.errors import AvsedError
from avsed.model.card import read_model_card
from avsed.model.files import load_student
from avsed.model.score import score_clips
from avsed.params import Auditory, Strong
from avsed.training.batches import TrainingData, open_training_data
from avsed.training.mean_teacher import training_step
from avsed.training.seed_group import SeedGroup
from avsed.training.strong import frame_targets
from avsed.training.train import train_seeds
from tests.helpers.training import AUDITORY_DIMS, CPU, FUSION, strong_data, train, training_data
from tests.helpers.training import SHORT as PARAMS

CLASSES = ("Cat", "Dog")
STRONG = Strong(weight=1.0, n_clips=2)
AUDITORY = Auditory(
    network="vggish", alignment="paper", activation="relu", precision="auto", weights="random"
)


def clip(clip_id: str, *events: Event) -> AnnotatedClip:
    tags = tuple(sorted({event.label for event in events}))
    return AnnotatedClip(clip_id=clip_id, tags=tags, events=events)


def test_targets_are_one_in_the_valid_frames_that_events_reach_into() -> None:
    dog = Event(onset=0.07, offset=0.2, label="Dog")
    listed = [clip("a", dog, Event(onset=0, offset=9, label="Cat")), clip("b")]
    mask = torch.arange(151) < torch.tensor([[100], [151]])
    targets = frame_targets(listed, CLASSES, mask)
    assert targets[0, :, 1].nonzero().flatten().tolist() == [1, 2, 3]
    assert targets[0, :, 0].nonzero().flatten().tolist() == list(range(100))  # 9 s are 136 frames
    assert not targets[1].any()


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Write features and lists of two weak, two unlabeled and three strong clips."""
    features, metadata = tmp_path / "features", tmp_path / "metadata"
    write_classes(metadata, CLASSES)
    write_list(metadata, "weak", [AnnotatedClip(clip_id=name, tags=("Dog",)) for name in "ab"])
    write_list(metadata, "unlabeled", [AnnotatedClip(clip_id=name) for name in "cd"])
    dog = Event(onset=1.0, offset=2.0, label="Dog")
    write_list(metadata, "strong", [clip("e", dog), clip("f"), clip("without media", dog)])
    write_shard(
        features / "auditory" / "part-00000.h5",
        Shard(
            clip_ids=tuple("abcdef"),
            features=np.zeros((6, 151, 128), np.float16),
            valid_frames=np.full(6, 151, np.int16),
            left_out={"without media": "it has no media"},
            provenance={"alignment": "paper", "weights": "random"},
            code="code",
            key="key",
        ),
    )
    (features / "auditory/left_out.csv").write_text("clip_id,reason\nwithout media,none\n")
    return features, metadata


def open_data(folders: tuple[Path, Path], strong: Strong | None) -> TrainingData:
    made_by = {"auditory": AUDITORY}
    return open_training_data(*folders, ("auditory",), made_by=made_by, strong=strong)


def test_strong_clips_with_features_are_loaded(folders: tuple[Path, Path]) -> None:
    data = open_data(folders, STRONG)
    assert data.strong
    assert data.strong.clips.clip_ids == ("e", "f")
    assert data.strong.targets.sum((1, 2)).tolist() == [16, 0]  # frames 15 to 30
    assert data.variant == "auditory+strong"


@pytest.mark.parametrize(
    ("strong", "message"),
    [
        (Strong(weight=0.0, n_clips=2), "strong.weight or strong.n_clips is 0: no strong labels"),
        (Strong(weight=1.0, n_clips=0), "strong.weight or strong.n_clips is 0: no strong labels"),
        (STRONG, "strong.tsv: has no clips: no strong labels are used"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_without_a_list_or_a_weight_the_data_are_those_of_the_paper(
    strong: Strong,
    message: str,
    exists: bool,
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if strong.is_on:
        write_list(folders[1], "strong", [])
        if not exists:
            (folders[1] / "strong.tsv").unlink()
    data = open_data(folders, strong)
    assert data.strong is None
    assert data.variant == "auditory"
    assert message in capsys.readouterr().out


def test_strong_clips_of_which_none_has_features_are_an_error(folders: tuple[Path, Path]) -> None:
    event = Event(onset=1.0, offset=2.0, label="Dog")
    write_list(folders[1], "strong", [clip("without media", event)])
    with pytest.raises(AvsedError, match=r"strong.tsv: none of its 1 clips has auditory features"):
        open_data(folders, STRONG)


def folder_of(data: TrainingData, store: Path) -> Path:
    params = PARAMS.model_copy(update={"steps": 1, "n_seeds": 1})
    return train_seeds(data, FUSION, params, seeds=[0], store=store).folder


def test_strong_labels_are_in_the_key_of_the_variants_that_use_them(tmp_path: Path) -> None:
    others = strong_data(weight=2.0), strong_data(n_clips=1)
    keys = [folder_of(data, tmp_path) for data in (training_data(), strong_data(), *others)]
    assert len(set(keys)) == 4
    other = strong_data()
    assert other.strong
    moved = replace(other.strong, targets=other.strong.targets.roll(1, dims=1))
    assert folder_of(replace(other, strong=moved), tmp_path) not in keys
    # Both variants are kept by `avsed store clean`.
    assert {path.name for path in (tmp_path / "models").glob("*.last")} == {
        "auditory.last",
        "auditory+strong.last",
    }


def test_a_seed_with_strong_clips_ends_as_it_would_alone_and_after_an_interruption(
    tmp_path: Path,
) -> None:
    train(tmp_path / "out", data=strong_data())
    stored = load_file(tmp_path / "out" / "seeds" / "seed-01.safetensors")
    torch.set_num_threads(1)

    def group(state: dict[str, object] | None = None) -> SeedGroup:
        data = strong_data()
        return SeedGroup(data, None, AUDITORY_DIMS, PARAMS, seeds=[1], device=CPU, state=state)

    run = group()
    while not run.finished:
        costs = training_step(
            run.students,
            run.teachers,
            run.optimizer,
            next(run.batches),
            run.step,
            PARAMS,
            strong_weight=run.strong_weight,
        )
        run.record_costs(costs)
        run = group(run.state_dict())
    weights = run.weights(1)
    assert all(torch.equal(stored[name], weights[name]) for name in weights)


def test_curves_and_cards_mention_strong_labels_only_where_they_are_used(tmp_path: Path) -> None:
    for name, data in (("plain", training_data()), ("strong", strong_data())):
        train(tmp_path / name / "out", data=data)
    curves = {
        name: {path.stem for path in (tmp_path / name / "curve").rglob("metrics/*.tsv")}
        for name in ("plain", "strong")
    }
    assert curves["plain"] == {"classification_cost", "consistency_cost"}
    assert curves["strong"] == {*curves["plain"], "strong_cost"}
    assert read_model_card(tmp_path / "strong" / "out").n_strong_clips == 5
    card = json.loads((tmp_path / "plain" / "out" / "model.json").read_text())
    assert "n_strong_clips" not in card


@pytest.mark.slow
def test_strong_labels_place_events_that_tags_alone_do_not(tmp_path: Path) -> None:
    """Score the frames of the strong clips, of which the first 40 have no event."""
    params = PARAMS.model_copy(update={"steps": 40, "n_seeds": 1, "dropout": 0.1})
    errors = {}
    for name, data in (("plain", training_data()), ("strong", strong_data(n_clips=4))):
        train(tmp_path / name, params, data)
        card = read_model_card(tmp_path / name)
        student = load_student(card, tmp_path / name / "seeds" / "seed-00.safetensors", CPU)
        strong = strong_data().strong
        assert strong
        scores = score_clips(student, strong.clips, strong.clips.mask, CPU).frame_scores
        errors[name] = np.abs(scores - strong.targets.numpy())[:, :120].mean()
    assert errors["strong"] < errors["plain"] / 2
