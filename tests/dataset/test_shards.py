"""Shards: writing, reading, damage, and features larger than the free memory."""

from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from numpy.typing import NDArray

from avsed.dataset import shards
from avsed.dataset.shards import (
    Shard,
    clips_with_features,
    describe_shards,
    is_valid_shard,
    read_features,
    write_shard,
)
from avsed.errors import AvsedError
from avsed.runtime.store import store_dir
from tests.helpers.control_groups import leave_memory


def write(tmp_path: Path, number: int, clip_ids: list[str], version: int = 1) -> Path:
    """Write a shard of clips whose features equal the lengths of their names."""
    features = [np.full((151, 4), len(clip_id), np.float16) for clip_id in clip_ids]
    return write_features(
        tmp_path / "features" / "spectral" / f"part-{number:05d}.h5",
        clip_ids,
        np.stack(features) if features else np.empty((0, 151, 4), np.float16),
        version,
    )


def write_features(
    path: Path, clip_ids: list[str], features: NDArray[np.float16], version: int = 1
) -> Path:
    """Write a shard of clips with these features."""
    write_shard(
        path,
        Shard(
            clip_ids=tuple(clip_ids),
            features=features,
            valid_frames=np.full(len(clip_ids), 76, np.int16),
            left_out={},
            provenance={"version": version},
            code="its code",
            key="key",
        ),
    )
    return path


def test_features_are_read_back_in_the_order_asked_for(tmp_path: Path) -> None:
    write(tmp_path, 0, ["a", "bb"])
    write(tmp_path, 1, [])
    write(tmp_path, 2, ["ccc"])
    features, valid_frames = read_features(tmp_path / "features", "spectral", ["ccc", "a"])
    assert features[:, 0, 0].tolist() == [3, 1]
    assert valid_frames.tolist() == [76, 76]
    assert clips_with_features(tmp_path / "features", "spectral") == {"a", "bb", "ccc"}


def test_a_shard_of_another_key_or_with_a_damaged_value_is_not_whole(tmp_path: Path) -> None:
    path = write(tmp_path, 0, ["a", "bb"])
    assert is_valid_shard(path, "key")
    assert not is_valid_shard(path, "another key")
    content = bytearray(path.read_bytes())
    with h5py.File(path, "r") as file:
        start = file["features"].id.get_chunk_info(1).byte_offset
    content[start + 30] ^= 1  # of a compressed chunk, behind its header
    path.write_bytes(content)
    assert not is_valid_shard(path, "key")


def draw_features(*, n_held: int) -> NDArray[np.float16]:
    """Draw a clip as large as VGG16's, whose images are each held for some frames."""
    rng = np.random.default_rng(1)
    images = np.maximum(rng.standard_normal((1, -(-151 // n_held), 4096)), 0)
    return images.repeat(n_held, axis=1)[:, :151].astype(np.float16)


def filters_of(path: Path) -> list[int]:
    """List the ids of the filters of a shard's features, in the order of writing."""
    with h5py.File(path, "r") as file:
        pipeline = file["features"].id.get_create_plist()
        return [pipeline.get_filter(number)[0] for number in range(pipeline.get_nfilters())]


def test_features_are_shuffled_by_hdf5_and_compressed_by_zstandard(tmp_path: Path) -> None:
    assert filters_of(write(tmp_path, 0, ["a"])) == [h5py.h5z.FILTER_SHUFFLE, 32015]


def test_features_of_repeated_images_take_almost_no_room(tmp_path: Path) -> None:
    sizes = {}
    for n_held in (1, 10):
        features = draw_features(n_held=n_held)
        sizes[n_held] = write_features(tmp_path / "part.h5", ["a"], features).stat().st_size
    assert sizes[1] < features.nbytes / 1.8
    assert sizes[10] < sizes[1] / 8


def test_the_same_features_make_the_same_file(tmp_path: Path) -> None:
    features = draw_features(n_held=2)
    paths = [write_features(tmp_path / name, ["a"], features) for name in ("one", "two")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_shards_that_blosc_compressed_are_read_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blosc = hdf5plugin.Blosc(cname="zstd", clevel=1, shuffle=hdf5plugin.Blosc.SHUFFLE)
    monkeypatch.setattr(shards, "COMPRESSION", blosc)
    old = write(tmp_path, 0, ["a", "bb"])
    assert filters_of(old) == [32001]
    monkeypatch.undo()
    write(tmp_path, 1, ["ccc"])
    assert is_valid_shard(old, "key")
    features, _ = read_features(tmp_path / "features", "spectral", ["ccc", "a"])
    assert features[:, 150, 3].tolist() == [3, 1]


@pytest.mark.parametrize("described", [b"version", b"a clip that is long", b"its code"])
def test_a_shard_with_a_damaged_description_is_not_whole(described: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, 0, ["a clip that is long", "bb"])
    assert is_valid_shard(path, "key")
    content = path.read_bytes()
    assert content.count(described) == 1
    path.write_bytes(content.replace(described, described[:-1] + b"X"))
    assert not is_valid_shard(path, "key")


def test_a_truncated_shard_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, 0, ["a"])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(AvsedError, match=r"part-00000.h5: cannot be read .* `dvc repro -f extract"):
        read_features(tmp_path / "features", "spectral", ["a"])


def test_shards_of_different_parameters_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 0, ["a"])
    write(tmp_path, 1, ["bb"], version=2)
    with pytest.raises(AvsedError, match=r"part-00001.h5: has other parameters"):
        describe_shards(tmp_path / "features", "spectral")


def test_missing_features_say_which_stage_to_run(tmp_path: Path) -> None:
    with pytest.raises(AvsedError, match="run `dvc repro extract`"):
        clips_with_features(tmp_path, "visual")


def test_features_beyond_half_of_the_free_memory_lie_in_a_file_and_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, 0, ["a", "bb"])
    write(tmp_path, 1, ["ccc"])
    asked = (tmp_path / "features", "spectral", ["ccc", "a"])
    in_memory, _ = read_features(*asked)
    assert not isinstance(in_memory, np.memmap)
    leave_memory(2 * in_memory.nbytes - 1, tmp_path, monkeypatch)
    in_file, _ = read_features(*asked)
    assert isinstance(in_file, np.memmap)
    assert np.array_equal(in_file, in_memory)
    assert list(store_dir().iterdir()) == []  # it has no name, and is gone with the process
    assert f"they are read from a file in {store_dir()}" in capsys.readouterr().out
    leave_memory(2 * in_memory.nbytes, tmp_path, monkeypatch)
    assert not isinstance(read_features(*asked)[0], np.memmap)
