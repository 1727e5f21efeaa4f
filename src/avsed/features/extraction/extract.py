"""Extract all kinds of features from all clips into shards (Section 4.2)."""

import csv
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

from avsed.dataset.clips import ClipRecord
from avsed.dataset.ffmpeg import run_ffmpeg
from avsed.dataset.shards import CLIPS_PER_SHARD, LEFT_OUT, Shard, read_left_out, write_shard
from avsed.errors import AvsedError
from avsed.features.extraction.batching import ExtractedFeatures, embed_clips
from avsed.features.extraction.shard_plan import (
    PlannedShard,
    explain_missing,
    missing_shards,
    plan_shards,
    recover_shards,
    save_keys,
    save_plan,
    shard_key,
)
from avsed.features.extractor import Extractor, FeatureSpec, Recipe
from avsed.framing import valid_frames
from avsed.runtime.cluster import connect
from avsed.runtime.files import atomic_write, file_sha256
from avsed.runtime.limits import count_cores
from avsed.runtime.store import code_key, publish, store_dir

NAMED_AT_MOST = 20


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
    """Compute the features of all clips, each kind for the clips that have its stream.

    Shards that are in the store are reused; for the others, the reason is printed. The work runs
    here or on the Dask cluster in the environment. Clips that cannot be read are listed on the
    console and in `left_out.csv`.

    Args:
        recipes: kind to its recipe.
        records: the collected clips.
        clips_dir: the folder of their media.
        out_dir: becomes <kind>/part-NNNNN.h5 and <kind>/left_out.csv.
        clips_per_shard: approximate maximum number of clips per shard.

    Raises:
        AvsedError: if no clip has media, the disk space is insufficient, or features exceed the
            range of float16.
    """
    with connect() as cluster:
        # The machines of the cluster determine the precision, and have the weights.
        specs, software = cluster.call(_describe, recipes) if cluster else _describe(recipes)
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
                why = explain_missing(specs[kind], shards, modules=recipes[kind].modules)
                print(f"{kind}: {len(shards)} of {len(plans[kind])} shards to make: {why}")
        _require_room(specs, plans, missing, out_dir)
        for kind, shards in plans.items():
            save_plan(kind, shards)
        work = _by_number(missing)
        if cluster and work:
            calls = [(recipes, shards, clips_dir.resolve(), software) for shards in work]
            _follow(cluster.map(_make_on_worker, calls), work)
        elif work:
            _make_here(recipes, work, clips_dir)
    for kind, shards in plans.items():
        _publish(specs[kind], shards, records, out_dir / kind)


def _describe(recipes: Recipes) -> tuple[dict[str, FeatureSpec], dict[str, str]]:
    """Return this machine's feature specs and software versions."""
    specs = {kind: _build(recipe).spec for kind, recipe in recipes.items()}
    return specs, _software()


def _software() -> dict[str, str]:
    """Return the software versions that affect the last digits of features."""
    ffmpeg = run_ffmpeg(["-version"])[0].decode().split()[2]
    return {"ffmpeg": ffmpeg} | {name: version(name) for name in ("torch", "torchvision")}


def _build(recipe: Recipe) -> Extractor:
    return _built(recipe, recipe.weights_stamp)


@cache
def _built(recipe: Recipe, _: tuple[int, int] | None) -> Extractor:
    return recipe.build()


def _require_room(
    specs: Mapping[str, FeatureSpec], plans: Plans, missing: Plans, out_dir: Path
) -> None:
    """Print the disk space that the features can need; stop if less is free."""
    store = store_dir()
    for folder in (store, out_dir):
        folder.mkdir(parents=True, exist_ok=True)
    needed = {store: _bytes(specs, missing)}
    if out_dir.stat().st_dev != store.stat().st_dev:
        needed[out_dir] = _bytes(specs, plans)  # if links to the store are not possible
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
    """Group shards by number: they share clips, so that each file is read once."""
    numbered: dict[int, dict[str, PlannedShard]] = {}
    for kind, shards in missing.items():
        for shard in shards:
            numbered.setdefault(shard.number, {})[kind] = shard
    return [numbered[number] for number in sorted(numbered)]


def _make_here(
    recipes: Recipes, work: Sequence[Mapping[str, PlannedShard]], clips_dir: Path
) -> None:
    with _progress(work) as progress:
        for shards in work:
            _make(recipes, shards, clips_dir, progress.update)


def _follow(done: Iterator[int], work: Sequence[Mapping[str, PlannedShard]]) -> None:
    """Show the progress of the cluster by the clips of its finished shards."""
    with _progress(work) as progress:
        for n_clips in done:
            progress.update(n_clips)


def _progress(work: Sequence[Mapping[str, PlannedShard]]) -> "tqdm[NoReturn]":
    return tqdm(total=sum(map(_n_clips, work)), desc="extract", unit="clip")


def _n_clips(shards: Mapping[str, PlannedShard]) -> int:
    return len({record.clip_id for shard in shards.values() for record in shard.records})


def _make_on_worker(
    recipes: Recipes,
    shards: Mapping[str, PlannedShard],
    clips_dir: Path,
    software: Mapping[str, str],
) -> int:
    """Compute the shards that no other worker has finished; return their number of clips."""
    torch.set_num_threads(count_cores())  # Dask's nannies set it
    here = f"{socket.gethostname()}: this worker's"
    for name, installed in _software().items():
        if installed != software[name]:
            raise AvsedError(
                f"{here} {name} is {installed}, another's {software[name]}; "
                "install the same version everywhere"
            )
    for kind, shard in shards.items():
        recipe = recipes[kind]
        if shard_key(_build(recipe).spec, shard.records, modules=recipe.modules) != shard.key:
            raise AvsedError(
                f"{here} code, weights or precision differ from the others', and so would its "
                f"{kind} features; give all the same, and start the workers again"
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
    _require_collected(shards, clips_dir)
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


def _require_collected(shards: Mapping[str, PlannedShard], clips_dir: Path) -> None:
    """Check that the media are those recorded in `clips.csv`."""
    for record in {record for shard in shards.values() for record in shard.records}:
        path = clips_dir / record.file
        if path.is_file() and file_sha256(path) != record.sha256:
            raise AvsedError(
                f"{path}: has changed since the clips were collected; run `dvc repro -f collect`"
            )


def _shard_of(
    found: ExtractedFeatures, shard: PlannedShard, spec: FeatureSpec, code: str, clips_dir: Path
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
    """Link the shards of a kind to the outputs of DVC, and report excluded clips."""
    folder.mkdir(parents=True, exist_ok=True)
    planned = {record.clip_id for shard in shards for record in shard.records}
    left_out = {
        record.clip_id: _why_without(spec.stream, record)
        for record in records
        if record.clip_id not in planned
    }
    for old in folder.glob("part-*.h5"):  # if the stage was not run by DVC
        old.unlink()
    for shard in shards:
        publish(shard.path, folder / shard.file_name)
        left_out |= read_left_out(shard.path)
    save_keys(spec.kind, shards)
    with (
        atomic_write(folder / LEFT_OUT) as part,
        part.open("w", encoding="utf-8", newline="") as report,
    ):
        writer = csv.writer(report, lineterminator="\n")
        writer.writerow(["clip_id", "reason"])
        writer.writerows(sorted(left_out.items()))
    print(f"{spec.kind}: {len(records) - len(left_out):,} of {len(records):,} clips")
    for clip_id, reason in sorted(left_out.items())[:NAMED_AT_MOST]:
        print(f"  left out {clip_id}: {reason}")
    if len(left_out) > NAMED_AT_MOST:
        n_more = len(left_out) - NAMED_AT_MOST
        print(f"  ... and {n_more:,} more; {folder / LEFT_OUT} lists all of them")
