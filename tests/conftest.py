"""Real media and small data sets for the tests."""

from pathlib import Path

import pytest

from avsed.annotations import Event
from avsed.clips import ClipRecord
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene

ROOT = Path(__file__).parents[1]


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
