"""Random scores, and their boxes by the package sebbs.

The boxes are in boxes_reference.npz. To write them again, install sebbs 1.0.2 (it needs a C++
compiler and pandas 2), and run `python -m tests.evaluation.boxes_cases`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REFERENCE_PATH = Path(__file__).parent / "boxes_reference.npz"
N_CASES = 300
HOP = 0.1  # seconds; of the package's arguments only


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of `score_boxes`."""

    scores: NDArray[np.float64]
    half_step: int
    merge_absolute: float
    merge_relative: float


def make_cases() -> Iterator[Case]:
    """Yield the cases; NumPy guarantees that RandomState's numbers stay the same (NEP 19)."""
    rng = np.random.RandomState(0)
    for _ in range(N_CASES):
        n_frames, width = rng.randint(20, 152), rng.randint(1, 9)
        noise = rng.rand(n_frames + width)
        scores = np.array([noise[frame : frame + width].mean() for frame in range(n_frames)])
        scores = 0.01 + 0.98 * (scores - scores.min()) / np.ptp(scores)
        yield Case(
            # The package rounds times; scores of a few digits keep sums away from its rounding.
            scores=np.round(scores, 4),
            half_step=rng.randint(1, 6),
            merge_absolute=(0.15, 0.2, 0.3, 0.5)[rng.randint(4)],
            merge_relative=(1.5, 2.0, 3.0)[rng.randint(3)],
        )


def find_boxes_with_sebbs(case: Case) -> NDArray[np.float64]:
    """Return the boxes that the package finds: (n, 3) first frame, frame after the last, score."""
    predictor = import_module("sebbs.csebbs").CSEBBsPredictor(
        step_filter_length=2 * case.half_step * HOP,
        merge_threshold_abs=case.merge_absolute,
        merge_threshold_rel=case.merge_relative,
    )
    times = np.arange(len(case.scores) + 1) * HOP
    tables = import_module("sed_scores_eval.base_modules.scores")
    table = tables.create_score_dataframe(case.scores[:, None], times, ["Cat"])
    boxes = predictor.predict({"clip": table})["clip"]
    return np.array([(onset / HOP, offset / HOP, score) for onset, offset, _, score in boxes])


def write_reference() -> None:
    """Write the boxes of all cases, one below the other, and the package's version."""
    boxes = [find_boxes_with_sebbs(case) for case in make_cases()]
    np.savez_compressed(
        REFERENCE_PATH,
        boxes=np.concatenate(boxes).astype(np.float32),
        n_boxes=[len(of_case) for of_case in boxes],
        version=version("sebbs"),
    )


if __name__ == "__main__":
    write_reference()
