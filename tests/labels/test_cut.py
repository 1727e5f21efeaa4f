"""`avsed metadata cut`: the clips have the sound and images of their time in the recording."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avsed.dataset.annotations import SPLITS
from avsed.dataset.ffmpeg import ffmpeg_path
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.media import read_media
from avsed.params import Local, LocalDataset
from avsed.sources.local import copy_clip, find_media
from avsed.sources.prepare import prepare_lists
from tests.conftest import run_avsed

STRONG = "filename\tonset\toffset\tevent_label\n"
RATE = 8000


def noise(seconds: float, channels: int = 1) -> NDArray[np.int16]:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (round(seconds * RATE), channels))
    return samples.astype(np.int16)


def write_lists(folder: Path, **rows: str) -> None:
    headers = {"weak": "filename\tevent_labels\n", "unlabeled": "filename\n"}
    folder.mkdir(exist_ok=True)
    for name, text in rows.items():
        (folder / f"{name}.tsv").write_text(headers.get(name, STRONG) + text)


def make_film(path: Path, *filters: str, source: str) -> None:
    command = [ffmpeg_path(), "-y", "-loglevel", "error", "-f", "lavfi", "-i", source, *filters]
    subprocess.run([*command, str(path)], check=True)


def decoded(path: Path) -> NDArray[np.int16]:
    command = [ffmpeg_path(), "-loglevel", "error", "-i", str(path), "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<i2")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "media").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    arguments = ("metadata", "cut", "lists", "media", "--out", "cut", *options)
    return run_avsed(monkeypatch, *arguments)


def media() -> list[str]:
    return sorted(path.name for path in Path("cut/media").iterdir())


def test_the_clips_of_a_wav_have_its_samples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(21.5, channels=2)
    soundfile.write("media/street.wav", samples, RATE)
    write_lists(folder / "lists", test="street.wav\t9.5\t10.25\tDog\n")
    assert cut(monkeypatch) == 0
    assert media() == [
        "street_0000.000_0010.000.flac",
        "street_0010.000_0020.000.flac",
        "street_0020.000_0021.500.flac",
    ]
    parts = [soundfile.read(Path("cut/media") / name, dtype="int16")[0] for name in media()]
    assert np.array_equal(np.concatenate(parts), samples)
    assert Path("cut/metadata/test.tsv").read_text() == STRONG + (
        "street_0000.000_0010.000.wav\t9.500\t10.000\tDog\n"
        "street_0010.000_0020.000.wav\t0.000\t0.250\tDog\n"
        "street_0020.000_0021.500.wav\t\t\t\n"
    )


def test_the_clips_of_an_mp3_have_the_samples_that_are_decoded_from_its_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write("media/talk.mp3", noise(21.5) // 4, RATE)
    write_lists(folder / "lists", unlabeled="talk.wav\n")
    assert cut(monkeypatch) == 0
    parts = [decoded(Path("cut/media") / name) for name in media()]
    assert [len(part) for part in parts[:2]] == [10 * RATE, 10 * RATE]
    whole = decoded(Path("media/talk.mp3"))
    # 16 bits are rounded from 24 in the clips, and from ffmpeg's floats in the reference.
    difference = np.concatenate(parts).astype(int) - whole
    assert np.abs(difference).max() <= 1


def brightness(path: Path) -> list[float]:
    """Return the mean brightness of the image of each frame of a clip."""
    images = read_media(path, each_image=lambda image: float(image.mean()))
    return [images.images[number] for number in images.image_index]


@pytest.mark.slow
def test_the_clips_of_a_film_have_the_images_of_their_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Black and white by turns of 0.7 s, with one key image, and a tone that starts at 12 s.
    gray = "color=black:s=66x51:r=25:d=22,format=yuv444p"
    gray += ",geq=lum='if(mod(floor(T/0.7),2),235,16)':cb=128:cr=128"
    tone = "aevalsrc='gte(t,12)*sin(2*PI*440*t)/2':d=22:s=16000"
    streams = ("-f", "lavfi", "-i", tone, "-c:v", "libx264", "-g", "500", "-c:a", "aac")
    make_film(Path("media/film.mp4"), *streams, source=gray)
    write_lists(folder / "lists", validation="film.wav\t12\t22\tTone\n")
    assert cut(monkeypatch) == 0
    assert media() == [
        "film_0000.000_0010.000.mkv",
        "film_0010.000_0020.000.mkv",
        "film_0020.000_0022.000.mkv",
    ]
    clip = Path("cut/media/film_0010.000_0020.000.mkv")
    is_white = np.array(brightness(clip)) > 128
    times = 10 + np.arange(151) * 0.06624
    is_far = np.abs((times + 0.35) % 0.7 - 0.35) > 0.04  # from a change; an image lasts 0.04 s
    assert is_far.sum() > 120
    assert np.array_equal(is_white[is_far], (times[is_far] // 0.7 % 2).astype(bool))
    sound = read_media(clip, sample_rates=[16_000]).waveforms[16_000]
    assert np.argmax(np.abs(sound) > 0.1) / 16_000 == pytest.approx(2.0, abs=0.01)


@pytest.mark.slow
def test_an_image_that_lasts_for_many_clips_is_in_each_of_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slides of 25 s: black, then white.
    slides = "color=black:s=64x64:r=1/25:d=50,geq=lum='if(N,235,16)':cb=128:cr=128"
    tone = ("-f", "lavfi", "-i", "sine=d=50:r=16000", "-c:v", "libx264", "-c:a", "aac")
    make_film(Path("media/slides.mkv"), *tone, source=slides)
    write_lists(folder / "lists", unlabeled="slides.wav\n")
    assert cut(monkeypatch) == 0
    shown = [np.array(brightness(Path("cut/media") / name)) for name in media()]
    assert [name[-3:] for name in media()] == ["mkv"] * 5
    assert shown[1].max() < 20
    assert shown[2][:70].max() < 20
    assert shown[2][80:].min() > 235
    assert shown[4].min() > 235


def test_video_can_be_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tone = ("-f", "lavfi", "-i", "sine=d=2:r=16000", "-c:v", "libx264", "-c:a", "aac")
    make_film(Path("media/film.mp4"), *tone, source="color=red:s=64x64:d=2")
    write_lists(folder / "lists", unlabeled="film.wav\n")
    assert cut(monkeypatch, "--audio-only") == 0
    (name,) = media()
    assert name == "film_0000.000_0002.000.flac"


@pytest.mark.parametrize("channels", [6, 7, 12])
def test_all_channels_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    samples = noise(1.0, channels)
    soundfile.write("media/array.wav", samples, RATE)
    write_lists(folder / "lists", unlabeled="array.wav\n")
    assert cut(monkeypatch) == 0
    (name,) = media()
    assert name.endswith(".flac" if channels <= 8 else ".wav")
    assert np.array_equal(soundfile.read(Path("cut/media") / name, dtype="int16")[0], samples)


def test_audio_whose_format_changes_is_mixed_in_all_clips(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = b""
    for layout in ("mono", "stereo"):
        tone = f"aevalsrc='{'|'.join(['sin(2*PI*440*t)/2'] * (1 + (layout == 'stereo')))}'"
        plain = ("-write_xing", "0", "-id3v2_version", "0")
        part = folder / f"{layout}.mp3"
        make_film(part, *plain, source=f"{tone}:channel_layout={layout}:duration=13:s=22050")
        parts += part.read_bytes()
    Path("media/joined.mp3").write_bytes(parts)
    write_lists(folder / "lists", unlabeled="joined.wav\n")
    assert cut(monkeypatch) == 0
    assert media()[:2] == ["joined_0000.000_0010.000.flac", "joined_0010.000_0020.000.flac"]
    assert len(media()) == 3
    samples, rate = soundfile.read(f"cut/media/{media()[1]}")
    assert samples.shape == (10 * rate,)
    for second in (1, 7):
        assert np.abs(samples[second * rate : (second + 1) * rate]).max() > 0.45


def test_recordings_with_tags_become_unlabeled_clips_if_they_are_longer_than_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write("media/long.wav", noise(20.0), RATE)
    soundfile.write("media/short.wav", noise(10.4), RATE)
    write_lists(folder / "lists", weak="long.wav\tDog\nshort.wav\tCat\n")
    assert cut(monkeypatch) == 0
    assert Path("cut/metadata/weak.tsv").read_text().splitlines()[1:] == [
        "short_0000.000_0010.000.wav\tCat"
    ]
    assert Path("cut/metadata/unlabeled.tsv").read_text().splitlines()[1:] == [
        "long_0000.000_0010.000.wav",
        "long_0010.000_0020.000.wav",
    ]
    printed = capsys.readouterr().err
    assert "since the times of tags are unknown: 1 (long)" in printed
    assert "dropped rests shorter than 1 s at the end of recordings: 1 (short: 0.400 s)" in printed


def modified() -> Mapping[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path("cut/media").iterdir()}


def test_a_stopped_run_continues(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        soundfile.write(f"media/{name}.wav", noise(12.0), RATE)
    write_lists(folder / "lists", test="a.wav\t1\t2\tDog\nb.wav\t1\t2\tDog\n")
    assert cut(monkeypatch) == 0
    whole, lists = modified(), Path("cut/metadata/test.tsv").read_text()
    # As after a stop within the second recording.
    for path in (*Path("cut/metadata").iterdir(), Path("cut/finished/b.json")):
        path.unlink()
    Path("cut/media/b_0010.000_0012.000.flac").unlink()
    assert cut(monkeypatch) == 0
    again = modified()
    assert {name for name in whole if whole[name] != again[name]} == {"b_0010.000_0012.000.flac"}
    assert Path("cut/metadata/test.tsv").read_text() == lists


def test_a_changed_recording_is_cut_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write("media/a.wav", noise(2.0), RATE)
    write_lists(folder / "lists", test="a.wav\t1\t2\tDog\n")
    assert cut(monkeypatch) == 0
    soundfile.write("media/a.wav", noise(2.0) // 2, RATE)
    Path("cut/metadata/test.tsv").unlink()
    assert cut(monkeypatch) == 0
    samples, _ = soundfile.read("cut/media/a_0000.000_0002.000.flac", dtype="int16")
    assert np.array_equal(samples, (noise(2.0) // 2)[:, 0])


def test_lists_of_a_finished_run_are_not_overwritten(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write("media/a.wav", noise(2.0), RATE)
    write_lists(folder / "lists", test="a.wav\t1\t2\tDog\n")
    assert cut(monkeypatch) == 0
    capsys.readouterr()
    assert cut(monkeypatch) == 2
    assert capsys.readouterr().err.startswith("error: cut/metadata/test.tsv: exists, so that")


def test_recordings_that_cannot_be_cut_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write("media/a.wav", noise(2.0), RATE)
    Path("media/b.wav").write_text("no sound")
    rows = "".join(f"{name}.wav\t0.5\t1\tDog\n" for name in "abc")
    write_lists(folder / "lists", test=rows)
    assert cut(monkeypatch) == 0
    printed = capsys.readouterr().err
    assert "dropped recordings that cannot be cut: 1 (b: " in printed
    assert "dropped recordings without media: 1 (c)" in printed
    assert len(Path("cut/metadata/test.tsv").read_text().splitlines()) == 2


def test_a_folder_without_the_recordings_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lists(folder / "lists", test="street.wav\t1\t2\tDog\n")
    assert cut(monkeypatch) == 2
    assert (
        capsys.readouterr().err == "error: media: has no media; put them there or correct MEDIA\n"
    )
    soundfile.write("media/road.wav", noise(1.0), RATE)
    assert cut(monkeypatch) == 2
    assert "only other names, such as 'road'; correct MEDIA " in capsys.readouterr().err


def test_a_folder_without_lists_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "lists").mkdir()
    assert cut(monkeypatch) == 2
    assert "lists: has no list with a recording; it should contain some of weak.tsv" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
def test_cut_clips_pass_the_check_and_are_a_local_data_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seconds in {"w": 5, "u": 25, "v": 25, "t": 31, "s": 12}.items():
        soundfile.write(f"media/{name}.wav", noise(seconds), RATE)
    write_lists(
        folder / "lists",
        weak="w.wav\tDog\n",
        unlabeled="u.wav\n",
        strong="s.wav\t9\t11\tDog\n",
        validation="v.wav\t3\t12\tDog\n",
        test="t.wav\t29\t31\tDog\n",
    )
    assert cut(monkeypatch) == 0
    capsys.readouterr()
    assert run_avsed(monkeypatch, "metadata", "check", "cut/metadata") == 0
    assert "\n0 errors" in capsys.readouterr().out

    local = Local(media_dir=Path("cut/media"), metadata_dir=Path("cut/metadata"))
    prepare_lists(LocalDataset(source="local", classes=("Dog",)), local, Path("prepared"))
    clip_ids = [
        line.split("\t")[0].removesuffix(".wav")
        for split in SPLITS
        for line in Path(f"prepared/{split}.tsv").read_text().splitlines()[1:]
    ]
    found = find_media(local.media_dir, clip_ids)
    Path("clips").mkdir()
    records = [copy_clip(clip_id, found, Path("clips")) for clip_id in dict.fromkeys(clip_ids)]
    assert len(records) == 13  # with the strong list
    assert {record.status for record in records} == {"ok"}
    assert inspect_clip("t", Path("cut/media/t_0030.000_0031.000.flac")).duration == 1.0
