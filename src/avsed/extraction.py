"""Extract one kind of features from all clips into shards (Section 4.2)."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from avsed.clips import ClipRecord
from avsed.errors import AvsedError
from avsed.features.extractor import Extractor
from avsed.framing import valid_frames
from avsed.media import DecodeError
from avsed.store import (
    CLIPS_PER_SHARD,
    Shard,
    is_whole,
    publish,
    read_left_out,
    store_dir,
    work_key,
    write_shard,
)


def extract_features(
    extractor: Extractor,
    records: Sequence[ClipRecord],
    *,
    clips_dir: Path,
    out_dir: Path,
    clips_per_shard: int = CLIPS_PER_SHARD,
) -> None:
    """Write the features of all clips that have the stream which the extractor reads.

    Shards that the store already has are not made again. Clips that cannot be read are named on
    the console and in `left_out.csv`.

    Args:
        extractor: the recipe.
        records: the collected clips.
        clips_dir: the folder of their media.
        out_dir: becomes part-NNNNN.h5 and left_out.csv.
        clips_per_shard: clips of a shard, about, at most.

    Raises:
        AvsedError: if no clip is left, or features exceed what float16 can hold.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    left_out = {
        record.clip_id: record.reason or f"has no {extractor.stream}"
        for record in records
        if not (record.has_audio if extractor.stream == "audio" else record.has_video)
    }
    usable = [record for record in records if record.clip_id not in left_out]
    if not usable:
        raise AvsedError(f"{clips_dir}: no clip has {extractor.stream}; see data/clips.csv")

    # A power of two over all clips, with or without media: what is had later moves no other clip.
    n_shards = 1
    while n_shards * clips_per_shard < len(records):
        n_shards *= 2
    progress: tqdm[NoReturn] = tqdm(total=len(usable), desc=extractor.kind, unit="clip")
    with progress:
        for number, chunk in _shards_of(usable, n_shards).items():
            path = _stored_shard(extractor, chunk, clips_dir, progress)
            publish(path, out_dir / f"part-{number:05d}.h5")
            left_out |= read_left_out(path)

    if len(left_out) == len(records):
        raise AvsedError(f"{clips_dir}: no clip's {extractor.stream} could be decoded")
    with (out_dir / "left_out.csv").open("w", encoding="utf-8", newline="") as report:
        writer = csv.writer(report, lineterminator="\n")
        writer.writerow(["clip_id", "reason"])
        writer.writerows(sorted(left_out.items()))
    print(f"{extractor.kind}: {len(records) - len(left_out)} of {len(records)} clips")
    for clip_id, reason in sorted(left_out.items()):
        print(f"  left out {clip_id}: {reason}")


def _shards_of(records: Sequence[ClipRecord], n_shards: int) -> dict[int, list[ClipRecord]]:
    """Assign clips to shards by their names, so that one more changes one shard only."""
    shards: dict[int, list[ClipRecord]] = {}
    for record in records:
        digest = hashlib.sha256(record.clip_id.encode()).digest()
        shards.setdefault(int.from_bytes(digest[:8]) % n_shards, []).append(record)
    return dict(sorted(shards.items()))


def _stored_shard(
    extractor: Extractor, chunk: Sequence[ClipRecord], clips_dir: Path, progress: "tqdm[NoReturn]"
) -> Path:
    """Find a shard in the store, or make it."""
    key = work_key(
        [dict(extractor.provenance), [asdict(record) for record in chunk]],
        modules=[__name__, extractor.extract.__module__],
    )
    path = store_dir() / "features" / extractor.kind / f"{key}.h5"
    if is_whole(path, key):
        progress.update(len(chunk))
    else:
        write_shard(path, _make_shard(extractor, chunk, clips_dir, progress, key))
    return path


def _make_shard(
    extractor: Extractor,
    chunk: Sequence[ClipRecord],
    clips_dir: Path,
    progress: "tqdm[NoReturn]",
    key: str,
) -> Shard:
    features, clip_ids, frames, left_out = [], [], [], {}
    for record in chunk:
        try:
            clip_features = extractor.extract(clips_dir / record.file, record.duration)
        except DecodeError as error:
            left_out[record.clip_id] = str(error)
        else:
            with np.errstate(over="ignore"):
                halved = clip_features.astype(np.float16)
            if not np.isfinite(halved).all():
                raise AvsedError(
                    f"{clips_dir / record.file}: its {extractor.kind} features are no finite "
                    "float16 numbers; check the weights"
                )
            features.append(halved)
            clip_ids.append(record.clip_id)
            frames.append(valid_frames(record.duration))
        progress.update()
    return Shard(
        clip_ids=tuple(clip_ids),
        features=np.stack(features) if features else np.empty((0, 1, 1), np.float16),
        valid_frames=np.array(frames, dtype=np.int16),
        left_out=left_out,
        provenance=extractor.provenance,
        key=key,
    )
