"""Decide which list a recording goes to, and write the lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from avsed.dataset.annotations import AnnotatedClip, labels_used, read_list_file, write_list
from avsed.errors import AvsedError
from avsed.labels.recordings import Recording, Remarks
from avsed.runtime.files import atomic_write, work_folder

LISTS = ("weak", "unlabeled", "strong", "validation", "test")
CLASSES_FILE = "classes.yaml"


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The user's choice of lists.

    Attributes:
        list_name: of all recordings except those of the folds; None to decide by the data.
        validation_folds: folds that go to the validation list.
        test_folds: folds that go to the test list.
    """

    list_name: str | None = None
    validation_folds: tuple[str, ...] = ()
    test_folds: tuple[str, ...] = ()


def choose_lists(
    recordings: Sequence[Recording], destination: Destination, path: Path, remarks: Remarks
) -> list[tuple[str, Recording]]:
    """Return the list of each recording of a file.

    Recordings that nobody annotated are unlabeled; in another list they would be recordings
    without sounds. Of the others decide, in this order, the folds of the options, the list of the
    options, and the data set's own split. Else those with tags are weakly labeled. Events can be
    for training, validation or testing, so that the user has to choose.

    Raises:
        AvsedError: if the list cannot be decided, or a fold does not exist.
    """
    _check_folds(recordings, destination, path)
    has_tags_only = any(recording.labels for recording in recordings) and not any(
        label.onset is not None for recording in recordings for label in recording.labels
    )
    chosen = []
    for recording in recordings:
        list_name = _list_of(recording, destination, has_tags_only=has_tags_only)
        if not list_name:
            if not any(one.labels for one in recordings):
                raise AvsedError(f"{path}: has no labels; choose the list with --as")
            raise AvsedError(
                f"{path}: lists events, which can be for training or for scoring; choose "
                "--as strong, --as validation or --as test (or --as weak for their tags only)"
            )
        if list_name == "unlabeled" and destination.list_name not in (None, "unlabeled"):
            remarks.add(
                "changed recordings that nobody annotated to unlabeled clips", recording.name
            )
        chosen.append((list_name, recording))
    return chosen


def _list_of(recording: Recording, destination: Destination, *, has_tags_only: bool) -> str:
    if not recording.is_annotated:
        return "unlabeled"
    if recording.fold and recording.fold in destination.validation_folds:
        return "validation"
    if recording.fold and recording.fold in destination.test_folds:
        return "test"
    if destination.list_name:
        return destination.list_name
    if recording.split in ("validation", "test"):
        return recording.split
    if has_tags_only:
        return "weak"
    return "strong" if recording.split == "train" else ""


def _check_folds(recordings: Sequence[Recording], destination: Destination, path: Path) -> None:
    asked = destination.validation_folds + destination.test_folds
    if both := set(destination.validation_folds).intersection(destination.test_folds):
        raise AvsedError(f"fold {min(both)} is for validation and for testing; choose one")
    known = {recording.fold for recording in recordings}
    for fold in asked:
        if fold not in known:
            folds = ", ".join(sorted(known - {""})) or "none"
            raise AvsedError(f"{path}: has no fold {fold} (its folds: {folds}); correct the option")


def read_existing(folder: Path) -> dict[str, list[AnnotatedClip]]:
    """Read the lists that a folder has; their labels are the classes.

    Raises:
        AvsedError: if a list is invalid.
    """
    found = {}
    for name in LISTS:
        path = folder / f"{name}.tsv"
        if path.is_file():
            found[name] = read_list_file(path, name, sorted(labels_used(path, name)))
    return found


def write_lists(
    folder: Path, lists: Mapping[str, Sequence[AnnotatedClip]], classes: Sequence[str]
) -> None:
    """Write lists, and the classes of all lists in the folder in the form of a profile."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, clips in lists.items():
        with work_folder(folder) as part:
            write_list(part, name, clips)
            (part / f"{name}.tsv").replace(folder / f"{name}.tsv")
    with atomic_write(folder / CLASSES_FILE) as part:
        part.write_text(format_classes(classes), "utf-8")


def classes_of(lists: Mapping[str, Iterable[AnnotatedClip]]) -> list[str]:
    """Return all labels of lists, sorted."""
    return sorted({tag for clips in lists.values() for clip in clips for tag in clip.tags or ()})


def format_classes(classes: Sequence[str]) -> str:
    """Format classes as the section `dataset` of profiles/local.yaml."""
    names = CommentedSeq(classes)
    names.fa.set_flow_style()
    yaml = YAML()
    yaml.width = 100
    text = StringIO()
    yaml.dump({"dataset": {"source": "local", "classes": names}}, text)
    return text.getvalue()
