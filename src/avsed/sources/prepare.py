"""Write the lists of a data set in one format, for every source (Section 4.1)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from avsed.dataset.annotations import (
    DCASE_2018_CLASSES,
    SPLITS,
    AnnotatedClip,
    write_classes,
    write_list,
)
from avsed.errors import AvsedError
from avsed.framing import CLIP_DURATION
from avsed.params import Dataset, DemoDataset, Local, LocalDataset
from avsed.sources.demo.scenes import annotated, compose
from avsed.sources.local import read_lists
from avsed.sources.youtube.lists import find_lists, read_published


def prepare_lists(dataset: Dataset, local: Local, out_dir: Path) -> None:
    """Write the four lists and the classes of a data set.

    Args:
        dataset: the source.
        local: folders of the local source.
        out_dir: gets weak, unlabeled, validation and test .tsv, and classes.txt.

    Raises:
        AvsedError: if a list is missing or invalid.
    """
    classes: Sequence[str] = DCASE_2018_CLASSES
    if isinstance(dataset, DemoDataset):
        scenes = compose(dataset.n_clips, dataset.seed)
        lists = {split: [annotated(scene, split) for scene in scenes[split]] for split in SPLITS}
    elif isinstance(dataset, LocalDataset):
        classes = dataset.classes
        lists = read_lists(local, classes)
    else:
        lists = read_published(find_lists(dataset.lists))
    _refuse_shared_clips(lists)
    lists = {split: [_cut_at_clip_end(clip) for clip in clips] for split, clips in lists.items()}
    for split, clips in lists.items():
        if not clips:
            raise AvsedError(f"{split}.tsv: has no clips; add at least one")
        write_list(out_dir, split, clips)
    write_classes(out_dir, classes)
    print(", ".join(f"{len(clips):,} {split}" for split, clips in lists.items()) + " clips")


def _cut_at_clip_end(clip: AnnotatedClip) -> AnnotatedClip:
    """Truncate events at the end of the clip; drop and report those that start later."""
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
            f"{CLIP_DURATION:g} s, the end of a clip, and are dropped"
        )
    kept = tuple(dict.fromkeys(kept))  # two events may differ only after the end of the clip
    return replace(clip, events=kept, tags=tuple(sorted({event.label for event in kept})))


def _refuse_shared_clips(lists: dict[str, list[AnnotatedClip]]) -> None:
    """Check that no clip is in two lists, so that no training clip is tested on."""
    seen: dict[str, str] = {}
    for split, clips in lists.items():
        for clip in clips:
            if clip.clip_id in seen:
                raise AvsedError(
                    f"{split}.tsv and {seen[clip.clip_id]}.tsv: both list {clip.clip_id}; remove "
                    "the clip from one of them"
                )
            seen[clip.clip_id] = split
