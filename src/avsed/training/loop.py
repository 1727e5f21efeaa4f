"""Train the seeds of a variant: runs side by side, steps, checkpoints."""

import io
import pickle
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

from avsed.model.crnn import embedding_dims
from avsed.model.files import ModelCard, read_student_weights, save_weights
from avsed.params import Fusion, Train
from avsed.runtime.device import choose_device, choose_dtype, keep_freed_memory
from avsed.runtime.files import append_checksum, atomic_write, verify_checksum
from avsed.runtime.limits import count_cores
from avsed.runtime.store import work_key
from avsed.training.batches import TrainingData, band_statistics, place_features
from avsed.training.curves import Point, curve_to_json, mean_curve
from avsed.training.seed_group import SeedGroup

CHECKPOINT_INTERVAL = 60.0  # seconds: what a killed run loses, at most
SEED_CODE = ("avsed.training.seed_group",)  # decides what a seed becomes
OnPoint = Callable[[Point], None]


@dataclass(frozen=True)
class TrainedSeeds:
    """What training leaves in the store.

    Attributes:
        work_dir: has for each seed its weights with its curve, or a line that says why not.
        card: what is needed to use the weights.
    """

    work_dir: Path
    card: ModelCard

    def weights_path(self, seed: int) -> Path:
        """Name the file of a seed's final student."""
        return self.work_dir / f"seed-{seed:02d}.safetensors"

    def diverged_path(self, seed: int) -> Path:
        """Name the file that says why a seed has no weights."""
        return self.work_dir / f"seed-{seed:02d}.diverged"

    def checkpoint_path(self, seeds: Sequence[int]) -> Path:
        """Name the file that keeps the state of some seeds while they are in work."""
        return self.work_dir / f"seeds-{'-'.join(f'{seed:02d}' for seed in seeds)}.checkpoint"

    def is_done(self, seed: int) -> bool:
        """Tell whether there is nothing left to do for a seed."""
        return self.diverged_path(seed).exists() or _is_valid(self.weights_path(seed))


def train_seeds(
    data: TrainingData,
    fusion: Fusion,
    params: Train,
    *,
    seeds: Sequence[int],
    store: Path,
    on_point: OnPoint = lambda _: None,
    shows_progress: bool = True,
) -> TrainedSeeds:
    """Train some seeds of a variant into the store.

    `train.seeds_per_run` of them take each step together. On a CPU as many such runs go side by
    side as it has cores, one thread each, which beats all cores on one.

    Args:
        data: clips and targets.
        fusion: embedding sizes.
        params: training.
        seeds: to be trained.
        store: see `store_dir`.
        on_point: is given each new point of the curve of those that are trained first.
        shows_progress: whether a bar does.
    """
    device = choose_device()
    trained = _describe(data, fusion, params, device, store)
    n_per_run = _seeds_per_run(params, data.kinds, device, len(seeds))
    runs = [seeds[start : start + n_per_run] for start in range(0, len(seeds), n_per_run)]
    # A kill may have come when a run's seeds were kept in part: all of it goes on.
    left = [
        run
        if trained.checkpoint_path(run).exists()
        else [seed for seed in run if not trained.is_done(seed)]
        for run in runs
    ]
    waiting = [run for run in left if run]
    progress: tqdm[NoReturn] = tqdm(
        total=params.steps * len(seeds),
        desc="+".join(data.kinds),
        unit="step",
        disable=not shows_progress,
    )
    progress.update(params.steps * (len(seeds) - sum(map(len, waiting))))
    if not waiting:
        progress.close()
        return trained
    keep_freed_memory()
    bands = band_statistics(data) if "spectral" in data.kinds else None
    data = place_features(data, device)
    stop = threading.Event()

    def train_and_keep(run: Sequence[int]) -> None:
        checkpoint = trained.checkpoint_path(run)
        group = SeedGroup(
            data,
            bands,
            trained.card.embedding_dims,
            params,
            seeds=run,
            device=device,
            state=_load_checkpoint(checkpoint),
        )
        follow = on_point if run is waiting[0] else lambda _: None
        if _take_steps(group, trained, progress, follow, stop):
            _keep(group, trained)
            checkpoint.unlink(missing_ok=True)

    with progress:
        # By all runs, not by those that are left: sums depend on the number of threads in their
        # last digits, and a run that was stopped must end in the same weights.
        _side_by_side(train_and_keep, waiting, _count_jobs(len(runs), data.kinds, device), stop)
    return trained


def _seeds_per_run(params: Train, kinds: Sequence[str], device: torch.device, n_seeds: int) -> int:
    """Choose how many seeds take each step together: what measures fastest."""
    if params.seeds_per_run != "auto":
        return params.seeds_per_run
    if device.type == "cuda":
        return n_seeds
    # Convolutions gain nothing by it, and no core must be left without a run.
    return 1 if "spectral" in kinds else max(1, min(4, n_seeds // count_cores()))


def _count_jobs(n_runs: int, kinds: Sequence[str], device: torch.device) -> int:
    """Set the threads of each run; returns how many go side by side."""
    n_cores = count_cores()
    n_jobs = 1 if device.type == "cuda" else max(1, min(n_runs, n_cores))
    # Without convolutions a step's products are so small that a second thread costs time.
    torch.set_num_threads(n_cores // n_jobs if "spectral" in kinds else 1)
    return n_jobs


def _take_steps(
    group: SeedGroup,
    trained: TrainedSeeds,
    progress: "tqdm[NoReturn]",
    on_point: OnPoint,
    stop: threading.Event,
) -> bool:
    """Take all steps that are left; returns whether they were taken, and not stopped."""
    n_seeds = len(group.seeds)
    checkpoint = trained.checkpoint_path(group.seeds)
    progress.update(n_seeds * group.step)
    for point in mean_curve(list(group.curves.values())):
        on_point(point)
    saved = time.monotonic()
    while not group.finished:
        if stop.is_set() or time.monotonic() - saved >= CHECKPOINT_INTERVAL:
            # In memory first: PyTorch's own errors do not say that a disk is full.
            state = io.BytesIO()
            torch.save(group.state_dict(), state)
            with atomic_write(checkpoint) as part:
                part.write_bytes(state.getbuffer())
                append_checksum(part)
            saved = time.monotonic()
        if stop.is_set():
            return False
        n_diverged = len(group.diverged)
        has_point = group.take_step()
        progress.update(n_seeds)
        if has_point:
            (mean,) = mean_curve([curve[-1:] for curve in group.curves.values()])
            on_point(mean)
            costs = f"{mean.classification_cost:.3f} + {mean.consistency_cost:.4f}"
            progress.set_postfix_str(f"costs {costs}", refresh=False)
        for seed in list(group.diverged)[n_diverged:]:
            progress.write(_explain_divergence(group, seed, trained.card), file=sys.stderr)
    return True


def _keep(group: SeedGroup, trained: TrainedSeeds) -> None:
    """Write the final students, and of seeds that diverged that they did."""
    for seed in group.seeds:
        if seed not in group.diverged:
            with atomic_write(trained.weights_path(seed)) as part:
                curve = curve_to_json(group.curves[seed])
                save_weights(part, group.weights(seed), curve)
        else:
            with atomic_write(trained.diverged_path(seed)) as part:
                part.write_text(_explain_divergence(group, seed, trained.card), "utf-8")


def _explain_divergence(group: SeedGroup, seed: int, card: ModelCard) -> str:
    return (
        f"{'+'.join(card.kinds)}, seed {seed}: is left out, for by step "
        f"{group.diverged[seed]:,} its costs were no finite numbers"
    )


def _load_checkpoint(path: Path) -> dict[str, object] | None:
    if not path.exists():
        return None
    try:
        verify_checksum(path)
        state: dict[str, object] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        print(f"{path}: {reason}; its seeds begin anew", flush=True)
        return None
    return state


def _side_by_side(
    train_and_keep: Callable[[Sequence[int]], None],
    runs: Sequence[Sequence[int]],
    n_jobs: int,
    stop: threading.Event,
) -> None:
    pool = ThreadPoolExecutor(n_jobs)
    try:
        for job in as_completed([pool.submit(train_and_keep, run) for run in runs]):
            job.result()
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _describe(
    data: TrainingData, fusion: Fusion, params: Train, device: torch.device, store: Path
) -> TrainedSeeds:
    made_of = [
        data.features_key,
        data.classes,
        data.kinds,
        data.weak.clip_ids,
        data.unlabeled.clip_ids,
        data.targets.tolist(),
        embedding_dims(data.kinds, fusion),
        params.model_dump(exclude={"n_seeds", "seeds_per_run"}),
        device.type,
        str(choose_dtype(device, params.precision)),
    ]
    card = ModelCard(
        kinds=data.kinds,
        feature_dims=tuple(data.weak.features[kind].shape[2] for kind in data.kinds),
        classes=data.classes,
        embedding_dims=embedding_dims(data.kinds, fusion),
        mask_padding=params.mask_padding,
        provenance={kind: dict(data.provenance[kind]) for kind in data.kinds},
    )
    return TrainedSeeds(store / "models" / work_key(made_of, modules=SEED_CODE), card)


def _is_valid(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_student_weights(path)
    except OSError as error:
        print(f"{path}: {error}; the seed is trained again", flush=True)
        return False
    return True
