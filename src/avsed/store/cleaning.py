"""Find the items of the store that the workspace does not use, and remove them.

Items are feature shards and folders of seeds. Everything else in the store, such as clips from
YouTube and their records, is kept: it is not named by a key, or cannot be computed again.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import psutil

from avsed.errors import AvsedError
from avsed.features.extraction.shard_plan import saved_keys
from avsed.runtime.files import file_sha256, is_locked
from avsed.runtime.store import KEY_LENGTH
from avsed.training.seed_files import last_folders

_KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")  # nothing that is named differently is removed
_DVC_DIR = Path(".dvc")


@dataclass(frozen=True, kw_only=True)
class StoreFolder:
    """A folder of the store: the shards of one kind of features, or the seeds of all variants.

    Attributes:
        path: the folder.
        n_items: number of its items, used and unused.
        unused: the items that the workspace does not use.
    """

    path: Path
    n_items: int
    unused: Sequence[Path]


@contextmanager
def hold_store(store: Path) -> Iterator[None]:
    """Keep DVC from starting a stage in this workspace while the block runs.

    Raises:
        AvsedError: if DVC runs here or in a copy for an experiment, or a process of any workspace
            is writing to the store.
    """
    with ExitStack() as stack:
        if _DVC_DIR.is_dir():
            # Slow to import.
            from dvc.lock import LockError
            from dvc.repo import Repo

            try:
                repo = stack.enter_context(Repo())
                stack.enter_context(repo.lock)
            except LockError:
                raise AvsedError(f"{_DVC_DIR}: DVC is running here; wait until it ends") from None
            _require_no_stage()
        writers = ("youtube/lock", "features/*/*.part/lock", "models/**/*.part/lock")
        for lock in (path for pattern in writers for path in store.glob(pattern)):
            if is_locked(lock):
                raise AvsedError(f"{lock.parent}: a run is writing here; wait until it ends")
        yield


def _require_no_stage() -> None:
    """Check that DVC runs no stage; it holds no other lock meanwhile.

    DVC 3.67 records the running stages in `tmp/rwlock`, as path to readers and path to writer. Each
    experiment that runs outside of the workspace has its own copy of the project in `tmp/exps`.
    """
    rwlock = "tmp/rwlock"
    copies = (f"tmp/exps/{copy}/.dvc/{rwlock}" for copy in ("*", "*/*"))
    for path in (path for pattern in (rwlock, *copies) for path in _DVC_DIR.glob(pattern)):
        try:
            running = json.loads(path.read_text("utf-8") or "{}")
            readers = [reader for of_path in running.get("read", {}).values() for reader in of_path]
            pids = {int(each["pid"]) for each in (*readers, *running.get("write", {}).values())}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise AvsedError(
                f"{path}: cannot be read; if no process of DVC uses this folder, remove the file"
            ) from None
        for pid in pids:
            if psutil.pid_exists(pid):
                raise AvsedError(f"{path}: DVC runs a stage (process {pid}); wait until it ends")


def find_unused(store: Path, *, features_dir: Path, models_dir: Path) -> list[StoreFolder]:
    """Find the items that the workspace does not use.

    Shards are used that are in `features_dir`, or belong to the last finished extraction of their
    kind or to the one that was started last. Folders of seeds are used that have a seed in
    `models_dir`, or trained last for their variant.

    Args:
        store: see `store_dir`.
        features_dir: DVC's output for features.
        models_dir: DVC's output for models.

    Raises:
        AvsedError: if a file that names used items cannot be read.
    """
    in_workspace = _shard_keys(features_dir)
    found = []
    for folder in sorted(path for path in store.glob("features/*") if path.is_dir()):
        shards = [path for path in folder.glob("*.h5") if _KEY.fullmatch(path.stem)]
        used = in_workspace | saved_keys(folder)
        unused = sorted(path for path in shards if path.stem not in used)
        found.append(StoreFolder(path=folder, n_items=len(shards), unused=unused))
    models = store / "models"
    if models.is_dir():
        folders = [path for path in models.iterdir() if _KEY.fullmatch(path.name)]
        seeds = {file_sha256(path) for path in models_dir.glob("*/seeds/*.safetensors")}
        last = last_folders(models)
        unused = sorted(p for p in folders if p.name not in last and not _has_seed(p, seeds))
        found.append(StoreFolder(path=models, n_items=len(folders), unused=unused))
    return found


def _shard_keys(features_dir: Path) -> set[str]:
    """Read the keys of all shards in the workspace; they may be copies of those in the store."""
    keys = set()
    for path in features_dir.glob("*/part-*.h5"):
        try:
            with h5py.File(path, "r") as file:
                keys.add(str(file.attrs["key"]))
        except (OSError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise AvsedError(
                f"{path}: cannot be read ({reason}); run `dvc repro -f extract`"
            ) from None
    return keys


def _has_seed(folder: Path, hashes: set[str]) -> bool:
    return any(file_sha256(path) in hashes for path in folder.glob("*.safetensors"))


def describe_unused(folders: Sequence[StoreFolder]) -> str:
    """Describe what is unused in each folder, and its total size."""
    lines = [
        f"{folder.path}: {len(folder.unused):,} of {folder.n_items:,} unused, "
        f"{_megabytes(folder.unused)[0]:,.1f} MB"
        for folder in folders
    ]
    size, n_linked = _megabytes(path for folder in folders for path in folder.unused)
    lines.append(f"{size:,.1f} MB are unused")
    if n_linked:
        lines[-1] += (
            f"; {n_linked:,.1f} MB of them have other hard links, for example in DVC's cache, and "
            "stay until `dvc gc --workspace`"
        )
    return "\n".join(lines)


def remove_unused(folders: Sequence[StoreFolder]) -> int:
    """Remove the unused items; return their number."""
    unused = [path for folder in folders for path in folder.unused]
    for path in unused:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(unused)


def _megabytes(items: Iterable[Path]) -> tuple[float, float]:
    """Return the size of items, and of those of their files that have other hard links."""
    stats = [
        path.stat()
        for item in items
        for path in (item.rglob("*") if item.is_dir() else [item])
        if path.is_file()
    ]
    size = sum(stat.st_size for stat in stats)
    linked = sum(stat.st_size for stat in stats if stat.st_nlink > 1)
    return size / 1e6, linked / 1e6
