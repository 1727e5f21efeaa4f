"""Steps of training a second, all seeds together, beside a plain loop in the same run.

The plain loop (tests/helpers/reference.py) trains one system after another with torch's own layers
in float32. Features have the paper's sizes and random values.

    python -m benchmarks.training                              # batches of the demo
    python -m benchmarks.training --batch 24 24 --steps 4      # batches of the paper
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from avsed.dataset.loading import ClipFeatures
from avsed.model.crnn import embedding_dims
from avsed.model.together import forward_together
from avsed.params import Fusion, Train
from avsed.runtime.device import choose_device, choose_dtype
from avsed.training.batches import TrainingData, batches
from avsed.training.seed_group import build_model
from avsed.training.train import train_variant
from avsed.variants import kinds_of_variant
from tests.helpers.reference import ReferenceCrnn, reference_step
from tests.helpers.training import PAPER

VARIANTS = (
    "spectral",
    "spectral+visual",
    "spectral+auditory",
    "spectral+auditory+visual",
    "visual",
    "auditory",
    "auditory+visual",
)
SHAPES = {"spectral": (604, 128), "auditory": (151, 128), "visual": (151, 4096)}
FUSION = Fusion(auditory_dim=16, visual_dim=4, standalone_auditory_dim=64, standalone_visual_dim=16)
N_CLASSES = 10
PAPER_SEED_STEPS = 20 * 50_000  # of each variant


def params_of(
    n_weak: int, n_unlabeled: int, steps: int, n_seeds: int, seeds_per_run: int | None = None
) -> Train:
    """Give the paper's training, shorter."""
    return PAPER.model_copy(
        update={
            "seeds_per_run": seeds_per_run or "auto",
            "steps": steps,
            "n_weak": n_weak,
            "n_unlabeled": n_unlabeled,
            "n_seeds": n_seeds,
        }
    )


def make_data(variant: str, n_clips: int) -> TrainingData:
    """Make clips with random features, a quarter of them unlabeled."""
    kinds = kinds_of_variant(variant)

    def clips(name: str, n: int) -> ClipFeatures:
        return ClipFeatures(
            clip_ids=tuple(f"{name}{i}" for i in range(n)),
            features={kind: torch.randn(n, *SHAPES[kind]).half() for kind in kinds},
            mask=torch.ones(n, 151, dtype=torch.bool),
        )

    n_weak = 3 * n_clips // 4
    return TrainingData(
        kinds=kinds,
        classes=tuple(f"class {i}" for i in range(N_CLASSES)),
        weak=clips("weak", n_weak),
        unlabeled=clips("unlabeled", n_clips - n_weak),
        targets=torch.randint(0, 2, (n_weak, N_CLASSES)).float(),
        features_key=(),
        provenance={kind: {} for kind in kinds},
    )


def run_ours(
    variant: str,
    batch: tuple[int, int],
    steps: int,
    n_clips: int,
    n_seeds: int,
    seeds_per_run: int | None,
) -> float:
    """Train as the stage does; returns steps of any seed a second, without the start."""
    data = make_data(variant, n_clips)

    def seconds(n_steps: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["AVSED_STORE"] = f"{folder}/store"
            start = time.perf_counter()
            train_variant(
                lambda: data,
                FUSION,
                params_of(*batch, n_steps, n_seeds, seeds_per_run),
                out_dir=Path(folder) / "out",
                curve_dir=Path(folder) / "curve",
            )
            return time.perf_counter() - start

    seconds(1)  # to warm up
    return n_seeds * steps / (seconds(1 + steps) - seconds(1))


def run_plain(variant: str, batch: tuple[int, int], steps: int, n_clips: int) -> float:
    """Train one system in a plain loop; returns steps a second."""
    device = choose_device()
    data = make_data(variant, n_clips)
    sizes = embedding_dims(data.kinds, FUSION)
    dims = {kind: SHAPES[kind][1] for kind in data.kinds}
    student, teacher = (
        ReferenceCrnn(dims, sizes, N_CLASSES, dropout=0.33).to(device) for _ in range(2)
    )
    optimizer = torch.optim.Adam(student.parameters())
    params = params_of(*batch, steps, 1)
    stream = batches(data, n_weak=batch[0], n_unlabeled=batch[1], seeds=[0], device=device)
    start = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first is to warm up
            start = time.perf_counter()
        one = next(stream)
        features = {kind: of_kind[0] for kind, of_kind in one.features.items()}
        # Reads the cost, and so waits for a GPU.
        reference_step(
            student, teacher, optimizer, features, one.mask[0], one.targets[0], step, params
        )
    return steps / (time.perf_counter() - start)


def count_operations(variant: str, batch: tuple[int, int], n_clips: int) -> float:
    """Count the floating-point operations of a step.

    The student's forward pass, twice that for its backward pass, and the teacher's forward pass.
    """
    data = make_data(variant, n_clips)
    params = params_of(*batch, 1, 1)
    sizes = embedding_dims(data.kinds, FUSION)
    bands = (torch.zeros(128), torch.ones(128)) if "spectral" in data.kinds else None
    cpu = torch.device("cpu")
    model = build_model(data, bands, sizes, params, seed=0, dropout_seed=0, device=cpu)
    one = next(batches(data, n_weak=batch[0], n_unlabeled=batch[1], seeds=[0], device=cpu))
    with FlopCounterMode(display=False) as counter:
        forward_together([model], one.features, one.mask)
    return 4.0 * float(counter.get_total_flops())


def measure_peak() -> float:
    """Measure what a large matrix product reaches, in operations a second."""
    device = choose_device()
    size = 8192 if device.type == "cuda" else 2048
    matrix = torch.randn(size, size, device=device, dtype=choose_dtype(device, "auto"))
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def apart(function: Callable[..., float], *args: Any) -> tuple[float, float]:
    """Call a function in a process of its own; returns its result and its peak memory in GB."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_with_peak_memory, function, *args).result()


def _with_peak_memory(function: Callable[..., float], *args: Any) -> tuple[float, float]:
    result = function(*args)
    if torch.cuda.is_available():
        return result, torch.cuda.max_memory_allocated() / 1e9
    return result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--batch", nargs=2, type=int, default=[6, 2], metavar=("WEAK", "UNLABELED"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 4, 20])
    parser.add_argument(
        "--seeds-per-run", type=int, help="by default, as train.seeds_per_run: auto"
    )
    parser.add_argument("--steps", type=int, default=10, help="of each seed")
    parser.add_argument("--clips", type=int, default=80)
    args = parser.parse_args()

    device = choose_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    peak, _ = apart(measure_peak)
    print(f"{name}, torch {torch.__version__}, batches of {args.batch[0]} + {args.batch[1]}")
    print(f"a large matrix product reaches {peak / 1e12:.2f} TFLOP/s\n")
    print("| variant | seeds | steps x seeds/s | plain loop | ratio | of the peak | memory, GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    hours = 0.0
    for variant in args.variants:
        batch = tuple(args.batch)
        operations, _ = apart(count_operations, variant, batch, args.clips)
        plain, _ = apart(run_plain, variant, batch, args.steps, args.clips)
        best = 0.0
        for n_seeds in args.seeds:
            how = (args.steps, args.clips, n_seeds, args.seeds_per_run)
            rate, memory = apart(run_ours, variant, batch, *how)
            best = max(best, rate)
            cells = [variant, n_seeds, f"{rate:.2f}", f"{plain:.2f}", f"{rate / plain:.2f}"]
            cells += [f"{rate * operations / peak:.0%}", f"{memory:.1f}"]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
        hours += PAPER_SEED_STEPS / best / 3600
    count = f"{len(args.variants)} variants x 20 seeds x 50,000 steps"
    print(f"\n{count} at these rates: {hours:,.0f} hours")


if __name__ == "__main__":
    main()
