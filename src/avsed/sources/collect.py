"""Gather the media of all clips of a data set, from any source (Section 4.1)."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tqdm import tqdm

from avsed.dataset.annotations import read_classes, read_lists
from avsed.dataset.clips import ClipRecord, write_clips
from avsed.dataset.inspection import inspect_clip
from avsed.errors import AvsedError
from avsed.params import Dataset, DemoDataset, Download, Local, LocalDataset, YoutubeDataset
from avsed.runtime.limits import count_cores
from avsed.sources.clip_ends import find_late_events, require_events_in_media
from avsed.sources.clip_report import count_clips, require_clips, write_inventory
from avsed.sources.demo.render import render_clip
from avsed.sources.demo.scenes import Scene, compose
from avsed.sources.local import copy_clip, find_media
from avsed.sources.youtube.download import download_clips

NAMED_AT_MOST = 20  # clips on the console; the table and the report list all


def collect_clips(
    dataset: Dataset,
    local: Local,
    download: Download,
    *,
    metadata_dir: Path,
    clips_dir: Path,
    table_path: Path,
    metrics_path: Path,
    report_path: Path,
) -> None:
    """Gather the media of all listed clips in one folder, and record their streams.

    Clips that have no media, or whose media cannot be decoded, are reported on the console and in
    the table; events past the end of the media, on the console and in the report.

    Args:
        dataset: the source.
        local: folders of the local source.
        download: settings of the download from YouTube.
        metadata_dir: the lists written by `prepare_lists`.
        clips_dir: gets one media file per clip.
        table_path: becomes `clips.csv`.
        metrics_path: becomes JSON with the counts of clips.
        report_path: becomes Markdown with the counts and the reasons of missing clips.

    Raises:
        AvsedError: if the source cannot be used, too few clips are available, or no event can be
            scored.
    """
    clips_dir.mkdir(parents=True, exist_ok=True)
    classes = read_classes(metadata_dir)
    lists = read_lists(metadata_dir, classes)
    listed = {split: [clip.clip_id for clip in clips] for split, clips in lists.items()}
    clip_ids = [clip_id for names in listed.values() for clip_id in names]
    if isinstance(dataset, DemoDataset):
        scenes = {
            scene.clip_id: scene
            for split in compose(dataset.n_clips, dataset.seed).values()
            for scene in split
        }
        records = _collect_all(partial(_render, scenes=scenes, clips_dir=clips_dir), clip_ids)
    elif isinstance(dataset, LocalDataset):
        media = find_media(local.media_dir, clip_ids)
        records = _collect_all(partial(copy_clip, media=media, clips_dir=clips_dir), clip_ids)
    else:
        records = download_clips(clip_ids, download, clips_dir=clips_dir, table_path=table_path)

    from_youtube = isinstance(dataset, YoutubeDataset)
    late = find_late_events(lists, records)
    write_clips(table_path, records)
    write_inventory(
        listed,
        records,
        late_events=late,
        beside_paper=from_youtube,
        metrics_path=metrics_path,
        report_path=report_path,
    )
    _report(records, table_path)
    _print_bounded(late, report_path)
    require_clips(count_clips(listed, records), download.min_fraction if from_youtube else 0.0)
    require_events_in_media(lists, records)


def _report(records: Sequence[ClipRecord], table_path: Path) -> None:
    """Print how many clips are usable and why the others are not."""
    usable = [record for record in records if record.status == "ok"]
    print(f"{len(usable):,} of {len(records):,} clips can be decoded")
    _print_bounded(
        {record.clip_id: record.reason for record in records if record.reason}, table_path
    )
    n_failed = sum(record.status == "failed" for record in records)
    if n_failed:
        print(f"{n_failed:,} failed; `dvc repro -f collect` retries them")
    if not usable:
        raise AvsedError(f"no clip can be decoded; {table_path} gives the reason for each")


def _print_bounded(by_clip: Mapping[str, str], path: Path) -> None:
    """Print a line for each clip, up to a number of clips; `path` contains all of them."""
    for clip_id, text in list(by_clip.items())[:NAMED_AT_MOST]:
        print(f"  {clip_id}: {text}")
    if len(by_clip) > NAMED_AT_MOST:
        print(f"  ... and {len(by_clip) - NAMED_AT_MOST:,} more; {path} lists all of them")


def _render(clip_id: str, scenes: Mapping[str, Scene], clips_dir: Path) -> ClipRecord:
    path = clips_dir / f"{clip_id}.mp4"
    render_clip(scenes[clip_id], path)
    return inspect_clip(clip_id, path)


def _collect_all(
    collect_one: Callable[[str], ClipRecord], clip_ids: Sequence[str]
) -> list[ClipRecord]:
    # Threads suffice: ffmpeg does most of the work, in its own processes.
    pool = ThreadPoolExecutor(count_cores())
    try:
        found = pool.map(collect_one, clip_ids)
        return list(tqdm(found, total=len(clip_ids), desc="clips", unit="clip"))
    finally:
        pool.shutdown(cancel_futures=True)
