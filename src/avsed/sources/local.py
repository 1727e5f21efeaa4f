"""The media of the user's own data set, in a folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.dataset.clips import ClipRecord, missing_clip
from avsed.dataset.inspection import inspect_clip
from avsed.dataset.names import clip_id_of, has_media_extension
from avsed.errors import AvsedError, show
from avsed.runtime.files import atomic_write

MEDIA_DIR = "local.media_dir"  # of params.yaml


def find_media(
    media_dir: Path, clip_ids: Sequence[str], *, named_by: str = MEDIA_DIR
) -> dict[str, Path | None]:
    """Find the media file of each clip, in any folder below `media_dir`.

    A file without an extension of media belongs to a clip only if it has exactly its name, and no
    media have. So labels and other files beside the media are ignored.

    Args:
        media_dir: the folder.
        clip_ids: clips.
        named_by: the parameter or option that names the folder, for messages.

    Returns:
        Clip to path; None if no file has its name.

    Raises:
        AvsedError: if two media have the name of one clip, or no clip has media.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in media_dir.rglob("*") if path.is_file()):
        found.setdefault(clip_id_of(path.name), []).append(path)
    if not found.keys() & set(clip_ids):
        raise AvsedError(_explain_no_media(media_dir, clip_ids, [*found], named_by))
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


def _explain_no_media(
    media_dir: Path, clip_ids: Sequence[str], names: Sequence[str], named_by: str
) -> str:
    others = [name for name in names if name != ".gitkeep"]
    if others:
        return (
            f"{media_dir}: no file has the name of any of the {len(clip_ids):,} listed clips, such "
            f"as {clip_ids[0]}, only other names, such as {show(others[0])}; correct {named_by} "
            "or the names in the lists"
        )
    if named_by != MEDIA_DIR:
        return f"{media_dir}: has no media; put them there or correct {named_by}"
    # A copy of the project contains what Git tracks.
    return (
        f"{media_dir}: has no media; put them there or set local.media_dir in params.yaml, to an "
        "absolute path if this is an experiment of DVC's queue, which runs in a copy of the "
        "project without the media (docs/own-data.md)"
    )


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
