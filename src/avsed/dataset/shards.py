"""Read and write HDF5 shards of features."""

import csv
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from avsed.errors import AvsedError
from avsed.runtime.files import name_disk_errors, new_hdf5, open_verified
from avsed.runtime.limits import free_memory
from avsed.runtime.store import store_dir

CLIPS_PER_SHARD = 256
LEFT_OUT = "left_out.csv"

# HDF5's own shuffle filter, then Zstandard (filter 32015). Unlike Blosc, it compresses the whole
# clip at once, so that repeated images take almost no room. Higher levels only take more time.
COMPRESSION = {"shuffle": True, **hdf5plugin.Zstd(clevel=1)}
Provenance = Mapping[str, str | int | float]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Features of some clips.

    Attributes:
        clip_ids: n clips.
        features: (n, n_frames, dims) float16.
        valid_frames: (n,) frames covered by the media of the clip.
        left_out: clips whose media could not be read, and why.
        provenance: the extractor, its parameters and the hash of its weights.
        code: hash of the code that computed it.
        key: hash of everything that determines the shard.
    """

    clip_ids: tuple[str, ...]
    features: NDArray[np.float16]
    valid_frames: NDArray[np.int16]
    left_out: Mapping[str, str]
    provenance: Provenance
    code: str
    key: str


@dataclass(frozen=True, kw_only=True)
class ShardOrigin:
    """The clips, parameters and code of a shard.

    Attributes:
        clip_ids: its clips, including excluded ones.
        provenance: see `Shard`.
        code: see `Shard`.
    """

    clip_ids: frozenset[str]
    provenance: Provenance
    code: str


def kinds_in(features_dir: Path) -> list[str]:
    """List the kinds of features in a folder."""
    return sorted(path.name for path in features_dir.glob("*") if path.is_dir())


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard atomically, with one compressed chunk per clip."""
    with new_hdf5(path, libver=("v110", "v110")) as file:
        _, n_frames, dims = shard.features.shape
        chunked = {"chunks": (1, n_frames, dims), **COMPRESSION} if shard.clip_ids else {}
        file.create_dataset("features", data=shard.features, **chunked)
        file.create_dataset("clip_id", data=list(shard.clip_ids), dtype=h5py.string_dtype())
        file.create_dataset("valid_frames", data=shard.valid_frames)
        file.attrs["left_out"] = json.dumps(dict(shard.left_out))
        file.attrs["provenance"] = json.dumps(dict(shard.provenance))
        file.attrs["code"] = shard.code
        file.attrs["key"] = shard.key


def is_valid_shard(path: Path, key: str) -> bool:
    """Return whether a file is the undamaged shard of a key; read all of it."""
    try:
        with open_verified(path) as file:
            return bool(file.attrs.get("key") == key)
    except OSError:
        return False


def read_origin(path: Path) -> ShardOrigin | None:
    """Read the origin of a shard; None if the file cannot be read."""
    try:
        with open_verified(path) as file:
            return ShardOrigin(
                clip_ids=frozenset(file["clip_id"].asstr()[:]).union(
                    json.loads(file.attrs["left_out"])
                ),
                provenance=json.loads(file.attrs["provenance"]),
                code=str(file.attrs["code"]),
            )
    except (OSError, KeyError, ValueError):
        return None


def read_left_out(path: Path) -> dict[str, str]:
    """Read the excluded clips of a shard, and why they were excluded."""
    with open_verified(path) as file:
        left_out: dict[str, str] = json.loads(file.attrs["left_out"])
        return left_out


@contextmanager
def open_shards(features_dir: Path, kind: str) -> Iterator[list[h5py.File]]:
    """Open all shards of one kind of features for reading.

    Raises:
        AvsedError: if there are none, or one cannot be read.
    """
    files: list[h5py.File] = []
    paths = sorted((features_dir / kind).glob("part-*.h5"))
    if not paths:
        raise AvsedError(
            f"{features_dir / kind}: has no features; run `dvc repro extract`; left_out.csv "
            "lists the excluded clips"
        )
    try:
        for path in paths:
            try:
                files.append(open_verified(path))
                _require_shard(files[-1], files[0])
            except (OSError, KeyError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise AvsedError(
                    f"{path}: cannot be read ({reason}); run `dvc repro -f extract`"
                ) from None
        yield files
    finally:
        for file in files:
            file.close()


def _require_shard(file: h5py.File, first: h5py.File) -> None:
    """Check that an undamaged file is a shard of the same features as the first."""
    features, clip_ids, frames = (file[name] for name in ("features", "clip_id", "valid_frames"))
    for name in ("left_out", "provenance", "code", "key"):
        file.attrs[name]
    if features.dtype != np.float16 or not len(features) == len(clip_ids) == len(frames):
        raise ValueError("its clips, features and numbers of frames do not match")
    if (
        len(clip_ids)
        and len(first["clip_id"])
        and features.shape[1:] != first["features"].shape[1:]
    ):
        raise ValueError(f"its features have another shape than those of {first.filename}")


def describe_shards(features_dir: Path, kind: str) -> tuple[Provenance, list[str]]:
    """Read the provenance of the shards of one kind of features.

    Returns:
        The common provenance, and the key of each shard.

    Raises:
        AvsedError: if a shard cannot be read, or has other parameters than the rest.
    """
    with open_shards(features_dir, kind) as files:
        provenances = [json.loads(file.attrs["provenance"]) for file in files]
        for file, provenance in zip(files, provenances, strict=True):
            if provenance != provenances[0]:
                raise AvsedError(
                    f"{file.filename}: has other parameters than the shards before it; "
                    "run `dvc repro -f extract`"
                )
        return provenances[0], [str(file.attrs["key"]) for file in files]


def read_features(
    features_dir: Path, kind: str, clip_ids: Sequence[str]
) -> tuple[NDArray[np.float16], NDArray[np.int16]]:
    """Read the features of clips that all have features.

    Args:
        features_dir: the folder of all kinds.
        kind: spectral, auditory or visual.
        clip_ids: n clips.

    Returns:
        (n, n_frames, dims) features and (n,) valid frames, in the order of `clip_ids`. Features
        larger than half of the free memory are mapped from a temporary file in the store.

    Raises:
        AvsedError: if a shard cannot be read, or neither memory nor disk space suffices.
    """
    wanted = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    with open_shards(features_dir, kind) as files:
        _, n_frames, dims = next(f["features"].shape for f in files if len(f["clip_id"]))
        features = _room_for((len(clip_ids), n_frames, dims), features_dir / kind)
        valid_frames = np.empty(len(clip_ids), dtype=np.int16)
        for file in files:
            in_shard = file["clip_id"].asstr()[:]
            valid = file["valid_frames"][:]
            for row, clip_id in enumerate(in_shard):
                if clip_id in wanted:
                    file["features"].read_direct(features, np.s_[row], np.s_[wanted[clip_id]])
                    valid_frames[wanted[clip_id]] = valid[row]
    return features, valid_frames


def _room_for(shape: tuple[int, ...], source: Path) -> NDArray[np.float16]:
    """Allocate an array in memory, or in a file if it needs more than half of the free memory."""
    n_bytes = math.prod(shape) * np.dtype(np.float16).itemsize
    n_free = free_memory()
    if n_bytes <= n_free / 2:
        return np.empty(shape, np.float16)
    store = store_dir()
    store.mkdir(parents=True, exist_ok=True)
    too_many = (
        f"{source}: the features of {shape[0]:,} clips take {n_bytes / 1e9:,.2f} GB, more than "
        f"half of the {n_free / 1e9:,.2f} GB of memory that are free"
    )
    n_on_disk = shutil.disk_usage(store).free
    if n_bytes > n_on_disk:
        raise AvsedError(
            f"{too_many}, and than the {n_on_disk / 1e9:,.2f} GB of disk that are free in {store}; "
            "make room there, or set AVSED_STORE to a folder on a larger disk"
        )
    print(f"{too_many}; they are read from a file in {store}", flush=True)
    with name_disk_errors(store), tempfile.TemporaryFile(dir=store) as file:
        if hasattr(os, "posix_fallocate"):  # otherwise a full disk would kill the process
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(file, np.float16, "r+", shape=shape)


def clips_with_features(features_dir: Path, kind: str) -> set[str]:
    """Return the clips that have features of one kind."""
    with open_shards(features_dir, kind) as files:
        return {clip_id for file in files for clip_id in file["clip_id"].asstr()[:]}


def clips_left_out(features_dir: Path, kind: str) -> set[str]:
    """Return the clips that left_out.csv excludes from one kind of features; none without it."""
    path = features_dir / kind / LEFT_OUT
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        return {row["clip_id"] for row in csv.DictReader(file)}
