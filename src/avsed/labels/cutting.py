"""Cut long recordings with labels into clips of 10 s, with lists of the clips."""

import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from avsed.dataset.annotations import AnnotatedClip
from avsed.dataset.ffmpeg import DecodeError
from avsed.errors import AvsedError
from avsed.labels.cut_media import cut_media
from avsed.labels.lists import LISTS, classes_of, read_existing, write_lists
from avsed.labels.recordings import Remarks
from avsed.labels.windows import Window, cut_annotations, plan_windows
from avsed.runtime.files import atomic_write
from avsed.sources.local import find_media
from avsed.sources.shared_clips import find_shared_clips

SHORTEST = 1.0  # seconds; default for the rest at the end of a recording


@dataclass(frozen=True, kw_only=True)
class CutOptions:
    """How recordings are cut.

    Attributes:
        shortest: seconds; a shorter rest at the end of a recording is dropped.
        keeps_video: whether clips have the video of their recording.
    """

    shortest: float = SHORTEST
    keeps_video: bool = True


def cut_recordings(
    lists_dir: Path,
    media_dir: Path,
    out_dir: Path,
    options: CutOptions,
    *,
    shows_progress: bool = True,
) -> tuple[list[str], list[str]]:
    """Cut the recordings of all lists in a folder.

    The lists are written last. A run that was stopped continues: recordings that were finished
    are not decoded again, and clips that exist are kept.

    Args:
        lists_dir: has some of weak, unlabeled, strong, validation and test .tsv.
        media_dir: folder of the recordings, whatever their length.
        out_dir: gets `media`, `metadata` and `finished` (durations of finished recordings).
        options: how to cut.
        shows_progress: whether to show a bar.

    Returns:
        Warnings: what was dropped or changed; and a report: the lists and where to name them.

    Raises:
        AvsedError: if a list or the media are missing or invalid, or `metadata` has lists.
        OSError: if the disk is full.
    """
    clips_dir, metadata_dir = out_dir / "media", out_dir / "metadata"
    lists = _read_lists(lists_dir, metadata_dir)
    names = [clip.clip_id for clips in lists.values() for clip in clips]
    media = find_media(media_dir, names, named_by="MEDIA")
    clips_dir.mkdir(parents=True, exist_ok=True)
    remarks = Remarks()
    durations = {}
    with tqdm(media.items(), "cutting", unit="recording", disable=not shows_progress) as bar:
        on_clip = _clip_counter(bar)
        for name, path in bar:
            duration = _cut_one(name, path, out_dir, options, remarks, on_clip)
            if duration:
                durations[name] = duration
    cut = _cut_lists(lists, durations, options.shortest, remarks)
    write_lists(metadata_dir, cut, classes_of(cut))
    if (lists_dir / "classes.txt").is_file():
        shutil.copyfile(lists_dir / "classes.txt", metadata_dir / "classes.txt")
    report = [f"{metadata_dir / name}.tsv: {len(clips):,} clips" for name, clips in cut.items()]
    where = f"set local.media_dir to {clips_dir} and local.metadata_dir to {metadata_dir}"
    return remarks.lines(), [*report, f"{where} in params.yaml"]


def _read_lists(lists_dir: Path, written_dir: Path) -> dict[str, list[AnnotatedClip]]:
    if taken := [name for name in LISTS if (written_dir / f"{name}.tsv").exists()]:
        raise AvsedError(
            f"{written_dir / taken[0]}.tsv: exists, so that this folder is finished; cut into "
            "another folder, or delete its lists"
        )
    lists = read_existing(lists_dir)
    if not any(lists.values()):
        raise AvsedError(
            f"{lists_dir}: has no list with a recording; it should contain some of "
            f"{', '.join(f'{name}.tsv' for name in LISTS)}"
        )
    paths = {name: lists_dir / f"{name}.tsv" for name in lists}
    clip_ids = {name: [clip.clip_id for clip in clips] for name, clips in lists.items()}
    if errors := find_shared_clips(paths, clip_ids):
        raise AvsedError(errors[0])
    return lists


def _clip_counter(bar: "tqdm[tuple[str, Path | None]]") -> Callable[[], None]:
    """Return a function that shows one more clip on a bar."""
    numbers = itertools.count(1)
    return lambda: bar.set_postfix(clips=next(numbers))


def _cut_one(
    name: str,
    path: Path | None,
    out_dir: Path,
    options: CutOptions,
    remarks: Remarks,
    on_clip: Callable[[], None],
) -> float | None:
    """Cut a recording; return its duration in seconds, or None if it has no usable media."""
    if path is None:
        remarks.add("dropped recordings without media", name)
        return None
    cut = _Finished(out_dir, name, path, options)
    if cut.duration is None:
        try:
            duration, warning = cut_media(
                path,
                name,
                out_dir / "media",
                shortest=options.shortest,
                keeps_video=options.keeps_video,
                on_clip=on_clip,
            )
        except DecodeError as error:
            remarks.add("dropped recordings that cannot be cut", f"{name}: {error}")
            return None
        cut.note(duration, warning)
    if cut.warning:
        remarks.add("kept recordings that end early", f"{name}: {cut.warning}")
    return cut.duration


class _Finished:
    """The note that a recording was cut, valid for one state of its file and one set of options.

    Attributes:
        duration: seconds; None if it was not cut so.
        warning: about the recording; empty if there is none.
    """

    def __init__(self, out_dir: Path, name: str, path: Path, options: CutOptions) -> None:
        stat = path.stat()
        self._path = out_dir / "finished" / f"{name}.json"
        self._made_from = [stat.st_size, stat.st_mtime_ns, *astuple(options)]
        self.duration: float | None = None
        self.warning = ""
        try:
            note = json.loads(self._path.read_text("utf-8"))
            if note["made_from"] == self._made_from:
                self.duration, self.warning = float(note["duration"]), str(note["warning"])
        except (OSError, KeyError, TypeError, ValueError):
            return  # it was not cut, or a note was damaged

    def note(self, duration: float, warning: str) -> None:
        """Write the note."""
        self.duration, self.warning = duration, warning
        content = {"duration": duration, "warning": warning, "made_from": self._made_from}
        with atomic_write(self._path) as part:
            part.write_text(json.dumps(content), "utf-8")


def _cut_lists(
    lists: Mapping[str, Sequence[AnnotatedClip]],
    durations: Mapping[str, float],
    shortest: float,
    remarks: Remarks,
) -> dict[str, list[AnnotatedClip]]:
    """Return the lists of clips, without empty ones."""
    cut: dict[str, list[AnnotatedClip]] = {}
    for list_name, clips in lists.items():
        for clip in clips:
            if clip.clip_id not in durations:
                continue
            windows = plan_windows(durations[clip.clip_id], shortest)
            rest = durations[clip.clip_id] - windows[-1].offset
            if rest > 0.001:  # more than the rounding of names
                remarks.add(
                    f"dropped rests shorter than {shortest:g} s at the end of recordings",
                    f"{clip.clip_id}: {rest:.3f} s",
                )
            if clip.events is not None:
                cut.setdefault(list_name, []).extend(cut_annotations(clip, windows, remarks))
            elif clip.tags is not None and len(windows) == 1:
                clip_id = windows[0].clip_id(clip.clip_id)
                cut.setdefault(list_name, []).append(replace(clip, clip_id=clip_id))
            else:
                cut.setdefault("unlabeled", []).extend(_unlabeled(clip, windows, remarks))
    return cut


def _unlabeled(
    clip: AnnotatedClip, windows: Sequence[Window], remarks: Remarks
) -> list[AnnotatedClip]:
    if clip.tags is not None:
        remarks.add(
            "changed recordings with tags to unlabeled clips, since the times of tags are unknown",
            clip.clip_id,
        )
    return [AnnotatedClip(clip_id=window.clip_id(clip.clip_id)) for window in windows]
