"""From scores to the table: files of scores, the choice of seeds, the report."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.annotations import AnnotatedClip, Event
from avsed.config import LocalDataset, load_params
from avsed.errors import AvsedError
from avsed.protocol import METRICS, Result, average_best, score_system
from avsed.report import PAPER_TABLE_3, render_table, summarize
from avsed.scores import ScoredSplit, Scores, read_scores, write_scores

from .conftest import ROOT

CLASSES = ("Cat", "Dog")
PARAMS = load_params(ROOT / "params.yaml")
CLIPS = {
    "a": AnnotatedClip(
        clip_id="a", tags=("Cat",), events=(Event(onset=2.0, offset=4.0, label="Cat"),)
    ),
    "b": AnnotatedClip(clip_id="b", tags=(), events=()),
}


def split(frame_scores: NDArray[np.float32], clip_scores: list[list[float]]) -> ScoredSplit:
    scores = Scores(frame_scores=frame_scores, clip_scores=np.array(clip_scores, np.float32))
    return ScoredSplit(clip_ids=("a", "b"), valid_frames=np.array([151, 151]), seeds={0: scores})


def score(scored: ScoredSplit, clips: dict[str, AnnotatedClip] = CLIPS) -> dict[str, float]:
    return score_system(
        scored.seeds[0],
        scored,
        clips=clips,
        durations={"a": 10.0, "b": 10.0},
        classes=CLASSES,
        postprocess=PARAMS.postprocess,
        params=PARAMS.evaluation,
    )


def test_scores_are_read_back(tmp_path: Path) -> None:
    scored = split(np.random.default_rng(0).random((2, 151, 2), np.float32), [[0.1, 0.2]] * 2)
    write_scores(tmp_path / "scores.h5", {"test": scored})
    read = read_scores(tmp_path / "scores.h5")["test"]
    assert read.clip_ids == ("a", "b")
    assert read.valid_frames.tolist() == [151, 151]
    assert (read.seeds[0].frame_scores == scored.seeds[0].frame_scores).all()
    assert (read.seeds[0].clip_scores == scored.seeds[0].clip_scores).all()


def test_scores_that_cannot_be_read_say_which_stage_to_run(tmp_path: Path) -> None:
    (tmp_path / "visual.h5").write_bytes(b"no HDF5")
    with pytest.raises(AvsedError, match=r"visual.h5: cannot be read .* `dvc repro score@visual`"):
        read_scores(tmp_path / "visual.h5")


def test_scores_that_say_what_is_annotated_are_perfect() -> None:
    frames = np.zeros((2, 151, 2), np.float32)
    frames[0, 31:60, 0] = 0.9  # 2.05 s to 3.97 s
    assert score(split(frames, [[0.9, 0.1], [0.1, 0.1]])) == {
        "clip_f1": 1.0,
        "segment_f1": 1.0,
        "event_f1": 1.0,
    }


def test_a_false_tag_in_a_clip_without_events_counts() -> None:
    frames = np.zeros((2, 151, 2), np.float32)
    scores = score(split(frames, [[0.9, 0.1], [0.9, 0.1]]))
    assert scores["clip_f1"] == pytest.approx(2 / 3)  # 1 right, 1 false, 0 missed
    assert scores["event_f1"] == 0.0


def test_nothing_annotated_is_an_error_and_no_score() -> None:
    frames = np.zeros((2, 151, 2), np.float32)
    silent = {name: AnnotatedClip(clip_id=name, tags=(), events=()) for name in CLIPS}
    with pytest.raises(AvsedError, match="none of the 2 clips has an annotated event"):
        score(split(frames, [[0.0, 0.0]] * 2), silent)


def seeds(*scores: tuple[float, float, float]) -> dict[str, dict[str, float]]:
    names = ("clip_f1", "segment_f1", "event_f1")
    return {str(seed): dict(zip(names, values, strict=True)) for seed, values in enumerate(scores)}


def test_seeds_are_chosen_on_validation_for_each_metric_and_averaged_on_test() -> None:
    validation = seeds((0.9, 0.1, 0.5), (0.5, 0.2, 0.5), (0.7, 0.3, 0.5))
    test = seeds((0.1, 0.4, 0.2), (0.9, 0.6, 0.4), (0.3, 0.8, 0.9))
    results = average_best(validation, test, n_best=2)
    assert results["clip_f1"].mean == pytest.approx((10 + 30) / 2)
    assert results["segment_f1"].mean == pytest.approx((60 + 80) / 2)
    assert results["event_f1"].mean == pytest.approx((20 + 40) / 2)  # equal: the first ones
    assert results["clip_f1"].deviation == pytest.approx(math.sqrt(200))


def test_one_seed_has_no_deviation() -> None:
    results = average_best(seeds((0.5, 0.5, 0.5)), seeds((0.5, 0.5, 0.5)), n_best=1)
    assert math.isnan(results["clip_f1"].deviation)


def test_the_table_has_seven_rows_beside_the_papers_and_names_its_setup(tmp_path: Path) -> None:
    for variant in PAPER_TABLE_3:
        split = {"n_clips": 39, "n_listed": 40, "seeds": seeds((0.5, 0.25, 0.125))}
        (tmp_path / f"{variant}.json").write_text(json.dumps({"validation": split, "test": split}))
    table_path, report_path = tmp_path / "metrics" / "table.json", tmp_path / "table.md"
    summarize(tmp_path, PARAMS, table_path=table_path, report_path=report_path)
    table = json.loads(table_path.read_text())
    assert list(table) == list(PAPER_TABLE_3)
    assert table["spectral+visual"] == {"clip_f1": 50.0, "segment_f1": 25.0, "event_f1": 12.5}
    report = report_path.read_text()
    assert "profile demo: synthesized clips, VGGish with random weights" in report.splitlines()[0]
    assert "Random weights: this table shows that the machinery works" in report
    assert (
        "| auditory+visual | 50.00 (80.04) | 25.00 (71.01) | 12.50 (22.31) | 39 of 40 |" in report
    )


def test_the_table_of_own_clips_has_no_figures_of_the_paper() -> None:
    dataset = LocalDataset(source="local", classes=("Cat",))
    result = {metric: Result(mean=50.0, deviation=2.0) for metric in METRICS}
    params = PARAMS.model_copy(update={"dataset": dataset})
    table = render_table({"visual": result}, {"visual": "4"}, params)
    assert "| visual | 50.00 ± 2.00 | 50.00 ± 2.00 | 50.00 ± 2.00 | 4 |" in table


def test_a_missing_evaluation_says_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"`dvc repro evaluate@spectral`"):
        summarize(tmp_path, PARAMS, table_path=tmp_path / "t", report_path=tmp_path / "r")
