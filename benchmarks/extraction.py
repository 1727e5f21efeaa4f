"""Clips per second of each extractor, compared with a plain loop in the same run.

The plain loop takes one clip at a time and calls the network for one window or image at a time,
in float32, with nothing beside it. Weights are random: they cost what the published ones cost.

    python benchmarks/extraction.py --clips 4
    python benchmarks/extraction.py --clips 500 --reference-clips 10   # on a GPU
"""

import argparse
import contextlib
import io
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import Media, read_media
from avsed.dataset.shards import write_shard
from avsed.features import spectral
from avsed.features.extraction import batching, extract
from avsed.features.extraction.batching import decode_clip
from avsed.features.extraction.extract import extract_features
from avsed.features.extractor import ClipInputs, Extractor, Recipe
from avsed.features.networks import vgg16, vggish
from avsed.features.networks.log_mel_examples import SAMPLE_RATE, log_mel_examples
from avsed.features.weights.load import load_weights
from avsed.framing import N_FRAMES
from avsed.params import Auditory, Section, Spectral, Visual
from avsed.runtime.device import choose_device

PAPER_CLIPS = 15_494
N_FILES = 8  # distinct files; more clips read them again
MODULES = {"spectral": spectral, "auditory": vggish, "visual": vgg16}


def params_of(precision: str) -> dict[str, Section]:
    """Return the paper's parameters with random weights."""
    return {
        "spectral": Spectral(window_length=2048, log_floor=1e-5),
        "auditory": Auditory.model_validate(
            {
                "network": "vggish",
                "alignment": "paper",
                "activation": "relu",
                "precision": precision,
                "weights": "random",
            }
        ),
        "visual": Visual.model_validate(
            {
                "network": "vgg16",
                "layer": "fc7",
                "precision": precision,
                "resize_size": 256,
                "crop_size": 224,
                "weights": "random",
            }
        ),
    }


class Clock:
    """Sums the seconds spent in functions and records the first call."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.start = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is counted."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            self.start = self.start or start
            result = function(*args, **kwargs)
            if name == "network" and torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds[name] += time.perf_counter() - start
            return result

        return wrapped


def timed_recipe(kind: str, params: Section, clock: Clock) -> Recipe:
    """Set up a kind whose front end and network are timed."""
    module = MODULES[kind]

    def make_extractor(params: Any) -> Extractor:
        extractor: Extractor = module.make_extractor(params)
        each_image = extractor.each_image
        return replace(
            extractor,
            each_image=each_image and clock.timed("front end", each_image),
            prepare=clock.timed("front end", extractor.prepare),
            embed=clock.timed("network", extractor.embed),
        )

    make_extractor.__module__ = module.__name__  # the module whose code determines the features
    return Recipe(kind, make_extractor, params)


def run_ours(
    kinds: Sequence[str], clips_dir: Path, records: Sequence[ClipRecord], precision: str
) -> tuple[float, Clock]:
    """Extract as the stage does; return clips per second and the time by part."""
    clock = Clock()
    params = params_of(precision)
    recipes = {kind: timed_recipe(kind, params[kind], clock) for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AVSED_STORE"] = str(Path(folder) / "store")
        vars(batching)["read_media"] = clock.timed("decode", read_media)
        vars(extract)["write_shard"] = clock.timed("writing", write_shard)
        with contextlib.redirect_stdout(io.StringIO()):
            extract_features(recipes, records, clips_dir=clips_dir, out_dir=Path(folder) / "out")
        wall = time.perf_counter() - clock.start
    # Images pass through their front end during decoding.
    if "visual" in kinds:
        clock.seconds["decode"] -= clock.seconds["front end"]
    clock.seconds["wall"] = wall
    return len(records) / wall, clock


def plain_extractor(kind: str) -> Extractor:
    """Set up a kind in float32, with one input of the network for each frame."""
    extractor: Extractor = MODULES[kind].make_extractor(params_of("float32")[kind])
    if kind != "auditory":
        return extractor
    network = vggish.Vggish("relu").eval()
    load_weights(network, "random", vggish.PUBLISHED)
    network.to(memory_format=torch.channels_last)

    def prepare(media: Media[Any], duration: float) -> ClipInputs:
        waveform = media.waveforms[SAMPLE_RATE]
        examples = log_mel_examples(waveform, "paper", log_offset=vggish.LOG_OFFSET)
        return ClipInputs(rows=torch.from_numpy(examples), index=np.arange(N_FRAMES))

    return replace(extractor, prepare=prepare, embed=torch.inference_mode()(network))


def run_plain(kind: str, clips_dir: Path, records: Sequence[ClipRecord]) -> float:
    """Extract in a plain loop; return clips per second."""
    extractor = plain_extractor(kind)
    decode_clip({kind: extractor}, clips_dir / records[0].file, records[0].duration)  # to warm up
    start = time.perf_counter()
    with tempfile.NamedTemporaryFile() as file, h5py.File(file.name, "w") as shard:
        for record in records:
            decoded = decode_clip({kind: extractor}, clips_dir / record.file, record.duration)
            inputs = decoded[kind]
            if isinstance(inputs, str):
                raise SystemExit(f"{record.file}: {inputs}")
            # One frame at a time, including repeated images.
            rows = inputs.rows[torch.from_numpy(np.ascontiguousarray(inputs.index))]
            whole = kind == "spectral"  # has no network
            embedded = [
                extractor.embed(row) for row in (rows[None] if whole else torch.split(rows, 1))
            ]
            features = torch.cat(embedded).to(torch.float16).cpu().numpy()
            shard.create_dataset(record.clip_id, data=features)
    return len(records) / (time.perf_counter() - start)


def make_media(folder: Path, n_clips: int) -> list[ClipRecord]:
    """Create clips of 10 s, 640 x 360 at 30 images per second, in which everything moves."""
    for n in range(min(N_FILES, n_clips)):
        pictures = f"testsrc2=size=640x360:rate=30:duration=10,hue=h={45 * n},noise=alls=8:allf=t"
        sound = f"anoisesrc=duration=10:color=pink:seed={n}:sample_rate=44100"
        inputs = ("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound)
        path = folder / f"clip-{n}.mp4"
        command = [ffmpeg_path(), "-v", "error", *inputs, "-pix_fmt", "yuv420p", "-b:v", "500k"]
        subprocess.run([*command, str(path)], check=True)
    made = [inspect_clip(path.stem, path) for path in sorted(folder.glob("*.mp4"))]
    return [replace(made[n % len(made)], clip_id=f"clip-{n}") for n in range(n_clips)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--reference-clips", type=int, default=1, help="of the plain loop")
    parser.add_argument("--precision", choices=["auto", "float32"], default="auto")
    args = parser.parse_args()

    device = choose_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, {os.cpu_count()} cores, {args.clips} clips, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        clips_dir = Path(folder)
        records = make_media(clips_dir, args.clips)
        # First: the extraction keeps freed memory, and the plain loop does not.
        plain = {
            kind: run_plain(kind, clips_dir, records[: args.reference_clips]) for kind in MODULES
        }
        print_header()
        for kind in MODULES:
            rate, clock = run_ours([kind], clips_dir, records, args.precision)
            print_row(kind, rate, plain[kind], clock, len(records))
        rate, clock = run_ours(list(MODULES), clips_dir, records, args.precision)
        one_after_another = 1 / sum(1 / of_kind for of_kind in plain.values())
        print_row("all in one pass", rate, one_after_another, clock, len(records))
    minutes = PAPER_CLIPS / rate / 60
    print(f"\nAll {PAPER_CLIPS:,} clips of the paper at the last rate: {minutes:,.0f} min")


def print_header() -> None:
    """Print the header of the table."""
    columns = [
        "clips/s",
        "plain loop",
        "ratio",
        "network",
        "waiting",
        "writing",
        "decode",
        "front end",
    ]
    print(
        "\nnetwork, waiting (for decoded clips) and writing: shares of the time that passes; "
        "decode\nand front end, which run beside them: seconds of one thread for a clip.\n"
    )
    print(f"| features | {' | '.join(columns)} |")
    print(f"| --- |{' ---: |' * len(columns)}", flush=True)


def print_row(features: str, rate: float, reference: float, clock: Clock, n_clips: int) -> None:
    """Print the rates of one kind of features and the time by part."""
    seconds = clock.seconds
    network, writing = (seconds[name] / seconds["wall"] for name in ("network", "writing"))
    cells = [
        f"{rate:.3f}",
        f"{reference:.3f}",
        f"{rate / reference:.2f}",
        f"{network:.0%}",
        f"{1 - network - writing:.0%}",
        f"{writing:.0%}",
        f"{seconds['decode'] / n_clips:.3f}",
        f"{seconds['front end'] / n_clips:.3f}",
    ]
    print(f"| {features} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
