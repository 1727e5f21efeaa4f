"""Reading of lists in the DCASE format, and error messages for invalid ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from avsed.dataset.annotations import (
    AnnotatedClip,
    Event,
    read_classes,
    read_list,
    write_classes,
    write_list,
)
from avsed.dataset.names import clip_id_of
from avsed.errors import AvsedError
from avsed.params import LocalDataset

CLASSES = ("Cat", "Dog", "Speech")


def read(tmp_path: Path, split: str, text: str) -> list[AnnotatedClip]:
    (tmp_path / f"{split}.tsv").write_text(text, "utf-8")
    return read_list(tmp_path, split, CLASSES)


def test_weak_clips_have_sorted_distinct_tags(tmp_path: Path) -> None:
    clips = read(tmp_path, "weak", "filename\tevent_labels\nYa_0.000_10.000.wav\tDog,Cat,Dog\n")
    assert clips == [AnnotatedClip(clip_id="Ya_0.000_10.000", tags=("Cat", "Dog"))]


def test_strong_rows_of_a_clip_become_its_events_by_onset(tmp_path: Path) -> None:
    rows = "a.wav\t2.5\t3\tDog\na.wav\t0\t1.25\tCat\n"
    clips = read(tmp_path, "test", f"filename\tonset\toffset\tevent_label\n{rows}")
    assert clips[0].tags == ("Cat", "Dog")
    assert clips[0].events == (
        Event(onset=0.0, offset=1.25, label="Cat"),
        Event(onset=2.5, offset=3.0, label="Dog"),
    )


@pytest.mark.parametrize("row", ["a.wav\t\t\t", "a.wav"])
def test_a_strong_row_without_label_is_a_clip_without_events(tmp_path: Path, row: str) -> None:
    clips = read(tmp_path, "validation", f"filename\tonset\toffset\tevent_label\n{row}\n")
    assert clips == [AnnotatedClip(clip_id="a", tags=(), events=())]


def test_windows_line_ends_and_byte_order_mark_are_read(tmp_path: Path) -> None:
    clips = read(tmp_path, "unlabeled", "\ufefffilename\r\na.wav\r\n\r\n")
    assert clips == [AnnotatedClip(clip_id="a")]


def test_cells_in_the_quotation_marks_of_spreadsheets_are_read(tmp_path: Path) -> None:
    rows = '"a.wav"\t"Dog,Speech"\r\nb.wav\t" Dog , Cat"\r\nc.wav\tCat\r\n'
    assert read(tmp_path, "weak", f'"filename"\tevent_labels\r\n{rows}') == [
        AnnotatedClip(clip_id="a", tags=("Dog", "Speech")),
        AnnotatedClip(clip_id="b", tags=("Cat", "Dog")),
        AnnotatedClip(clip_id="c", tags=("Cat",)),
    ]
    header = "\t".join(f'"{name}"' for name in ("filename", "onset", "offset", "event_label"))
    rows = '"a.wav"\t"0.5"\t"1.5"\t"Dog"\n"b.wav"\t""\t""\t""\n'
    clips = read(tmp_path, "test", f"{header}\n{rows}")
    assert [clip.events for clip in clips] == [(Event(onset=0.5, offset=1.5, label="Dog"),), ()]


@pytest.mark.parametrize("cell", ['5" gun', '"5"" gun"'])
def test_a_quotation_mark_within_a_name_stays(tmp_path: Path, cell: str) -> None:
    (tmp_path / "weak.tsv").write_text(f"filename\tevent_labels\na.wav\t{cell}\n")
    assert read_list(tmp_path, "weak", ['5" gun'])[0].tags == ('5" gun',)


@pytest.mark.parametrize("split", ["weak", "unlabeled", "validation", "test"])
def test_what_is_written_is_read_back(tmp_path: Path, split: str) -> None:
    events = (Event(onset=0.125, offset=2.0, label="Cat"),)
    clips = {
        "weak": [AnnotatedClip(clip_id="Y-b_1.000_11.000", tags=("Cat", "Dog"))],
        "unlabeled": [AnnotatedClip(clip_id="a"), AnnotatedClip(clip_id="_c")],
    }.get(
        split,
        [
            AnnotatedClip(clip_id="a", tags=("Cat",), events=events),
            AnnotatedClip(clip_id="b", tags=(), events=()),
        ],
    )
    write_list(tmp_path, split, clips)
    assert read_list(tmp_path, split, CLASSES) == clips


def test_times_between_milliseconds_are_read_back(tmp_path: Path) -> None:
    short = (Event(onset=0.0001, offset=0.0004, label="Cat"),)
    clips = [AnnotatedClip(clip_id="a", tags=("Cat",), events=short)]
    write_list(tmp_path, "test", clips)
    assert read_list(tmp_path, "test", CLASSES) == clips


@pytest.mark.parametrize(
    ("split", "row", "message"),
    [
        ("weak", "a.wav\tCow", "line 2: 'Cow' is not among the classes Cat, Dog, Speech"),
        ("weak", "a.wav\t", "line 2: has no label"),
        ("weak", "a.wav\tCat\na.wav\tDog", "line 3: a.wav is listed twice"),
        ("weak", "../a.wav\tCat", "line 2: '../a.wav' is not a valid file name"),
        ("weak", "/etc/passwd\tCat", "is not a valid file name"),
        ("weak", ".wav\tCat", "is not a valid file name"),
        ("weak", "a.wav\tCat\tDog", "line 2: has 3 fields; expected 2"),
        ("test", "a.wav\t1\t2\tCow", "line 2: 'Cow' is not among the classes"),
        ("weak", 'a.wav\t"Cat', "event_labels '\"Cat' begins with a quotation mark; remove it, or"),
        ("weak", "a.wav\tCat, bird", "classes (a comma separates two labels: class names contain"),
        ("test", "a.wav\t1\t2\tCat, bird", "such as 'Cat bird', in the lists and the classes"),
        ("test", "a.wav\t2\t1\tCat", "from 2.0 s to 1.0 s"),
        ("test", "a.wav\t-1\t1\tCat", "the onset must be 0 or more"),
        ("test", "a.wav\tnan\t1\tCat", "from nan s"),
        ("test", "a.wav\tx\t1\tCat", "onset 'x' and offset '1' must be seconds"),
        ("test", "a.wav\t1\t2\tCat\na.wav\t1\t2\tCat", "line 3: the same event is listed"),
        ("test", "a.wav\t1\t2\t", "line 2: has times but no event_label"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(
    tmp_path: Path, split: str, row: str, message: str
) -> None:
    header = {"weak": "filename\tevent_labels", "test": "filename\tonset\toffset\tevent_label"}
    with pytest.raises(AvsedError) as caught:
        read(tmp_path, split, f"{header[split]}\n{row}\n")
    assert message in str(caught.value)
    assert f"{split}.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_columns_are_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"weak.tsv, line 1: columns are 'file, labels'; expected"):
        read(tmp_path, "weak", "file\tlabels\n")


def test_a_missing_list_says_which_columns_it_should_have(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"weak.tsv: no such list; .* filename, event_labels"):
        read_list(tmp_path, "weak", CLASSES)


def test_classes_are_read_back_in_order(tmp_path: Path) -> None:
    write_classes(tmp_path, CLASSES)
    assert read_classes(tmp_path) == CLASSES


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Burping, eructation", "contains a comma, .* such as 'Burping eructation', in"),
        ('"Cat', "begins with a quotation mark; remove it"),
        ("NONE", "is read by sed_eval as a missing label"),
        ("a\x0bb", "contains control characters"),
        ("x" * 101, "has 101 characters; use up to 100"),
    ],
)
def test_a_name_that_cannot_be_a_class_is_refused_wherever_it_stands(
    tmp_path: Path, name: str, message: str
) -> None:
    write_classes(tmp_path, ("Dog", name))
    with pytest.raises(
        AvsedError, match=rf"classes.txt, line 2: .* cannot be a class: it {message}"
    ):
        read_classes(tmp_path)
    with pytest.raises(ValidationError, match=rf"cannot be a class: it {message}"):
        LocalDataset(source="local", classes=("Dog", name))
    (tmp_path / "test.tsv").write_text(
        f"filename\tonset\toffset\tevent_label\na\t0\t1\t{name}\n", "utf-8"
    )
    with pytest.raises(AvsedError, match=r"cannot be a class|begins with a quotation mark"):
        read_list(tmp_path, "test", ("Dog",))


def test_a_class_named_twice_is_refused(tmp_path: Path) -> None:
    write_classes(tmp_path, ("Cat", "Cat"))
    with pytest.raises(AvsedError, match="lists a class twice"):
        read_classes(tmp_path)


@pytest.mark.parametrize(
    ("filename", "clip_id"),
    [
        ("Y-abc_def123_0.000_10.000.wav", "Y-abc_def123_0.000_10.000"),
        ("Yabcdefghijk_0.000_10.000", "Yabcdefghijk_0.000_10.000"),
        ("dog.mp4", "dog"),
        ("dog.3gp", "dog"),
        ("dog.1", "dog.1"),
        ("a.b", "a.b"),
        ("a.b.wav", "a.b"),
        ("a.b.WAV", "a.b"),
        ("a.wav.mp4", "a.wav"),
        ("dog.txt", "dog.txt"),
        ("wav", "wav"),
    ],
)
def test_only_an_extension_of_media_is_dropped_from_a_name(filename: str, clip_id: str) -> None:
    assert clip_id_of(filename) == clip_id
