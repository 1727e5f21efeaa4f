"""Files of scores, from which metrics and thresholds are computed without a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from avsed.runtime.files import new_hdf5, open_results


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One student's scores of n clips.

    Attributes:
        frame_scores: (n, T, K) in [0, 1].
        clip_scores: (n, K) in [0, 1].
    """

    frame_scores: NDArray[np.float32]
    clip_scores: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ScoredSplit:
    """The scores of all seeds for one split.

    Attributes:
        clip_ids: n clips.
        valid_frames: (n,) number of valid frames, 1 to T.
        seeds: seed to its scores.
    """

    clip_ids: tuple[str, ...]
    valid_frames: NDArray[np.int64]
    seeds: Mapping[int, Scores]


def write_scores(path: Path, splits: Mapping[str, ScoredSplit]) -> None:
    """Write the scores of all seeds of a variant atomically.

    Args:
        path: HDF5 file to write, with a group for each split that contains one for each seed.
        splits: split to the scores of its clips.
    """
    with new_hdf5(path) as file:
        for split, scored in splits.items():
            group = file.create_group(split)
            group.create_dataset("clip_id", data=list(scored.clip_ids), dtype=h5py.string_dtype())
            group.create_dataset("valid_frames", data=scored.valid_frames)
            for seed, scores in scored.seeds.items():
                of_seed = group.create_group(f"seed-{seed:02d}")
                of_seed.create_dataset("frame_scores", data=scores.frame_scores, compression="gzip")
                of_seed.create_dataset("clip_scores", data=scores.clip_scores)


def read_scores(path: Path) -> dict[str, ScoredSplit]:
    """Read the scores of all seeds of a variant.

    Returns:
        Split to the scores of its clips.

    Raises:
        AvsedError: if the file cannot be read.
    """
    with open_results(path, "score") as file:
        return {
            split: ScoredSplit(
                clip_ids=tuple(group["clip_id"].asstr()[:]),
                valid_frames=group["valid_frames"][:],
                seeds={
                    int(name.removeprefix("seed-")): Scores(
                        frame_scores=group[name]["frame_scores"][:],
                        clip_scores=group[name]["clip_scores"][:],
                    )
                    for name in group
                    if name.startswith("seed-")
                },
            )
            for split, group in file.items()
        }
