"""Windows of long media: contents, positions, and the end of the file."""

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

from avsed.dataset import ffmpeg
from avsed.dataset.ffmpeg import DecodeError, ffmpeg_path
from avsed.dataset.media import Image, read_media
from avsed.framing import FRAME_HOP, N_FRAMES
from avsed.prediction.windows import WINDOW_HOP, Window, read_windows

RATE = 16_000


def make(path: Path, *arguments: str) -> Path:
    subprocess.run([ffmpeg_path(), "-v", "error", *arguments, str(path)], check=True)
    return path


def rising(duration: float) -> tuple[str, ...]:
    """A tone whose frequency encodes the time."""
    return ("-f", "lavfi", "-i", f"aevalsrc=0.5*sin(2*PI*(200*t+20*t*t)):s={RATE}:d={duration}")


def bars(duration: float) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc=duration={duration}:size=64x48:rate=25")


def windows_of(path: Path) -> list[Window[Image]]:
    return list(read_windows(path, sample_rates=[RATE], each_image=lambda image: image))


def pictures(window: Window[Image]) -> list[Image]:
    return [window.media.images[number] for number in window.media.image_index]


@pytest.fixture(scope="module")
def half_a_minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "half a minute.mkv"
    return make(path, *bars(30), *rising(30), "-c:v", "ffv1", "-c:a", "pcm_s16le")


def test_windows_share_a_third_and_end_with_the_file(half_a_minute: Path) -> None:
    windows = windows_of(half_a_minute)
    assert [window.first_frame for window in windows] == [0, 101, 202, 303]
    assert [window.duration for window in windows[:3]] == [10.0, 10.0, 10.0]
    assert windows[3].duration == pytest.approx(30 - 303 * FRAME_HOP, abs=0.001)


def test_the_first_window_is_what_is_read_of_a_clip(half_a_minute: Path) -> None:
    first = windows_of(half_a_minute)[0].media
    clip = read_media(half_a_minute, sample_rates=[RATE], each_image=lambda image: image)
    # All but the last samples, where a clip ends and its resampling has nothing to go on with.
    assert np.array_equal(first.waveforms[RATE][:-100], clip.waveforms[RATE][:-100])
    assert np.array_equal(first.image_index, clip.image_index)
    assert np.array_equal(first.images, clip.images)


def test_windows_hold_the_same_where_they_overlap(half_a_minute: Path) -> None:
    for one, next_one in itertools.pairwise(windows_of(half_a_minute)):
        start = round(next_one.first_frame * FRAME_HOP * RATE) - round(
            one.first_frame * FRAME_HOP * RATE
        )
        shared = one.media.waveforms[RATE][start:]
        assert np.array_equal(shared, next_one.media.waveforms[RATE][: len(shared)])
        assert np.array_equal(pictures(one)[WINDOW_HOP:], pictures(next_one)[: 151 - WINDOW_HOP])


def test_a_window_holds_the_sound_and_the_pictures_of_its_seconds(half_a_minute: Path) -> None:
    window = windows_of(half_a_minute)[2]
    onset = 202 * FRAME_HOP
    for second in (0.0, 4.0, 9.5):
        start = round(second * RATE)
        spectrum = np.abs(np.fft.rfft(window.media.waveforms[RATE][start : start + RATE // 2]))
        # Over half a second the frequency rises by 20 Hz, evenly around that of its middle.
        heard = np.average(np.arange(len(spectrum)) * 2.0, weights=spectrum**2)
        assert heard == pytest.approx(200 + 40 * (onset + second + 0.25), abs=1.0)
    every = all_pictures(half_a_minute)
    for frame, picture in enumerate(pictures(window)):
        position = (onset + frame * FRAME_HOP) * 25
        if abs(position % 1 - 0.5) > 0.02:  # no tie
            assert np.array_equal(picture, every[round(position)])


def all_pictures(path: Path) -> list[Image]:
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24"]
    raw = subprocess.run([*command, "pipe:"], capture_output=True, check=True).stdout
    return list(np.frombuffer(raw, np.uint8).reshape(-1, 48, 64, 3))


@pytest.mark.parametrize("duration", [3.0, 10.0, 10.05])
def test_a_clip_is_one_window_even_if_its_codec_pads_it(duration: float, tmp_path: Path) -> None:
    path = make(tmp_path / "clip.wav", *rising(duration))
    (window,) = read_windows(path, sample_rates=[RATE])  # type: ignore[var-annotated]
    assert window.duration == pytest.approx(min(duration, 10.0))


def test_where_a_stream_ends_early_silence_and_the_last_picture_follow(tmp_path: Path) -> None:
    *_, last = windows_of(make(tmp_path / "sound.mkv", *bars(4), *rising(24)))
    assert last.media.image_index.tolist() == [0]  # held by the extractor
    assert last.media.warning == "its video ends at 4.0 s of 24.0 s"
    *_, last = windows_of(make(tmp_path / "pictures.mkv", *bars(24), *rising(4)))
    assert last.media.waveforms[RATE].size == 0
    assert last.media.warning == "its audio ends at 4.0 s of 24.0 s"
    assert last.first_frame * FRAME_HOP + last.duration == pytest.approx(24.0, abs=0.05)


def test_pictures_that_come_once_in_a_long_while_stay_until_the_next(tmp_path: Path) -> None:
    slides = ("-f", "lavfi", "-i", "testsrc=duration=60:size=64x48:rate=1/15")
    windows = windows_of(make(tmp_path / "slides.mkv", *slides, *rising(60)))
    # Pictures come at 0, 15, 30 and 45 s; a frame has the nearest, which changes at 7.5 s, ...
    changes = {
        window.first_frame + int(frame)
        for window in windows
        for frame in np.flatnonzero(np.diff(window.media.image_index)) + 1
    }
    onsets = [frame * FRAME_HOP for frame in sorted(changes)]
    assert onsets == pytest.approx([7.5, 22.5, 37.5], abs=FRAME_HOP)
    assert all(len(window.media.image_index) == N_FRAMES for window in windows[:-3])


def test_windows_are_decoded_when_they_are_asked_for(half_a_minute: Path) -> None:
    seen: list[None] = []
    windows = read_windows(half_a_minute, each_image=lambda image: seen.append(None))
    next(windows)
    assert 100 < len(seen) <= N_FRAMES + 2
    windows.close()


def test_what_has_no_sound_cannot_be_read_as_such(tmp_path: Path) -> None:
    silent = make(tmp_path / "silent.mkv", *bars(12))
    with pytest.raises(DecodeError, match="audio: there is none"):
        windows_of(silent)


def test_audio_that_changes_its_channels_after_minutes_is_read_to_the_end(tmp_path: Path) -> None:
    content = b""
    for number, (layout, n_channels) in enumerate((("stereo", 2), ("5.1", 6))):
        heard = "|".join(["0.5*sin(2*PI*440*t)", *["0"] * (n_channels - 1)])
        source = f"aevalsrc='{heard}':channel_layout={layout}:duration=30:sample_rate=44100"
        part = make(tmp_path / f"{number}.aac", "-f", "lavfi", "-i", source, "-b:a", "192k")
        content += part.read_bytes()
    path = tmp_path / "joined.aac"
    path.write_bytes(content)
    windows = list(read_windows(path, sample_rates=[RATE]))  # type: ignore[var-annotated]
    last = windows[-1]
    assert last.first_frame * FRAME_HOP + last.duration == pytest.approx(60.0, abs=0.2)
    assert last.media.warning == ""
    levels = [np.sqrt(2 * np.mean(window.media.waveforms[RATE] ** 2)) for window in windows]
    assert levels[:3] == pytest.approx([0.25] * 3, rel=0.05)
    assert levels[6:] == pytest.approx([0.5 / 6] * len(levels[6:]), rel=0.05)


def test_one_picture_for_the_whole_sound_and_a_broken_cover_are_no_faults(tmp_path: Path) -> None:
    still = ("-f", "lavfi", "-i", "testsrc=size=64x48:duration=0.04")
    *_, last = windows_of(make(tmp_path / "music.mp4", *still, *rising(14)))
    assert last.media.warning == ""
    cover = ("-map", "0", "-map", "1", "-c:v", "png", "-disposition:v", "attached_pic")
    path = make(tmp_path / "song.mp3", *rising(14), *still, *cover)
    path.write_bytes(path.read_bytes().replace(b"\x89PNG\r\n\x1a\n", b"no image"))
    *_, last = read_windows(path, sample_rates=[RATE])
    assert last.media.warning == ""


def test_an_ffmpeg_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper = tmp_path / "ffmpeg"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(sleeper))
    monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 0.2)
    with pytest.raises(DecodeError, match=r"audio: ffmpeg hangs after 0\.0 s"):
        next(read_windows(tmp_path / "any.wav", sample_rates=[RATE]))
