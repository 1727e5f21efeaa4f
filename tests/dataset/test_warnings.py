"""Whole files get no warning, and damaged streams do."""

import subprocess
from pathlib import Path

import pytest

from avsed.dataset.ffmpeg import ffmpeg_path, first_error, first_warning
from avsed.dataset.inspection import inspect_clip, probe

# 2.5 s of silence before 2.5 s of noise: the first frames tell nothing of the bit rate.
QUIET_THEN_LOUD = "aevalsrc='gte(t,2.5)*(random(0)-0.5)':duration=5:sample_rate=44100"
LOUD_THEN_QUIET = "aevalsrc='lt(t,2.5)*(random(0)-0.5)':duration=5:sample_rate=44100"
TONE = ("-f", "lavfi", "-i", "sine=duration=2")
PNG = b"\x89PNG\r\n\x1a\n"


def make(path: Path, *arguments: str) -> Path:
    subprocess.run([ffmpeg_path(), "-v", "error", *arguments, str(path)], check=True)
    return path


def described(path: Path) -> str:
    """Return ffmpeg's description of a file."""
    command = [ffmpeg_path(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True).stderr.decode()


@pytest.mark.parametrize("sound", [QUIET_THEN_LOUD, LOUD_THEN_QUIET])
@pytest.mark.parametrize(
    ("name", "options"),
    [("vbr.mp3", ("-q:a", "2", "-write_xing", "0")), ("vbr.aac", ("-q:a", "2"))],
)
def test_a_duration_guessed_from_the_bit_rate_proves_no_early_end(
    name: str, options: tuple[str, ...], sound: str, tmp_path: Path
) -> None:
    path = make(tmp_path / name, "-f", "lavfi", "-i", sound, *options)
    assert "Estimating duration from bitrate" in described(path)
    streams = probe(path)
    assert streams.duration == pytest.approx(5.0, abs=0.1)
    assert streams.warning == ""


def covered(path: Path, codec: str) -> Path:
    cover = ("-f", "lavfi", "-i", "testsrc=size=64x48:duration=0.04", "-c:v", codec)
    mapped = ("-map", "0", "-map", "1", "-disposition:v", "attached_pic")
    return make(path, *TONE, *cover, *mapped)


@pytest.mark.parametrize("extension", ["mp3", "flac", "m4a"])
@pytest.mark.parametrize("codec", ["png", "mjpeg"])
def test_damage_of_a_cover_is_no_damage_of_the_sound(
    codec: str, extension: str, tmp_path: Path
) -> None:
    path = covered(tmp_path / f"song.{extension}", codec)
    content = path.read_bytes()
    if codec == "png":
        content = content.replace(PNG, b"no image")
    else:  # all but its start
        start = content.index(b"\xff\xd8\xff") + 10
        end = content.index(b"\xff\xd9", start)
        content = content[:start] + bytes(end - start) + content[end:]
    path.write_bytes(content)
    streams = probe(path)
    assert streams.duration == pytest.approx(2.0, abs=0.1)
    assert (streams.has_video, streams.warning) == (False, "")


def test_damage_of_pictures_that_are_used_is_told_of(tmp_path: Path) -> None:
    path = make(tmp_path / "film.avi", "-f", "lavfi", "-i", "testsrc=duration=2:size=64x48", *TONE)
    path = make(tmp_path / "png.avi", "-i", str(path), "-c:v", "png")
    content = path.read_bytes()
    tenth = content.split(PNG, 10)[-1]
    path.write_bytes(content.replace(PNG + tenth, b"hello" * 20 + tenth[92:]))
    assert "damaged: " in probe(path).warning


def test_one_picture_for_the_whole_sound_is_no_early_end(tmp_path: Path) -> None:
    still = ("-f", "lavfi", "-i", "testsrc=size=64x48:duration=0.04")
    path = make(tmp_path / "music.mp4", "-f", "lavfi", "-i", "sine=duration=8", *still)
    streams = probe(path)
    assert (streams.has_video, streams.warning) == (True, "")
    assert streams.duration == pytest.approx(8.0, abs=0.05)


def test_pictures_that_move_and_end_early_are_told_of(tmp_path: Path) -> None:
    brief = ("-f", "lavfi", "-i", "testsrc=duration=2:size=64x48")
    path = make(tmp_path / "brief.mp4", "-f", "lavfi", "-i", "sine=duration=8", *brief)
    assert probe(path).warning == "its video ends at 2.0 s of 8.0 s"


def test_messages_of_streams_that_are_not_used_are_passed_over() -> None:
    log = "[png @ 0x5637ef4e26c0] Invalid PNG signature\n[h264 @ 0x5637] [x] no frame!\n"
    assert first_error(log, {"png"}) == "no frame!"
    assert first_error(log) == "Invalid PNG signature"
    assert first_warning(log, {"png", "h264"}) == ""
    assert first_error(log, {"png", "h264"}) == "nothing can be decoded"


@pytest.mark.parametrize(
    ("sound", "name", "warning"),
    [
        (LOUD_THEN_QUIET, "end.mp3", "the last 2.5 s of its audio are silent"),
        (LOUD_THEN_QUIET, "end.ogg", "the last 2.5 s of its audio are silent"),
        (QUIET_THEN_LOUD, "start.flac", ""),
        ("sine=frequency=440:duration=2,apad=pad_dur=0.9", "short.wav", ""),
        ("sine=frequency=440:duration=2,volume=-60dB,apad=pad_dur=0.9", "quiet.wav", ""),
        ("anullsrc=sample_rate=16000:duration=5", "all.m4a", "its audio is silent"),
    ],
)
def test_silence_at_the_end_of_a_clip_is_told_of(
    sound: str, name: str, warning: str, tmp_path: Path
) -> None:
    path = make(tmp_path / name, "-f", "lavfi", "-i", sound)
    assert inspect_clip("clip", path).reason == warning
    assert probe(path).warning == ""  # which `predict` repeats
