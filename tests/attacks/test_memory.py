"""Memory use of 2,000 clips compared with 200, and training on features that exceed the memory."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from avsed.dataset.annotations import AnnotatedClip, write_classes, write_list
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.dataset.shards import Shard, write_shard
from tests.conftest import ROOT

pytestmark = [pytest.mark.attack, pytest.mark.slow]

FEW, MANY = 200, 2_000  # clips
MB = 2**20
GROUPS = Path("/sys/fs/cgroup")

# A program that extracts or trains and finally prints its peak memory.
MEASURED = """
import resource, sys, threading, time
from pathlib import Path

peak = 0

def watch():
    global peak
    while True:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
{work}
print(f"peak {{peak}} {{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}}")
"""

EXTRACT = """
from dataclasses import replace
from avsed.dataset.inspection import inspect_clip
from avsed.features.extraction.extract import extract_features
from tests.helpers.models import RECIPES

media = Path({media!r})
(first, *_), n_clips = sorted(media.iterdir()), {n_clips}
one = inspect_clip("one", first)
records = [
    replace(one, clip_id=path.stem, file=path.name) for path in sorted(media.iterdir())[:n_clips]
]
extract_features(
    {{"spectral": RECIPES["spectral"]}},
    records,
    clips_dir=media,
    out_dir=Path({out!r}),
    clips_per_shard=32,
)
"""

TRAIN = """
from functools import partial
from avsed.training.batches import open_training_data
from avsed.training.train import train_variant
from tests.helpers.models import PARAMS
from tests.helpers.training import FUSION, SHORT

train_variant(
    partial(
        open_training_data, Path({features!r}), Path({metadata!r}), ("visual",), made_by=PARAMS
    ),
    FUSION,
    SHORT.model_copy(update={{"n_seeds": 1}}),
    out_dir=Path({out!r}),
    curve_dir=Path({out!r} + "-curve"),
)
"""


def measure(work: str, store: Path, *, group: Path | None = None) -> dict[str, int]:
    """Run a program and return its peak memory in MB, without and with mapped files."""
    command = [sys.executable, "-c", MEASURED.format(work=work)]
    if group:  # the shell joins the group and then executes the program
        command = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "AVSED_STORE": str(store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr[-4000:]}"
    peak = done.stdout.splitlines()[-1].split()[1:]
    names = ("own", "whole")
    return {name: int(kb) // 1024 for name, kb in zip(names, peak, strict=True)}


def link_clips(folder: Path) -> None:
    """Link many names to one small file."""
    folder.mkdir()
    pictures = ("-f", "lavfi", "-i", "color=gray:duration=0.4:size=32x32:rate=5")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=0.4:sample_rate=16000")
    first = folder / "clip-0000.mp4"
    command = [ffmpeg_path(), "-v", "error", *pictures, *sound, str(first)]
    subprocess.run(command, check=True)
    for number in range(1, MANY):
        (folder / f"clip-{number:04d}.mp4").hardlink_to(first)


def test_extraction_takes_no_more_memory_for_more_clips(tmp_path: Path) -> None:
    """Only spectral features, which take minutes; a network would take seconds per clip."""
    link_clips(tmp_path / "media")
    taken = {
        n_clips: measure(
            EXTRACT.format(
                media=str(tmp_path / "media"), n_clips=n_clips, out=str(tmp_path / f"{n_clips}")
            ),
            tmp_path / f"store-{n_clips}",
        )
        for n_clips in (FEW, MANY)
    }
    print(taken)
    # The features of 1,800 spectrograms are 278 MB; a shard has those of some 32.
    assert taken[MANY]["whole"] - taken[FEW]["whole"] < 100, taken


def write_features(folder: Path, n_clips: int) -> None:
    """Write visual features of realistic size that differ between clips."""
    rng = np.random.default_rng(0)
    names = [f"clip-{number:04d}" for number in range(n_clips)]
    for part, start in enumerate(range(0, n_clips, 100)):
        features = np.zeros((100, 151, 4096), np.float16)
        features[:, :, :64] = rng.standard_normal((100, 151, 64))
        shard = Shard(
            clip_ids=tuple(names[start : start + 100]),
            features=features,
            valid_frames=np.full(100, 151, np.int16),
            left_out={},
            provenance={},
            code="code",
            key=f"{n_clips}-{part}",
        )
        write_shard(folder / "features" / "visual" / f"part-{part:05d}.h5", shard)
    write_classes(folder / "metadata", ("Cat", "Dog", "Speech"))
    for split, clip_ids in (
        ("weak", names[: n_clips // 10]),
        ("unlabeled", names[n_clips // 10 :]),
    ):
        clips = [AnnotatedClip(clip_id=clip_id, tags=("Cat",), events=()) for clip_id in clip_ids]
        write_list(folder / "metadata", split, clips)


@contextmanager
def limited_memory(n_bytes: int) -> Iterator[Path]:
    """Create a control group that limits the memory of its processes."""
    version_2 = (GROUPS / "cgroup.controllers").exists()
    group = (GROUPS if version_2 else GROUPS / "memory") / f"avsed-test-{os.getpid()}"
    limit = group / ("memory.max" if version_2 else "memory.limit_in_bytes")
    try:
        group.mkdir()
        limit.write_text(str(n_bytes))
    except OSError as error:
        pytest.skip(f"no group of limited memory can be made here ({error})")
    try:
        yield group
    finally:
        group.rmdir()


def test_training_on_more_than_the_memory_ends_in_the_same_weights(tmp_path: Path) -> None:
    """2,000 clips are 2.5 GB; 1.2 GB must suffice."""

    def train(n_clips: int, out: str, group: Path | None = None) -> dict[str, int]:
        folder = tmp_path / str(n_clips)
        work = TRAIN.format(
            features=str(folder / "features"),
            metadata=str(folder / "metadata"),
            out=str(folder / out),
        )
        return measure(work, tmp_path / f"store-{n_clips}-{out}", group=group)

    for n_clips in (FEW, MANY):
        write_features(tmp_path / str(n_clips), n_clips)
    taken = {"unlimited": train(MANY, "unlimited")}
    with limited_memory(1200 * MB) as group:
        taken["few"] = train(FEW, "limited", group)
        taken["many"] = train(MANY, "limited", group)
    print(taken)
    assert taken["unlimited"]["own"] > 2400, taken  # features are kept in memory if they fit
    assert taken["many"]["own"] - taken["few"]["own"] < 100, taken
    weights = [
        load_file(tmp_path / str(MANY) / out / "seeds" / "seed-00.safetensors")
        for out in ("unlimited", "limited")
    ]
    assert all(weights[0][name].equal(weights[1][name]) for name in weights[0])
