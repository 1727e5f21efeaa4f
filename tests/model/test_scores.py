"""Score files."""

from pathlib import Path
from threading import Thread

import numpy as np

from avsed.model.scores import ScoredSplit, Scores, write_scores


def test_the_same_scores_make_the_same_file(tmp_path: Path) -> None:
    """DVC compares bytes, which must not depend on what is in memory."""
    rng = np.random.default_rng(2)
    seeds = {}
    for seed in range(32):
        levels = 0.5 + 0.01 * rng.random((4, 16, 10))  # constant over 10 frames
        frame_scores = np.repeat(levels, 10, axis=1)[:, :151].astype(np.float32)
        seeds[seed] = Scores(frame_scores=frame_scores, clip_scores=frame_scores[:, 0])
    split = ScoredSplit(clip_ids=tuple("abcd"), valid_frames=np.full(4, 151), seeds=seeds)
    path = tmp_path / "scores.h5"
    made = set()
    for _ in range(5):
        write_scores(path, {"test": split})
        made.add(path.read_bytes())
        thread = Thread(target=write_scores, args=(path, {"test": split}))  # with another stack
        thread.start()
        thread.join()
        made.add(path.read_bytes())
    assert len(made) == 1
