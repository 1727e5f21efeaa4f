"""From scores to metrics, with what was annotated and with files of scores."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.annotations import AnnotatedClip, Event
from avsed.config import load_params
from avsed.errors import AvsedError
from avsed.evaluation import score_system
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
        "psds1": 1.0,
        "psds2": 1.0,
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
