"""Assign clips to shards, find existing shards, and explain why others are computed."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from avsed.dataset.clips import ClipRecord
from avsed.dataset.shards import is_valid_shard, read_origin
from avsed.errors import AvsedError
from avsed.features.extractor import FeatureSpec
from avsed.runtime.files import atomic_write, work_folder
from avsed.runtime.last_commit import OutOfReachError, open_last_commit
from avsed.runtime.store import code_key, store_dir, work_key

# Keys of the shards of a kind's last finished extraction, and of the one that was started last.
_LAST, _PLANNED = "last.json", "planned.json"


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A shard that exists or must be computed.

    Attributes:
        number: number of the shard within its kind.
        records: its clips.
        key: hash of everything that determines its values.
        path: its file in the store.
    """

    number: int
    records: tuple[ClipRecord, ...]
    key: str
    path: Path

    @property
    def file_name(self) -> str:
        """Name of the file in DVC's output."""
        return f"part-{self.number:05d}.h5"


def plan_shards(
    spec: FeatureSpec,
    records: Sequence[ClipRecord],
    *,
    modules: tuple[str, ...],
    clips_per_shard: int,
    store: Path,
) -> list[PlannedShard]:
    """Assign the clips that have the stream of a kind to shards.

    The shard depends on the name of the clip only, so an additional clip changes one shard only.

    Args:
        spec: the kind.
        records: all collected clips, with and without media.
        modules: the modules whose code determines the features.
        clips_per_shard: approximate maximum number of clips per shard.
        store: the folder of the store.
    """
    # A power of two for all clips, with or without media: later downloads move no other clip.
    n_shards = 1
    while n_shards * clips_per_shard < len(records):
        n_shards *= 2
    members: dict[int, list[ClipRecord]] = {}
    for record in records:
        if record.has_audio if spec.stream == "audio" else record.has_video:
            digest = hashlib.sha256(record.clip_id.encode()).digest()
            members.setdefault(int.from_bytes(digest[:8]) % n_shards, []).append(record)
    shards = []
    for number, clips in sorted(members.items()):
        key = shard_key(spec, clips, modules=modules)
        path = _folder(spec.kind, store) / f"{key}.h5"
        shards.append(PlannedShard(number=number, records=tuple(clips), key=key, path=path))
    return shards


def shard_key(spec: FeatureSpec, records: Sequence[ClipRecord], *, modules: tuple[str, ...]) -> str:
    """Hash everything that determines the values of a shard: clips, recipe and code."""
    made_of = [dict(spec.provenance), [asdict(record) for record in records]]
    return work_key(made_of, modules=modules)


def missing_shards(shards: Sequence[PlannedShard]) -> list[PlannedShard]:
    """Return the shards that are missing from the store or damaged."""
    return [shard for shard in shards if not is_valid_shard(shard.path, shard.key)]


def recover_shards(
    spec: FeatureSpec,
    missing: Sequence[PlannedShard],
    *,
    modules: tuple[str, ...],
    folder: Path,
) -> list[PlannedShard]:
    """Copy missing shards from the project's last commit into the store.

    Args:
        spec: the kind.
        missing: shards.
        modules: the modules whose code determines the features.
        folder: DVC's output with the shards of the kind, relative to the project.

    Returns:
        The shards that are still missing.
    """
    committed = open_last_commit() if missing else None
    if not committed:
        return list(missing)
    recovered = set()
    for shard in missing:
        shard.path.parent.mkdir(parents=True, exist_ok=True)
        with work_folder(shard.path.parent) as work_dir:
            # Its own name: files that DVC links to its cache must not be modified.
            copy = work_dir / shard.file_name
            try:
                committed.take(folder / shard.file_name, copy)
            except FileNotFoundError:
                continue
            except OutOfReachError as error:
                print(f"{spec.kind}: shards of the last commit are out of reach ({error})")
                break
            if is_valid_shard(copy, shard.key):
                copy.replace(shard.path)
                recovered.add(shard.number)
                continue
            origin = read_origin(copy)
        # All shards agree in everything except the clips.
        if not origin or origin.code != code_key(modules) or origin.provenance != spec.provenance:
            break
    if recovered:
        print(f"{spec.kind}: {len(recovered)} shards of the last commit come from DVC")
    return [shard for shard in missing if shard.number not in recovered]


def explain_missing(
    spec: FeatureSpec, missing: Sequence[PlannedShard], *, modules: tuple[str, ...]
) -> str:
    """Explain how missing shards differ from those of the last extraction."""
    code = code_key(modules)
    last = _last_keys(spec.kind)
    reasons = Counter(_reason(spec, shard, last.get(str(shard.number)), code) for shard in missing)
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())


def save_plan(kind: str, shards: Sequence[PlannedShard]) -> None:
    """Save the keys of an extraction that starts, so that `avsed store clean` keeps its shards."""
    _save(_folder(kind, store_dir()) / _PLANNED, shards)


def save_keys(kind: str, shards: Sequence[PlannedShard]) -> None:
    """Save the keys of a finished extraction, so that the next one can explain changes."""
    _save(_folder(kind, store_dir()) / _LAST, shards)


def saved_keys(folder: Path) -> set[str]:
    """Return the keys of a kind's last finished extraction, and of the one started last.

    Args:
        folder: the folder of the kind in the store.

    Raises:
        AvsedError: if they cannot be read.
    """
    keys: set[str] = set()
    for path in (folder / _LAST, folder / _PLANNED):
        try:
            keys.update(json.loads(path.read_text("utf-8")).values())
        except FileNotFoundError:
            continue
        except (ValueError, AttributeError):
            raise AvsedError(
                f"{path}: is damaged; `dvc repro -f extract` writes it again"
            ) from None
    return keys


def _save(path: Path, shards: Sequence[PlannedShard]) -> None:
    with atomic_write(path) as part:
        part.write_text(json.dumps({str(shard.number): shard.key for shard in shards}), "utf-8")


def _reason(spec: FeatureSpec, shard: PlannedShard, last_key: str | None, code: str) -> str:
    if last_key is None:
        return "new"
    if last_key == shard.key:
        return "lost from the store, or damaged"
    last = read_origin(_folder(spec.kind, store_dir()) / f"{last_key}.h5")
    if last is None:
        return "new, and those before them lost from the store"
    changed = [
        f"{name} is {value}, was {last.provenance.get(name, 'unset')}"
        for name, value in spec.provenance.items()
        if last.provenance.get(name) != value
    ]
    if changed:
        return ", ".join(changed)
    if last.clip_ids != {record.clip_id for record in shard.records}:
        return "clips came or went"
    return "the code has changed" if last.code != code else "clips have other media"


def _last_keys(kind: str) -> Mapping[str, str]:
    try:
        path = _folder(kind, store_dir()) / _LAST
        keys: dict[str, str] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return keys


def _folder(kind: str, store: Path) -> Path:
    return store / "features" / kind
