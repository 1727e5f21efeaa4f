"""Decoding of real files, damaged files, and files with missing or late streams."""

import io
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avsed.dataset import ffmpeg, media
from avsed.dataset.ffmpeg import DecodeError, ffmpeg_path
from avsed.dataset.inspection import probe
from avsed.dataset.media import Media, read_media
from avsed.errors import AvsedError
from avsed.framing import FRAME_HOP
from avsed.prediction.windows import read_windows
from tests.conftest import read_audio, read_images


def make(path: Path, *arguments: str) -> Path:
    """Create a media file with ffmpeg."""
    subprocess.run([ffmpeg_path(), "-v", "error", *arguments, str(path)], check=True)
    return path


def tone(duration: float = 2.0, frequency: float = 440.0) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency={frequency}:duration={duration}")


def bars(duration: float = 2.0, size: str = "160x120", rate: int = 25) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"testsrc=duration={duration}:size={size}:rate={rate}")


def test_audio_is_decoded_to_the_rate_asked_for(tmp_path: Path) -> None:
    path = make(tmp_path / "tone.wav", *tone())
    waveform = read_audio(path, 22_100)
    assert len(waveform) == 2 * 22_100
    spectrum = np.abs(np.fft.rfft(waveform))
    assert spectrum.argmax() / 2 == pytest.approx(440, abs=0.5)


def test_no_more_than_ten_seconds_are_read(tmp_path: Path) -> None:
    path = make(tmp_path / "long.mp4", *tone(11.0), *bars(11.0))
    assert len(read_audio(path, 16_000)) == 160_000
    assert len(read_images(path)) == 151
    assert probe(path).duration == 10.0


def test_stereo_is_averaged(tmp_path: Path) -> None:
    merge = ("-filter_complex", "[0][1]join=inputs=2:channel_layout=stereo")
    opposite = ("-f", "lavfi", "-i", "aevalsrc=-0.125*sin(2*PI*440*t):duration=2:sample_rate=44100")
    path = make(tmp_path / "stereo.wav", *tone(), *opposite, *merge)
    assert np.abs(read_audio(path, 44_100)).max() < 1e-3


@pytest.mark.parametrize("n_channels", [1, 2, 6])
def test_channels_that_are_equal_stay_as_loud(n_channels: int, tmp_path: Path) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[n_channels]
    wave = "|".join(["0.1*sin(2*PI*440*t)"] * n_channels)
    source = f"aevalsrc='{wave}':channel_layout={layout}:duration=1:sample_rate=44100"
    path = make(tmp_path / "equal.wav", "-f", "lavfi", "-i", source)
    assert np.abs(read_audio(path, 16_000)).max() == pytest.approx(0.1, rel=0.01)


def tones_heard(waveform: NDArray[np.float32], n_tones: int) -> NDArray[np.float64]:
    """Return the amplitudes of tones of 100 Hz, 200 Hz, ... in 1 s at 16 kHz."""
    return np.abs(np.fft.rfft(waveform))[100 : 100 * n_tones + 1 : 100] / 8_000


def recorded(path: Path, n_channels: int) -> Path:
    """Write a recording of 1 s whose channel k has a tone of 100 (k + 1) Hz, 0.5 high."""
    times = np.arange(16_000)[:, None] / 16_000
    frequencies = 100.0 * np.arange(1, n_channels + 1)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * frequencies * times), 16_000, subtype="FLOAT")
    return path


@pytest.mark.parametrize("n_channels", [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 33, 64])
def test_each_of_many_channels_counts_the_same(n_channels: int, tmp_path: Path) -> None:
    waveform = read_audio(recorded(tmp_path / "mics.wav", n_channels), 16_000)
    heard = tones_heard(waveform, n_channels)
    assert heard == pytest.approx(np.full(n_channels, 0.5 / n_channels), rel=1e-3)


@pytest.mark.parametrize("layout", ["FC+LFE", "FL+LFE", "3.0", "5.1(side)", "7.1", "FL+FR+LFE+BC"])
def test_loudspeakers_count_the_same_wherever_they_stand(layout: str, tmp_path: Path) -> None:
    n_channels = {"3.0": 3, "5.1(side)": 6, "7.1": 8}.get(layout, layout.count("+") + 1)
    mics = recorded(tmp_path / "mics.wav", n_channels)
    mask = ("-channel_layout", layout, "-i", str(mics), "-c:a", "pcm_f32le")
    waveform = read_audio(make(tmp_path / "layout.wav", *mask), 16_000)
    heard = tones_heard(waveform, n_channels)
    assert heard == pytest.approx(np.full(n_channels, 0.5 / n_channels), rel=1e-3)


def test_more_channels_than_can_be_mixed_are_refused_by_their_number(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="audio: has 65 channels; at most 64 can be mixed"):
        read_audio(recorded(tmp_path / "mics.wav", 65), 16_000)


def joined(tmp_path: Path, *second: str) -> Path:
    """Concatenate two transport streams of 2 s; the second one may differ."""
    parts = []
    for number, (size, n_channels) in enumerate((("64x48", "1"), second)):
        path = tmp_path / f"part-{number}.ts"
        options = ("-ac", n_channels, "-c:a", "mp2", "-output_ts_offset", str(2 * number))
        flush = ("-muxdelay", "0", "-muxpreload", "0")
        parts.append(make(path, *bars(2.0, size), *tone(2.0), *options, *flush))
    whole = tmp_path / "joined.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    return whole


def test_pictures_that_change_size_half_way_keep_their_times(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.mkdir()
    other.mkdir()
    expected = read_images(joined(same, "64x48", "1"))
    images = read_images(joined(other, "128x96", "1"))
    assert len(images) == len(expected) == pytest.approx(4.0 / FRAME_HOP, abs=1)
    for image, one in zip(images, expected, strict=True):
        assert image.shape == (48, 64, 3)
        assert np.abs(image.mean((0, 1)) - one.mean((0, 1))).max() < 5


def test_audio_whose_channels_change_half_way_keeps_both_parts_and_its_pictures(
    tmp_path: Path,
) -> None:
    path = joined(tmp_path, "64x48", "2")
    decoded = read_media(path, sample_rates=[16_000, 22_100], each_image=lambda image: image)
    assert decoded.errors == {}
    assert len(decoded.image_index) == pytest.approx(4.0 / FRAME_HOP, abs=1)
    assert len(decoded.waveforms[16_000]) == pytest.approx(4 * 16_000, abs=1_000)
    assert len(decoded.waveforms[22_100]) == pytest.approx(4 * 22_100, abs=1_400)
    assert probe(path).warning == ""


@pytest.mark.parametrize(
    ("extension", "first", "second"),
    [
        ("aac", (44_100, 2), (44_100, 6)),
        ("aac", (44_100, 6), (44_100, 1)),
        ("aac", (48_000, 1), (32_000, 1)),
        ("mp3", (44_100, 2), (44_100, 1)),
        ("mp3", (44_100, 1), (48_000, 2)),
        ("ac3", (48_000, 6), (48_000, 2)),
        ("ts", (48_000, 2), (48_000, 6)),
        ("ts", (44_100, 2), (48_000, 1)),
    ],
)
def test_each_part_of_audio_that_changes_half_way_is_mixed(
    extension: str, first: tuple[int, int], second: tuple[int, int], tmp_path: Path
) -> None:
    content = b""
    for number, (rate, n_channels) in enumerate((first, second)):
        # The tone is in one channel only.
        heard = "|".join(["0.5*sin(2*PI*440*t)", *["0"] * (n_channels - 1)])
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[n_channels]
        source = f"aevalsrc='{heard}':channel_layout={layout}:duration=3:sample_rate={rate}"
        codec = ("-c:a", "aac", "-output_ts_offset", str(3 * number))
        options = codec if extension == "ts" else ("-b:a", "128k")
        plain = ("-write_xing", "0", "-id3v2_version", "0") if extension == "mp3" else ()
        path = tmp_path / f"part-{number}.{extension}"
        content += make(path, "-f", "lavfi", "-i", source, *options, *plain).read_bytes()
    path = tmp_path / f"joined.{extension}"
    path.write_bytes(content)
    waveform = read_audio(path, 16_000)
    assert len(waveform) / 16_000 == pytest.approx(6.0, abs=0.15)  # codecs pad each part
    for start, (_, n_channels) in ((1.0, first), (4.0, second)):
        part = waveform[round(start * 16_000) : round((start + 1.5) * 16_000)]
        amplitude = np.sqrt(2 * np.mean(part**2))
        assert amplitude == pytest.approx(0.5 / n_channels, rel=0.05), n_channels
    assert probe(path).warning == ""


def test_audio_that_starts_late_and_changes_keeps_its_times(tmp_path: Path) -> None:
    path = joined(tmp_path, "64x48", "2")
    late = tmp_path / "late.mkv"
    shift = ("-i", str(path), "-itsoffset", "1", "-i", str(path), "-map", "0:v", "-map", "1:a")
    make(late, *shift, "-c", "copy")
    waveform = np.abs(read_audio(late, 16_000))
    assert waveform[: round(0.9 * 16_000)].max() < 1e-3
    assert waveform[round(1.1 * 16_000) :].max() > 0.1
    assert len(waveform) / 16_000 == pytest.approx(5.0, abs=0.1)


def test_damage_inside_a_file_is_warned_about(clip_path: Path, tmp_path: Path) -> None:
    content = bytearray(clip_path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    assert probe(clip_path).warning == ""
    assert "damaged: " in probe(path).warning


def test_the_longer_stream_decides_where_they_differ_much(tmp_path: Path) -> None:
    path = make(tmp_path / "short.mp4", *bars(4.0), *tone(0.5))
    streams = probe(path)
    assert streams.duration == pytest.approx(4.0, abs=0.07)
    assert streams.warning == "its audio ends at 0.5 s of 4.0 s"


@pytest.mark.parametrize("rate", ["1", "1/5"])
def test_the_last_of_slow_pictures_lasts_to_the_end(rate: str, tmp_path: Path) -> None:
    slow = f"testsrc=duration=10:size=64x48:rate={rate}"
    streams = probe(make(tmp_path / "slow.mp4", "-f", "lavfi", "-i", slow))
    assert streams.duration == pytest.approx(10.0, abs=0.07)
    assert streams.warning == ""


def test_audio_that_starts_late_is_preceded_by_silence(tmp_path: Path) -> None:
    video = make(tmp_path / "video.mp4", *bars(3.0))
    audio = make(tmp_path / "audio.wav", *tone(2.0))
    late = ("-i", str(video), "-itsoffset", "1", "-i", str(audio), "-map", "0", "-map", "1")
    path = make(tmp_path / "late.mp4", *late)
    waveform = np.abs(read_audio(path, 16_000))
    assert waveform[: int(0.9 * 16_000)].max() < 1e-3
    assert waveform[int(1.1 * 16_000) : int(1.3 * 16_000)].max() > 0.1


@pytest.mark.parametrize("extension", ["mp4", "mkv", "flv"])
def test_audio_that_starts_after_the_clip_is_silence_until_there(
    extension: str, tmp_path: Path
) -> None:
    late = ("-itsoffset", "12", *tone(2.0))
    path = make(tmp_path / f"late.{extension}", *bars(14.0, "64x48"), *late, "-ar", "44100")
    decoded = read_media(path, sample_rates=[16_000], each_image=lambda image: image)
    assert decoded.errors == {}
    assert np.array_equal(decoded.waveforms[16_000], np.zeros(160_000))
    streams = probe(path)
    assert (streams.has_audio, streams.has_video, streams.duration) == (True, True, 10.0)
    assert streams.warning == ""


@pytest.mark.parametrize("extension", ["mp4", "mkv", "flv"])
def test_a_video_that_starts_after_the_clip_shows_its_first_picture(
    extension: str, tmp_path: Path
) -> None:
    late = ("-itsoffset", "12", *bars(2.0, "64x48"))
    path = make(tmp_path / f"late.{extension}", *late, *tone(14.0), "-ar", "44100")
    decoded = read_media(path, sample_rates=[16_000], each_image=lambda image: image)
    assert decoded.errors == {}
    assert decoded.image_index.tolist() == [0] * 151
    assert probe(path).warning == ""


def test_pictures_come_at_each_frames_onset(tmp_path: Path) -> None:
    # Second n is as bright as 40 + 20 n.
    grey = "nullsrc=size=32x32:rate=30:duration=5,geq=lum='40+20*floor(T)':cb=128:cr=128"
    path = make(tmp_path / "steps.mp4", "-f", "lavfi", "-i", grey, "-qp", "0")
    levels = [image.mean() for image in read_images(path)]
    onsets = np.arange(len(levels)) * 4 * 366 / 22_100
    steps = np.flatnonzero(np.diff(levels) > 10) + 1
    assert onsets[steps] == pytest.approx([1, 2, 3, 4], abs=0.0663)
    assert len(levels) in (75, 76)


# Picture n has a level that tells it from those around it.
NUMBERED = "nullsrc=size=16x16:rate={}:duration={},geq=lum='20+mod(37*N,200)':cb=128:cr=128"
LOSSLESS = ("-c:v", "ffv1")
SOME_OF_THEM = ("-vf", "select='lt(mod(7*n*n,11),4)'", "-fps_mode", "vfr")


@pytest.mark.parametrize(
    ("rate", "name", "options"),
    [
        ("10", "ten.mkv", LOSSLESS),
        ("60", "sixty.mkv", LOSSLESS),
        ("25", "twenty-five.mp4", ("-qp", "0", "-bf", "2")),
        ("30000/1001", "ntsc.avi", LOSSLESS),
        ("1", "slides.mkv", LOSSLESS),
        ("30", "variable.mkv", (*SOME_OF_THEM, *LOSSLESS)),
        ("30", "variable.mp4", (*SOME_OF_THEM, "-qp", "0", "-bf", "2")),
    ],
)
def test_each_frame_has_the_picture_nearest_in_time(
    rate: str, name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = make(tmp_path / name, "-f", "lavfi", "-i", NUMBERED.format(rate, 4), *options)
    assert_nearest(path, offset=0.0)


def test_a_video_that_starts_late_keeps_its_times(tmp_path: Path) -> None:
    video = make(tmp_path / "video.mkv", "-f", "lavfi", "-i", NUMBERED.format(25, 2), *LOSSLESS)
    audio = make(tmp_path / "audio.wav", *tone(4.0))
    late = ("-i", str(audio), "-itsoffset", "1.5", "-i", str(video), "-map", "0", "-map", "1")
    path = make(tmp_path / "late.mkv", *late, "-c:v", "copy")
    assert_nearest(path, offset=1.5)
    decoded = read_media(path, sample_rates=[16_000], each_image=lambda image: image)
    assert len(decoded.waveforms[16_000]) == pytest.approx(4 * 16_000, abs=100)
    # Its first picture stands for what lies before, its last until its end, at 3.5 s.
    assert (decoded.image_index[: int(1.5 / FRAME_HOP)] == 0).all()
    assert len(decoded.image_index) == pytest.approx(3.5 / FRAME_HOP, abs=1)


def assert_nearest(path: Path, *, offset: float) -> None:
    """Compare the image of each frame with all images of the file, by their time stamps."""
    log = subprocess.run(
        [ffmpeg_path(), "-i", str(path), "-vf", "showinfo", "-f", "null", "-"],
        capture_output=True,
        check=True,
    ).stderr.decode()
    times = np.array([float(time) for time in re.findall(r"pts_time:(\S+)", log)])
    assert times[0] == pytest.approx(offset, abs=0.001)
    raw = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:")
    command = [ffmpeg_path(), "-v", "error", "-i", str(path), *raw]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    levels = np.frombuffer(output, np.uint8).reshape(len(times), -1).mean(1)
    shown = [image.mean() for image in read_images(path)]
    assert len(shown) > 3.0 / FRAME_HOP
    for frame, level in enumerate(shown):
        distances = np.abs(times - frame * FRAME_HOP)
        nearest = distances < distances.min() + 1e-5  # two may be equally near
        assert np.abs(levels[nearest] - level).min() < 0.5, f"frame {frame}"


def test_a_picture_that_stands_still_is_handed_on_once(tmp_path: Path) -> None:
    still = "color=gray:size=32x32:rate=30:duration=2"
    moves = "testsrc=size=32x32:rate=30:duration=1"
    inputs = ("-f", "lavfi", "-i", still, "-f", "lavfi", "-i", moves)
    path = make(tmp_path / "still.mkv", *inputs, "-filter_complex", "concat", *LOSSLESS)
    handed_on: list[float] = []
    decoded = read_media(path, each_image=lambda image: handed_on.append(image.mean()))
    assert (decoded.image_index[:30] == 0).all()
    assert len(handed_on) == len(set(decoded.image_index)) < 20
    assert len(decoded.image_index) == 46


@pytest.mark.parametrize("n_bytes", range(17))
def test_a_truncated_image_ends_the_stream(n_bytes: int) -> None:
    first, second = b"P6\n1 2\n255\nabcdef", b"P6\n1 2\n255\nghijkl"
    images = list(media.read_images(io.BytesIO(first + second[:n_bytes])))
    assert [image.tolist() for image in images if image is not None] == [[[[*b"abc"]], [[*b"def"]]]]
    assert len(images) == 1


def test_one_pass_gives_what_a_pass_for_each_stream_gives(clip_path: Path) -> None:
    decoded = read_media(clip_path, sample_rates=[16_000, 22_100], each_image=lambda image: image)
    for sample_rate, waveform in decoded.waveforms.items():
        assert np.array_equal(waveform, read_audio(clip_path, sample_rate))
    both = [decoded.images[number] for number in decoded.image_index]
    assert np.array_equal(both, read_images(clip_path))


def test_many_channels_are_read_at_two_rates_at_once(tmp_path: Path) -> None:
    path = recorded(tmp_path / "mics.wav", 4)
    decoded: Media[object] = read_media(path, sample_rates=[16_000, 8_000])
    assert np.array_equal(decoded.waveforms[16_000], read_audio(path, 16_000))
    assert np.array_equal(decoded.waveforms[8_000], read_audio(path, 8_000))


def test_one_pass_decodes_once(
    clip_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    script = tmp_path / "ffmpeg"
    note_outputs = f'case "$*" in *rawvideo*|*f32le*) echo run >> {count};; esac'
    script.write_text(f'#!/bin/sh\n{note_outputs}\nexec {ffmpeg_path()} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    read_media(clip_path, sample_rates=[16_000, 22_100], each_image=lambda image: image)
    assert count.read_text() == "run\n"


def test_a_stream_that_spoils_the_pass_costs_its_own_features_only(tmp_path: Path) -> None:
    path = make(tmp_path / "tone.wav", *tone(1.0))
    decoded = read_media(path, sample_rates=[16_000], each_image=lambda image: image)
    assert len(decoded.waveforms[16_000]) == 16_000
    assert decoded.errors == {"video": "video: there is none"}


def test_pictures_keep_odd_sizes_and_turn_as_the_file_says(tmp_path: Path) -> None:
    path = make(tmp_path / "odd.mkv", *bars(0.5, "65x33"), "-c:v", "ffv1")
    assert read_images(path)[0].shape == (33, 65, 3)
    upright = make(tmp_path / "upright.mp4", *bars(0.5))
    turned = make(
        tmp_path / "turned.mp4", "-display_rotation", "90", "-i", str(upright), "-c", "copy"
    )
    assert read_images(turned)[0].shape == (160, 120, 3)


def test_probe_tells_which_streams_there_are(clip_path: Path, tmp_path: Path) -> None:
    both = probe(clip_path)
    assert (both.has_audio, both.has_video, both.warning) == (True, True, "")
    assert both.duration == pytest.approx(4.0, abs=0.05)
    audio = probe(make(tmp_path / "audio.wav", *tone(1.0)))
    assert (audio.has_audio, audio.has_video) == (True, False)
    video = probe(make(tmp_path / "video.mp4", *bars(1.0)))
    assert (video.has_audio, video.has_video) == (False, True)
    assert video.duration == pytest.approx(1.0, abs=0.07)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    cover = make(tmp_path / "cover.png", *bars(0.1), "-frames:v", "1")
    song = ("-i", str(cover), *tone(1.0), "-map", "1", "-map", "0", "-c:v", "copy")
    path = make(tmp_path / "song.m4a", *song, "-disposition:v", "attached_pic")
    assert not probe(path).has_video


def film(tmp_path: Path, *options: str) -> Path:
    """Create a video of 2 s: a gray image, moving bars, and tones of 440 Hz and 880 Hz."""
    gray = ("-f", "lavfi", "-i", "color=gray:duration=2:size=64x48:rate=25")
    inputs = (*gray, *bars(2.0), *tone(2.0), *tone(2.0, 880.0))
    mapped = [word for number in range(4) for word in ("-map", str(number))]
    return make(tmp_path / "film.mp4", *inputs, *mapped, *options)


def pitch(path: Path) -> float:
    waveform = read_audio(path, 16_000)
    return float(np.abs(np.fft.rfft(waveform)).argmax() * 16_000 / len(waveform))


@pytest.mark.parametrize(
    ("marks", "frequency"),
    [
        (("-disposition:a:0", "0", "-disposition:a:1", "default"), 880.0),
        (("-disposition:a:0", "default", "-disposition:a:1", "default"), 440.0),
        (("-disposition:a", "0"), 440.0),
    ],
)
def test_of_several_sounds_the_default_is_used_or_else_the_first(
    marks: tuple[str, ...], frequency: float, tmp_path: Path
) -> None:
    assert pitch(film(tmp_path, *marks)) == pytest.approx(frequency, abs=1)


def test_of_several_pictures_the_default_is_used(tmp_path: Path) -> None:
    path = film(tmp_path, "-disposition:v:0", "0", "-disposition:v:1", "default")
    assert read_images(path)[0].shape == (120, 160, 3)


def test_content_of_streams_that_are_not_used_is_warned_about(tmp_path: Path) -> None:
    assert probe(
        film(tmp_path, "-disposition:a:1", "default", "-disposition:a:0", "0")
    ).warning == (
        "audio stream 3 is used; stream 2 has sound too; "
        "video stream 0 is used; stream 1 has images too"
    )
    silence = ("-f", "lavfi", "-i", "anullsrc=duration=2")
    path = make(tmp_path / "one.mp4", *tone(), *silence, "-map", "0", "-map", "1", "-c:a", "aac")
    assert probe(path).warning == ""


def test_a_cover_before_the_film_is_passed_over(tmp_path: Path) -> None:
    path = film(tmp_path, "-c:v:0", "mjpeg", "-disposition:v:0", "attached_pic", "-map", "-0:a")
    streams = probe(path)
    assert streams.duration == pytest.approx(2.0, abs=0.07)
    images = read_images(path)
    assert images[0].shape == (120, 160, 3)
    assert len(images) == pytest.approx(2.0 / FRAME_HOP, abs=1)


def test_a_cover_alone_is_not_read_as_images(tmp_path: Path) -> None:
    gray = ("-f", "lavfi", "-i", "color=gray:size=64x48", "-frames:v", "1")
    covered = ("-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    path = make(tmp_path / "song.m4a", *tone(), *gray, *covered)
    with pytest.raises(DecodeError, match="video: there is none"):
        read_images(path)


def test_a_stream_without_a_decoder_is_passed_over(tmp_path: Path) -> None:
    two = (*tone(), *tone(2.0, 880.0), "-map", "0", "-map", "1", "-c:a", "pcm_s16le")
    path = make(tmp_path / "two.mov", *two)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"sowt", b"ac-4", 1))  # which ffmpeg knows, but cannot decode
    assert pitch(path) == pytest.approx(880.0, abs=1)
    assert probe(path).warning == ""


def test_where_the_default_cannot_be_decoded_another_stream_is_used(tmp_path: Path) -> None:
    two = (*tone(), *tone(2.0, 880.0), "-map", "0", "-map", "1")
    path = make(tmp_path / "two.mka", *two, "-c:a:0", "flac", "-c:a:1", "pcm_s16le")
    content = path.read_bytes()
    sync = b"\xff\xf8"  # at the start of each of flac's frames
    path.write_bytes(content.replace(sync, b"\0\0"))
    assert pitch(path) == pytest.approx(880.0, abs=1)
    assert "another audio stream is used" in probe(path).warning


@pytest.mark.parametrize(
    "content", [b"", b"<html>no media</html>" * 50, b"\x00\x00\x00\x20ftypisom" + b"\x00" * 400]
)
def test_what_is_no_media_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=r"moov atom not found|Invalid data") as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_reading_a_stream_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="audio: "):
        read_audio(make(tmp_path / "video.mp4", *bars(1.0)), 16_000)
    with pytest.raises(DecodeError, match="video: "):
        read_images(make(tmp_path / "audio.wav", *tone(1.0)))


def test_an_ffmpeg_that_hangs_is_stopped_and_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = tmp_path / "count"
    script = tmp_path / "ffmpeg"
    wait_at_first = f"[ $(wc -l < {count}) = 2 ] || exec sleep 9"
    script.write_text(f"#!/bin/sh\necho run >> {count}\n{wait_at_first}\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 0.5)
    ffmpeg.run_ffmpeg([])
    assert count.read_text() == "run\nrun\n"


def hanging_at_first(tmp_path: Path, n_bytes: int) -> Path:
    """Write an ffmpeg that stops after some bytes of output, except for its third run."""
    count, script = tmp_path / "count", tmp_path / "ffmpeg"
    script.write_text(
        f"""#!/bin/sh
case "$*" in *f32le*|*ppm*) ;; *) exec {ffmpeg_path()} "$@";; esac
echo run >> {count}
[ $(wc -l < {count}) = 3 ] && exec {ffmpeg_path()} "$@"
{ffmpeg_path()} "$@" | head -c {n_bytes}
exec sleep 9
"""
    )
    script.chmod(0o755)
    return script


@pytest.mark.slow
@pytest.mark.parametrize("n_bytes", [0, 5, 400_000])
def test_an_ffmpeg_that_hangs_half_way_goes_on_where_it_stopped(
    n_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "film.mkv", *bars(30.0, "64x48"), *tone(30.0), "-c:v", "ffv1")
    expected = list(read_windows(path, sample_rates=[16_000]))  # type: ignore[var-annotated]
    images = list(read_windows(path, each_image=lambda image: image))
    hanging = hanging_at_first(tmp_path, n_bytes)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(hanging))
    monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 1.0)
    found = list(read_windows(path, sample_rates=[16_000]))  # type: ignore[var-annotated]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.media.waveforms[16_000], other.media.waveforms[16_000])
    (tmp_path / "count").unlink()
    for found_window, window in zip(
        read_windows(path, each_image=lambda image: image), images, strict=True
    ):
        assert np.array_equal(found_window.media.images, window.media.images)
        assert np.array_equal(found_window.media.image_index, window.media.image_index)
    assert (tmp_path / "count").read_text() == "run\n" * 3


@pytest.mark.parametrize("signal", ["SEGV", "ABRT"])
def test_a_file_that_crashes_ffmpeg_is_a_fact_about_the_file(
    signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\nkill -{signal} $$\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    with pytest.raises(DecodeError):
        read_audio(tmp_path / "any.mp4", 16_000)


@pytest.mark.parametrize("ending", ["kill -KILL $$", "exit 255"])
def test_an_ffmpeg_that_was_ended_says_nothing_of_the_file(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text(f"#!/bin/sh\n{ending}\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    with pytest.raises(AvsedError, match="ended by a signal"):
        read_audio(tmp_path / "any.mp4", 16_000)


def test_an_ffmpeg_that_is_asked_to_end_exits_as_expected(tmp_path: Path) -> None:
    endless = ("-re", "-f", "lavfi", "-i", "sine", "-f", "null", "-")
    process = subprocess.Popen([ffmpeg_path(), "-v", "error", *endless])
    time.sleep(1.0)
    process.terminate()
    assert process.wait() == 255


def test_a_title_does_not_decide_about_the_disk(clip_path: Path, tmp_path: Path) -> None:
    title = ("-metadata", "title=No space left on device")
    path = make(tmp_path / "titled.mp4", "-i", str(clip_path), "-c", "copy", *title)
    assert probe(path).has_audio


def test_an_ffmpeg_that_always_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\nexec sleep 9\n")
    script.chmod(0o755)
    monkeypatch.setattr(ffmpeg, "ffmpeg_path", lambda: str(script))
    monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 0.2)
    with pytest.raises(DecodeError, match="takes more than"):
        read_audio(tmp_path / "any.mp4", 16_000)


def test_theora_is_decoded_to_the_same_pixels_each_time(tmp_path: Path) -> None:
    """Without the option, about one run in five differs, so that 20 runs seldom agree."""
    flash = "drawbox=c=white:t=fill:enable='lt(mod(t+0.5,1),0.039)'"
    black = ("-f", "lavfi", "-i", "color=black:size=64x64:rate=25:duration=8", "-vf", flash)
    path = make(tmp_path / "film.ogv", *black, "-c:v", "libtheora")
    runs = {np.stack(read_images(path)).tobytes() for _ in range(20)}
    assert len(runs) == 1
