"""The report of available clips, and of the reasons why others are missing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from avsed.dataset.clips import ClipRecord, failed_clip, missing_clip
from avsed.errors import AvsedError
from avsed.sources.clip_report import WARNING, count_clips, require_clips, write_inventory
from tests.conftest import clip_record

LISTED = {
    "weak": ["a", "b", "c", "d"],
    "unlabeled": ["e", "f"],
    "validation": ["g"],
    "test": ["h", "i", "j"],
}


RECORDS = [
    *map(clip_record, "acegij"),
    missing_clip("b", "private: Private video"),
    missing_clip("f", "private: Private video. Sign in"),
    missing_clip("d", "removed: by the uploader"),
    failed_clip("h", "network: timed out"),
]


def write(tmp_path: Path, records: list[ClipRecord], *, beside_paper: bool) -> str:
    write_inventory(
        LISTED,
        records,
        late_events={},
        beside_paper=beside_paper,
        metrics_path=tmp_path / "metrics" / "clips.json",
        report_path=tmp_path / "clips.md",
    )
    return (tmp_path / "clips.md").read_text()


def test_clips_are_counted_by_split_beside_the_papers(tmp_path: Path) -> None:
    report = write(tmp_path, RECORDS, beside_paper=True)
    assert report.splitlines()[2:8] == [
        "| split | listed | available | share | in the paper |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| weak | 4 | 2 | 50.0% | 1,439 |",
        "| unlabeled | 2 | 1 | 50.0% | 13,017 |",
        "| validation | 1 | 1 | 100.0% | 259 |",
        "| test | 3 | 2 | 66.7% | 779 |",
    ]
    assert json.loads((tmp_path / "metrics" / "clips.json").read_text()) == {
        "weak": {"available": 2, "missing": 2},
        "unlabeled": {"available": 1, "missing": 1},
        "validation": {"available": 1, "missing": 0},
        "test": {"available": 2, "missing": 1},
    }


def test_reasons_are_counted_the_commonest_first(tmp_path: Path) -> None:
    report = write(tmp_path, RECORDS, beside_paper=False)
    assert "the paper" not in report
    assert report.splitlines()[-7:] == [
        "| reason | weak | unlabeled | validation | test | status |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        "| private | 1 | 1 | 0 | 0 | gone |",
        "| network | 0 | 0 | 0 | 1 | failed |",
        "| removed | 1 | 0 | 0 | 0 | gone |",
        "",
        "`dvc repro -f collect` retries failed clips.",
    ]


def test_where_nothing_is_missing_there_is_nothing_to_explain(tmp_path: Path) -> None:
    report = write(tmp_path, [clip_record(clip_id) for clip_id in "abcdefghij"], beside_paper=False)
    assert "Why" not in report
    assert "warning" not in report


def test_clips_that_are_used_though_damaged_are_counted(tmp_path: Path) -> None:
    damaged = replace(clip_record("a"), reason="damaged: Header missing")
    report = write(tmp_path, [damaged, *RECORDS[1:]], beside_paper=False)
    assert report.splitlines()[2:10] == [
        "| split | listed | available | share | with a warning |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| weak | 4 | 2 | 50.0% | 1 |",
        "| unlabeled | 2 | 1 | 50.0% | 0 |",
        "| validation | 1 | 1 | 100.0% | 0 |",
        "| test | 3 | 2 | 66.7% | 0 |",
        "",
        WARNING,
    ]


def test_a_split_with_too_few_clips_is_refused_by_name() -> None:
    counts = count_clips(LISTED, RECORDS)
    require_clips(counts, 0.5)
    with pytest.raises(
        AvsedError, match=r"only 2 of 4 weak, 1 of 2 unlabeled clips are available.*60%"
    ):
        require_clips(counts, 0.6)
