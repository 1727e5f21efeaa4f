"""Check that the extracted features are readable, complete, finite and of the right clips."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from avsed.dataset.clips import ClipRecord
from avsed.dataset.shards import Provenance
from avsed.framing import N_FRAMES, N_SPECTRAL_FRAMES
from avsed.runtime.files import open_verified
from avsed.variants import family


@dataclass(frozen=True, kw_only=True)
class ShardCheck:
    """The result of checking the shards of one kind of features.

    Attributes:
        n_shards: shards.
        n_clips: clips with features.
        n_left_out: clips whose media could not be read.
        n_bytes: bytes on disk.
        errors: one line per problem, with the file.
    """

    n_shards: int
    n_clips: int
    n_left_out: int
    n_bytes: int
    errors: list[str]


@dataclass(kw_only=True)
class _Shard:
    """The description stored in one shard."""

    path: Path
    clip_ids: list[str]
    left_out: list[str]
    provenance: Provenance
    dims: int


def check_shards(features_dir: Path, kind: str, records: Sequence[ClipRecord]) -> ShardCheck:
    """Read and check all values of all shards of one kind.

    Args:
        features_dir: the folder of all kinds.
        kind: the name of its folder.
        records: the collected clips.
    """
    paths = sorted((features_dir / kind).glob("part-*.h5"))
    errors: list[str] = []
    shards = []
    for path in paths:
        try:
            with open_verified(path) as file:
                shards.append(_describe(path, file))
                errors += (f"{path}: {error}" for error in _value_errors(kind, file))
        except (OSError, KeyError, ValueError) as error:
            errors.append(f"{path}: cannot be read ({' '.join(str(error).split())})")
    if len(shards) == len(paths):  # missing clips may be in the other shards
        errors += _clip_errors(features_dir / kind, kind, shards, records)
    errors += _differences(shards)
    return ShardCheck(
        n_shards=len(paths),
        n_clips=sum(len(shard.clip_ids) for shard in shards),
        n_left_out=sum(len(shard.left_out) for shard in shards),
        n_bytes=sum(path.stat().st_size for path in paths),
        errors=errors,
    )


def _describe(path: Path, file: h5py.File) -> _Shard:
    return _Shard(
        path=path,
        clip_ids=list(file["clip_id"].asstr()[:]),
        left_out=list(json.loads(file.attrs["left_out"])),
        provenance=json.loads(file.attrs["provenance"]),
        dims=file["features"].shape[2],
    )


def _value_errors(kind: str, file: h5py.File) -> Iterator[str]:
    features, clip_ids = file["features"], file["clip_id"].asstr()[:]
    valid_frames = file["valid_frames"][:]
    if not len(features) == len(clip_ids) == len(valid_frames):
        yield (
            f"holds {len(clip_ids)} clips, but {len(features)} features and {len(valid_frames)} "
            "numbers of frames"
        )
        return
    n_frames = N_SPECTRAL_FRAMES if kind == "spectral" else N_FRAMES
    if len(clip_ids) and features.shape[1] != n_frames:
        yield f"has {features.shape[1]} frames a clip; {n_frames} expected"
    if features.dtype != np.float16:
        yield f"holds {features.dtype}; float16 expected"
    for row, clip_id in enumerate(clip_ids):
        if not np.isfinite(features[row]).all():
            yield f"{clip_id} has NaN or infinite values"
        if not 1 <= valid_frames[row] <= N_FRAMES:
            yield f"{clip_id} has {valid_frames[row]} valid frames; 1 to {N_FRAMES} expected"


def _clip_errors(
    folder: Path, kind: str, shards: Iterable[_Shard], records: Sequence[ClipRecord]
) -> Iterator[str]:
    """Compare the clips of all shards with those that have the stream."""
    counts = Counter(clip_id for shard in shards for clip_id in shard.clip_ids + shard.left_out)
    expected = {
        record.clip_id
        for record in records
        if (record.has_video if family(kind) == "visual" else record.has_audio)
    }
    for clip_id, count in sorted(counts.items()):
        if count > 1:
            yield f"{folder}: {clip_id} is in {count} shards"
    for clip_ids, what in (
        (expected - counts.keys(), "lacks"),
        (counts.keys() - expected, "contains clips that are no longer collected:"),
    ):
        if clip_ids:
            examples = ", ".join(sorted(clip_ids)[:3])
            yield f"{folder}: {what} {len(clip_ids):,} clips, such as {examples}"


def _differences(shards: Sequence[_Shard]) -> Iterator[str]:
    for shard in shards[1:]:
        if shard.provenance != shards[0].provenance:
            yield f"{shard.path}: was made by other parameters than {shards[0].path.name}"
        if shard.clip_ids and shards[0].clip_ids and shard.dims != shards[0].dims:
            yield f"{shard.path}: has {shard.dims} values a frame, {shards[0].dims} the first shard"
