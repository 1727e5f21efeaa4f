"""Import files of labels of other programs and data sets into the lists of a folder."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from avsed.dataset.annotations import STRONG_SPLITS, AnnotatedClip
from avsed.dataset.ffmpeg import DecodeError
from avsed.dataset.header import read_header
from avsed.dataset.names import clip_id_of
from avsed.errors import AvsedError
from avsed.labels.cleaning import merge, to_clip
from avsed.labels.formats import read_labels
from avsed.labels.lists import (
    CLASSES_FILE,
    Destination,
    choose_lists,
    classes_of,
    format_classes,
    read_existing,
    write_lists,
)
from avsed.labels.recordings import ReadOptions, Recording, Remarks, base_name
from avsed.runtime.limits import count_cores
from avsed.sources.local import find_media

N_CLASSES_SHOWN = 40

Lists = dict[str, dict[str, AnnotatedClip]]  # list to clip to annotations


def import_labels(
    paths: Sequence[Path],
    out_dir: Path,
    *,
    format_name: str | None,
    destination: Destination,
    options: ReadOptions,
    media_dir: Path | None,
    adds: bool,
    shows_progress: bool,
) -> tuple[list[str], list[str]]:
    """Read files of labels and write the lists of their recordings.

    Args:
        paths: files of labels.
        out_dir: gets the lists, and the classes in the form of a profile.
        format_name: of all files; None to recognize each.
        destination: choice of lists.
        options: choices of some formats.
        media_dir: folder of the media, to find their names and durations; None if unknown.
        adds: whether to add to lists that exist.
        shows_progress: whether to show bars.

    Returns:
        Warnings: what was dropped or changed; and a report: the lists and the classes.

    Raises:
        AvsedError: if a file is invalid, a list exists and `adds` is False, or a clip would be
            in two lists.
    """
    remarks = Remarks()
    chosen: list[tuple[str, Recording]] = []
    for path in tqdm(paths, "reading", unit="file", disable=not shows_progress or len(paths) < 2):
        recordings = read_labels(path, format_name, options, remarks)
        chosen += choose_lists(recordings, destination, path, remarks)
    _refuse_same_names([recording for _, recording in chosen])
    if media_dir:
        chosen = _match_media(chosen, media_dir, remarks, shows_progress=shows_progress)
    new = _gather(chosen, remarks)
    warnings = remarks.lines()
    if not any(new.values()):
        reasons = f" ({'; '.join(warnings)})" if warnings else ""
        raise AvsedError(f"{paths[0]}: has no recording for a list{reasons}; nothing is written")
    existing = read_existing(out_dir)
    if not adds and (taken := sorted(new.keys() & existing.keys())):
        raise AvsedError(
            f"{out_dir / taken[0]}.tsv: exists; use --add to add to it, or another --out"
        )
    lists = _add(existing, new, warnings)
    _refuse_shared(lists, out_dir)
    classes = classes_of({name: clips.values() for name, clips in lists.items()})
    write_lists(out_dir, {name: list(lists[name].values()) for name in new}, classes)
    report = [
        f"{out_dir / name}.tsv: {_clips(len(lists[name]))}, {len(clips):,} new"
        for name, clips in new.items()
    ]
    return warnings, [*report, *_describe_classes(out_dir, classes)]


def _refuse_same_names(recordings: Sequence[Recording]) -> None:
    """Refuse recordings of one name in different folders, since lists have no folders."""
    folders: dict[str, tuple[PurePosixPath, str]] = {}
    for recording in recordings:
        folder = PurePosixPath(recording.name.replace("\\", "/")).parent
        clip_id = clip_id_of(base_name(recording.name))
        first, name = folders.setdefault(clip_id, (folder, recording.name))
        if folder != first:
            raise AvsedError(
                f"{name} and {recording.name} would be one clip, because lists have no folders; "
                "rename one of the recordings"
            )


def _gather(chosen: Sequence[tuple[str, Recording]], remarks: Remarks) -> Lists:
    """Convert the recordings to clips, and merge those of one name."""
    lists: Lists = {}
    for name, recording in chosen:
        clip = to_clip(recording, name, remarks)
        if clip:
            clips = lists.setdefault(name, {})
            known = clips.get(clip.clip_id)
            clips[clip.clip_id] = merge(known, clip, remarks) if known else clip
    return lists


def _add(existing: Mapping[str, Sequence[AnnotatedClip]], new: Lists, warnings: list[str]) -> Lists:
    """Return all lists with their new clips; clips that a list has already stay as they are."""
    lists = {name: {clip.clip_id: clip for clip in clips} for name, clips in existing.items()}
    for name, clips in new.items():
        listed = lists.setdefault(name, {})
        if known := clips.keys() & listed.keys():
            warnings.append(
                f"dropped clips that {name}.tsv lists already: {len(known):,} ({min(known)}, ...)"
            )
        new[name] = {clip_id: clip for clip_id, clip in clips.items() if clip_id not in known}
        listed.update(new[name])
    return lists


def _refuse_shared(lists: Lists, out_dir: Path) -> None:
    """Refuse clips in two lists, so that no training clip is tested on."""
    for first, second in combinations(lists, 2):
        if shared := sorted(lists[first].keys() & lists[second].keys()):
            more = f" and {len(shared) - 1:,} more" if len(shared) > 1 else ""
            raise AvsedError(
                f"{out_dir}: {shared[0]}{more} would be in {first}.tsv and in {second}.tsv; import "
                "each recording into one list"
            )


def _match_media(
    chosen: Sequence[tuple[str, Recording]],
    media_dir: Path,
    remarks: Remarks,
    *,
    shows_progress: bool,
) -> list[tuple[str, Recording]]:
    """Name recordings like their media, and read missing durations of those with events."""
    names = {name for _, recording in chosen for name in _names_of(recording)}
    media = find_media(media_dir, sorted(names), named_by="--media")
    found: list[tuple[str, Recording]] = []
    needed: list[Path | None] = []
    for list_name, recording in chosen:
        name = next((name for name in _names_of(recording) if media[name]), None)
        if name is None:
            remarks.add(f"kept recordings without media in {media_dir}", recording.name)
        found.append((list_name, replace(recording, name=name or recording.name)))
        is_needed = name and list_name in STRONG_SPLITS and recording.duration is None
        needed.append(media[name] if name and is_needed else None)
    pool = ThreadPoolExecutor(count_cores())
    try:
        read = pool.map(_duration, needed)
        bar = tqdm(read, "durations", len(needed), unit="file", disable=not shows_progress)
        return [
            (list_name, replace(recording, duration=duration or recording.duration))
            for (list_name, recording), duration in zip(found, bar, strict=True)
        ]
    finally:
        pool.shutdown(cancel_futures=True)


def _names_of(recording: Recording) -> list[str]:
    """Return the names that media of a recording can have, without extension."""
    return [clip_id_of(base_name(name)) for name in (recording.name, *recording.aliases)]


def _duration(path: Path | None) -> float | None:
    """Return the seconds that the header of a media file states; None if it states none."""
    try:
        return (read_header(path).duration or None) if path else None
    except DecodeError:  # reported when the media are used
        return None


def _describe_classes(folder: Path, classes: Sequence[str]) -> list[str]:
    lines = [f"{folder / CLASSES_FILE}: {len(classes):,} classes, for profiles/local.yaml"]
    if len(classes) <= N_CLASSES_SHOWN:
        lines += format_classes(classes).splitlines()
    return lines


def _clips(count: int) -> str:
    return f"{count:,} clip" if count == 1 else f"{count:,} clips"
