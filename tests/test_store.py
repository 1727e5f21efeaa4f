"""Shards and the store of unfinished work."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.clips import ClipRecord
from avsed.errors import AvsedError
from avsed.extraction import extract_features
from avsed.features.extractor import Extractor
from avsed.media import DecodeError
from avsed.store import (
    clips_with_features,
    describe_shards,
    read_features,
    source_files,
    written_whole,
)

from .conftest import clip_record


def record(clip_id: str, *, has_audio: bool = True) -> ClipRecord:
    return clip_record(clip_id, has_audio=has_audio, duration=5.0)


class Recipe:
    """Gives each clip features of its name's length, and counts how often it was asked."""

    # As if it were defined in a module of the package, whose code then decides the store's keys.
    __module__ = "avsed.features.spectral"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.interrupted_at = ""

    def __call__(self, path: Path, duration: float) -> NDArray[np.float32]:
        self.asked.append(path.stem)
        if path.stem == self.interrupted_at:
            raise KeyboardInterrupt
        if path.stem == "broken":
            raise DecodeError("audio: no sample can be decoded")
        return np.full((151, 4), len(path.stem), np.float32)


def extractor(recipe: Recipe, version: int = 1) -> Extractor:
    return Extractor(
        kind="spectral", stream="audio", extract=recipe, provenance={"version": version}
    )


def extract(tmp_path: Path, recipe: Recipe, records: list[ClipRecord], version: int = 1) -> None:
    extract_features(
        extractor(recipe, version),
        records,
        clips_dir=tmp_path / "clips",
        out_dir=tmp_path / "features" / "spectral",
        clips_per_shard=2,
    )


def test_features_are_read_back_in_the_order_asked_for(tmp_path: Path) -> None:
    extract(tmp_path, Recipe(), [record("a"), record("bb"), record("ccc")])
    features, valid_frames = read_features(tmp_path / "features", "spectral", ["ccc", "a"])
    assert features[:, 0, 0].tolist() == [3, 1]
    assert valid_frames.tolist() == [76, 76]
    assert len(list((tmp_path / "features" / "spectral").glob("part-*.h5"))) == 2


def test_clips_that_cannot_be_read_are_left_out_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(tmp_path, Recipe(), [record("a"), record("broken"), record("mute", has_audio=False)])
    assert clips_with_features(tmp_path / "features", "spectral") == {"a"}
    printed = capsys.readouterr().out
    assert "spectral: 1 of 3 clips" in printed
    assert "left out broken: audio: no sample can be decoded" in printed
    assert "left out mute: has no audio" in printed
    report = (tmp_path / "features" / "spectral" / "left_out.csv").read_text()
    assert report.splitlines()[1:] == [
        "broken,audio: no sample can be decoded",
        "mute,has no audio",
    ]


def test_an_interrupted_extraction_goes_on_with_the_shards_that_are_missing(
    tmp_path: Path,
) -> None:
    records = [record(name) for name in ("a", "bb", "ccc", "dddd")]
    first = Recipe()
    first.interrupted_at = "dddd"
    with pytest.raises(KeyboardInterrupt):
        extract(tmp_path, first, records)
    second = Recipe()
    extract(tmp_path, second, records)
    assert second.asked == ["bb", "dddd"]  # the shard that dddd is in
    assert not list(tmp_path.rglob("*.part"))


def test_a_clip_that_is_had_later_makes_its_own_shard_anew_and_no_other(tmp_path: Path) -> None:
    late = [record("a"), record("bb"), record("ccc", has_audio=False), record("dddd")]
    extract(tmp_path, Recipe(), late)
    again = Recipe()
    extract(tmp_path, again, [record(name) for name in ("a", "bb", "ccc", "dddd")])
    assert again.asked == ["a", "ccc"]


def test_other_parameters_or_media_make_features_anew(tmp_path: Path) -> None:
    extract(tmp_path, Recipe(), [record("a"), record("bb")])
    again = Recipe()
    extract(tmp_path, again, [record("a"), record("bb")], version=2)
    assert again.asked == ["a", "bb"]


def test_a_stored_shard_that_is_broken_is_made_again(tmp_path: Path) -> None:
    extract(tmp_path, Recipe(), [record("a")])
    (stored,) = (tmp_path / "store").rglob("*.h5")
    content = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(content[: len(content) // 2])
    again = Recipe()
    extract(tmp_path, again, [record("a")])
    assert again.asked == ["a"]
    assert clips_with_features(tmp_path / "features", "spectral") == {"a"}


def test_no_clip_with_the_stream_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match=r"no clip has audio; see data/clips.csv"):
        extract(tmp_path, Recipe(), [record("mute", has_audio=False)])


def test_features_beyond_float16_are_refused(tmp_path: Path) -> None:
    class Huge(Recipe):
        __module__ = "avsed.features.spectral"

        def __call__(self, path: Path, duration: float) -> NDArray[np.float32]:
            return np.full((151, 4), 1e5, np.float32)

    with pytest.raises(AvsedError, match=r"a.wav: its spectral features are no finite float16"):
        extract(tmp_path, Huge(), [record("a")])


def test_a_truncated_shard_is_refused_with_what_to_do(tmp_path: Path) -> None:
    extract(tmp_path, Recipe(), [record("a")])
    path = tmp_path / "features" / "spectral" / "part-00000.h5"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AvsedError, match=r"part-00000.h5: cannot be read .* `dvc repro extract@"):
        read_features(tmp_path / "features", "spectral", ["a"])


def test_shards_of_different_parameters_are_refused(tmp_path: Path) -> None:
    extract(tmp_path, Recipe(), [record("a"), record("bb"), record("ccc")])
    path = tmp_path / "features" / "spectral" / "part-00001.h5"
    with h5py.File(path, "r+") as file:
        file.attrs["provenance"] = '{"version": 2}'
    with pytest.raises(AvsedError, match=r"part-00001.h5: was made by other parameters"):
        describe_shards(tmp_path / "features", "spectral")


def test_missing_features_say_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="run `dvc repro extract@visual`"):
        clips_with_features(tmp_path, "visual")


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "item"
    path.write_text("old")
    with pytest.raises(RuntimeError), written_whole(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.glob("item*")) == [path]


def test_source_files_follow_imports_of_the_package() -> None:
    names = {path.name for path in source_files("avsed.features.spectral")}
    assert names == {"spectral.py", "extractor.py", "framing.py", "media.py"}
