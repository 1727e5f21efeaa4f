"""Bring a data set's lists and clips into the project, from whichever source it has."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from avsed.annotations import (
    DCASE_2018_CLASSES,
    SPLITS,
    AnnotatedClip,
    read_classes,
    read_list,
    write_classes,
    write_list,
)
from avsed.clips import ClipRecord, inspect_clip, write_clips
from avsed.config import Dataset, DemoDataset, Local, LocalDataset
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene, annotated, compose
from avsed.sources.local import copy_clip, find_media, read_lists


def prepare_lists(dataset: Dataset, local: Local, out_dir: Path) -> None:
    """Write the four lists and the classes of a data set.

    Args:
        dataset: the source.
        local: folders of a local one.
        out_dir: becomes weak, unlabeled, validation and test .tsv, and classes.txt.

    Raises:
        AvsedError: if the source's lists are missing or break their form.
    """
    if isinstance(dataset, DemoDataset):
        classes: Sequence[str] = DCASE_2018_CLASSES
        scenes = compose_demo(dataset)
        lists = {split: [annotated(scene, split) for scene in scenes[split]] for split in SPLITS}
    elif isinstance(dataset, LocalDataset):
        classes = dataset.classes
        lists = read_lists(local, classes)
    else:
        raise AvsedError(_NO_YOUTUBE)
    _refuse_shared_clips(lists)
    lists = {split: [_cut_at_clip_end(clip) for clip in clips] for split, clips in lists.items()}
    for split, clips in lists.items():
        if not clips:
            raise AvsedError(f"{split}.tsv: names no clip; every list needs some")
        write_list(out_dir, split, clips)
    write_classes(out_dir, classes)
    print(", ".join(f"{len(clips)} {split}" for split, clips in lists.items()) + " clips")


def collect_clips(
    dataset: Dataset, local: Local, *, metadata_dir: Path, clips_dir: Path, table_path: Path
) -> None:
    """Bring the media of all listed clips into one folder, and record what is in each.

    Clips without media, or whose media cannot be decoded, are named on the console and in the
    table; the others go on.

    Args:
        dataset: the source.
        local: folders of a local one.
        metadata_dir: what `prepare_lists` wrote.
        clips_dir: becomes a media file for each clip.
        table_path: becomes `clips.csv`.

    Raises:
        AvsedError: if the source cannot be used, or no clip at all can be decoded.
    """
    clips_dir.mkdir(parents=True, exist_ok=True)
    classes = read_classes(metadata_dir)
    clip_ids = [
        clip.clip_id for split in SPLITS for clip in read_list(metadata_dir, split, classes)
    ]
    if isinstance(dataset, DemoDataset):
        scenes = {
            scene.clip_id: scene for split in compose_demo(dataset).values() for scene in split
        }
        collect_one = partial(_render, scenes=scenes, clips_dir=clips_dir)
    elif isinstance(dataset, LocalDataset):
        media = find_media(local, clip_ids)
        collect_one = partial(copy_clip, media=media, clips_dir=clips_dir)
    else:
        raise AvsedError(_NO_YOUTUBE)
    records = _collect_all(collect_one, clip_ids)
    write_clips(table_path, records)

    usable = [record for record in records if record.status == "ok"]
    print(f"{len(usable)} of {len(records)} clips can be decoded")
    for record in records:
        if record.reason:
            print(f"  {record.clip_id}: {record.reason}")
    if not usable:
        raise AvsedError(f"no clip can be decoded; {table_path} says why of each")


def compose_demo(dataset: DemoDataset) -> dict[str, list[Scene]]:
    """Plan the demo's clips."""
    n_clips = {
        "weak": dataset.n_weak,
        "unlabeled": dataset.n_unlabeled,
        "validation": dataset.n_validation,
        "test": dataset.n_test,
    }
    return compose(n_clips, dataset.seed)


_NO_YOUTUBE = (
    "dataset.source youtube: downloading is not built yet; get the clips by other means and set "
    "up profiles/local.yaml, or stay with profile: demo"
)


def _render(clip_id: str, scenes: Mapping[str, Scene], clips_dir: Path) -> ClipRecord:
    path = clips_dir / f"{clip_id}.mp4"
    render_clip(scenes[clip_id], path)
    return inspect_clip(clip_id, path)


def _collect_all(
    collect_one: Callable[[str], ClipRecord], clip_ids: Sequence[str]
) -> list[ClipRecord]:
    # Threads are enough: ffmpeg does most of the work, in processes of its own.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        found = pool.map(collect_one, clip_ids)
        return list(tqdm(found, total=len(clip_ids), desc="clips", unit="clip"))
    finally:
        pool.shutdown(cancel_futures=True)


def _cut_at_clip_end(clip: AnnotatedClip) -> AnnotatedClip:
    """End events where clips are cut; drop, and name, those that start later."""
    if clip.events is None:
        return clip
    kept = tuple(
        replace(event, offset=min(event.offset, CLIP_DURATION))
        for event in clip.events
        if event.onset < CLIP_DURATION
    )
    if len(kept) < len(clip.events):
        print(
            f"  {clip.clip_id}: {len(clip.events) - len(kept)} events start after "
            f"{CLIP_DURATION:g} s, where clips are cut, and are dropped"
        )
    return replace(clip, events=kept, tags=tuple(sorted({event.label for event in kept})))


def _refuse_shared_clips(lists: dict[str, list[AnnotatedClip]]) -> None:
    """Refuse a clip in two lists: what is trained on must not be tested on."""
    seen: dict[str, str] = {}
    for split, clips in lists.items():
        for clip in clips:
            if clip.clip_id in seen:
                raise AvsedError(
                    f"{split}.tsv and {seen[clip.clip_id]}.tsv: both list {clip.clip_id}; a clip "
                    "belongs to one of them"
                )
            seen[clip.clip_id] = split
