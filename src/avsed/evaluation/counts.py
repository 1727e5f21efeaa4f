"""Read and write counts and resampled PSDS of test, from which intervals are computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from avsed.runtime.files import new_hdf5, open_results


@dataclass(frozen=True, kw_only=True)
class CountedClips:
    """Counts of all seeds of a variant in n clips.

    Attributes:
        clip_ids: n clips.
        seeds: seed to metric to (n, K, 3) hits, false alarms and misses.
        psds: seed to method of post-processing to PSDS to (1 + R,), as `compare_methods`.
    """

    clip_ids: tuple[str, ...]
    seeds: Mapping[str, Mapping[str, NDArray[np.int64]]]
    psds: Mapping[str, Mapping[str, Mapping[str, NDArray[np.float64]]]] = field(
        default_factory=dict
    )


def write_counts(path: Path, counted: CountedClips) -> None:
    """Write the counts of a variant as an HDF5 file with a group for each seed."""
    with new_hdf5(path) as file:
        file.create_dataset("clip_id", data=list(counted.clip_ids), dtype=h5py.string_dtype())
        for seed, by_metric in counted.seeds.items():
            group = file.create_group(f"seeds/{seed}")
            for metric, counts in by_metric.items():
                # A clip has far fewer than 65,536 segments or events.
                group.create_dataset(metric, data=counts.astype(np.uint16), compression="gzip")
        for seed, by_method in counted.psds.items():
            for method, by_psds in by_method.items():
                group = file.create_group(f"psds/{seed}/{method}")
                for metric, psds in by_psds.items():
                    group.create_dataset(metric, data=psds)


def read_counts(path: Path) -> CountedClips:
    """Read a file of `write_counts`.

    Raises:
        AvsedError: if the file cannot be read.
    """
    with open_results(path, "evaluate") as file:
        return CountedClips(
            clip_ids=tuple(file["clip_id"].asstr()[:]),
            seeds={
                seed: {metric: counts[:].astype(np.int64) for metric, counts in group.items()}
                for seed, group in file.get("seeds", {}).items()
            },
            psds={
                seed: {
                    method: {metric: psds[:] for metric, psds in of_method.items()}
                    for method, of_method in group.items()
                }
                for seed, group in file.get("psds", {}).items()
            },
        )
