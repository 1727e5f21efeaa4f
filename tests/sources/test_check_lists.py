"""Errors and warnings of the check of lists, also for the published lists."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from avsed.dataset.annotations import DCASE_2018_CLASSES, REQUIRED_SPLITS
from avsed.runtime.files import file_sha256
from avsed.sources.check_lists import (
    MetadataCheck,
    check_metadata,
    format_check,
    format_errors,
)
from avsed.sources.youtube.lists import FILES, SHA256, segment_of
from tests.conftest import ROOT

HEADERS = {
    "weak": "filename\tevent_labels",
    "unlabeled": "filename",
    "validation": "filename\tonset\toffset\tevent_label",
    "test": "filename\tonset\toffset\tevent_label",
    "strong": "filename\tonset\toffset\tevent_label",
}
# Lists without anything odd; a test replaces the rows of one or two.
ROWS = {
    "weak": ["w1.wav\tCat,Dog"],
    "unlabeled": ["u1.wav"],
    "validation": ["v1.wav\t1\t2\tCat", "v1.wav\t1\t2\tDog"],
    "test": ["t1.wav\t0\t10\tCat", "t2.wav\t3\t4\tDog", "t2.wav\t4\t5\tDog"],
}


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change the folder, so that paths in messages are short."""
    monkeypatch.chdir(tmp_path)


def check(
    rows: Mapping[str, list[str]], classes: Sequence[str] | None = ("Cat", "Dog")
) -> MetadataCheck:
    paths = {split: Path(f"{split}.tsv") for split in {**ROWS, **rows}}
    for split, lines in {**ROWS, **rows}.items():
        paths[split].write_text("\n".join([HEADERS[split], *lines, ""]), "utf-8")
    return check_metadata(paths, classes)


def warnings_on(rows: Mapping[str, list[str]]) -> list[str]:
    found = check(rows)
    assert found.errors == []
    return found.warnings


def test_clips_events_and_classes_are_counted() -> None:
    found = check({})
    assert found.n_clips == {"weak": 1, "unlabeled": 1, "validation": 1, "test": 2}
    assert found.n_events == {"validation": 2, "test": 3}
    assert found.class_clips["weak"] == {"Cat": 1, "Dog": 1}
    assert found.class_clips["test"] == {"Cat": 1, "Dog": 1}
    assert found.class_events["test"] == {"Cat": 1, "Dog": 2}
    assert found.errors == found.warnings == []


def test_counts_errors_and_warnings_are_written_in_lines() -> None:
    rows = {"weak": ["w1.wav\tCat,Cat", "w2.wav\tDog,Cow"]}
    assert format_check(check(rows)) == [
        "list                        clips  events",
        "weak: weak.tsv                  2",
        "unlabeled: unlabeled.tsv        1",
        "validation: validation.tsv      1       2",
        "test: test.tsv                  2       3",
        "",
        "class  weak clips  validation clips  validation events  test clips  test events",
        "Cat             1                 1                  1           1            1",
        "Dog             0                 1                  1           1            2",
        "",
        "error: weak.tsv, line 3: 'Cow' is not among the classes Cat, Dog; correct the label or "
        "add it to the classes (a comma separates two labels: class names contain none)",
        "warning: weak.tsv, line 2: repeats a label (Cat,Cat)",
        "1 error, 1 warning",
    ]


def test_a_strong_list_is_counted_and_checked_like_the_others() -> None:
    found = check({"strong": ["s1.wav\t1\t2\tCat", "s2.wav\t1\t2\tDog", "s2.wav\t3\t4\tDog"]})
    assert found.errors == found.warnings == []
    assert (found.n_clips["strong"], found.n_events["strong"]) == (2, 3)
    assert found.class_events["strong"] == {"Cat": 1, "Dog": 2}
    found = check({"strong": ["s1.wav\t1\t2\tCow", "t2.wav\t1\t2\tDog", "s3.wav"]})
    assert [error.split(";")[0] for error in found.errors] == [
        "strong.tsv, line 2: 'Cow' is not among the classes Cat, Dog",
        "strong.tsv and test.tsv: both list t2",
    ]


def test_a_strong_list_may_have_no_clips_but_not_clips_without_any_event() -> None:
    assert check({"strong": []}).errors == []
    assert check({"strong": ["s1.wav", "s2.wav"]}).errors == [
        "strong.tsv: has no events, so that nothing can be learned; add onset, offset and "
        "event_label of at least one event"
    ]
    assert warnings_on({"strong": ["s1.wav\t1\t2\tCat", "s2.wav\t1\t2\tDog", "s3.wav"]}) == [
        "strong.tsv: 1 clip without events, trained on all the same (s3)"
    ]


def test_every_wrong_row_of_every_list_is_an_error() -> None:
    found = check(
        {"weak": ["w1.wav\tCow", "w2.wav\tCat", "w2.wav\tDog"], "test": ["t1\t2\t1\tCat"]}
    )
    places = [error.split(":")[0] for error in found.errors]
    assert places == ["weak.tsv, line 2", "weak.tsv, line 4", "test.tsv, line 2"]


@pytest.mark.parametrize("text", [None, "file\tlabels\n", "filename\tevent_labels\n"])
def test_a_list_that_cannot_be_read_or_is_empty_is_one_error_beside_the_others(
    text: str | None,
) -> None:
    check({"test": ["t1.wav\t2\t1\tCat"]})
    Path("weak.tsv").unlink()
    if text:
        Path("weak.tsv").write_text(text, "utf-8")
    found = check_metadata({split: Path(f"{split}.tsv") for split in ROWS}, ("Cat", "Dog"))
    first, second = found.errors
    expected = {
        None: "weak.tsv: no such list",
        "file\tlabels\n": "weak.tsv, line 1: columns are 'file, labels'",
    }
    assert first.startswith(expected.get(text, "weak.tsv: has no clips"))
    assert second.startswith("test.tsv, line 2: the event lasts from 2.0 s to 1.0 s")
    assert format_check(found)[-1] == "2 errors, 0 warnings"


def test_a_folder_without_any_list_is_still_described() -> None:
    found = check_metadata({split: Path(f"{split}.tsv") for split in ROWS}, None)
    assert len(found.errors) == 4
    assert format_check(found)[-1] == "4 errors, 0 warnings"


def test_a_clip_in_two_lists_is_an_error() -> None:
    found = check({"unlabeled": ["u1.wav", "w1.mp4"]})
    assert found.errors == [
        "unlabeled.tsv and weak.tsv: both list w1; remove the clip from one of them"
    ]
    assert found.warnings == []


def test_without_a_vocabulary_every_label_is_a_class_and_the_report_says_so() -> None:
    found = check({"weak": ["w1.wav\tCat, Dgo"]}, None)
    assert found.classes == ("Cat", "Dgo", "Dog")
    assert found.class_clips["weak"] == {"Cat": 1, "Dgo": 1, "Dog": 0}
    assert found.errors == []
    assert any(line.startswith("No vocabulary is known") for line in format_check(found))


def test_without_a_vocabulary_two_labels_in_a_strong_row_are_an_error() -> None:
    found = check({"test": ["t1.wav\t0\t1\tCat,Dog"]}, None)
    assert found.errors == [
        "test.tsv, line 2: 'Cat,Dog' cannot be a class: it contains a comma, which separates "
        "labels in weak.tsv; write it without commas, such as 'Cat Dog', in the lists and the "
        "classes; for several classes, write one row each"
    ]


def test_without_a_vocabulary_a_name_that_cannot_be_a_class_is_none() -> None:
    rows = {
        "weak": ['w1.wav\t"Dog,Cat"', "w2.wav\tNone", 'w3.wav\tDog,"Cat'],
        "validation": ['v1.wav\t1\t2\t"Burping, eructation"', "v2.wav\t1\t2\tCat"],
    }
    found = check(rows, None)
    assert found.classes == ("Cat", "Dog")
    assert found.class_clips["weak"] == {"Cat": 1, "Dog": 1}
    assert [error.split("; ")[0] for error in found.errors] == [
        "weak.tsv, line 3: 'None' cannot be a class: it is read by sed_eval as a missing label",
        "weak.tsv, line 4: '\"Cat' cannot be a class: it begins with a quotation mark",
        "validation.tsv, line 2: 'Burping, eructation' cannot be a class: it contains a comma, "
        "which separates labels in weak.tsv",
    ]
    assert "such as 'Burping eructation'" in found.errors[2]


def test_the_first_errors_of_each_kind_are_shown_and_the_others_counted() -> None:
    unknown = [f"w{n}.wav\tCow" for n in range(1, 1022)]
    rows = ["w0.wav\tCat,Dog", *unknown, *(f"x{n}.wav\t" for n in range(20)), "w0.wav\tCat"]
    found = check({"weak": rows, "unlabeled": [f"w{n}.wav" for n in range(1, 30)]})
    assert len(found.errors) == 1021 + 20 + 1 + 29
    shown = format_errors(found)
    assert shown[:20] == found.errors[:20]
    assert shown[20] == "weak.tsv: an unknown label: 1,001 more errors of this kind"
    assert shown[21:41] == found.errors[1021:1041]  # of 20, all are shown
    assert shown[41] == "weak.tsv, line 1044: w0.wav is listed twice; remove one row"
    assert shown[-1] == "clips in two lists: 9 more errors of this kind"
    assert len(shown) == 20 + 1 + 20 + 1 + 20 + 1
    report = format_check(found)
    assert [line[7:] for line in report if line.startswith("error: ")] == shown
    assert report[-1].startswith("1,071 errors, ")


def test_the_report_of_any_labels_is_bounded() -> None:
    labels = [f"w{n}.wav\t{n}{'x' * 90}" for n in range(3000)]
    found = check({"weak": [*labels, "a.wav\tCat" + ",Cat" * 10**5]}, None)
    report = format_check(found)
    assert "... and 2,002 more classes" in report
    assert sum(map(len, report)) < 400_000
    assert len(found.warnings[0]) < 200


def test_many_classes_are_not_all_named_in_an_error() -> None:
    classes = ["Cat", "Dog", *map(str, range(500))]
    (error,) = check({"test": ["a.wav\t0\t1\tCow", "b.wav\t0\t1\tCat"]}, classes).errors
    assert error.endswith("... (502 classes); correct the label or add it to the classes")
    assert len(error) < 500


def test_up_to_five_rows_that_repeat_a_label_are_warned_about_one_by_one() -> None:
    rows = [f"w{n}.wav\tDog,Cat,Dog" for n in range(5)]
    assert warnings_on({"weak": rows}) == [
        f"weak.tsv, line {line}: repeats a label (Dog,Cat,Dog)" for line in range(2, 7)
    ]


def test_more_rows_that_repeat_a_label_are_one_warning() -> None:
    rows = [f"w{n}.wav\tDog,Cat,Dog" for n in range(6)]
    assert warnings_on({"weak": rows}) == [
        "weak.tsv, line 2: repeats a label (Dog,Cat,Dog); so do 5 more rows of this list"
    ]


def test_overlaps_of_one_class_are_counted_by_pairs_and_by_clips() -> None:
    # The second event overlaps both others, which only touch; the dog's overlaps no dog's.
    rows = ["a.wav\t0\t2\tCat", "a.wav\t1\t4\tCat", "a.wav\t2\t3\tCat", "a.wav\t0\t9\tDog"]
    assert warnings_on({"test": [*rows, "b.wav\t0\t2\tDog", "b.wav\t0\t1\tDog"]}) == [
        "test.tsv: 3 overlaps of two events of one class, in 2 clips (a, b)"
    ]


def test_three_of_many_clips_without_events_are_named() -> None:
    rows = [*ROWS["validation"], *(f"{name}.wav\t\t\t" for name in "abcd")]
    assert warnings_on({"validation": rows}) == [
        "validation.tsv: 4 clips without events, scored all the same (a, b, c, ...)"
    ]


def test_what_a_list_lacks_is_no_warning_where_its_rows_cannot_be_read() -> None:
    found = check({"test": ["t1.wav\t0\t1\tCta", "t2.wav\t0\t1\tCat"]})
    assert len(found.errors) == 1
    assert found.warnings == []


def test_events_past_the_end_of_a_clip_are_warned_about_with_the_largest_excess() -> None:
    six_seconds = "Yabcdefghij-_30.000_36.000.wav"
    rows = [*ROWS["test"], "a.wav\t9\t10.115\tCat", f"{six_seconds}\t5\t6.25\tCat"]
    assert warnings_on({"test": rows}) == [
        "test.tsv: 1 clip nominally shorter than 10 s (Yabcdefghij-_30.000_36.000)",
        "test.tsv: 2 events past the clip's end by up to 0.250 s, cut at 10 s, in 2 clips "
        "(a, Yabcdefghij-_30.000_36.000)",
    ]


def test_events_after_the_end_of_a_clip_are_warned_about() -> None:
    rows = [*ROWS["test"], "a.wav\t10\t11\tCat", "b.wav\t9\t10\tCat"]
    assert warnings_on({"test": rows}) == [
        "test.tsv: 1 event wholly after the clip's end, dropped from 10 s on, in 1 clip (a)"
    ]


def test_clips_of_youtube_shorter_than_ten_seconds_are_warned_about() -> None:
    rows = [
        "Yabcdefghij0_0.000_9.999.wav",
        "Yabcdefghij1_0.000_10.000.wav",
        "Yshort_0.000_3.000.wav",
    ]
    assert warnings_on({"unlabeled": rows}) == [
        "unlabeled.tsv: 1 clip nominally shorter than 10 s (Yabcdefghij0_0.000_9.999)"
    ]


def test_classes_without_a_clip_are_warned_about_where_labels_are_known() -> None:
    rows = ["t1.wav\t\t\t", "t2.wav\t0\t1\tDog"]
    assert warnings_on({"weak": ["w1.wav\tCat"], "test": rows}) == [
        "weak.tsv: 1 class without a clip (Dog)",
        "test.tsv: 1 clip without events, scored all the same (t1)",
        "test.tsv: 1 class without a clip (Cat)",
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["a.wav\t500\t1500\tDog", "b.wav\t10\t12\tCat"],
            "none of its 2 events starts in the first 10 s, where clips end, so that nothing can "
            "be scored; onset and offset are in seconds from the start of the clip",
        ),
        (
            ["a.wav", "b.wav\t\t\t"],
            "has no events, so that nothing can be scored; add onset, offset and event_label of "
            "at least one event",
        ),
    ],
)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_strong_list_without_an_event_to_score_is_an_error(
    split: str, rows: list[str], message: str
) -> None:
    assert check({split: rows}).errors == [f"{split}.tsv: {message}"]


def test_missing_events_are_no_error_where_rows_cannot_be_read() -> None:
    (error,) = check({"test": ["t1.wav\t\t\t", "t2.wav\t0\t1\tCta"]}).errors
    assert error.startswith("test.tsv, line 3: 'Cta'")


def test_a_video_of_youtube_in_two_clips_is_warned_about_within_and_across_lists() -> None:
    first, second, third = (f"Yabcdefghij0_{start}.000_{start + 10}.000" for start in (0, 10, 50))
    other = "Yabcdefghij1_0.000_10.000"
    rows = {
        "weak": [f"{first}.wav\tCat,Dog"],
        "unlabeled": [f"{second}.wav", f"{third}.wav", f"{other}.wav"],
    }
    assert warnings_on(rows) == [
        "weak.tsv and unlabeled.tsv: 1 YouTube video (by the name) with clips in both "
        f"({first} and {second})",
        f"unlabeled.tsv: 1 YouTube video (by the name) with several clips ({second} and {third})",
    ]


@pytest.mark.parametrize(
    "other",
    [
        "abcdefghi-k_30_40",
        "abcdefghi-k",
        "Yabcdefghi-k",
        "abcdefghi-k_30000",
        "abcdefghi-k_90.5_99",
    ],
)
def test_a_video_under_another_name_is_found_in_training_and_test(other: str) -> None:
    name = "Yabcdefghi-k_30.000_40.000"
    rows = {"weak": [f"{name}.wav\tCat,Dog"], "test": [*ROWS["test"], f"{other}.wav\t0\t1\tCat"]}
    assert warnings_on(rows) == [
        "weak.tsv and test.tsv: 1 YouTube video (by the name) with clips in both "
        f"({name} and {other})"
    ]


def test_names_that_only_look_like_those_of_one_video_are_no_warning() -> None:
    names = ["abcdefghi-k", "abcdefghi-K9", "abcdefghi-k30_40", "Zabcdefghi-k", "abcdefghi-k_a_b"]
    assert warnings_on({"unlabeled": [f"{name}.wav" for name in names]}) == []


def test_names_that_differ_only_in_case_are_warned_about() -> None:
    assert warnings_on({"unlabeled": ["u1.wav", "U1.wav", "W1.wav"]}) == [
        "weak.tsv and unlabeled.tsv: 1 pair of names that differ only in upper and lower case, one "
        "file on some file systems (w1 and W1)",
        "unlabeled.tsv: 1 pair of names that differ only in upper and lower case, one file on some "
        "file systems (u1 and U1)",
    ]


PUBLISHED = ROOT.parent / "shared" / "dcase2018"
published = pytest.mark.skipif(
    not all((PUBLISHED / name).is_file() for name in FILES.values()),
    reason="no copy of the published lists beside the repository",
)


def published_rows(split: str) -> list[dict[str, str]]:
    with (PUBLISHED / FILES[split]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@published
@pytest.mark.parametrize("split", REQUIRED_SPLITS)
def test_the_published_lists_are_those_that_are_named_by_their_hashes(split: str) -> None:
    assert file_sha256(PUBLISHED / FILES[split]) == SHA256[split]


@published
def test_every_row_of_the_published_lists_is_read() -> None:
    paths = {split: PUBLISHED / name for split, name in FILES.items()}
    found = check_metadata(paths, DCASE_2018_CLASSES)
    assert found.errors == []
    assert found.n_clips == {"weak": 1578, "unlabeled": 14412, "validation": 288, "test": 880}
    assert found.n_events == {"validation": 908, "test": 3328}
    for split in REQUIRED_SPLITS:
        rows = published_rows(split)
        assert found.n_clips[split] == len({row["filename"] for row in rows})
        if split in found.n_events:
            assert found.n_events[split] == sum(row["event_label"] != "" for row in rows)
    weak = [row["event_labels"].split(",") for row in published_rows("weak")]
    for name in DCASE_2018_CLASSES:
        assert found.class_clips["weak"][name] == sum(name in labels for labels in weak)


@published
def test_what_is_odd_in_the_published_lists_is_warned_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(PUBLISHED)
    found = check_metadata({s: Path(name) for s, name in FILES.items()}, DCASE_2018_CLASSES)
    assert [warning.split(" (")[0] for warning in found.warnings] == [
        "train/weak.csv, line 681: repeats a label",
        "train/weak.csv, line 1050: repeats a label",
        "train/weak.csv, line 1505: repeats a label",
        "train/weak.csv: 29 clips nominally shorter than 10 s",
        "train/unlabel_in_domain.csv: 181 clips nominally shorter than 10 s",
        "test/test.csv: 3 clips nominally shorter than 10 s",
        "test/test.csv: 12 overlaps of two events of one class, in 4 clips",
        "test/test.csv: 1 event past the clip's end by up to 0.115 s, cut at 10 s, in 1 clip",
        "eval/eval.csv: 14 clips nominally shorter than 10 s",
        "eval/eval.csv: 3 events past the clip's end by up to 0.115 s, cut at 10 s, in 3 clips",
        "eval/eval.csv: 15 clips without events, scored all the same",
    ]


@published
@pytest.mark.parametrize("split", REQUIRED_SPLITS)
def test_every_published_name_is_a_segment_of_a_video(split: str) -> None:
    for row in published_rows(split):
        name = row["filename"].removesuffix(".wav")
        segment = segment_of(name)
        # By position: the video's id may hold what separates the others.
        assert segment.video_id == name[1:12]
        start, end = (float(part) for part in name[13:].split("_"))
        assert segment.start == start
        assert segment.duration == pytest.approx(end - start, abs=1e-6)
