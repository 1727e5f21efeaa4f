"""Write the lists of a data set in one format, for every source (Section 4.1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.dataset.annotations import (
    DCASE_2018_CLASSES,
    STRONG_SPLITS,
    AnnotatedClip,
    read_lists,
    write_classes,
    write_list,
)
from avsed.errors import AvsedError
from avsed.params import Dataset, DemoDataset, Local, LocalDataset
from avsed.sources.clip_ends import cut_at_clip_end, require_events
from avsed.sources.demo.scenes import annotated, compose
from avsed.sources.shared_clips import find_shared_clips, find_shared_names
from avsed.sources.youtube.lists import find_lists, read_published


def prepare_lists(dataset: Dataset, local: Local, out_dir: Path) -> None:
    """Write the lists and the classes of a data set.

    Args:
        dataset: the source.
        local: folders of the local source.
        out_dir: gets weak, unlabeled, validation, test and strong .tsv, and classes.txt. Without
            strong labels to train on, the list `strong` has no clips.

    Raises:
        AvsedError: if a list is missing or invalid, or a strong list has no event to score.
    """
    classes: Sequence[str] = DCASE_2018_CLASSES
    if isinstance(dataset, DemoDataset):
        scenes = compose(dataset.n_clips, dataset.seed)
        lists = {split: [annotated(scene, split) for scene in scenes[split]] for split in scenes}
    elif isinstance(dataset, LocalDataset):
        classes = dataset.classes
        lists = read_lists(local.metadata_dir, classes)
    else:
        lists = read_published(find_lists(dataset.lists))
    _check_shared(lists)
    for split, clips in lists.items():
        if not clips:
            raise AvsedError(f"{split}.tsv: has no clips; add at least one")
        if split in STRONG_SPLITS:
            require_events(Path(f"{split}.tsv"), split, clips)
    # DVC needs every file that a stage depends on.
    write_list(out_dir, "strong", ())
    for split, clips in lists.items():
        write_list(out_dir, split, cut_at_clip_end(clips))
    write_classes(out_dir, classes)
    print(", ".join(f"{len(clips):,} {split}" for split, clips in lists.items()) + " clips")


def _check_shared(lists: Mapping[str, Sequence[AnnotatedClip]]) -> None:
    """Refuse clips in two lists; report different clips of one video and names alike."""
    paths = {split: Path(f"{split}.tsv") for split in lists}
    clip_ids = {split: [clip.clip_id for clip in clips] for split, clips in lists.items()}
    errors = find_shared_clips(paths, clip_ids)
    if errors:
        more = f" ({len(errors) - 1:,} more such clips)" if len(errors) > 1 else ""
        raise AvsedError(errors[0] + more)
    for warning in find_shared_names(paths, clip_ids):
        print(f"  {warning}")
