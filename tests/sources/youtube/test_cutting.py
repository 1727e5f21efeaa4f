"""Cutting of clips: exact starts, and errors for invalid files."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.framing import IMAGE_RATE
from avsed.sources.youtube.cutting import cut_clip
from avsed.sources.youtube.failures import FetchError, Outcome
from avsed.sources.youtube.fetching import Video
from avsed.sources.youtube.lists import Segment
from tests.conftest import read_audio, read_images

RATE = 25  # pictures a second
CLICK = 8.0  # second of the click in the video
# Picture n is as bright as 30 + 2 (n mod 100): its number can be read off. One keyframe only.
COUNTER = f"nullsrc=size=64x48:rate={RATE}:duration=30,geq=lum='30+2*mod(N,100)':cb=128:cr=128"
CLICKS = f"aevalsrc='lt(abs(t-{CLICK}),0.002)*sin(2*PI*1000*t)':duration=30:sample_rate=44100"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a video of 30 s whose images and sound encode the time."""
    path = tmp_path_factory.mktemp("whole") / "whole.mp4"
    inputs = ("-f", "lavfi", "-i", COUNTER, "-f", "lavfi", "-i", CLICKS)
    make(path, *inputs, "-g", "9999", "-qp", "4", "-bf", "2")
    return path


def make(path: Path, *arguments: str) -> None:
    subprocess.run([ffmpeg_path(), "-v", "error", *arguments, str(path)], check=True)


def number_of(image: NDArray[np.uint8]) -> float:
    """Return an image's number, which is its brightness; luma 16 to 235 is shown as 0 to 255."""
    return float((image.mean() * 219 / 255 + 16 - 30) / 2)


def pictures_apart(number: float, time: float) -> float:
    distance = abs(number - time * RATE) % 100
    return min(distance, 100 - distance)


def segment(start: float, duration: float = 10.0) -> Segment:
    clip_id = f"Yabcdefghijk_{start:.3f}_{start + duration:.3f}"
    return Segment(clip_id=clip_id, video_id="abcdefghijk", start=start, duration=duration)


def video(path: Path, start: float = 0.0, duration: float | None = None) -> Video:
    return Video(path=path, start=start, duration=duration)


@pytest.mark.parametrize("start", [0.0, 5.0, 7.373, 7.999])
def test_picture_and_sound_start_where_asked(whole: Path, tmp_path: Path, start: float) -> None:
    path = tmp_path / "clip.mp4"
    record = cut_clip(video(whole), segment(start), path)
    assert record.duration == pytest.approx(10.0, abs=0.03)

    assert pictures_apart(number_of(read_images(path)[0]), start) <= 1

    sample_rate = 44_100
    waveform = np.abs(read_audio(path, sample_rate))
    # Within 2 ms, the click's own half-width.
    assert waveform.argmax() / sample_rate == pytest.approx(CLICK - start, abs=0.002)


def test_pictures_keep_their_times_to_the_end(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    cut_clip(video(whole), segment(3.0), path)
    numbers = [number_of(image) for image in read_images(path)]
    times = np.arange(len(numbers)) / float(IMAGE_RATE)
    for number, time in zip(numbers, 3.0 + times, strict=True):
        assert pictures_apart(number, time) <= 1


def test_a_part_of_a_video_is_cut_by_the_videos_time(whole: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.mp4"
    make(part, "-ss", "6", "-t", "11", "-i", str(whole))
    path = tmp_path / "clip.mp4"
    cut_clip(video(part, start=6.0, duration=30.0), segment(7.0), path)
    waveform = np.abs(read_audio(path, 44_100))
    assert waveform.argmax() / 44_100 == pytest.approx(CLICK - 7.0, abs=0.002)


def test_a_large_picture_is_made_smaller_and_sides_become_even(tmp_path: Path) -> None:
    for name, size, expected in (
        ("wide", "1282x721", (360, 640)),
        ("tall", "721x1282", (640, 360)),
        ("odd", "65x33", (32, 64)),
    ):
        source = tmp_path / f"{name}.mkv"
        bars = ("-f", "lavfi", "-i", f"testsrc=duration=1:size={size}:rate=10")
        make(source, *bars, "-c:v", "ffv1")
        path = tmp_path / f"{name}.mp4"
        cut_clip(video(source), segment(0.0, 1.0), path)
        shape = read_images(path)[0].shape[:2]
        assert shape == pytest.approx(expected, abs=2)


def test_a_clip_at_the_videos_end_is_shorter(whole: Path, tmp_path: Path) -> None:
    record = cut_clip(video(whole, duration=30.0), segment(24.0), tmp_path / "clip.mp4")
    assert record.status == "ok"
    assert record.duration == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize(("audio", "images"), [(24.0, 30.0), (30.0, 24.0)])
def test_sound_may_end_before_the_pictures_and_the_other_way_round(
    audio: float, images: float, tmp_path: Path
) -> None:
    source = tmp_path / "uneven.mp4"
    image = ("-f", "lavfi", "-i", f"testsrc=duration={images}:size=64x48:rate=10")
    make(source, *image, "-f", "lavfi", "-i", f"sine=duration={audio}")
    record = cut_clip(video(source), segment(20.0), tmp_path / "clip.mp4")
    assert (record.status, record.has_audio, record.has_video) == ("ok", True, True)


def test_a_video_without_sound_is_a_clip_without_sound(tmp_path: Path) -> None:
    source = tmp_path / "mute.mp4"
    make(source, "-f", "lavfi", "-i", "testsrc=duration=11:size=64x48:rate=10")
    record = cut_clip(video(source), segment(0.0), tmp_path / "clip.mp4")
    assert (record.has_audio, record.has_video) == (False, True)


def refused(
    source: Path, start: float, tmp_path: Path, duration: float | None = None
) -> FetchError:
    with pytest.raises(FetchError) as caught:
        cut_clip(video(source, duration=duration), segment(start), tmp_path / "clip.mp4")
    return caught.value


def test_a_video_that_ends_before_the_clip_is_gone_for_it(whole: Path, tmp_path: Path) -> None:
    error = refused(whole, 30.0, tmp_path)
    assert error.outcome is Outcome.GONE
    assert str(error) == "shortened: the video ends at 30 s, the clip starts at 30 s"


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "audio.m4a"
    make(source, "-f", "lavfi", "-i", "sine=duration=11")
    error = refused(source, 0.0, tmp_path)
    assert (error.outcome, error.category) == (Outcome.TEMPORARY, "no video")


def test_a_file_that_was_cut_short_is_tried_again(whole: Path, tmp_path: Path) -> None:
    # In Matroska the index comes first, so that what is left can be decoded.
    indexed, source = tmp_path / "indexed.mkv", tmp_path / "cut.mkv"
    make(indexed, "-i", str(whole), "-c", "copy")
    content = indexed.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    error = refused(source, 10.0, tmp_path)
    assert (error.outcome, error.category) == (Outcome.TEMPORARY, "damaged")
    assert "too early" in error.reason


def test_a_file_shorter_than_the_site_says_is_tried_again(whole: Path, tmp_path: Path) -> None:
    error = refused(whole, 25.0, tmp_path, duration=60.0)
    assert (error.outcome, error.category) == (Outcome.TEMPORARY, "damaged")


@pytest.mark.parametrize("content", [b"", b"junk" * 999, b"<html>no video</html>"])
def test_what_is_no_media_is_tried_again(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "no.mp4"
    source.write_bytes(content)
    assert refused(source, 0.0, tmp_path).outcome is Outcome.TEMPORARY
