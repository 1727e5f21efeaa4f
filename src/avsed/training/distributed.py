"""Train the seeds of a variant on the workers of a Dask cluster, or as jobs of a job array."""

import itertools
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from pathlib import Path

import torch
from tqdm import tqdm

from avsed.errors import AvsedError
from avsed.params import Train
from avsed.runtime.cluster import Cluster
from avsed.runtime.device import choose_device, choose_dtype
from avsed.runtime.store import code_key
from avsed.training.seed_files import SEED_CODE, SeedFiles

TrainShare = Callable[[Sequence[int]], SeedFiles]


def train_on_cluster(cluster: Cluster, train_share: TrainShare, params: Train) -> SeedFiles:
    """Train all seeds, an equal share on each worker.

    Args:
        cluster: workers that share this machine's files.
        train_share: function that trains some seeds into the store.
        params: training parameters.

    Raises:
        AvsedError: if training fails, or a worker's code, PyTorch, device or precision differ.
    """
    n_shares = max(1, min(cluster.n_workers, params.n_seeds))
    shares = [range(first, params.n_seeds, n_shares) for first in range(n_shares)]
    common = (Path.cwd(), cluster.call(_describe_machine, params), train_share, params)
    done = cluster.map(_train_on_worker, [(*common, share) for share in shares])
    files, *_ = tqdm(done, total=n_shares, desc="workers' shares", unit="share")
    return files


def _train_on_worker(
    folder: Path,
    machine: Mapping[str, str],
    train_share: TrainShare,
    params: Train,
    seeds: Sequence[int],
) -> SeedFiles:
    for name, value in _describe_machine(params).items():
        if value != machine[name]:
            raise AvsedError(
                f"{socket.gethostname()}: this worker's {name} is {value}, another's "
                f"{machine[name]}; use the same on all workers and restart them"
            )
    with chdir(folder):
        return train_share(seeds)


def _describe_machine(params: Train) -> dict[str, str]:
    """Return what the weights depend on beside data and parameters."""
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
    """Choose the seeds of one of several jobs; the jobs' numbers of seeds differ by at most 1.

    Args:
        variants: variants to train.
        n_seeds: number of seeds of each variant.
        shard: the job's number, from 1.
        n_shards: number of jobs.

    Returns:
        Variant to the job's seeds; without variants of which the job has none.
    """
    dealt: dict[str, list[int]] = {}
    for variant, seed in list(itertools.product(variants, range(n_seeds)))[shard - 1 :: n_shards]:
        dealt.setdefault(variant, []).append(seed)
    return dealt
