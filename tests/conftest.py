"""Real media and small data sets for the tests."""

from pathlib import Path

import pytest

from avsed.annotations import Event
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene

ROOT = Path(__file__).parents[1]


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
