"""Train the students and teachers of one variant, all seeds (Sections 2.3 and 4.3.1)."""

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NoReturn, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from avsed.config import Fusion, Train
from avsed.dataset import Batch, TrainingData, batches
from avsed.errors import AvsedError
from avsed.hardware import choose_device, choose_dtype, count_cores
from avsed.mean_teacher import (
    classification_cost,
    consistency_cost,
    consistency_weight,
    learning_rate,
    teacher_decay,
    update_teacher,
)
from avsed.model import Crnn, SpectralBranch
from avsed.model_card import ModelCard, write_model_card
from avsed.store import publish, store_dir, work_key, written_whole

CHECKPOINT_INTERVAL = 60.0  # seconds: what a killed run loses, at most

_global_state = threading.Lock()


def train_variant(data: TrainingData, fusion: Fusion, params: Train, *, out_dir: Path) -> None:
    """Train all seeds of a variant and write their final students.

    Seeds that the store already has are not trained again, and others go on from their last
    checkpoint. On a CPU as many train side by side as it has cores, one thread each.

    Args:
        data: clips and targets.
        fusion: embedding sizes.
        params: training.
        out_dir: becomes model.json, and seed-NN.safetensors for each seed.

    Raises:
        AvsedError: if scores are no finite numbers.
    """
    device = choose_device()
    made_of = [
        data.features_key,
        data.classes,
        data.kinds,
        data.weak.clip_ids,
        data.unlabeled.clip_ids,
        data.targets.tolist(),
        fusion.model_dump(),
        params.model_dump(exclude={"n_seeds"}),
        device.type,
        str(choose_dtype(device, params.precision)),
    ]
    work_dir = store_dir() / "models" / work_key(made_of, modules=(__name__,))
    paths = {seed: work_dir / f"seed-{seed:02d}.safetensors" for seed in range(params.n_seeds)}
    bands = standardisation(data) if "spectral" in data.kinds else None
    stop = threading.Event()
    progress: tqdm[NoReturn] = tqdm(
        total=params.steps * params.n_seeds, desc="+".join(data.kinds), unit="step"
    )

    def train_and_keep(seed: int) -> None:
        checkpoint = paths[seed].with_suffix(".checkpoint")
        weights = train_seed(
            data,
            bands,
            fusion,
            params,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            progress=progress,
            stop=stop,
        )
        if weights is not None:
            with written_whole(paths[seed]) as part:
                save_file(weights, part)
            checkpoint.unlink(missing_ok=True)

    waiting = [seed for seed, path in paths.items() if not _is_whole(path)]
    progress.update(params.steps * (params.n_seeds - len(waiting)))
    with progress:
        _side_by_side(train_and_keep, waiting, params.n_seeds, device, stop)
    card = ModelCard(
        kinds=data.kinds,
        feature_dims=tuple(data.weak.features[kind].shape[2] for kind in data.kinds),
        classes=data.classes,
        fusion=fusion,
        mask_padding=params.mask_padding,
        provenance={kind: dict(data.provenance[kind]) for kind in data.kinds},
    )
    write_model_card(card, out_dir)
    for path in paths.values():
        publish(path, out_dir / path.name)


def _side_by_side(
    train_and_keep: Callable[[int], None],
    seeds: Sequence[int],
    n_seeds: int,
    device: torch.device,
    stop: threading.Event,
) -> None:
    """Train seeds in threads: on a CPU one a core, which beats all cores on one seed."""
    n_cores = count_cores()
    # By all seeds, not by those that are left: sums depend on the number of threads in their last
    # digits, and a run that was stopped must end in the same weights.
    n_jobs = 1 if device.type == "cuda" else max(1, min(n_seeds, n_cores))
    torch.set_num_threads(max(1, n_cores // n_jobs))
    pool = ThreadPoolExecutor(n_jobs)
    try:
        for job in as_completed([pool.submit(train_and_keep, seed) for seed in seeds]):
            job.result()
    except BaseException:
        stop.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _is_whole(path: Path) -> bool:
    try:
        return bool(load_file(path))
    except (OSError, SafetensorError):
        return False


def train_seed(
    data: TrainingData,
    bands: tuple[Tensor, Tensor] | None,
    fusion: Fusion,
    params: Train,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    progress: "tqdm[NoReturn]",
    stop: threading.Event,
) -> dict[str, Tensor] | None:
    """Train one system, from where its checkpoint stands.

    On a CPU the final weights are the same to the bit, however often the training was stopped.

    Args:
        data: clips and targets.
        bands: mean and deviation of each band, where the variant has spectral features.
        fusion: embedding sizes.
        params: training.
        seed: decides initial weights, batches and dropout.
        device: where to compute.
        checkpoint: the file that keeps the state, every `CHECKPOINT_INTERVAL` and on a stop.
        progress: advanced by 1 each step.
        stop: ends the training early when set.

    Returns:
        The final student's state dict, on the CPU; None if the training was ended early.

    Raises:
        AvsedError: if scores are no finite numbers.
    """
    seeds = [int(state) for state in np.random.SeedSequence(seed).generate_state(4)]
    # The teacher starts as a copy of the student, with a dropout of its own.
    student, teacher = (
        build_model(
            data, bands, fusion, params, seed=seeds[0], dropout_seed=dropout_seed, device=device
        )
        for dropout_seed in seeds[1:3]
    )
    optimizer = torch.optim.Adam(student.parameters(), lr=params.learning_rate, fused=True)
    start = _load_checkpoint(checkpoint, student, teacher, optimizer)
    progress.update(start)
    stream = batches(
        data,
        n_weak=params.n_weak,
        n_unlabeled=params.n_unlabeled,
        seed=seeds[3],
        device=device,
        n_skipped=start,
    )
    saved = time.monotonic()
    for step in range(start, params.steps):
        if stop.is_set() or time.monotonic() - saved >= CHECKPOINT_INTERVAL:
            _save_checkpoint(checkpoint, student, teacher, optimizer, step)
            saved = time.monotonic()
        if stop.is_set():
            return None
        try:
            training_step(student, teacher, optimizer, next(stream), step, params)
        except FloatingPointError:
            raise AvsedError(
                f"{'+'.join(data.kinds)}, seed {seed}: the scores are no finite numbers at step "
                f"{step}; lower train.learning_rate"
            ) from None
        progress.update()
    return {name: tensor.cpu().contiguous() for name, tensor in student.state_dict().items()}


def _save_checkpoint(
    path: Path, student: Crnn, teacher: Crnn, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Keep all that the steps from `step` on depend on; batches follow from their number."""
    state = {
        "step": step,
        "student": student.state_dict(),
        "teacher": teacher.state_dict(),
        "optimizer": optimizer.state_dict(),
        "dropout": [model.generator.get_state() for model in (student, teacher)],
    }
    with written_whole(path) as part:
        torch.save(state, part)


def _load_checkpoint(
    path: Path, student: Crnn, teacher: Crnn, optimizer: torch.optim.Optimizer
) -> int:
    """Go back to a checkpoint, where there is one; returns the next step."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError):  # none, or a damaged one
        return 0
    student.load_state_dict(state["student"])
    teacher.load_state_dict(state["teacher"])
    optimizer.load_state_dict(state["optimizer"])
    for model, generator_state in zip((student, teacher), state["dropout"], strict=True):
        model.generator.set_state(generator_state)
    step: int = state["step"]
    return step


def training_step(
    student: Crnn,
    teacher: Crnn,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    step: int,
    params: Train,
) -> Tensor:
    """Take one step of mean teacher training (Section 2.3).

    Returns:
        The total cost, detached.

    Raises:
        FloatingPointError: if the student's scores are no finite numbers.
    """
    mask = batch.mask if params.mask_padding else torch.ones_like(batch.mask)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, params)

    frame_scores, clip_scores = student(batch.features, mask)
    with torch.no_grad():
        teacher_scores = teacher(batch.features, mask)
    # Such scores would stop a GPU for good inside the cross-entropy.
    if not torch.isfinite(clip_scores).all():
        raise FloatingPointError
    n_weak = len(batch.targets)
    classification = classification_cost(clip_scores[:n_weak], batch.targets)
    consistency = consistency_cost((frame_scores, clip_scores), teacher_scores, mask)
    cost = classification + consistency_weight(step, params) * consistency

    optimizer.zero_grad()
    cost.backward()  # type: ignore[no-untyped-call]  # torch has no type here
    optimizer.step()
    update_teacher(teacher, student, decay=teacher_decay(step, params))
    return cost.detach()


def build_model(
    data: TrainingData,
    bands: tuple[Tensor, Tensor] | None,
    fusion: Fusion,
    params: Train,
    *,
    seed: int,
    dropout_seed: int,
    device: torch.device,
) -> Crnn:
    """Build a system with PyTorch's default initial weights, drawn by a seed of its own."""
    # Layers draw from the global state when they are made; it is put back afterwards.
    with _global_state, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Crnn(
            {kind: data.weak.features[kind].shape[2] for kind in data.kinds},
            fusion=fusion,
            n_classes=len(data.classes),
            dropout=params.dropout,
            generator=torch.Generator(device).manual_seed(dropout_seed),
            cnn_dtype=choose_dtype(device, params.precision),
        )
    if bands is not None:
        branch = cast(SpectralBranch, model.embeddings["spectral"])
        branch.mean.copy_(bands[0])
        branch.deviation.copy_(bands[1])
    return model.to(device).train()


def standardisation(data: TrainingData) -> tuple[Tensor, Tensor]:
    """Compute the mean and deviation of each band over the training set (Section 4.2).

    Returns:
        (M,) mean and (M,) deviation of the log-mel values of all valid spectral frames.
    """
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for clips in (data.weak, data.unlabeled):
        for log_mel, mask in zip(clips.features["spectral"], clips.mask, strict=True):
            n_valid = int(mask.sum()) * (len(log_mel) // len(mask))
            valid = log_mel[:n_valid].double()
            total = total + valid.sum(0)
            squares = squares + valid.square().sum(0)
            count += n_valid
    mean = total / count
    variance = (squares / count - mean.square()).clamp_min(0.0)
    deviation = variance.sqrt()
    # A band that never varies (above an old recording's cut-off) tells nothing: it becomes 0.
    deviation[deviation < 1e-3] = torch.inf
    return mean.float(), deviation.float()
