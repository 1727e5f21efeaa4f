"""Train the students and teachers of one variant, all seeds (Sections 2.3 and 4.3.1)."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

from avsed.errors import AvsedError
from avsed.model.card import write_model_card
from avsed.model.files import read_student_weights
from avsed.params import Fusion, Train
from avsed.runtime.cluster import connect
from avsed.runtime.device import choose_device, keep_freed_memory
from avsed.runtime.limits import count_cores
from avsed.runtime.store import publish, store_dir
from avsed.training.batches import TrainingData, band_statistics, place_features
from avsed.training.curves import Point, curve_from_json, mean_curve, open_curve
from avsed.training.distributed import train_on_cluster
from avsed.training.mean_teacher import training_step
from avsed.training.seed_files import SeedFiles, seed_files
from avsed.training.seed_group import SeedGroup

CHECKPOINT_INTERVAL = 60.0  # seconds; a killed process loses at most this
OnPoint = Callable[[Point], None]


def train_variant(
    open_data: Callable[[], TrainingData],
    fusion: Fusion,
    params: Train,
    *,
    out_dir: Path,
    curve_dir: Path,
) -> None:
    """Train all seeds of a variant, and write their final students and their learning curve.

    Finished seeds are taken from the store, and others continue from their last checkpoint.
    Training runs on this machine, or on the Dask cluster that the environment names. Seeds whose
    costs become NaN or infinite are excluded and reported.

    Args:
        open_data: loads clips and targets, on this machine or on a machine of the cluster.
        fusion: embedding sizes.
        params: training parameters.
        out_dir: folder for model.json and a seeds/seed-NN.safetensors for each seed.
        curve_dir: folder for the mean costs over all seeds; while this machine trains, over the
            seeds that train first.

    Raises:
        AvsedError: if every seed diverges.
    """
    seeds = range(params.n_seeds)
    store = store_dir().resolve()
    with connect() as cluster:
        if cluster:
            train_share = partial(_open_and_train, open_data, fusion, params, store)
            files = train_on_cluster(cluster, train_share, params)
        else:
            with open_curve(curve_dir) as append:
                files = train_seeds(
                    open_data(), fusion, params, seeds=seeds, store=store, on_point=append
                )
    _publish(files, seeds, out_dir=out_dir, curve_dir=curve_dir)


def _open_and_train(
    open_data: Callable[[], TrainingData],
    fusion: Fusion,
    params: Train,
    store: Path,
    seeds: Sequence[int],
) -> SeedFiles:
    return train_seeds(open_data(), fusion, params, seeds=seeds, store=store)


def _publish(files: SeedFiles, seeds: Sequence[int], *, out_dir: Path, curve_dir: Path) -> None:
    """Put finished seeds where DVC expects them, with their card and their mean curve."""
    for path in map(files.diverged_path, seeds):
        if path.exists():
            print(path.read_text("utf-8"))
    finished = [path for path in map(files.weights_path, seeds) if path.exists()]
    if not finished:
        raise AvsedError(f"{files.variant}: every seed diverged; lower train.learning_rate")
    write_model_card(files.card, out_dir)
    for path in finished:
        publish(path, out_dir / "seeds" / path.name)
    curves = [curve_from_json(read_student_weights(path)[1]) for path in finished]
    with open_curve(curve_dir) as append:
        for point in mean_curve(curves):
            append(point)


def train_seeds(
    data: TrainingData,
    fusion: Fusion,
    params: Train,
    *,
    seeds: Sequence[int],
    store: Path,
    on_point: OnPoint | None = None,
    shows_progress: bool = True,
) -> SeedFiles:
    """Train some seeds of a variant into the store.

    A run trains `train.seeds_per_run` seeds together. A GPU trains one run after the other. A CPU
    trains as many runs side by side as it has cores: one thread for each run is faster than all
    cores for one run.

    Args:
        data: clips and targets.
        fusion: embedding sizes.
        params: training parameters.
        seeds: seeds to train.
        store: see `store_dir`.
        on_point: called with each new point of the mean curve of the first run.
        shows_progress: whether to show a progress bar.
    """
    device = choose_device()
    files = seed_files(data, fusion, params, store)
    files.save_as_last()
    n_per_run = _seeds_per_run(params, data.kinds, device, len(seeds))
    runs = [seeds[start : start + n_per_run] for start in range(0, len(seeds), n_per_run)]
    unfinished = [left for left in map(files.unfinished, runs) if left]
    with _open_progress(data, params, seeds, unfinished, shows_progress) as progress:
        if unfinished:
            keep_freed_memory()
            bands = band_statistics(data) if "spectral" in data.kinds else None
            data = place_features(data, device)
            make_group = partial(
                SeedGroup, data, bands, files.card.embedding_dims, params, device=device
            )
            train_run = partial(_train_run, make_group, files, progress)
            # Depends on all runs, not on the unfinished ones: the number of threads changes the
            # last digits of sums, and a resumed run must end in the same weights.
            n_jobs = _set_threads(len(runs), data.kinds, device)
            _train_side_by_side(train_run, unfinished, n_jobs, on_point)
    return files


def _seeds_per_run(params: Train, kinds: Sequence[str], device: torch.device, n_seeds: int) -> int:
    """Choose how many seeds train together: the number measured to be fastest."""
    if params.seeds_per_run != "auto":
        return params.seeds_per_run
    if device.type == "cuda":
        return n_seeds
    # Convolutions gain nothing from it. Without them, no core must be left without a run.
    return 1 if "spectral" in kinds else max(1, min(4, n_seeds // count_cores()))


def _set_threads(n_runs: int, kinds: Sequence[str], device: torch.device) -> int:
    """Set the number of threads of each run; return how many runs train side by side."""
    n_cores = count_cores()
    n_jobs = 1 if device.type == "cuda" else max(1, min(n_runs, n_cores))
    # Without convolutions, the products of a step are so small that a second thread costs time.
    torch.set_num_threads(n_cores // n_jobs if "spectral" in kinds else 1)
    return n_jobs


def _open_progress(
    data: TrainingData,
    params: Train,
    seeds: Sequence[int],
    unfinished: Sequence[Sequence[int]],
    shows_progress: bool,
) -> "tqdm[NoReturn]":
    n_finished = len(seeds) - sum(map(len, unfinished))
    return tqdm(
        desc=data.variant,
        initial=params.steps * n_finished,
        total=params.steps * len(seeds),
        unit="step",
        disable=not shows_progress,
    )


def _train_side_by_side(
    train_run: Callable[[Sequence[int], OnPoint | None, threading.Event], None],
    runs: Sequence[Sequence[int]],
    n_jobs: int,
    on_point: OnPoint | None,
) -> None:
    """Train runs in threads; after an error or Ctrl-C, save a checkpoint of each and stop."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(n_jobs)
    try:
        jobs = [
            pool.submit(train_run, seeds, on_point if number == 0 else None, stop)
            for number, seeds in enumerate(runs)
        ]
        for job in as_completed(jobs):
            job.result()
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _train_run(
    make_group: Callable[..., SeedGroup],
    files: SeedFiles,
    progress: "tqdm[NoReturn]",
    seeds: Sequence[int],
    on_point: OnPoint | None,
    stop: threading.Event,
) -> None:
    """Train seeds together, from their checkpoint if there is one, and save their weights."""
    group = make_group(seeds=seeds, state=files.load_checkpoint(seeds))
    _report_checkpoint(group, progress, on_point)
    saved = time.monotonic()
    while not group.finished:
        if stop.is_set() or time.monotonic() - saved >= CHECKPOINT_INTERVAL:
            files.save_checkpoint(group)
            saved = time.monotonic()
        if stop.is_set():
            return
        # Everything that decides the weights happens in this call; see SEED_CODE.
        costs = training_step(
            group.students,
            group.teachers,
            group.optimizer,
            next(group.batches),
            group.step,
            group.params,
            strong_weight=group.strong_weight,
        )
        has_point = group.record_costs(costs)
        progress.update(len(seeds))
        if has_point:
            _report_point(group, files, progress, on_point)
    files.save_results(group)


def _report_checkpoint(
    group: SeedGroup, progress: "tqdm[NoReturn]", on_point: OnPoint | None
) -> None:
    """Show the steps and the points of a run's mean curve that were computed before."""
    progress.update(len(group.seeds) * group.step)
    for point in mean_curve(list(group.curves.values())):
        if on_point:
            on_point(point)


def _report_point(
    group: SeedGroup, files: SeedFiles, progress: "tqdm[NoReturn]", on_point: OnPoint | None
) -> None:
    """Show the newest point of a run's mean curve, and the seeds that diverged at it."""
    (mean,) = mean_curve([curve[-1:] for curve in group.curves.values()])
    if on_point:
        on_point(mean)
    costs = f"{mean.classification_cost:.3f} + {mean.consistency_cost:.4f}"
    if mean.strong_cost is not None:
        costs += f" + {mean.strong_cost:.3f}"
    progress.set_postfix_str(f"costs {costs}", refresh=False)
    for seed, step in group.diverged.items():
        if step == group.step:
            progress.write(files.explain_divergence(group, seed), file=sys.stderr)
