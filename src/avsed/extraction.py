"""Extract all kinds of features from all clips into shards (Section 4.2)."""

import csv
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from tqdm import tqdm

from avsed.clips import ClipRecord
from avsed.cluster import Cluster, connect
from avsed.config import Section
from avsed.embedding import ClipFeatures, embed_clips
from avsed.errors import AvsedError
from avsed.features.extractor import Extractor, FeatureSpec
from avsed.framing import valid_frames
from avsed.hardware import count_cores
from avsed.shard_plan import (
    PlannedShard,
    missing_shards,
    plan_shards,
    recover_shards,
    remember,
    shard_key,
    why_missing,
)
from avsed.store import (
    CLIPS_PER_SHARD,
    Shard,
    code_key,
    publish,
    read_left_out,
    store_dir,
    write_shard,
)

NAMED_AT_MOST = 20


@dataclass(frozen=True)
class Recipe:
    """How to set up one kind of features, here or on another machine.

    Attributes:
        make_extractor: of the kind's module.
        params: of the kind.
    """

    make_extractor: Callable[[Any], Extractor]
    params: Section

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules whose code decides the features."""
        return ("avsed.embedding", self.make_extractor.__module__)


Recipes = Mapping[str, Recipe]  # by kind
Plans = Mapping[str, Sequence[PlannedShard]]  # by kind


def extract_features(
    recipes: Recipes,
    records: Sequence[ClipRecord],
    *,
    clips_dir: Path,
    out_dir: Path,
    clips_per_shard: int = CLIPS_PER_SHARD,
) -> None:
    """Write the features of all clips, each kind's of those that have its stream.

    Shards that the store has are not made again; of others it is said why they are made. The work
    is done here, or on the Dask cluster that the environment names. Clips that cannot be read are
    named on the console and in `left_out.csv`.

    Args:
        recipes: kind to how it is set up.
        records: the collected clips.
        clips_dir: the folder of their media.
        out_dir: becomes <kind>/part-NNNNN.h5 and <kind>/left_out.csv.
        clips_per_shard: clips of a shard, about, at most.

    Raises:
        AvsedError: if no clip has media, the disk has too little room, or features exceed what
            float16 can hold.
    """
    with connect() as cluster:
        # The cluster's machines decide the precision, and have the weights.
        specs = cluster.call(_describe, recipes) if cluster else _describe(recipes)
        plans = {
            kind: plan_shards(
                specs[kind],
                records,
                modules=recipe.modules,
                clips_per_shard=clips_per_shard,
                store=store_dir().resolve(),
            )
            for kind, recipe in recipes.items()
        }
        if not any(plans.values()):
            raise AvsedError(f"{clips_dir}: no clip has audio or video; see data/clips.csv")
        missing = {
            kind: recover_shards(
                specs[kind],
                missing_shards(shards),
                modules=recipes[kind].modules,
                folder=out_dir / kind,
            )
            for kind, shards in plans.items()
        }
        for kind, shards in missing.items():
            if shards:
                why = why_missing(specs[kind], shards, modules=recipes[kind].modules)
                print(f"{kind}: {len(shards)} of {len(plans[kind])} shards to make: {why}")
        _require_room(specs, plans, missing, out_dir)
        _make_all(recipes, _by_number(missing), clips_dir, cluster)
    for kind, shards in plans.items():
        _publish(specs[kind], shards, records, out_dir / kind)


def _describe(recipes: Recipes) -> dict[str, FeatureSpec]:
    return {kind: _build(recipe).spec for kind, recipe in recipes.items()}


@cache
def _build(recipe: Recipe) -> Extractor:
    return recipe.make_extractor(recipe.params)


def _require_room(
    specs: Mapping[str, FeatureSpec], plans: Plans, missing: Plans, out_dir: Path
) -> None:
    """Say how much disk the features can take, and stop where there is less."""
    store = store_dir()
    for folder in (store, out_dir):
        folder.mkdir(parents=True, exist_ok=True)
    needed = {store: _bytes(specs, missing)}
    if out_dir.stat().st_dev != store.stat().st_dev:
        needed[out_dir] = _bytes(specs, plans)  # where there can be no links to the store
    for folder, n_bytes in needed.items():
        free = shutil.disk_usage(folder).free
        room = f"up to {n_bytes / 1e9:,.2f} GB, of {free / 1e9:,.2f} GB that are free"
        if n_bytes > free:
            raise AvsedError(
                f"{folder}: the features take {room}; make room, or let AVSED_STORE name a folder "
                "on a larger disk"
            )
        if n_bytes:
            print(f"{folder}: the features take {room}", flush=True)


def _bytes(specs: Mapping[str, FeatureSpec], plans: Plans) -> int:
    """Count bytes before compression."""
    return sum(
        specs[kind].bytes_per_clip * len(shard.records)
        for kind, shards in plans.items()
        for shard in shards
    )


def _by_number(missing: Plans) -> list[dict[str, PlannedShard]]:
    """Put shards of one number together: they share clips, each of which is then read once."""
    numbered: dict[int, dict[str, PlannedShard]] = {}
    for kind, shards in missing.items():
        for shard in shards:
            numbered.setdefault(shard.number, {})[kind] = shard
    return [numbered[number] for number in sorted(numbered)]


def _make_all(
    recipes: Recipes,
    work: Sequence[Mapping[str, PlannedShard]],
    clips_dir: Path,
    cluster: Cluster | None,
) -> None:
    if not work:
        return
    progress: tqdm[NoReturn] = tqdm(total=sum(map(_n_clips, work)), desc="extract", unit="clip")
    with progress:
        if cluster:
            calls = [(recipes, shards, clips_dir.resolve()) for shards in work]
            for n_clips in cluster.map(_make_on_worker, calls):
                progress.update(n_clips)
        else:
            for shards in work:
                _make(recipes, shards, clips_dir, progress.update)


def _n_clips(shards: Mapping[str, PlannedShard]) -> int:
    return len({record.clip_id for shard in shards.values() for record in shard.records})


def _make_on_worker(recipes: Recipes, shards: Mapping[str, PlannedShard], clips_dir: Path) -> int:
    """Make those of some shards that no worker has made before it died; returns their clips."""
    torch.set_num_threads(count_cores())  # Dask's nannies set one
    for kind, shard in shards.items():
        recipe = recipes[kind]
        if shard_key(_build(recipe).spec, shard.records, modules=recipe.modules) != shard.key:
            raise AvsedError(
                f"{socket.gethostname()}: this worker's code, weights or precision differ from the "
                f"others', and so would its {kind} features; give all workers the same"
            )
    waiting = {kind: shard for kind, shard in shards.items() if missing_shards([shard])}
    _make(recipes, waiting, clips_dir, lambda: None)
    return _n_clips(shards)


def _make(
    recipes: Recipes,
    shards: Mapping[str, PlannedShard],
    clips_dir: Path,
    on_clip: Callable[[], object],
) -> None:
    found = embed_clips(
        {kind: _build(recipes[kind]) for kind in shards},
        {kind: shard.records for kind, shard in shards.items()},
        clips_dir=clips_dir,
        on_clip=on_clip,
    )
    for kind, shard in shards.items():
        spec = _build(recipes[kind]).spec
        code = code_key(recipes[kind].modules)
        write_shard(shard.path, _shard_of(found[kind], shard, spec, code, clips_dir))


def _shard_of(
    found: ClipFeatures, shard: PlannedShard, spec: FeatureSpec, code: str, clips_dir: Path
) -> Shard:
    records = [record for record in shard.records if record.clip_id in found.features]
    features = np.empty((len(records), spec.n_frames, spec.dims), dtype=np.float16)
    for row, record in enumerate(records):
        features[row] = found.features[record.clip_id]
        if not np.isfinite(features[row]).all():
            raise AvsedError(
                f"{clips_dir / record.file}: its {spec.kind} features are no finite float16 "
                "numbers; check the weights"
            )
    return Shard(
        clip_ids=tuple(record.clip_id for record in records),
        features=features,
        valid_frames=np.array([valid_frames(r.duration) for r in records], dtype=np.int16),
        left_out=found.left_out,
        provenance=spec.provenance,
        code=code,
        key=shard.key,
    )


def _why_without(stream: str, record: ClipRecord) -> str:
    of_this_stream = record.status != "ok" or f"{stream}: " in record.reason
    return record.reason if of_this_stream else f"has no {stream}"


def _publish(
    spec: FeatureSpec, shards: Sequence[PlannedShard], records: Sequence[ClipRecord], folder: Path
) -> None:
    """Put a kind's shards where DVC expects them, and say what was left out."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = {record.clip_id for shard in shards for record in shard.records}
    left_out = {
        record.clip_id: _why_without(spec.stream, record)
        for record in records
        if record.clip_id not in planned
    }
    for shard in shards:
        publish(shard.path, folder / shard.file_name)
        left_out |= read_left_out(shard.path)
    remember(spec.kind, shards)
    with (folder / "left_out.csv").open("w", encoding="utf-8", newline="") as report:
        writer = csv.writer(report, lineterminator="\n")
        writer.writerow(["clip_id", "reason"])
        writer.writerows(sorted(left_out.items()))
    print(f"{spec.kind}: {len(records) - len(left_out):,} of {len(records):,} clips")
    for clip_id, reason in sorted(left_out.items())[:NAMED_AT_MOST]:
        print(f"  left out {clip_id}: {reason}")
    if len(left_out) > NAMED_AT_MOST:
        n_more = len(left_out) - NAMED_AT_MOST
        print(f"  ... and {n_more:,} more; {folder / 'left_out.csv'} names them all")
