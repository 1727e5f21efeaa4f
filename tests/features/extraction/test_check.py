"""The check of features reports each kind of invalid shard."""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.image import imread

from avsed.cli import main
from avsed.dataset.clips import write_clips
from avsed.features.extraction.check import check_shards
from avsed.runtime.files import append_checksum
from tests.conftest import clip_record
from tests.helpers.shards import write_features

RECORDS = [clip_record(clip_id) for clip_id in "abcd"]


def errors(folder: Path) -> list[str]:
    return check_shards(folder, "auditory", RECORDS).errors


def test_whole_shards_have_no_errors(tmp_path: Path) -> None:
    write_features(tmp_path, 0, "ab")
    write_features(tmp_path, 1, "c")
    check = check_shards(tmp_path, "auditory", RECORDS)
    assert (check.n_shards, check.n_clips, check.n_left_out, check.errors) == (2, 3, 1, [])


def test_a_truncated_shard_is_named_and_nothing_else(tmp_path: Path) -> None:
    write_features(tmp_path, 0, "ab")
    path = write_features(tmp_path, 1, "c")
    path.write_bytes(path.read_bytes()[:2000])
    (error,) = errors(tmp_path)
    assert error.startswith(f"{path}: cannot be read (")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("features", np.full((1, 151, 128), np.nan, np.float16), "c has NaN or infinite"),
        ("features", np.ones((1, 150, 128), np.float16), "has 150 frames a clip; 151 expected"),
        ("features", np.ones((1, 151, 128), np.float32), "holds float32; float16 expected"),
        ("features", np.ones((2, 151, 128), np.float16), "holds 1 clips, but 2 features and 1"),
        ("features", np.ones((1, 151, 64), np.float16), "has 64 values a frame, 128 the first"),
        ("valid_frames", np.zeros(1, np.int16), "c has 0 valid frames; 1 to 151 expected"),
        ("valid_frames", np.full(1, 152, np.int16), "c has 152 valid frames"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, name: str, value: np.ndarray, message: str) -> None:
    write_features(tmp_path, 0, "ab")
    path = write_features(tmp_path, 1, "c")
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value
    append_checksum(path)
    (error,) = errors(tmp_path)
    assert error.startswith(f"{path}: {message}")


def test_a_missing_dataset_is_named(tmp_path: Path) -> None:
    path = write_features(tmp_path, 0, "abc")
    with h5py.File(path, "r+") as file:
        del file["valid_frames"]
    append_checksum(path)
    (error,) = errors(tmp_path)
    assert error.startswith(f"{path}: cannot be read (") and "valid_frames" in error


def test_other_parameters_are_named(tmp_path: Path) -> None:
    write_features(tmp_path, 0, "ab")
    path = write_features(tmp_path, 1, "c", version=2)
    assert errors(tmp_path) == [f"{path}: was made by other parameters than part-00000.h5"]


def test_clips_that_are_missing_or_too_many_are_named(tmp_path: Path) -> None:
    write_features(tmp_path, 0, "abx")
    write_features(tmp_path, 1, "b")
    assert errors(tmp_path) == [
        f"{tmp_path / 'auditory'}: b is in 2 shards",
        f"{tmp_path / 'auditory'}: lacks 1 clips, such as c",
        f"{tmp_path / 'auditory'}: contains clips that are no longer collected: 1 clips, such as x",
    ]


def test_clips_without_video_need_no_visual_features(tmp_path: Path) -> None:
    write_features(tmp_path, 1, "a", kind="visual")
    records = [clip_record("a"), clip_record("b", has_video=False)]
    assert check_shards(tmp_path, "visual", records).errors == []


def test_the_command_says_what_is_wrong_and_which_stage_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["avsed", "features", "check"])
    Path("data").mkdir()
    write_clips(Path("data/clips.csv"), RECORDS)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "data/features: has no features; run `dvc repro extract`" in capsys.readouterr().err

    write_features(Path("data/features"), 0, "abc")
    main()
    printed = capsys.readouterr().out
    assert "auditory: 3 clips in 1 shards" in printed and printed.endswith("0 errors\n")

    path = write_features(Path("data/features"), 1, "")
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = json.dumps({"version": 2})
    append_checksum(path)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "part-00001.h5: was made by other parameters than part-00000.h5; run `dvc repro -f" in (
        capsys.readouterr().out
    )


def test_a_clips_features_are_drawn_on_one_time_axis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_features(Path("data/features"), 0, "ab")
    write_features(Path("data/features"), 0, "ac", kind="visual")
    heights = {}
    for clip_id in "abc":
        monkeypatch.setattr(sys, "argv", ["avsed", "features", "show", clip_id])
        main()
        assert capsys.readouterr().out == f"{clip_id}.png\n"
        heights[clip_id] = imread(f"{clip_id}.png").shape[0]
    # One panel a kind.
    assert heights["a"] == 2 * heights["b"] == 2 * heights["c"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x"], "data/features: has no features of x; data/clips.csv names the clips"),
        (["a", "--out", "a.mp3"], "a.mp3: cannot be drawn"),
        (["a", "--out", "nowhere/a.png"], "nowhere/a.png: cannot be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_features(Path("data/features"), 0, "a")
    monkeypatch.setattr(sys, "argv", ["avsed", "features", "show", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")
