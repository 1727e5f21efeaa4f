"""Audio stays near its time stamps; without gaps, its samples do not change."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.framing import frame_onset
from avsed.prediction.windows import read_windows
from avsed.sources.youtube.cutting import cut_clip
from avsed.sources.youtube.fetching import Video
from avsed.sources.youtube.lists import Segment
from tests.conftest import read_audio, read_images

RATE = 16_000
# A click every half second, in packets of 10 ms.
CLICKS = "aevalsrc='0.9*lt(mod(t,0.5),0.002)*sin(2*PI*1000*t)':sample_rate=44100:duration={}"
PACKETS = "asetnsamples=441,asetpts='{}'"
# Name to the time stamps that are written, in ffmpeg's words, and the same of a time in seconds.
STAMPED: dict[str, tuple[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    "a hole of 93 ms": ("PTS+gte(T,4.3)*0.093/TB", lambda t: t + 0.093 * (t >= 4.3)),
    "a hole of 12 ms": ("PTS+gte(T,4.3)*0.012/TB", lambda t: t + 0.012 * (t >= 4.3)),
    "many holes of 9 ms": ("PTS+floor(T)*0.009/TB", lambda t: t + np.floor(t) * 0.009),
    "slow by 0.1%": ("PTS*1.001", lambda t: t * 1.001),
    "slow by 0.5%": ("PTS*1.005", lambda t: t * 1.005),
    "fast by 0.5%": ("PTS*0.995", lambda t: t * 0.995),
    "slow by 2%": ("PTS*1.02", lambda t: t * 1.02),
    "fast by 2%": ("PTS*0.98", lambda t: t * 0.98),
}


def make(path: Path, *arguments: str) -> Path:
    subprocess.run([ffmpeg_path(), "-v", "error", *arguments, str(path)], check=True)
    return path


def stamped(path: Path, time_stamps: str, duration: float) -> Path:
    clicks = ("-f", "lavfi", "-i", CLICKS.format(duration))
    return make(path, *clicks, "-af", PACKETS.format(time_stamps), "-c:a", "pcm_s16le")


def clicks_in(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the seconds at which clicks start."""
    loud = np.flatnonzero(np.abs(waveform) > 0.2)
    return loud[np.diff(loud, prepend=-RATE) > RATE // 10] / RATE


@pytest.mark.parametrize("name", STAMPED)
def test_clicks_are_found_at_their_time_stamps(name: str, tmp_path: Path) -> None:
    time_stamps, time_of = STAMPED[name]
    path = stamped(tmp_path / "clicks.mkv", time_stamps, 9.8)
    heard = clicks_in(read_audio(path, RATE))
    expected = time_of(np.arange(0.0, 9.8, 0.5))
    assert heard == pytest.approx(expected[expected < 10.0], abs=0.0101)


@pytest.mark.parametrize("name", STAMPED)
def test_clicks_of_long_files_are_found_at_their_time_stamps(name: str, tmp_path: Path) -> None:
    time_stamps, time_of = STAMPED[name]
    path = stamped(tmp_path / "clicks.mkv", time_stamps, 60.0)
    *_, last = read_windows(path, sample_rates=[RATE])  # type: ignore[var-annotated]
    first = frame_onset(last.first_frame)
    heard = first + clicks_in(last.media.waveforms[RATE])[1:]  # the first may be cut in two
    expected = time_of(np.arange(0.0, 60.0, 0.5))
    assert len(heard) > 5
    assert heard == pytest.approx(expected[-len(heard) :], abs=0.0101)


ORDINARY = [
    ("wav", ()),
    ("flac", ()),
    ("mp3", ()),
    ("m4a", ()),
    ("aac", ()),
    ("ogg", ("-c:a", "libopus")),
    ("mka", ("-c:a", "libvorbis")),
    ("webm", ("-c:a", "libopus")),
    ("ts", ()),
    ("wma", ()),
    ("avi", ("-c:a", "mp3")),
    ("flv", ("-c:a", "aac", "-ar", "22050")),
]


@pytest.mark.parametrize("rate", [16_000, 22_100])
@pytest.mark.parametrize(("extension", "options"), ORDINARY)
def test_files_without_holes_keep_their_samples(
    extension: str, options: tuple[str, ...], rate: int, tmp_path: Path
) -> None:
    sound = "aevalsrc=0.4*sin(2*PI*(200*t+40*t*t))|0.3*sin(2*PI*900*t):sample_rate=44100:duration=9"
    path = make(tmp_path / f"sound.{extension}", "-f", "lavfi", "-i", sound, *options)
    assert np.array_equal(read_audio(path, rate), resampled(path, rate))


def resampled(path: Path, rate: int) -> NDArray[np.float32]:
    """Resample a file without a look at time stamps after the first."""
    plain = ("-af", f"aresample={rate}:rematrix_maxval=1:async=1:min_hard_comp=9:first_pts=0")
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), *plain, "-ac", "1", "-f", "f32le"]
    output = subprocess.run([*command, "pipe:"], capture_output=True, check=True).stdout
    return np.frombuffer(output, "<f4")


# Encoders of Vorbis use short packets at transients.
CLAPS = "aevalsrc='0.5*(random(0)-0.5)*exp(-mod(t,0.7)*100)':sample_rate={}:duration=6"


@pytest.mark.parametrize("source_rate", [16_000, 22_050, 32_000, 44_100, 48_000])
def test_transients_in_ogg_vorbis_keep_their_samples(source_rate: int, tmp_path: Path) -> None:
    claps = ("-f", "lavfi", "-i", CLAPS.format(source_rate))
    path = make(tmp_path / "claps.ogg", *claps, "-c:a", "libvorbis")
    assert np.array_equal(read_audio(path, RATE), resampled(path, RATE))
    copied = make(tmp_path / "copied.mka", "-i", str(path), "-c", "copy")  # with its time stamps
    assert np.array_equal(read_audio(copied, RATE), read_audio(path, RATE))


def test_a_hole_in_ogg_vorbis_is_filled(tmp_path: Path) -> None:
    time_stamps, time_of = STAMPED["a hole of 93 ms"]
    sound = stamped(tmp_path / "clicks.mkv", time_stamps, 9.8)
    path = make(tmp_path / "clicks.ogg", "-i", str(sound), "-c:a", "libvorbis")
    expected = time_of(np.arange(0.0, 9.8, 0.5))
    assert clicks_in(read_audio(path, RATE)) == pytest.approx(expected, abs=0.0101)


@pytest.mark.parametrize("name", ["a hole of 93 ms", "many holes of 9 ms", "slow by 0.5%"])
def test_a_cut_clip_keeps_the_time_stamps_of_its_sound(name: str, tmp_path: Path) -> None:
    time_stamps, time_of = STAMPED[name]
    sound = stamped(tmp_path / "sound.mkv", time_stamps, 12.0)
    bars = ("-f", "lavfi", "-i", "testsrc=duration=12:size=64x48:rate=10")
    whole = make(tmp_path / "whole.mkv", *bars, "-i", str(sound), "-c:a", "copy")
    segment = Segment(
        clip_id="Yabcdefghijk_1.250_9.250", video_id="abcdefghijk", start=1.25, duration=8.0
    )
    clip = tmp_path / "clip.mp4"
    cut_clip(Video(path=whole, start=0.0, duration=None), segment, clip)
    expected = time_of(np.arange(0.0, 12.0, 0.5)) - 1.25
    expected = expected[(expected > 0.0) & (expected < 8.0)]
    heard = clicks_in(read_audio(clip, RATE))
    assert heard == pytest.approx(expected, abs=0.0101)


@pytest.mark.parametrize(
    ("extension", "codecs"),
    [
        ("ts", ("-c:v", "libx264", "-c:a", "ac3")),
        ("mpg", ("-c:v", "mpeg2video", "-c:a", "mp2")),
        ("ogv", ("-c:v", "libtheora", "-c:a", "libvorbis")),
        ("mkv", ("-c:v", "libx264", "-c:a", "pcm_s16le")),
    ],
)
@pytest.mark.parametrize("late", ["audio", "video"])
def test_streams_that_are_decoded_apart_keep_their_distance(
    late: str, extension: str, codecs: tuple[str, ...], tmp_path: Path
) -> None:
    """A flash and a click, of which one stream starts 0.4 s after the other."""
    noise = "color=black:size=64x64:rate=25:duration=3,noise=alls=40:allf=t"
    flash = f"{noise},drawbox=c=white:t=fill:enable='gte(t,1)'"
    click = "aevalsrc='0.9*gte(t,1)*lt(t,1.1)*sin(2*PI*1000*t)':sample_rate=48000:duration=3"
    delay = ("-itsoffset", "0.4")
    path = make(
        tmp_path / f"film.{extension}",
        *(*(delay if late == "video" else ()), "-f", "lavfi", "-i", flash),
        *(*(delay if late == "audio" else ()), "-f", "lavfi", "-i", click),
        *("-map", "0", "-map", "1", *codecs),
    )
    onset = clicks_in(read_audio(path, RATE))[0]
    first_white = np.argmax([image.mean() > 128 for image in read_images(path)])
    distance = onset - frame_onset(int(first_white))
    assert distance == pytest.approx(0.4 if late == "audio" else -0.4, abs=0.07)
    window = next(iter(read_windows(path, sample_rates=[RATE], each_image=np.mean)))
    white = [window.media.images[number] > 128 for number in window.media.image_index]
    assert clicks_in(window.media.waveforms[RATE])[0] == pytest.approx(onset, abs=1e-3)
    assert np.argmax(white) == first_white
