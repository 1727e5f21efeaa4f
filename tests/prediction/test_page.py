"""The page of a prediction, in a real browser."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from avsed.dataset import ffmpeg
from avsed.dataset.ffmpeg import ffmpeg_path, run_ffmpeg
from avsed.errors import AvsedError
from avsed.evaluation.postprocess import DetectedEvent
from avsed.prediction import page as page_module
from avsed.prediction.page import write_page
from avsed.prediction.predict import Prediction
from tests.conftest import read_audio
from tests.helpers.browser import Browser, wait
from tests.helpers.extensible_wav import TONE, extensible

HOSTILE = "<img src=x onerror=alert(1)>\"'&$name.mkv"
LABEL = '</script><b title="'


def predicted(path: Path, *, audio: bool = True, video: bool = True) -> Prediction:
    """Return a prediction of a dog from 2 to 5 s of 8 s."""
    scores = np.zeros((121, 2), np.float32)
    scores[30:76, 0] = 0.9
    return Prediction(
        path=path,
        has_audio=audio,
        has_video=video,
        duration=8.0,
        classes=("Dog", LABEL),
        frame_scores=scores,
        clip_scores=scores.max(axis=0),
        tags=("Dog",),
        events=(
            DetectedEvent(onset=2.0, offset=5.0, label="Dog", score=0.8),
            DetectedEvent(onset=6.5, offset=7.0, label=LABEL, score=0.8),
        ),
        warning="<i>damaged</i>",
    )


def film(path: Path, *codecs: str) -> Path:
    """Create 8 s of sound and images in a format that no browser plays."""
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "testsrc=duration=8:size=322x241:rate=10"),
            *("-f", "lavfi", "-i", "sine=frequency=440:duration=8"),
            *("-c:v", "ffv1", "-c:a", "pcm_s24le", *codecs, str(path)),
        ]
    )
    return path


def opened(browser: Browser, prediction: Prediction, path: Path) -> None:
    """Write a page, open it, and wait for its player."""
    write_page(prediction, path)
    browser.requested.clear()
    browser.complaints.clear()
    browser.open(path)
    wait(lambda: browser.run("media.readyState >= 1 || media.error !== null"))


def playhead(browser: Browser) -> float:
    """Return the position of the playhead, as a share of the timelines."""
    share = browser.run(
        "(playhead.getBoundingClientRect().left - tracks.getBoundingClientRect().left)"
        " / tracks.getBoundingClientRect().width"
    )
    return float(share)


@pytest.mark.slow
def test_the_player_loads_and_timelines_follow_and_seek(browser: Browser, tmp_path: Path) -> None:
    opened(browser, predicted(film(tmp_path / HOSTILE)), tmp_path / "page.html")
    assert browser.run("media.duration") == pytest.approx(8.0, abs=0.1)
    sides = browser.run("[media.videoWidth, media.videoHeight]")
    assert sides == [322, 240]  # even, as H.264 wants them
    assert browser.run("media.currentTime") == 0.0
    assert playhead(browser) == pytest.approx(0.0, abs=0.005)

    # A click on the timelines seeks, and the playhead goes there.
    browser.run("tracks.scrollIntoView({block: 'center'})")
    box = browser.run("(({x, y, width}) => [x, y, width])(tracks.getBoundingClientRect())")
    browser.click(box[0] + 0.6 * box[2], box[1] + 10)
    wait(lambda: browser.run("!media.seeking && media.currentTime > 1"))
    assert browser.run("media.currentTime") == pytest.approx(4.8, abs=0.05)
    assert playhead(browser) == pytest.approx(0.6, abs=0.01)

    # So does an event's button, which a keyboard reaches.
    browser.run("element('rows').querySelector('button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r",
                     windowsVirtualKeyCode=13)  # fmt: skip
    wait(lambda: browser.run("!media.seeking && media.currentTime < 3"))
    assert browser.run("media.currentTime") == pytest.approx(2.0, abs=0.05)
    assert playhead(browser) == pytest.approx(0.25, abs=0.01)

    # The playhead moves as it plays.
    browser.run("media.play()")
    wait(lambda: browser.run("media.currentTime") > 2.5)
    share, second = playhead(browser), browser.run("media.currentTime")
    assert 2.3 / 8 <= share <= second / 8 + 0.01  # it may wait for the next picture
    browser.run("media.pause()")

    # The bars lie where the events are.
    bar = browser.run("(b => [b.style.left, b.style.width])(document.querySelector('.event'))")
    assert bar == ["25%", "37.5%"]


@pytest.mark.slow
def test_what_comes_from_outside_stays_text_and_nothing_is_fetched(
    browser: Browser, tmp_path: Path
) -> None:
    opened(browser, predicted(film(tmp_path / HOSTILE)), tmp_path / "page.html")
    assert browser.run("document.querySelector('h1').textContent") == HOSTILE
    assert browser.run("document.title") == HOSTILE
    assert browser.run("document.querySelectorAll('img, b, i, script').length") == 2
    assert LABEL in browser.run("document.querySelector('#labels').textContent")
    assert LABEL in browser.run("document.querySelectorAll('.event')[1].title")
    assert LABEL in browser.run("element('rows').rows[1].textContent")
    assert browser.run("element('label').options[1].value") == LABEL
    assert "<i>damaged</i>" in browser.run("document.querySelector('main').textContent")
    assert {url.split(":")[0] for url in browser.requested} <= {"file", "data"}
    assert sum(url.startswith("file:") for url in browser.requested) == 1
    assert browser.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("without", ["-vn", "-an"])
def test_sound_alone_and_pictures_alone_play(
    without: str, browser: Browser, tmp_path: Path
) -> None:
    path = film(tmp_path / "half.mkv", without)
    prediction = predicted(path, audio=without != "-an", video=without != "-vn")
    opened(browser, prediction, tmp_path / "page.html")
    assert browser.run("media.error") is None
    assert browser.run("media.tagName") == ("AUDIO" if without == "-vn" else "VIDEO")
    assert browser.run("media.duration") == pytest.approx(8.0, abs=0.1)


@pytest.mark.slow
def test_sound_that_starts_late_starts_late_in_the_page(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    run_ffmpeg(
        [
            *("-f", "lavfi", "-i", "testsrc=duration=8:size=64x48:rate=10"),
            *("-itsoffset", "3", "-f", "lavfi", "-i", "sine=frequency=440:duration=5"),
            str(path),
        ]
    )
    opened(browser, predicted(path), tmp_path / "page.html")
    onset = browser.run(
        """(async () => {
            const bytes = Uint8Array.from(atob(media.src.split(",")[1]), (c) => c.charCodeAt(0));
            const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes.buffer);
            return sound.getChannelData(0).findIndex((x) => Math.abs(x) > 0.02) / sound.sampleRate;
        })()"""
    )
    assert onset == pytest.approx(3.0, abs=0.05)


def test_the_page_is_written_whole_and_escaped(tmp_path: Path) -> None:
    """Checks of the page without a browser."""
    path = film(tmp_path / HOSTILE, "-t", "1")
    write_page(predicted(path), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert HOSTILE in unescape(page) and HOSTILE not in page
    assert LABEL not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert [file.name for file in tmp_path.glob("page*")] == ["page.html"]


def test_no_event_of_the_page_ends_after_its_media(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", "-t", "0.2")
    event = DetectedEvent(onset=1.0004, offset=7.9996, label="Dog", score=0.8)
    write_page(replace(predicted(path), duration=7.9996, events=(event,)), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    described = re.search(r'id="prediction">(.*)</script>', page)
    assert described
    content = json.loads(described[1])
    assert content["duration"] == 7.999
    assert content["events"] == [{"onset": 1.0, "offset": 7.999, "label": "Dog"}]


def test_the_page_has_the_sound_of_a_file_with_unused_bits(tmp_path: Path) -> None:
    (tmp_path / "recorder.wav").write_bytes(extensible(32, 24))
    prediction = predicted(tmp_path / "recorder.wav", video=False)
    write_page(prediction, tmp_path / "page.html")
    encoded = re.search(r"base64,([^\"]+)", (tmp_path / "page.html").read_text("utf-8"))
    assert encoded
    (tmp_path / "sound.mp4").write_bytes(b64decode(encoded[1]))
    sound = read_audio(tmp_path / "sound.mp4", 16_000)
    assert sound[2000:14_000].std() == pytest.approx(TONE.std(), rel=0.05)


def test_a_retry_replaces_the_partial_file_of_an_ffmpeg_that_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = replace(predicted(film(tmp_path / "film.mkv", "-t", "0.2")), duration=0.2)
    write_page(prediction, tmp_path / "expected.html")
    once, script = tmp_path / "once", tmp_path / "ffmpeg"
    leave_part_and_hang = 'for out; do :; done; echo part > "$out"; exec sleep 9'
    script.write_text(
        f'#!/bin/sh\nif mkdir {once}; then {leave_part_and_hang}; fi\nexec {ffmpeg_path()} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    monkeypatch.setattr(page_module, "TIME_LIMIT", 1.0)
    write_page(prediction, tmp_path / "page.html")
    assert once.exists()
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "expected.html").read_bytes()


@pytest.mark.parametrize(
    ("duration", "ticks"),
    [
        (0.4, ["0 s"]),
        (8.0, ["0 s", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s", "7 s"]),
        (150.0, ["0:00", "0:30", "1:00", "1:30", "2:00"]),
        (3600.0, ["0:00", "5:00", "10:00"]),
    ],
)
def test_the_axis_has_whole_steps(duration: float, ticks: list[str], tmp_path: Path) -> None:
    prediction = predicted(film(tmp_path / "film.mkv", "-t", "0.2"))
    write_page(replace(prediction, duration=duration), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    shown = re.findall(r'<div class="tick"[^>]*>([^<>]+)</div>', page)
    assert shown[: len(ticks)] == ticks
    assert len(shown) <= 12


def test_media_that_fill_no_page_and_media_that_are_none_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = predicted(film(tmp_path / "film.mkv", "-t", "1"))
    monkeypatch.setattr(page_module, "LARGEST_MEDIA", 1000)
    with pytest.raises(AvsedError, match=r"MB are more than a page can hold .*; cut the file"):
        write_page(prediction, tmp_path / "page.html")
    (tmp_path / "none.mkv").write_bytes(b"none")
    with pytest.raises(AvsedError, match=r"none\.mkv: cannot be encoded for a browser"):
        write_page(replace(prediction, path=tmp_path / "none.mkv"), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
