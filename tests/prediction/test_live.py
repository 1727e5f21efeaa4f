"""`avsed listen`: the events of a file that is played, errors, and the end."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from avsed.dataset.annotations import Event
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import detect_events
from avsed.framing import FRAME_HOP, N_FRAMES, frame_onset
from avsed.model.decisions import fixed_decisions, write_decisions
from avsed.params import Postprocess
from avsed.prediction.live import EventStream, listen
from avsed.prediction.live_audio import LiveAudio, choose_source
from avsed.prediction.predict import join_windows, predict
from avsed.prediction.trained_model import load_model
from avsed.prediction.windows import WINDOW_HOP
from avsed.sources.demo.render import render_audio
from avsed.sources.demo.scenes import Scene
from avsed.sources.demo.sounds import SAMPLE_RATE
from tests.helpers.models import CLASSES, write_model

LISTEN = [sys.executable, "-m", "avsed.cli", "listen"]


@pytest.fixture
def sound_path(tmp_path: Path) -> Path:
    """Write 14 s of sound with two events, in stereo."""
    scene = Scene(
        clip_id="scene",
        duration=14.0,
        events=(
            Event(onset=2.0, offset=4.0, label="Speech"),
            Event(onset=6.0, offset=12.0, label="Dog"),
        ),
        seed=3,
        background_level=-30.0,
    )
    samples = render_audio(scene)
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1), SAMPLE_RATE)
    return path


@pytest.fixture
def model_dir(tmp_path: Path, sound_path: Path) -> Path:
    """Write a model of spectral features that finds events."""
    return write_detector(tmp_path, sound_path, "spectral")


def write_detector(folder: Path, sound_path: Path, *kinds: str) -> Path:
    """Write a model for which half of the frames of each class are active."""
    model_dir = write_model(folder / "+".join(kinds), *kinds)
    settings = Postprocess(threshold=0.5, median_filter_frames=7, max_gap=0.2, min_event=0.1)
    scores = predict(load_model(model_dir), sound_path).frame_scores
    medians = dict(zip(CLASSES, np.median(scores, axis=0).tolist(), strict=True))
    decisions = fixed_decisions(CLASSES, settings).model_copy(update={"events": medians})
    write_decisions(decisions, model_dir)
    return model_dir


def rounded(events: object) -> list[tuple[float, float, str, float]]:
    assert isinstance(events, list)
    return sorted(
        (round(e.onset, 3), round(e.offset, 3), e.label, round(e.score, 3)) for e in events
    )


@pytest.mark.slow
def test_a_file_that_is_played_has_the_events_of_predict(tmp_path: Path, sound_path: Path) -> None:
    # Two kinds of features, whose sample rates differ.
    model = load_model(write_detector(tmp_path, sound_path, "spectral", "auditory"))
    source = choose_source(str(sound_path), None)
    live = [event for events in listen(model, source) for event in events]
    assert len(live) > 3
    assert rounded(live) == rounded([*predict(model, sound_path).events])


@pytest.mark.slow
def test_events_are_lines_of_json_from_a_pipe(sound_path: Path, model_dir: Path) -> None:
    command = [*LISTEN, "-", "--json", "--model", str(model_dir)]
    with sound_path.open("rb") as pipe:
        done = subprocess.run(command, stdin=pipe, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    expected = predict(load_model(model_dir), sound_path).events
    assert sorted((e["onset"], e["event_label"]) for e in events) == sorted(
        (round(e.onset, 3), e.label) for e in expected
    )
    assert done.stderr.startswith("listening; an event is printed 3.3 to 10.1 s after its end")


@pytest.mark.parametrize("n_frames", [40, N_FRAMES, 900])
@pytest.mark.parametrize(("max_gap", "min_event"), [(0.0, 0.0), (0.5, 0.4)])
def test_a_stream_of_windows_has_the_events_of_the_whole(
    n_frames: int, max_gap: float, min_event: float
) -> None:
    generator = np.random.default_rng(n_frames)
    # Slow noise: runs of all lengths, also over borders of windows.
    noise = generator.standard_normal((n_frames + 20, 2)).cumsum(axis=0)
    scores = (1 / (1 + np.exp(-(noise[20:] - noise[:-20]) / 3))).astype(np.float32)
    settings = Postprocess(
        threshold=0.5, median_filter_frames=7, max_gap=max_gap, min_event=min_event
    )
    decisions = fixed_decisions(("a", "b"), settings)
    model: Any = SimpleNamespace(classes=("a", "b"), decisions=decisions)
    starts = range(0, max(n_frames - (N_FRAMES - WINDOW_HOP), 1), WINDOW_HOP)
    windows = [(first, scores[first : first + N_FRAMES]) for first in starts]
    stream = EventStream(model)
    live = [event for window in windows for event in stream.add(*window)]
    n_early = len(live)
    live += stream.finish(frame_onset(n_frames))
    expected = detect_events(
        join_windows(windows),
        classes=("a", "b"),
        threshold=0.5,
        settings=decisions,
        n_valid=n_frames,
        duration=n_frames * FRAME_HOP,
    )
    assert rounded(live) == rounded([*expected])
    assert n_frames < 900 or n_early > len(expected) / 2


def test_a_source_that_breaks_off_is_an_error_after_its_events(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking = tmp_path / "bin" / "ffmpeg"
    breaking.parent.mkdir()
    breaking.write_text(
        "#!/bin/bash\n"
        "for word; do [[ $word == pipe:* ]] && fd=${word#pipe:}; done\n"
        "head -c 300000 /dev/zero >&$fd\n"
        "echo Connection reset by peer >&2; exit 1\n"
    )
    breaking.chmod(0o755)
    monkeypatch.setattr("avsed.prediction.live_audio.ffmpeg_path", lambda: str(breaking))
    heard = listen(load_model(model_dir), choose_source("rtsp://camera", None))
    assert len([next(heard), next(heard)]) == 2  # of the only window, and at the end
    with pytest.raises(AvsedError, match=r"rtsp://camera: broke off \(Connection reset by peer"):
        next(heard)


def test_a_long_source_waits_to_be_scored(sound_path: Path) -> None:
    path = sound_path.with_name("long.wav")
    soundfile.write(path, np.zeros(200 * 16_000), 16_000)
    with LiveAudio(choose_source(str(path), None), [16_000]) as audio:
        windows = audio.read_windows()
        next(windows)
        time.sleep(0.5)  # ffmpeg could have decoded all
        (stream,) = audio._streams.values()
        assert len(stream._kept) <= 75 * 16_000
        assert sum(1 for _ in windows) > 25


def test_a_model_that_needs_the_whole_sound_is_refused(sound_path: Path, model_dir: Path) -> None:
    model = load_model(model_dir)
    model = replace(model, decisions=model.decisions.model_copy(update={"method": "boxes"}))
    with pytest.raises(AvsedError, match=r"bounding boxes, which are found in the whole sound"):
        next(listen(model, choose_source(str(sound_path), None)))


def test_a_model_with_images_is_refused(tmp_path: Path, sound_path: Path) -> None:
    model = load_model(write_model(tmp_path / "model", "visual_efficientnet"))
    message = "the model needs visual_efficientnet features, of images too; listen with"
    with pytest.raises(AvsedError, match=message):
        next(listen(model, choose_source(str(sound_path), None)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.wav"], "absent.wav: cannot be read (Error opening input"),
        (["-"], "standard input: cannot be read ("),
        (["x", "--device", "nokind"], "x: cannot be read (Unknown input format: 'nokind'"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(
    arguments: list[str], message: str, model_dir: Path
) -> None:
    command = [*LISTEN, *arguments, "--model", str(model_dir)]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_ctrl_c_ends_it_in_one_line(model_dir: Path) -> None:
    process = subprocess.Popen(
        [*LISTEN, "-", "--model", str(model_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert process.stderr.readline().startswith("listening;")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted; what is finished is kept"
