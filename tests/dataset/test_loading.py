"""Features of the clips of a list, from shards on disk."""

from pathlib import Path

import pytest

from avsed.dataset.annotations import AnnotatedClip, write_classes, write_list
from avsed.dataset.loading import load_split
from avsed.errors import AvsedError
from tests.helpers.shards import write_features


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Write shards of the clips a, b and c of two kinds; the clip d has no image."""
    features, metadata = tmp_path / "features", tmp_path / "metadata"
    write_classes(metadata, ["Dog"])
    write_list(metadata, "weak", [AnnotatedClip(clip_id=name, tags=("Dog",)) for name in "abcd"])
    write_features(features, 0, "ab")
    write_features(features, 1, "cd")
    write_features(features, 0, "abc", kind="visual")
    (features / "visual/left_out.csv").write_text("clip_id,reason\nd,has no video\n")
    return features, metadata


def test_clips_that_were_excluded_from_a_kind_are_left_out(folders: tuple[Path, Path]) -> None:
    clips, features = load_split(*folders, "weak", ["auditory", "visual"])
    assert [clip.clip_id for clip in clips] == ["a", "b", "c"]
    assert features.clip_ids == ("a", "b", "c")


def test_clips_of_a_lost_shard_are_not_left_out_silently(folders: tuple[Path, Path]) -> None:
    (folders[0] / "auditory/part-00001.h5").unlink()
    message = r"auditory: 2 clips of weak.tsv are in no shard.*\(first: c\); run `dvc checkout`"
    with pytest.raises(AvsedError, match=message):
        load_split(*folders, "weak", ["auditory", "visual"])
