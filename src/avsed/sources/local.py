"""The user's own data set: a folder of media and a folder of DCASE lists."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.dataset.annotations import SPLITS, AnnotatedClip, read_list
from avsed.dataset.clips import ClipRecord, missing_clip
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.names import clip_id_of, has_media_extension
from avsed.errors import AvsedError
from avsed.params import Local
from avsed.runtime.files import atomic_write


def read_lists(local: Local, classes: Sequence[str]) -> dict[str, list[AnnotatedClip]]:
    """Read and check the four lists of a data set.

    Args:
        local: the folder of the lists.
        classes: the label vocabulary.

    Raises:
        AvsedError: if a list is missing or invalid, with file and line.
    """
    return {split: read_list(local.metadata_dir, split, classes) for split in SPLITS}


def find_media(local: Local, clip_ids: Sequence[str]) -> dict[str, Path | None]:
    """Find the media file of each clip, in any folder below `media_dir`.

    A file without an extension of media belongs to a clip only if it has exactly its name, and no
    media have. So labels and other files beside the media are ignored.

    Returns:
        Clip to path; None if no file has its name.

    Raises:
        AvsedError: if two media have the name of one clip.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in local.media_dir.rglob("*") if path.is_file()):
        found.setdefault(clip_id_of(path.name), []).append(path)
    media: dict[str, Path | None] = {}
    for clip_id in clip_ids:
        paths = found.get(clip_id, [])
        paths = [path for path in paths if has_media_extension(path.name)] or paths
        if len(paths) > 1:
            raise AvsedError(
                f"{paths[0]} and {paths[1]}: both have the name of clip {clip_id}; keep one of them"
            )
        media[clip_id] = paths[0] if paths else None
    return media


def copy_clip(clip_id: str, media: Mapping[str, Path | None], clips_dir: Path) -> ClipRecord:
    """Copy a clip's media file if it can be decoded, and record its streams.

    The file is copied because DVC makes tracked files read-only.

    Args:
        clip_id: one of the clips.
        media: result of `find_media`.
        clips_dir: the folder to copy into.
    """
    path = media[clip_id]
    if path is None:
        return missing_clip(clip_id, "no media file has its name")
    record = inspect_clip(clip_id, path)
    if record.status == "ok":
        with atomic_write(clips_dir / record.file) as part:
            shutil.copyfile(path, part)
    return record
