"""Media whose names, links or contents could lead ffmpeg to something other than the file."""

import os
import shutil
from pathlib import Path
from socket import create_server

import numpy as np
import pytest
import soundfile

from avsed.dataset.annotations import AnnotatedClip, Event, write_list
from avsed.dataset.clips import ClipRecord, read_clips
from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.dataset.inspection import inspect_clip
from avsed.params import Download, Local, LocalDataset
from avsed.prediction.windows import Window, read_windows
from avsed.sources.collect import collect_clips
from avsed.sources.local import copy_clip, find_media
from avsed.sources.prepare import prepare_lists

DATASET = LocalDataset(source="local", classes=("Cat",))
# Options, protocols and patterns of ffmpeg, quotes, and letters of all kinds.
NAMES = (
    *("-y", "-i", "-", "pipe:0", "http:a.wav", "data:a.wav", "cache:a.wav", "concat:b.wav|b.wav"),
    *("a%03d.wav", "@a.wav", "a'b\"c.wav", "a\nb.wav", "x:y.wav", "e\u0301.wav", "\u202e🧀.wav"),
    f"{'x' * 250}.wav",
)


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the folder from a name, which would mark it as a file."""
    monkeypatch.chdir(tmp_path)


def write_tone(path: Path, *, seconds: float) -> None:
    tone = np.sin(np.arange(round(seconds * 8000)))
    soundfile.write(path, tone, 8000, format="WAV")


def test_a_file_is_a_file_whatever_its_name() -> None:
    write_tone(Path("b.wav"), seconds=2.0)  # what some of the names seem to mean
    for name in NAMES:
        write_tone(Path("plain"), seconds=0.5)
        Path("plain").rename(name)  # soundfile would take some for more than a name
        record = inspect_clip("a", Path(name))
        assert (record.status, record.duration) == ("ok", 0.5), (name, record.reason)


def test_a_path_that_is_no_text_is_a_failure_of_its_clip() -> None:
    folder = Path(os.fsdecode(b"\xff"))
    folder.mkdir()
    write_tone(Path("plain"), seconds=0.5)
    Path("plain").rename(folder / "a.wav")
    record = inspect_clip("a", folder / "a.wav")
    assert (record.status, record.reason) == ("failed", "its path is not valid UTF-8; rename it")


def test_a_file_of_any_length_is_a_file_whatever_its_name() -> None:
    write_tone(Path("plain"), seconds=0.5)
    Path("plain").rename("http:a.wav")
    windows: list[Window[object]] = list(read_windows(Path("http:a.wav"), sample_rates=[8000]))
    assert [len(window.media.waveforms[8000]) for window in windows] == [4000]


def lay_out(names: dict[str, str]) -> Local:
    """List a clip in each split, and return a local data set in unusual folders."""
    local = Local(media_dir=Path("concat:m%03d"), metadata_dir=Path("-lists"))
    local.media_dir.mkdir()
    event = Event(onset=0.0, offset=0.25, label="Cat")
    for split, name in names.items():
        strong = split in ("validation", "test")
        tags = None if split == "unlabeled" else ("Cat",)
        clip = AnnotatedClip(clip_id=name, tags=tags, events=(event,) if strong else None)
        write_list(local.metadata_dir, split, [clip])
    return local


CLIPS = {"weak": "-y", "unlabeled": "- i", "validation": "NUL", "test": "x" * 250}


def collect(local: Local) -> dict[str, ClipRecord]:
    prepare_lists(DATASET, local, Path("metadata"))
    collect_clips(
        DATASET,
        local,
        Download(cookies=None, proxy=None, sleep=12, jobs=2, min_fraction=0.5),
        metadata_dir=Path("metadata"),
        clips_dir=Path("clips"),
        table_path=Path("clips.csv"),
        metrics_path=Path("clips.json"),
        report_path=Path("clips.md"),
    )
    return {record.clip_id: record for record in read_clips(Path("clips.csv"))}


def test_clips_with_odd_names_are_collected_and_nothing_else_is_touched() -> None:
    local = lay_out(CLIPS)
    media = local.media_dir / "in" / "-f" / "http:"
    media.mkdir(parents=True)
    write_tone(Path("tone.wav"), seconds=0.5)
    for name in CLIPS.values():
        shutil.copy("tone.wav", media / f"{name}.wav")
    shutil.copy("tone.wav", media / os.fsdecode(b"\xff.wav"))  # in no list
    (media / "-y.wav").unlink()
    (media / "-y.wav").symlink_to("NUL.wav")  # a link within the folder is as good
    before = {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}

    records = collect(local)
    assert {record.status for record in records.values()} == {"ok"}
    made = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert {path for path in made if path.parent == Path("clips")} == {
        Path("clips") / f"{name}.wav" for name in CLIPS.values()
    }
    for name in CLIPS.values():
        assert (Path("clips") / f"{name}.wav").read_bytes() == Path("tone.wav").read_bytes()
    lists = {Path("metadata") / f"{split}.tsv" for split in (*CLIPS, "strong")}
    others = {Path("metadata/classes.txt"), Path("clips.csv"), Path("clips.json"), Path("clips.md")}
    assert {path for path in made if path.parent != Path("clips")} == lists | others
    after = {path: path.is_file() and path.read_bytes() for path in before}
    assert after == before


def test_links_are_followed_and_what_they_lead_to_is_copied() -> None:
    Path("disk").mkdir()
    write_tone(Path("disk/a.wav"), seconds=0.5)
    Path("media").mkdir()
    Path("media/a.wav").symlink_to(Path("disk/a.wav").resolve())
    Path("media/b.wav").symlink_to("nowhere.wav")
    Path("linked").symlink_to("media")
    media = find_media(Path("linked"), ["a", "b"])
    assert media == {"a": Path("linked/a.wav"), "b": None}
    Path("clips").mkdir()
    assert copy_clip("a", media, Path("clips")).status == "ok"
    assert not Path("clips/a.wav").is_symlink()


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"


@pytest.mark.parametrize("form", [HLS, CONCAT], ids=["hls", "concat"])
@pytest.mark.parametrize("name", ["a.m3u8", "a.mp4"])
def test_a_list_of_other_files_is_no_media_and_asks_no_network(form: str, name: str) -> None:
    """Copied, it would name files that are not there, or any of this machine."""
    Path("media").mkdir()
    write_tone(Path("tone.wav"), seconds=0.5)
    run_ffmpeg(["-i", "tone.wav", "-c:a", "aac", "-f", "mpegts", "tone.ts"])
    shutil.copy("tone.ts", "media/beside.ts")
    path = Path("media") / name
    with create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/tone.ts"
        for other in ("beside.ts", "../tone.ts", str(Path("tone.ts").resolve()), address):
            path.write_text(form.format(other))
            record = inspect_clip("a", path)
            assert record.status == "failed", other
            assert record.reason
        with pytest.raises(BlockingIOError):
            server.accept()
