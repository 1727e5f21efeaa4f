"""Take clips over from the project's last commit, by DVC, instead of asking YouTube again.

After `dvc pull` on another machine, or after the store was deleted, DVC's cache or its remote has
the clips, but DVC removes a stage's outputs before it runs the stage.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from avsed.clips import ClipRecord, read_clips
from avsed.sources.youtube.ledger import Ledger, media_path
from avsed.store import file_sha256


def recover_clips(
    ledger: Ledger, clip_ids: Sequence[str], *, clips_dir: Path, table_path: Path
) -> None:
    """Put into the store what the last commit has of the clips that the ledger lacks.

    Does nothing outside of a stage that DVC runs.

    Args:
        ledger: what the store has.
        clip_ids: the clips that are wanted.
        clips_dir: DVC's output that has their media, relative to the project.
        table_path: the committed `clips.csv`, likewise.
    """
    root = os.environ.get("DVC_ROOT")
    lacking = set(clip_ids) - ledger.records.keys()
    if not root or not lacking:
        return
    # Slow to import, and not needed where the store has everything.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    # Where the commit has no clips, or there is none, there is nothing to recover.
    with suppress(OSError, DvcException):
        committed = DVCFileSystem(root, rev="HEAD")
        records = _committed_records(committed, table_path, ledger.work_dir)
        _recover(committed, clips_dir, ledger, [r for r in records if r.clip_id in lacking])


def _committed_records(committed: Any, table_path: Path, work_dir: Path) -> list[ClipRecord]:
    copy = _fresh(work_dir / "committed.csv")
    committed.get_file(table_path.as_posix(), str(copy))
    return read_clips(copy)


def _recover(
    committed: Any, clips_dir: Path, ledger: Ledger, records: Iterable[ClipRecord]
) -> None:
    for record in records:
        if record.status == "unavailable":
            ledger.add(record)
    n_recovered = 0
    had = [record for record in records if record.status == "ok"]
    progress: tqdm[NoReturn] = tqdm(total=len(had), desc="from DVC", unit="clip")
    with progress:
        for record in had:
            n_recovered += _recover_media(committed, clips_dir, ledger, record)
            progress.update()
    if had:
        print(f"{n_recovered:,} of {len(had):,} clips of the last commit come from DVC", flush=True)


def _recover_media(committed: Any, clips_dir: Path, ledger: Ledger, record: ClipRecord) -> bool:
    # A fresh name: DVC may link the file to its cache, and would later write into it.
    copy = _fresh(ledger.work_dir / f"committed-{record.clip_id}.mp4")
    try:
        committed.get_file(f"{clips_dir.as_posix()}/{record.clip_id}.mp4", str(copy))
    except FileNotFoundError:  # neither in the cache nor on the remote
        return False
    if file_sha256(copy) != record.sha256:
        copy.unlink()
        return False
    copy.replace(media_path(record.clip_id))
    ledger.add(record)
    return True


def _fresh(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path
