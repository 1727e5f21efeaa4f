"""Evaluation of all seeds of a variant from files of scores, lists and clips."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avsed.config import load_params
from avsed.dataset.annotations import AnnotatedClip, Event, write_classes, write_list
from avsed.dataset.clips import write_clips
from avsed.errors import AvsedError
from avsed.evaluation.counts import read_counts
from avsed.evaluation.evaluate import evaluate_variant
from avsed.evaluation.resampling import N_PSDS_RESAMPLES
from avsed.model.scores import ScoredSplit, Scores, read_scores, write_scores
from avsed.params import METHODS, Evaluation
from tests.conftest import ROOT, clip_record

CLASSES = ("Cat", "Dog")
PARAMS = load_params(ROOT / "params.yaml")
TUNED = PARAMS.evaluation.model_copy(update={"thresholds": "tuned"})
A_CAT = Event(onset=2.0, offset=4.0, label="Cat")


def scored(*cats: float) -> ScoredSplit:
    """Return scores of each seed: the cat in clip a, nothing in b."""
    seeds = {}
    for seed, score in enumerate(cats):
        frame_scores = np.zeros((2, 151, 2), np.float32)
        frame_scores[0, 31:60, 0] = score  # 2.05 s to 3.97 s
        seeds[seed] = Scores(frame_scores=frame_scores, clip_scores=frame_scores.max(axis=1))
    return ScoredSplit(clip_ids=("a", "b"), valid_frames=np.array([151, 151]), seeds=seeds)


def evaluate(
    folder: Path,
    splits: Mapping[str, ScoredSplit],
    *,
    events: tuple[Event, ...] = (A_CAT,),
    params: Evaluation = PARAMS.evaluation,
) -> Any:
    write_scores(folder / "visual.h5", splits)
    write_classes(folder, CLASSES)
    for split in splits:
        clips = [
            AnnotatedClip(clip_id="a", tags=("Cat",), events=events),
            AnnotatedClip(clip_id="b", tags=(), events=()),
            AnnotatedClip(clip_id="no-video", tags=(), events=()),
        ]
        write_list(folder, split, clips)
    write_clips(folder / "clips.csv", [clip_record("a"), clip_record("b")])
    evaluate_variant(
        folder / "visual.h5",
        metadata_dir=folder,
        clips_path=folder / "clips.csv",
        postprocess=PARAMS.postprocess,
        params=params,
        out_path=folder / "visual.json",
        counts_path=folder / "counts.h5",
    )
    return json.loads((folder / "visual.json").read_text())


def test_scores_are_read_back(tmp_path: Path) -> None:
    written = scored(0.9)
    write_scores(tmp_path / "scores.h5", {"test": written})
    read = read_scores(tmp_path / "scores.h5")["test"]
    assert read.clip_ids == ("a", "b")
    assert read.valid_frames.tolist() == [151, 151]
    assert (read.seeds[0].frame_scores == written.seeds[0].frame_scores).all()
    assert (read.seeds[0].clip_scores == written.seeds[0].clip_scores).all()


def test_scores_that_cannot_be_read_say_which_stage_to_run(tmp_path: Path) -> None:
    (tmp_path / "visual.h5").write_bytes(b"no HDF5")
    with pytest.raises(AvsedError, match=r"visual.h5: cannot be read .* `dvc repro score@visual`"):
        read_scores(tmp_path / "visual.h5")


def test_each_seed_has_its_metrics_on_both_splits(tmp_path: Path) -> None:
    evaluation = evaluate(tmp_path, {"test": scored(0.9, 0.4), "validation": scored(0.4, 0.9)})
    assert set(evaluation) == {"test", "validation"}
    assert evaluation["test"]["n_clips"] == 2
    assert evaluation["test"]["n_listed"] == 3
    f1 = {split: evaluation[split]["seeds"] for split in evaluation}
    assert [f1["test"][seed]["event_f1"] for seed in "01"] == [1.0, 0.0]
    assert [f1["validation"][seed]["event_f1"] for seed in "01"] == [0.0, 1.0]


def test_the_counts_of_test_clips_are_kept_for_each_seed(tmp_path: Path) -> None:
    evaluate(tmp_path, {"test": scored(0.9, 0.4), "validation": scored(0.4, 0.9)})
    counted = read_counts(tmp_path / "counts.h5")
    nothing = [0, 0, 0]
    assert counted.clip_ids == ("a", "b")
    assert list(counted.seeds) == ["0", "1"]
    for metric, n_found in {"clip_f1": 1, "segment_f1": 2, "event_f1": 1}.items():
        found, missed = (
            [[hits, nothing], [nothing, nothing]] for hits in ([n_found, 0, 0], [0, 0, n_found])
        )
        assert counted.seeds["0"][metric].tolist() == found
        assert counted.seeds["1"][metric].tolist() == missed


def test_psds_of_each_method_is_kept_with_its_resamples(tmp_path: Path) -> None:
    evaluation = evaluate(tmp_path, {"test": scored(0.9, 0.4), "validation": scored(0.4, 0.9)})
    counted = read_counts(tmp_path / "counts.h5")
    assert list(counted.psds) == ["0", "1"]
    for seed, by_method in counted.psds.items():
        assert list(by_method) == sorted(METHODS)
        of_test = evaluation["test"]["seeds"][seed]
        for metric, psds in by_method["median"].items():
            assert psds.shape == (1 + N_PSDS_RESAMPLES,)
            assert psds[0] == pytest.approx(of_test[metric], abs=1e-9)
        # In a quarter of the resamples only the clip without an event is drawn.
        undefined = np.isnan(by_method["boxes"]["psds1"]).mean()
        assert undefined == pytest.approx(0.25, abs=0.13)  # four deviations


def test_a_variant_all_of_whose_seeds_diverged_has_no_scores(tmp_path: Path) -> None:
    evaluation = evaluate(tmp_path, {"test": scored(), "validation": scored()})
    assert evaluation["test"]["seeds"] == {}
    assert read_counts(tmp_path / "counts.h5").seeds == {}


def test_counts_that_cannot_be_read_say_which_stage_to_run(tmp_path: Path) -> None:
    (tmp_path / "visual.h5").write_bytes(b"no HDF5")
    with pytest.raises(AvsedError, match=r"visual.h5: cannot be read .* `dvc repro evaluate@vis"):
        read_counts(tmp_path / "visual.h5")


def test_thresholds_are_tuned_for_each_seed_on_validation_alone(tmp_path: Path) -> None:
    # On test, 0.4 would be as good for both seeds.
    splits = {"test": scored(0.45, 0.45), "validation": scored(0.72, 0.22)}
    evaluation = evaluate(tmp_path, splits, params=TUNED)
    thresholds = evaluation["thresholds"]
    assert thresholds["0"] == {"tags": {"Cat": 0.5, "Dog": 0.5}, "events": {"Cat": 0.5, "Dog": 0.5}}
    assert thresholds["1"] == {"tags": {"Cat": 0.2, "Dog": 0.5}, "events": {"Cat": 0.2, "Dog": 0.5}}
    f1 = {split: evaluation[split]["seeds"] for split in splits}
    assert [f1["validation"][seed]["clip_f1"] for seed in "01"] == [1.0, 1.0]
    assert [f1["test"][seed]["clip_f1"] for seed in "01"] == [0.0, 1.0]


def test_test_scores_do_not_reach_the_thresholds(tmp_path: Path) -> None:
    one, other = (
        evaluate(tmp_path, {"test": scored(test), "validation": scored(0.22)}, params=TUNED)
        for test in (0.1, 0.9)
    )
    assert one["thresholds"] == other["thresholds"]
    assert one["test"] != other["test"]


def test_nothing_annotated_within_the_media_is_an_error_and_no_score(tmp_path: Path) -> None:
    late = Event(onset=10.0, offset=12.0, label="Cat")
    with pytest.raises(AvsedError, match=r"none of the 2 scored clips .* within its media"):
        evaluate(tmp_path, {"validation": scored(0.9)}, events=(late,))


def test_nothing_annotated_is_an_error_and_no_score(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="none of the 2 scored clips has an annotated event"):
        evaluate(tmp_path, {"validation": scored(0.9)}, events=())
