"""Recover clips of the project's last commit from DVC instead of downloading them again."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from avsed.dataset.clips import ClipRecord, read_clips
from avsed.errors import AvsedError
from avsed.runtime.files import file_sha256
from avsed.runtime.last_commit import LastCommit, OutOfReachError, open_last_commit
from avsed.sources.youtube.ledger import Ledger, media_path


def recover_clips(
    ledger: Ledger, clip_ids: Sequence[str], *, clips_dir: Path, table_path: Path
) -> None:
    """Copy clips that the ledger lacks from the last commit into the store.

    Outside of a stage run by DVC, do nothing.

    Args:
        ledger: the records of the store.
        clip_ids: the requested clips.
        clips_dir: DVC's output with their media, relative to the project.
        table_path: the committed `clips.csv`, likewise.

    Raises:
        AvsedError: if DVC has a remote that lacks committed clips.
    """
    lacking = set(clip_ids) - ledger.records.keys()
    committed = open_last_commit() if lacking else None
    if not committed:
        return
    copy = ledger.work_dir / "committed.csv"
    try:
        committed.take(table_path, copy)
        records = [record for record in read_clips(copy) if record.clip_id in lacking]
    except (FileNotFoundError, OutOfReachError, AvsedError):
        return  # a commit without clips, or with another table format
    for record in records:
        if record.status == "unavailable":
            ledger.add(record)
    had = [record for record in records if record.status == "ok"]
    if had:
        _recover_media(committed, clips_dir, ledger, had)


def _recover_media(
    committed: LastCommit, clips_dir: Path, ledger: Ledger, records: Sequence[ClipRecord]
) -> None:
    n_recovered = 0
    reason = ""
    progress: tqdm[NoReturn] = tqdm(total=len(records), desc="from DVC", unit="clip")
    with progress:
        for record in records:
            # Its own name: files that DVC links to its cache must not be modified.
            copy = ledger.work_dir / f"committed-{record.clip_id}.mp4"
            try:
                committed.take(clips_dir / f"{record.clip_id}.mp4", copy)
            except FileNotFoundError as error:
                reason = str(error)
            except OutOfReachError as error:
                reason = str(error)
                break
            else:
                if file_sha256(copy) == record.sha256:
                    copy.replace(media_path(record.clip_id))
                    ledger.add(record)
                    n_recovered += 1
            progress.update()
    print(f"{n_recovered:,} of {len(records):,} clips of the last commit come from DVC", flush=True)
    n_lost = len(records) - n_recovered
    if n_lost and committed.remote:
        raise AvsedError(
            f"{n_lost:,} clips of the last commit came neither from DVC's cache "
            f"nor from its remote {committed.remote!r} "
            f"({' '.join(reason.split()) or 'other content'}); repair it and run "
            "`dvc pull collect`, or download them again: `dvc remote default --unset`"
        )
