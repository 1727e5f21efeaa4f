"""Records of clips across runs: their media, or that their video is gone.

The ledger is a folder of the store. Unlike other items of the store, downloads are not keyed by the
code, since an edit must not cost days. Another way of cutting clips would need another folder.
"""

import json
import shutil
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout

from avsed.dataset.clips import ClipRecord, failed_clip, reason_category
from avsed.dataset.inspection import inspect_clip
from avsed.errors import AvsedError
from avsed.runtime.files import atomic_write, file_sha256, name_disk_errors
from avsed.runtime.store import store_dir
from avsed.sources.youtube.failures import AGE_RESTRICTED


class Ledger:
    """Records of clips, one JSON object per line; the last record of a clip counts.

    A line that was truncated by a kill is ignored, and its clip is inspected again.
    """

    def __init__(self) -> None:
        """Read the records of the store."""
        self.work_dir = _folder() / "work"
        self.path = _folder() / "ledger.jsonl"
        _clips_dir().mkdir(parents=True, exist_ok=True)
        self.path.touch()
        text = self.path.read_text("utf-8", errors="replace")
        if text and not text.endswith(
            "\n"
        ):  # otherwise the next record would be appended to half a line
            self._append("\n")
        self.records = {record.clip_id: record for record in _records(text)}

    def add(self, record: ClipRecord) -> None:
        """Record a clip that was downloaded or is gone."""
        self.records[record.clip_id] = record
        self._append(json.dumps(asdict(record)) + "\n")

    def is_settled(self, clip_id: str) -> bool:
        """Return whether a clip needs no download."""
        return clip_id in self.records and self.records[clip_id].status != "failed"

    def retry(self, clip_id: str) -> None:
        """Let a clip that was gone be retried."""
        self.add(failed_clip(clip_id, self.records[clip_id].reason))

    def retry_age_restricted(self) -> None:
        """Let clips be retried that failed for lack of cookies."""
        for clip_id, record in list(self.records.items()):
            if record.status == "unavailable" and reason_category(record.reason) == AGE_RESTRICTED:
                self.retry(clip_id)

    def reconcile(self, clip_ids: Collection[str]) -> None:
        """Reconcile records with the files on disk before downloading.

        Media that a kill left without a record are inspected; records whose media are missing or
        damaged are dropped. Unfinished files of earlier runs are deleted.
        """
        shutil.rmtree(self.work_dir, ignore_errors=True)
        self.work_dir.mkdir(parents=True, exist_ok=True)
        known = [clip_id for clip_id in clip_ids if clip_id in self.records]
        had = [clip_id for clip_id in known if self.records[clip_id].status == "ok"]
        with ThreadPoolExecutor() as pool:
            whole = list(pool.map(self._is_valid, had))
        self._drop([clip_id for clip_id, is_valid in zip(had, whole, strict=True) if not is_valid])
        there = {path.stem for path in _clips_dir().iterdir()}
        for clip_id in clip_ids:
            if clip_id in there and not self.is_settled(clip_id):
                self.add(inspect_clip(clip_id, media_path(clip_id)))

    def _drop(self, clip_ids: Collection[str]) -> None:
        if clip_ids:
            for clip_id in clip_ids:
                del self.records[clip_id]
                media_path(clip_id).unlink(missing_ok=True)
            with atomic_write(self.path) as part:
                lines = (json.dumps(asdict(record)) + "\n" for record in self.records.values())
                part.write_text("".join(lines), "utf-8")

    def _append(self, text: str) -> None:
        with name_disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def _is_valid(self, clip_id: str) -> bool:
        path = media_path(clip_id)
        return path.is_file() and file_sha256(path) == self.records[clip_id].sha256


def media_path(clip_id: str) -> Path:
    """Return the path of a clip's media file in the store."""
    return _clips_dir() / f"{clip_id}.mp4"


@contextmanager
def open_ledger(*, waits: bool) -> Iterator[Ledger]:
    """Open the ledger of the store, locked for this process.

    Args:
        waits: whether to wait for another process that has it open.

    Raises:
        AvsedError: if another process has it open, and `waits` is false.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not waits:
            raise AvsedError(f"{folder}: another run is downloading; wait for it") from None
        print(f"another run is downloading into {folder}; waiting for it", flush=True)
        lock.acquire()
    try:
        yield Ledger()
    finally:
        lock.release()


def retry_gone(category: str | None, records: Iterable[ClipRecord]) -> int:
    """Let the next run retry clips whose videos were gone.

    Args:
        category: category of the reason in reports, such as "private"; None for all.
        records: those of `clips.csv`, which can have clips that the store lacks.

    Returns:
        The number of clips.

    Raises:
        AvsedError: if a run is downloading, or no clip is gone for this reason.
    """
    with open_ledger(waits=False) as ledger:
        known = {record.clip_id: record for record in records} | ledger.records
        gone = [record for record in known.values() if record.status == "unavailable"]
        meant = [record for record in gone if category in (None, reason_category(record.reason))]
        if category is not None and not meant:
            categories = (
                ", ".join(sorted({reason_category(record.reason) for record in gone})) or "none"
            )
            raise AvsedError(
                f"no video is gone for the reason {category!r}; reasons are: {categories}"
            )
        for record in meant:
            ledger.add(failed_clip(record.clip_id, record.reason))
    return len(meant)


def _folder() -> Path:
    return store_dir() / "youtube"


def _clips_dir() -> Path:
    return _folder() / "clips"


def _records(text: str) -> Iterator[ClipRecord]:
    for line in text.splitlines():
        try:
            yield ClipRecord(**json.loads(line))
        except (ValueError, TypeError):
            continue
