"""Train the seeds of a variant on the workers of a Dask cluster, or by shares of a job array."""

import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path

import torch
from tqdm import tqdm

from avsed.errors import AvsedError
from avsed.params import Fusion, Train
from avsed.runtime.cluster import Cluster
from avsed.runtime.device import choose_device, choose_dtype
from avsed.runtime.store import code_key
from avsed.training.batches import TrainingData
from avsed.training.loop import SEED_CODE, TrainedSeeds, train_seeds


def train_on_cluster(
    cluster: Cluster,
    open_data: Callable[[], TrainingData],
    fusion: Fusion,
    params: Train,
    store: Path,
) -> TrainedSeeds:
    """Give each worker its share of the seeds."""
    n_shares = max(1, min(cluster.n_workers, params.n_seeds))
    shares = [range(first, params.n_seeds, n_shares) for first in range(n_shares)]
    common = (Path.cwd(), cluster.call(_describe_machine, params), open_data, fusion, params)
    done = cluster.map(_train_on_worker, [(*common, share, store) for share in shares])
    trained, *_ = tqdm(done, total=n_shares, desc="workers' shares", unit="share")
    return trained


def _train_on_worker(
    folder: Path,
    machine: Mapping[str, str],
    open_data: Callable[[], TrainingData],
    fusion: Fusion,
    params: Train,
    seeds: Sequence[int],
    store: Path,
) -> TrainedSeeds:
    for what, ours in _describe_machine(params).items():
        if ours != machine[what]:
            raise AvsedError(
                f"{socket.gethostname()}: this worker's {what} is {ours}, another's "
                f"{machine[what]}; give all the same, and start the workers again"
            )
    with chdir(folder):
        return train_seeds(open_data(), fusion, params, seeds=seeds, store=store)


def _describe_machine(params: Train) -> dict[str, str]:
    """Name what seeds depend on beside data and parameters."""
    device = choose_device()
    return {
        "code": code_key(SEED_CODE)[:12],
        "torch": torch.__version__,
        "device": device.type,
        "precision": str(choose_dtype(device, params.precision)),
    }


def seeds_of_job(
    variants: Sequence[str], n_seeds: int, *, shard: int, n_shards: int
) -> dict[str, list[int]]:
    """Choose what one of several jobs trains: each job some seeds of each variant.

    Args:
        variants: to be trained.
        n_seeds: of each variant.
        shard: the job's number, from 1.
        n_shards: jobs.

    Returns:
        Variant to seeds, of those variants that have any.
    """
    dealt: dict[str, list[int]] = {}
    for variant, seed in list(itertools.product(variants, range(n_seeds)))[shard - 1 :: n_shards]:
        dealt.setdefault(variant, []).append(seed)
    return dealt
