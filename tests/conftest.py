"""Real media and small data sets for the tests."""

import fnmatch
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avsed.cli import main
from avsed.dataset.annotations import Event
from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import DecodeError
from avsed.dataset.media import Image, Media, read_media
from avsed.features.extraction.batching import embed_clips
from avsed.features.extractor import Extractor
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene

ROOT = Path(__file__).parents[1]

# One of several processes that run tests side by side (pytest-xdist).
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
# Files whose tests share what takes long to set up, by what that is. They are started first.
SHARED_BY = {
    "tests/test_docs.py": "demo",
    "tests/test_pipeline.py": "demo",
    "tests/dataset/test_broken_media.py": "networks",
    "tests/features/extraction/test_batching.py": "networks",
    "tests/features/test_alignment.py": "networks",
    "tests/features/test_features.py": "networks",
    "tests/features/test_pretrained.py": "networks",
}

signal.signal(signal.SIGINT, signal.default_int_handler)  # avsed.cli has taken it


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have one process run the tests of a file, and of files that share what takes long."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return SHARED_BY.get(path, path)

    config.option.loadscopereorder = False  # by number of tests, which says little
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes long, so that the processes end at about the same time."""
    if IS_WORKER:
        order = [*dict.fromkeys(SHARED_BY.values())]
        groups = {item: SHARED_BY.get(item.nodeid.partition("::")[0]) for item in items}
        items.sort(key=lambda item: order.index(g) if (g := groups[item]) else len(order))


def run_avsed(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command `avsed`; give its exit status."""
    monkeypatch.setattr(sys, "argv", ["avsed", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code
    return 0


def whole_files(folder: Path, pattern: str) -> list[Path]:
    """Find files below a folder, but for those that are being written."""
    return [
        Path(parent) / name
        for parent, _, names in os.walk(folder)  # unlike rglob, bears folders that vanish
        for name in fnmatch.filter(names, pattern)
        if not parent.endswith(".part")
    ]


def clip_record(
    clip_id: str, *, has_audio: bool = True, has_video: bool = True, duration: float = 10.0
) -> ClipRecord:
    """Record a clip that was had."""
    return ClipRecord(
        clip_id=clip_id,
        file=f"{clip_id}.wav",
        status="ok",
        reason="",
        has_audio=has_audio,
        has_video=has_video,
        duration=duration,
        sha256=f"hash of {clip_id}",
    )


def read_audio(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Decode a file's audio, which it must have."""
    media: Media[object] = read_media(path, sample_rates=[sample_rate])
    if media.errors:
        raise DecodeError(media.errors["audio"])
    return media.waveforms[sample_rate]


def read_images(path: Path) -> list[Image]:
    """Decode the picture of each frame of a file, which must have pictures."""
    media = read_media(path, each_image=lambda image: image)
    if media.errors:
        raise DecodeError(media.errors["video"])
    return [media.images[number] for number in media.image_index]


def features_of(extractor: Extractor, path: Path, duration: float) -> NDArray[np.float32]:
    """Compute one clip's features."""
    record = replace(clip_record(path.stem, duration=duration), file=path.name)
    kind = extractor.spec.kind
    found = embed_clips(
        {kind: extractor}, {kind: [record]}, clips_dir=path.parent, on_clip=lambda: None
    )
    assert not found[kind].left_out
    return found[kind].features[path.stem].astype(np.float32)


@pytest.fixture(autouse=True)
def one_core() -> None:
    """Compute on one core in each of several processes, also after a test of training.

    Threads that wait for each other would take the cores from the other processes.
    """
    if IS_WORKER:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each test's work in progress apart from the repository's."""
    monkeypatch.setenv("AVSED_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an mp4 file of 4 s with sound and pictures."""
    path = tmp_path_factory.mktemp("media") / "Ydemo_x00000_0.000_4.000.mp4"
    event = Event(onset=1.0, offset=3.0, label="Alarm_bell_ringing")
    render_clip(
        Scene(clip_id=path.stem, duration=4.0, events=(event,), seed=7, background_level=-30.0),
        path,
    )
    return path


@pytest.fixture(scope="session")
def finished_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the small demo once for all tests, and commit what it made; they work in copies."""
    from tests.helpers.cloned import copy_repository

    clone = copy_repository(tmp_path_factory.mktemp("demo"))
    clone.run("dvc", "repro")
    clone.commit()
    return clone.path
