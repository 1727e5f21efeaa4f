"""The table of clips, and local media as clips."""

import json
import shutil
from pathlib import Path

import pytest

from avsed.dataset.annotations import DCASE_2018_CLASSES, Event, read_classes, read_list
from avsed.dataset.clips import missing_clip, read_clips, write_clips
from avsed.dataset.inspection import inspect_clip
from avsed.errors import AvsedError
from avsed.params import Dataset, DemoDataset, Download, Local, LocalDataset
from avsed.runtime.files import file_sha256
from avsed.sources.collect import collect_clips
from avsed.sources.local import find_media
from avsed.sources.prepare import prepare_lists

DATASET = LocalDataset(source="local", classes=("Cat", "Dog"))
DEMO = DemoDataset(
    source="demo", seed=1, n_weak=2, n_unlabeled=1, n_validation=1, n_test=1, n_strong=0
)
LISTS = {
    "weak": "filename\tevent_labels\na.wav\tCat\n",
    "unlabeled": "filename\nb.wav\n",
    "validation": "filename\tonset\toffset\tevent_label\nc.wav\t0\t1\tDog\n",
    "test": "filename\tonset\toffset\tevent_label\nd.wav\t0\t1\tDog\n",
}


@pytest.fixture
def local(tmp_path: Path, clip_path: Path) -> Local:
    """Create a local data set of four clips, of which a and b have media."""
    media = tmp_path / "media" / "in a folder"
    metadata = tmp_path / "lists"
    media.mkdir(parents=True)
    metadata.mkdir()
    for name in ("a", "b"):
        shutil.copy(clip_path, media / f"{name}.mp4")
    (media / "c.mp4").write_bytes(b"no media")
    for split, text in LISTS.items():
        (metadata / f"{split}.tsv").write_text(text)
    return Local(media_dir=tmp_path / "media", metadata_dir=metadata)


def collect(dataset: Dataset, local: Local, folder: Path) -> None:
    collect_clips(
        dataset,
        local,
        Download(cookies=None, proxy=None, sleep=12, jobs=2, min_fraction=0.5),
        metadata_dir=folder / "metadata",
        clips_dir=folder / "clips",
        table_path=folder / "clips.csv",
        metrics_path=folder / "clips.json",
        report_path=folder / "clips.md",
    )


def test_records_are_read_back(tmp_path: Path, clip_path: Path) -> None:
    records = [inspect_clip("a", clip_path), missing_clip("b", 'no "file", of this name')]
    write_clips(tmp_path / "clips.csv", records)
    assert read_clips(tmp_path / "clips.csv") == records


def test_a_reason_with_line_ends_is_a_row_all_the_same(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips.csv", [missing_clip("a", "gone:\rfor\r\ngood\n")])
    assert read_clips(tmp_path / "clips.csv") == [missing_clip("a", "gone: for good")]


def test_a_clip_table_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("clip_id,file\na,a.mp4\n")
    with pytest.raises(AvsedError, match=r"clips.csv: is not a valid clip table .*collect`"):
        read_clips(tmp_path / "clips.csv")


def test_own_media_become_clips_and_what_is_wrong_is_named(
    tmp_path: Path, local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_lists(DATASET, local, tmp_path / "metadata")
    collect(DATASET, local, tmp_path)
    records = {record.clip_id: record for record in read_clips(tmp_path / "clips.csv")}
    assert [records[name].status for name in "abcd"] == ["ok", "ok", "failed", "unavailable"]
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {"a.mp4", "b.mp4"}
    assert records["a"].sha256 == file_sha256(tmp_path / "clips" / "a.mp4")
    printed = capsys.readouterr().out
    assert "2 of 4 clips can be decoded" in printed
    assert "c: moov atom not found" in printed
    assert "d: no media file has its name" in printed


def test_two_media_of_one_name_are_refused(tmp_path: Path, local: Local) -> None:
    (local.media_dir / "a.ogg").write_bytes(b"")
    prepare_lists(DATASET, local, tmp_path / "metadata")
    with pytest.raises(AvsedError, match=r"a.mp4.*: both have the name of clip a; keep one"):
        collect(DATASET, local, tmp_path)


def test_events_are_cut_where_clips_are(
    tmp_path: Path, local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "d.wav\t8\t12\tDog\nd.wav\t15\t16\tCat\n"
    (local.metadata_dir / "test.tsv").write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    prepare_lists(DATASET, local, tmp_path / "metadata")
    written = (tmp_path / "metadata" / "test.tsv").read_text().splitlines()
    assert written[1:] == ["d.wav\t8.000\t10.000\tDog"]
    assert "d: 1 events start after 10 s, the end of a clip" in capsys.readouterr().out


def find(folder: Path, *clip_ids: str) -> list[str | None]:
    media = find_media(folder, clip_ids)
    return [path.name if path else None for path in media.values()]


def test_files_beside_the_media_that_are_no_media_are_ignored(tmp_path: Path) -> None:
    for name in ("w1.wav", "w1.txt", "w1.jams", "w1.png", "w1", "v1.txt", "t1.WAV", "t1.json"):
        (tmp_path / name).write_bytes(b"")
    assert find(tmp_path, "w1", "v1", "t1") == ["w1.wav", None, "t1.WAV"]


def test_a_dot_within_a_name_begins_no_extension(tmp_path: Path) -> None:
    for name in ("a.b.wav", "a.wav", "Yabcdefghijk_0.000_10.000.mp4", "dog", "x.1"):
        (tmp_path / name).write_bytes(b"")
    clip_ids = ("a.b", "a", "Yabcdefghijk_0.000_10.000", "dog", "x.1", "x")
    files = ["a.b.wav", "a.wav", "Yabcdefghijk_0.000_10.000.mp4", "dog", "x.1", None]
    assert find(tmp_path, *clip_ids) == files


def test_a_folder_without_media_is_one_error_that_says_why(tmp_path: Path, local: Local) -> None:
    empty = Local(media_dir=tmp_path / "empty", metadata_dir=local.metadata_dir)
    empty.media_dir.mkdir()
    (empty.media_dir / ".gitkeep").touch()
    prepare_lists(DATASET, local, tmp_path / "metadata")
    with pytest.raises(AvsedError, match=r"empty: has no media; .* an absolute path if .* queue"):
        collect(DATASET, empty, tmp_path)


def test_a_folder_with_media_of_other_names_only_is_one_error(tmp_path: Path, local: Local) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "rec1.wav").touch()
    message = "no file has the name of any of the 2 listed clips, such as a, only other names, "
    with pytest.raises(AvsedError, match=rf"other: {message}such as 'rec1'; correct"):
        find(other, "a", "b")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("d.wav\t800\t1200\tDog\n", "none of its 1 events starts in the first 10 s"),
        ("d.wav\t\t\t\ne.wav\n", "has no events"),
    ],
)
def test_a_strong_list_without_an_event_to_score_is_refused(
    tmp_path: Path, local: Local, rows: str, message: str
) -> None:
    (local.metadata_dir / "test.tsv").write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    with pytest.raises(AvsedError, match=rf"test.tsv: {message}"):
        prepare_lists(DATASET, local, tmp_path / "metadata")
    assert not (tmp_path / "metadata").exists()


def test_of_many_clips_with_dropped_events_some_are_named(
    tmp_path: Path, local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"d{n}.wav\t12\t13\tDog\n" for n in range(300))
    (local.metadata_dir / "test.tsv").write_text(
        f"filename\tonset\toffset\tevent_label\nd.wav\t0\t1\tDog\n{rows}"
    )
    prepare_lists(DATASET, local, tmp_path / "metadata")
    printed = capsys.readouterr().out
    assert printed.count(": 1 events start after 10 s") == 20
    assert "... and events of 280 more clips" in printed


def test_events_past_the_end_of_their_media_are_named(
    tmp_path: Path, local: Local, clip_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("c", "d"):
        shutil.copy(clip_path, local.media_dir / "in a folder" / f"{name}.mp4")  # of 4 s
    rows = "d.wav\t0\t4.05\tDog\nd.wav\t3\t6\tCat\nd.wav\t5\t6\tCat\n"
    (local.metadata_dir / "test.tsv").write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    prepare_lists(DATASET, local, tmp_path / "metadata")
    collect(DATASET, local, tmp_path)
    named = (
        "media end at 4 s; 1 events that end later are truncated, 1 that start later are dropped"
    )
    assert f"  d: {named}\n" in capsys.readouterr().out
    report = (tmp_path / "clips.md").read_text()
    section = "## Events past the end of the media\n\n| clip | events |\n| --- | ---: |\n"
    assert report.endswith(f"{section}| d | {named} |\n")


def test_a_split_whose_events_all_start_after_their_media_is_refused_once_collected(
    tmp_path: Path, local: Local, clip_path: Path
) -> None:
    shutil.copy(clip_path, local.media_dir / "d.mp4")  # of 4 s
    rows = "d.wav\t5\t6\tDog\n"
    (local.metadata_dir / "test.tsv").write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    prepare_lists(DATASET, local, tmp_path / "metadata")
    with pytest.raises(AvsedError, match=r"test: none of the 1 available clips has an event that"):
        collect(DATASET, local, tmp_path)


def test_events_that_are_one_after_the_cut_are_listed_once(tmp_path: Path, local: Local) -> None:
    rows = "d.wav\t8\t12\tDog\nd.wav\t8\t11\tDog\n"
    (local.metadata_dir / "test.tsv").write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    prepare_lists(DATASET, local, tmp_path / "metadata")
    (clip,) = read_list(tmp_path / "metadata", "test", DATASET.classes)
    assert clip.events == (Event(onset=8.0, offset=10.0, label="Dog"),)


def test_class_names_with_quotes_survive(tmp_path: Path, local: Local) -> None:
    dataset = LocalDataset(source="local", classes=('5" gun', "Cat", "Dog"))
    (local.metadata_dir / "weak.tsv").write_text('filename\tevent_labels\na.wav\t5" gun\n')
    prepare_lists(dataset, local, tmp_path / "metadata")
    (clip,) = read_list(tmp_path / "metadata", "weak", read_classes(tmp_path / "metadata"))
    assert clip.tags == ('5" gun',)


STRONG_ROWS = "filename\tonset\toffset\tevent_label\ns.wav\t1\t12\tDog\ns.wav\t11\t12\tCat\n"


def test_an_optional_strong_list_is_prepared_and_collected_like_the_others(
    tmp_path: Path, local: Local, clip_path: Path
) -> None:
    shutil.copy(clip_path, local.media_dir / "s.mp4")
    (local.metadata_dir / "strong.tsv").write_text(STRONG_ROWS)
    prepare_lists(DATASET, local, tmp_path / "metadata")
    (clip,) = read_list(tmp_path / "metadata", "strong", DATASET.classes)
    assert clip.events == (Event(onset=1.0, offset=10.0, label="Dog"),)
    collect(DATASET, local, tmp_path)
    assert "s" in {record.clip_id for record in read_clips(tmp_path / "clips.csv")}
    counts = json.loads((tmp_path / "clips.json").read_text())
    assert counts["strong"] == {"available": 1, "missing": 0}
    assert "| strong | 1 | 1 | 100.0% |" in (tmp_path / "clips.md").read_text()
    assert "s | media end at 4 s; 1 events that end later" in (tmp_path / "clips.md").read_text()


def test_without_a_strong_list_prepare_writes_one_without_clips_and_reports_say_nothing(
    tmp_path: Path, local: Local
) -> None:
    prepare_lists(DATASET, local, tmp_path / "metadata")
    header = "filename\tonset\toffset\tevent_label\n"
    assert (tmp_path / "metadata" / "strong.tsv").read_text() == header
    collect(DATASET, local, tmp_path)
    assert list(json.loads((tmp_path / "clips.json").read_text())) == list(LISTS)
    assert "strong" not in (tmp_path / "clips.md").read_text()


def test_a_strong_clip_that_is_tested_on_is_refused(tmp_path: Path, local: Local) -> None:
    (local.metadata_dir / "strong.tsv").write_text(STRONG_ROWS.replace("s.wav", "d.wav"))
    with pytest.raises(AvsedError, match=r"strong.tsv and test.tsv: both list d"):
        prepare_lists(DATASET, local, tmp_path / "metadata")


def test_strong_clips_without_any_event_are_refused(tmp_path: Path, local: Local) -> None:
    rows = STRONG_ROWS.splitlines()[0] + "\ns.wav\n"
    (local.metadata_dir / "strong.tsv").write_text(rows)
    with pytest.raises(AvsedError, match=r"strong.tsv: has no events, so that nothing can be lear"):
        prepare_lists(DATASET, local, tmp_path / "metadata")


def test_the_demo_has_as_many_strong_clips_as_asked(tmp_path: Path, local: Local) -> None:
    prepare_lists(DEMO, local, tmp_path / "without")
    prepare_lists(DEMO.model_copy(update={"n_strong": 3}), local, tmp_path / "with")
    assert len(read_list(tmp_path / "with", "strong", DCASE_2018_CLASSES)) == 3
    assert read_list(tmp_path / "without", "strong", DCASE_2018_CLASSES) == []
    for split in LISTS:  # the other lists stay as they are
        lists = [tmp_path / name / f"{split}.tsv" for name in ("with", "without")]
        assert lists[0].read_bytes() == lists[1].read_bytes()


def test_a_clip_in_two_lists_is_refused(tmp_path: Path, local: Local) -> None:
    (local.metadata_dir / "unlabeled.tsv").write_text("filename\nd.wav\n")
    with pytest.raises(AvsedError, match=r"test.tsv and unlabeled.tsv: both list d"):
        prepare_lists(DATASET, local, tmp_path / "metadata")


def test_a_video_in_training_and_test_is_named(
    tmp_path: Path, local: Local, capsys: pytest.CaptureFixture[str]
) -> None:
    (local.metadata_dir / "unlabeled.tsv").write_text(
        "filename\nYabcdefghijk_30.000_40.000.wav\nC\n"
    )
    (local.metadata_dir / "test.tsv").write_text(
        "filename\tonset\toffset\tevent_label\nabcdefghijk_30_40\t0\t1\tDog\n"
    )
    prepare_lists(DATASET, local, tmp_path / "metadata")
    printed = capsys.readouterr().out
    assert (
        "unlabeled.tsv and test.tsv: 1 YouTube video (by the name) with clips in both "
        "(Yabcdefghijk_30.000_40.000 and abcdefghijk_30_40)"
    ) in printed
    assert "unlabeled.tsv and validation.tsv: 1 pair of names that differ only in upper" in printed


def test_an_empty_list_is_refused(tmp_path: Path, local: Local) -> None:
    (local.metadata_dir / "unlabeled.tsv").write_text("filename\n")
    with pytest.raises(AvsedError, match=r"unlabeled.tsv: has no clips"):
        prepare_lists(DATASET, local, tmp_path / "metadata")


def test_the_demo_gives_the_same_lists_and_clips_each_time(tmp_path: Path, local: Local) -> None:
    for name in ("first", "second"):
        prepare_lists(DEMO, local, tmp_path / name / "metadata")
        collect(DEMO, local, tmp_path / name)
    for split in LISTS:
        lists = [tmp_path / name / "metadata" / f"{split}.tsv" for name in ("first", "second")]
        assert lists[0].read_bytes() == lists[1].read_bytes()
    records = read_clips(tmp_path / "first" / "clips.csv")
    assert records == read_clips(tmp_path / "second" / "clips.csv")
    assert [record.status for record in records] == ["ok"] * 5
