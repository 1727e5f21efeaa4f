"""Compare the time that two checkouts take to compute VGGish features of clips of 10 s.

Front end and network, without decoding. Repetitions of the checkouts alternate, so that both see
the same load by other programs. Weights are random: they cost what the published ones cost.

    git worktree add /tmp/base 63cb56b
    python benchmarks/vggish.py /tmp/base .
"""

import argparse
import hashlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz
# The modules had other names up to 63cb56b.
NETWORK_MODULES = ("avsed.features.networks.vggish", "avsed.features.auditory")
BATCHING_MODULES = ("avsed.features.extraction.batching", "avsed.embedding")
THREADS = (1, 2)


def import_first(names: tuple[str, ...]) -> ModuleType:
    """Import the first of these modules that the checkout has."""
    for name in names:
        if importlib.util.find_spec(name.rpartition(".")[0]) and importlib.util.find_spec(name):
            return importlib.import_module(name)
    raise SystemExit(f"{os.environ['PYTHONPATH']}: contains none of {', '.join(names)}")


def make_waveform(seed: int) -> NDArray[np.float32]:
    """Draw 10 s of noise whose level and color change every 0.1 s."""
    generator = np.random.default_rng(seed)
    pieces = generator.normal(0.0, 1.0, (100, SAMPLE_RATE // 10))
    pieces += generator.uniform(-1.0, 1.0, (100, 1)) * np.roll(pieces, 1, axis=1)
    levels = 10 ** generator.uniform(-4.0, -1.0, (100, 1))
    return (levels * pieces).ravel().astype(np.float32)


def serve(alignment: str, precision: str, n_clips: int) -> None:
    """Compute the features for each line of stdin, and write times and a hash to stdout."""
    params = SimpleNamespace(
        alignment=alignment, activation="relu", precision=precision, weights="random"
    )
    extractor = import_first(NETWORK_MODULES).make_extractor(params)
    batcher_of = import_first(BATCHING_MODULES).Batcher
    waveforms = [make_waveform(seed) for seed in range(n_clips)]
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        features: dict[str, NDArray[np.float16]] = {}
        batcher = batcher_of(extractor, features)
        for number, waveform in enumerate(waveforms):
            media = SimpleNamespace(waveforms={SAMPLE_RATE: waveform})
            batcher.add(str(number), extractor.prepare(media, 10.0))
        batcher.finish()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        values = np.stack([features[str(number)] for number in range(n_clips)])
        sha256 = hashlib.sha256(values.tobytes()).hexdigest()
        print(json.dumps({"cpu": cpu / n_clips, "wall": wall / n_clips, "sha256": sha256}))
        sys.stdout.flush()


class Worker:
    """A process that computes with the code of one checkout."""

    def __init__(self, checkout: Path, n_threads: int, arguments: list[str]) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(n_threads))
        environment = {
            **os.environ,
            **threads,
            "OPENBLAS_NUM_THREADS": "1",  # the front end's, whose last bits depend on it
            "PYTHONPATH": str(checkout.resolve() / "src"),
        }
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def repeat(self) -> dict[str, Any]:
        """Compute once."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("a worker failed; see its error above")
        result: dict[str, Any] = json.loads(answer)
        return result

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def compare(
    checkouts: list[Path], n_threads: int, n_repetitions: int, arguments: list[str]
) -> tuple[list[list[dict[str, Any]]], bool]:
    """Return the results of both checkouts by repetition, and whether features are equal."""
    workers = [Worker(checkout, n_threads, arguments) for checkout in checkouts]
    for worker in workers:
        worker.repeat()  # to warm up
    results = [[worker.repeat() for worker in workers] for _ in range(n_repetitions)]
    for worker in workers:
        worker.close()
    return results, len({result["sha256"] for pair in results for result in pair}) == 1


def print_row(
    precision: str, n_threads: int, results: list[list[dict[str, Any]]], equal: bool
) -> None:
    """Print medians of seconds per clip, the median ratio of a repetition and equality."""
    clock = "cpu" if n_threads == 1 else "wall"
    label = "CPU time, 1 thread" if n_threads == 1 else f"wall time, {n_threads} threads"
    before, after = (statistics.median(pair[n][clock] for pair in results) for n in (0, 1))
    ratio = statistics.median(pair[0][clock] / pair[1][clock] for pair in results)
    answer = "yes" if equal else "NO"
    print(f"| {precision} | {label} | {before:.3f} | {after:.3f} | {ratio:.2f} | {answer} |")
    sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkouts", type=Path, nargs="*", help="two folders: before and after")
    parser.add_argument("--clips", type=int, default=2, help="of each repetition")
    parser.add_argument("--repetitions", type=int, default=11)
    parser.add_argument("--alignment", choices=["paper", "centered"], default="paper")
    parser.add_argument("--precision", choices=["auto", "float32"], nargs="*")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    precisions = args.precision or ["auto", "float32"]
    if args.serve:
        serve(args.alignment, precisions[0], args.clips)
        return
    if len(args.checkouts) != 2:
        parser.error("expected the folders of two checkouts")

    print("| precision | seconds per clip | before | after | ratio | equal to the bit |")
    print("| --- | --- | ---: | ---: | ---: | --- |")
    for precision in precisions:
        options = {"alignment": args.alignment, "precision": precision, "clips": args.clips}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        for n_threads in THREADS:
            results, equal = compare(args.checkouts, n_threads, args.repetitions, arguments)
            print_row(precision, n_threads, results, equal)


if __name__ == "__main__":
    main()
