"""CPU time of a training step in two checkouts, and whether both end in the same weights.

    python benchmarks/step.py OLD NEW --batch 6 2 --steps 7

OLD and NEW are folders of checkouts; the oldest that this can run is commit 63cb56b. Each runs in a
process of its own with one thread, and the processes take turns, step by step. Features are random
and have the paper's sizes.
"""

import argparse
import contextlib
import importlib
import os
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

N_CLASSES = 10
SHAPES = {"spectral": (604, 128), "auditory": (151, 128), "visual": (151, 4096)}
FUSION = {
    "auditory_dim": 16,
    "visual_dim": 4,
    "standalone_auditory_dim": 64,
    "standalone_visual_dim": 16,
}
TRAIN: dict[str, Any] = {
    "dropout": 0.33,
    "learning_rate": 0.001,
    "learning_rate_decay": 0.99995,
    "ramp_steps": 2,
    "consistency_weight": 2.0,
    "consistency_ramp": False,
    "teacher_decay": 0.999,
    "teacher_warmup": True,
    "mask_padding": True,
    "seeds_per_run": 1,
    "steps": 1000,
    "n_seeds": 1,
}


# Where a name is: in this checkout, and in commit 63cb56b.
MODULES = {
    "ClipFeatures": ("avsed.dataset.loading", "avsed.dataset"),
    "Fusion": ("avsed.params", "avsed.config"),
    "SeedGroup": ("avsed.training.seed_group", "avsed.lockstep:Lockstep"),
    "Train": ("avsed.params", "avsed.config"),
    "TrainingData": ("avsed.training.batches", "avsed.dataset"),
    "embedding_dims": ("avsed.model.crnn",),
    "training_step": ("avsed.training.mean_teacher", "avsed.lockstep"),
}


@cache
def find(name: str, *, required: bool = True) -> Any:
    """Import a name from the checkout in PYTHONPATH; None if it has none that is not required."""
    for place in MODULES[name]:
        module, _, other_name = place.partition(":")
        with contextlib.suppress(ModuleNotFoundError, AttributeError):
            return getattr(importlib.import_module(module), other_name or name)
    if required:
        sys.exit(f"{name} is in none of {', '.join(MODULES[name])}")
    return None


def work(variant: str, n_weak: int, n_unlabeled: int, precision: str) -> None:
    """Take a step of the checkout in PYTHONPATH for each line of stdin; print its CPU seconds."""
    import hashlib

    import torch

    clip_features, training_data = find("ClipFeatures"), find("TrainingData")
    sizes = find("Fusion")(**FUSION)
    if sizes_of := find("embedding_dims", required=False):
        sizes = sizes_of(variant.split("+"), sizes)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    kinds = tuple(variant.split("+"))

    def clips(n: int) -> Any:
        features = {kind: torch.randn(n, *SHAPES[kind], generator=generator) for kind in kinds}
        return clip_features(
            clip_ids=tuple(map(str, range(n))),
            features={kind: values.half() for kind, values in features.items()},
            mask=torch.ones(n, 151, dtype=torch.bool),
        )

    data = training_data(
        kinds=kinds,
        classes=tuple(map(str, range(N_CLASSES))),
        weak=clips(n_weak),
        unlabeled=clips(n_unlabeled),
        targets=torch.randint(0, 2, (n_weak, N_CLASSES), generator=generator).float(),
        features_key=(),
        provenance={kind: {} for kind in kinds},
    )
    sizes_and_precision = {"n_weak": n_weak, "n_unlabeled": n_unlabeled, "precision": precision}
    params = find("Train")(**TRAIN, **sizes_and_precision)
    bands = (torch.zeros(128), torch.ones(128)) if "spectral" in kinds else None
    device = torch.device("cpu")
    group = find("SeedGroup")(data, bands, sizes, params, seeds=[0], device=device)

    def part(name: str) -> Any:  # private in commit 63cb56b
        return vars(group).get(name) or vars(group)[f"_{name}"]

    print("ready", flush=True)
    for line in sys.stdin:
        if line == "hash\n":
            digest = hashlib.sha256()
            for weight in part("students")[0].parameters():
                digest.update(weight.detach().numpy().tobytes())
            print(digest.hexdigest(), flush=True)
            continue
        batch = next(part("batches"))
        start = time.process_time()
        models = part("students"), part("teachers"), part("optimizer")
        find("training_step")(*models, batch, group.step, params)
        group.step += 1
        print(time.process_time() - start, flush=True)


def start(checkout: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a worker on a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    # glibc keeps freed memory, as the stage `train` makes it.
    environment |= {"MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_MMAP_MAX_": "0"}
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: "subprocess.Popen[str]", line: str) -> str:
    """Send a line to a worker and return its answer."""
    assert process.stdin and process.stdout
    if line:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    answer = process.stdout.readline().strip()
    if not answer:
        sys.exit("a worker has ended")
    return answer


def main() -> None:
    """Compare two checkouts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path, nargs="*", metavar="OLD NEW")
    parser.add_argument("--variant", default="spectral")
    parser.add_argument("--batch", type=int, nargs=2, default=(6, 2))
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--precision", choices=("auto", "float32"), default="auto")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        n_weak, n_unlabeled = arguments.batch
        work(arguments.variant, n_weak, n_unlabeled, arguments.precision)
        return
    if len(arguments.checkouts) != 2:
        parser.error("name two checkouts")
    options = ("--variant", arguments.variant, "--batch", *map(str, arguments.batch))
    options += ("--precision", arguments.precision)
    workers = [start(checkout, *options) for checkout in arguments.checkouts]
    for worker in workers:
        ask(worker, "")
    for worker in workers:
        ask(worker, "step")  # to warm up
    seconds = [[float(ask(worker, "step")) for worker in workers] for _ in range(arguments.steps)]
    old, new = (statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(before / after for before, after in seconds)
    equal = len({ask(worker, "hash") for worker in workers}) == 1
    print(
        f"{arguments.variant}, {'+'.join(map(str, arguments.batch))} clips: {1000 * old:.0f} ms, "
        f"{1000 * new:.0f} ms; {ratio:.2f} times as fast; weights "
        f"{'equal' if equal else 'differ'} after {1 + arguments.steps} steps"
    )


if __name__ == "__main__":
    main()
