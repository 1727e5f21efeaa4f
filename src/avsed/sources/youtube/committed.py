"""Take clips over from the project's last commit, by DVC, instead of asking YouTube again.

After `dvc pull` on another machine, or after the store was deleted, DVC's cache or its remote has
the clips, but DVC removes a stage's outputs before it runs the stage.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from avsed.clips import ClipRecord, read_clips
from avsed.errors import AvsedError
from avsed.sources.youtube.ledger import Ledger, media_path
from avsed.store import file_sha256

# What DVC calls the cache of the project itself, where it has no remote.
_OWN_CACHE = "auto-generated-upstream"


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

    Raises:
        AvsedError: if DVC has a remote, and clips that were committed do not come from it.
    """
    root = os.environ.get("DVC_ROOT")
    lacking = set(clip_ids) - ledger.records.keys()
    if not root or not lacking:
        return
    # Slow to import, and not needed where the store has everything.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    copy = _fresh(ledger.work_dir / "committed.csv")
    try:
        committed = DVCFileSystem(root, rev="HEAD")
        committed.get_file(table_path.as_posix(), str(copy))
        records = [record for record in read_clips(copy) if record.clip_id in lacking]
    except (FileNotFoundError, DvcException, AvsedError):
        return  # no commit, or one without clips, or of a version with another table
    for record in records:
        if record.status == "unavailable":
            ledger.add(record)
    had = [record for record in records if record.status == "ok"]
    if had:
        _recover_media(committed, clips_dir, ledger, had)


def _recover_media(
    committed: Any, clips_dir: Path, ledger: Ledger, records: Sequence[ClipRecord]
) -> None:
    # Of dvc_data; where the whole folder is neither in the cache nor on a remote that answers.
    from dvc_data.index.index import DataIndexError

    n_recovered = 0
    reason = ""
    progress: tqdm[NoReturn] = tqdm(total=len(records), desc="from DVC", unit="clip")
    with progress:
        for record in records:
            # A fresh name: DVC may link the file to its cache, and would later write into it.
            copy = _fresh(ledger.work_dir / f"committed-{record.clip_id}.mp4")
            try:
                committed.get_file(f"{clips_dir.as_posix()}/{record.clip_id}.mp4", str(copy))
            except FileNotFoundError as error:
                reason = str(error)
            except DataIndexError as error:
                reason = str(error)
                break
            else:
                if file_sha256(copy) == record.sha256:
                    copy.replace(media_path(record.clip_id))
                    ledger.add(record)
                    n_recovered += 1
            progress.update()
    print(f"{n_recovered:,} of {len(records):,} clips of the last commit come from DVC", flush=True)
    remote = committed.repo.config["core"].get("remote")
    n_lost = len(records) - n_recovered
    if n_lost and remote not in (None, _OWN_CACHE):
        raise AvsedError(
            f"{n_lost:,} clips of the last commit came neither from DVC's cache "
            f"nor from its remote {remote!r} ({' '.join(reason.split()) or 'other content'}); mend "
            "it and run `dvc pull collect`, or have them asked of YouTube again: `dvc remote "
            "default --unset`"
        )


def _fresh(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path
