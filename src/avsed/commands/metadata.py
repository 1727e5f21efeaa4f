"""Commands for the lists of clips and their annotations."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from avsed.commands.options import FILE, FOLDER, end_check, quiet_option
from avsed.errors import AvsedError


@click.command("check")
@click.argument(
    "folder",
    type=FOLDER,
    required=False,
    help="The .tsv lists, or those of DCASE 2018; default: the lists of params.yaml.",
)
@quiet_option
def check_lists(folder: Path | None, quiet: bool) -> None:
    """Check the lists of clips for errors and oddities.

    Exit with status 1 if there are errors.
    """
    from avsed.runtime.store import store_dir
    from avsed.sources.check_lists import check_metadata, format_check, format_errors, write_errors

    paths, classes = _lists_of_set_up() if folder is None else _lists_in(folder)
    check = check_metadata(paths, classes)
    report, errors = format_check(check), format_errors(check)
    if errors != check.errors:
        path = store_dir() / "metadata_errors.txt"
        write_errors(check, path)
        more = f"all {len(check.errors):,} errors are in {path}"
        report.append(more)
        errors.append(more)
    end_check(report, errors, quiet=quiet)


def _lists_of_set_up() -> tuple[Mapping[str, Path], Sequence[str]]:
    """Find the lists and classes of the set-up in params.yaml."""
    from avsed.config import load_params
    from avsed.dataset.annotations import DCASE_2018_CLASSES, read_classes
    from avsed.params import LocalDataset, YoutubeDataset
    from avsed.sources.youtube.lists import find_lists

    params = load_params()
    if isinstance(params.dataset, YoutubeDataset):
        return find_lists(params.dataset.lists), DCASE_2018_CLASSES
    if isinstance(params.dataset, LocalDataset):
        return _find_lists(params.local.metadata_dir), params.dataset.classes
    folder = Path("data/metadata")
    if not (folder / "classes.txt").is_file():
        raise AvsedError(f"{folder}: the demo's lists are missing; run `dvc repro prepare` first")
    return _find_lists(folder), read_classes(folder)


def _lists_in(folder: Path) -> tuple[Mapping[str, Path], Sequence[str] | None]:
    """Find the lists in a folder and their classes, which are None if unknown."""
    from avsed.dataset.annotations import DCASE_2018_CLASSES, read_classes
    from avsed.sources.youtube.lists import FILES

    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "not found"
        raise AvsedError(f"{folder}: {problem}; name the folder of the lists")
    lists = _find_lists(folder)
    if any(path.is_file() for path in lists.values()):
        has_classes = (folder / "classes.txt").is_file()
        return lists, read_classes(folder) if has_classes else None
    if (folder / FILES["weak"]).is_file():
        return {split: folder / name for split, name in FILES.items()}, DCASE_2018_CLASSES
    names = ", ".join(path.name for path in lists.values())
    raise AvsedError(
        f"{folder}: contains neither {names} nor {FILES['weak']} of DCASE 2018; name the folder "
        "of the lists"
    )


def _find_lists(folder: Path) -> dict[str, Path]:
    """Return the paths of the four lists, and that of the optional one if there is one."""
    from avsed.dataset.annotations import REQUIRED_SPLITS, SPLITS, list_path

    paths = {split: list_path(folder, split) for split in SPLITS}
    return {
        split: path for split, path in paths.items() if split in REQUIRED_SPLITS or path.exists()
    }


def _parse_folds(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> tuple[str, ...]:
    return tuple(fold.strip() for text in texts for fold in text.split(","))


@click.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True, help="Files with labels.")
@click.option("--out", type=FOLDER, required=True, help="Gets the lists, and classes.yaml.")
@click.option(
    "--format", "format_name", help="Of all files, such as raven; default: recognized in each file."
)
@click.option(
    "--as",
    "list_name",
    type=click.Choice(["weak", "unlabeled", "strong", "validation", "test"]),
    help="The list; default: by the data set's splits, else weak for tags without times.",
)
@click.option("--validation-folds", multiple=True, callback=_parse_folds, help="Such as 4, or 8,9.")
@click.option("--test-folds", multiple=True, callback=_parse_folds, help="Such as 5, or 10.")
@click.option(
    "--names",
    type=FILE,
    multiple=True,
    help="Names of AudioSet's mids: ontology.json, class_labels_indices.csv or "
    "mid_to_display_name.tsv; default: YAMNet's 521.",
)
@click.option("--label-column", default="", help="Of a table of Raven; default: Annotation etc.")
@click.option("--tier", "tiers", multiple=True, help="Of a TextGrid or .eaf file; default: all.")
@click.option("--media", type=FOLDER, help="Folder of the media, for their names and durations.")
@click.option("--add", is_flag=True, help="Add to lists that exist.")
@quiet_option
def import_lists(
    files: Sequence[Path],
    out: Path,
    format_name: str | None,
    list_name: str | None,
    validation_folds: tuple[str, ...],
    test_folds: tuple[str, ...],
    names: Sequence[Path],
    label_column: str,
    tiers: tuple[str, ...],
    media: Path | None,
    add: bool,
    quiet: bool,
) -> None:
    """Import labels of other programs and data sets.

    Writes the lists of `avsed metadata check`, and reports what was dropped and why.
    """
    from avsed.labels.formats import NAMES_OF_FORMATS
    from avsed.labels.importing import import_labels
    from avsed.labels.lists import Destination
    from avsed.labels.readers.audioset import AudiosetNames
    from avsed.labels.recordings import ReadOptions

    if format_name and format_name not in NAMES_OF_FORMATS:
        raise AvsedError(f"--format {format_name}: is not one of {', '.join(NAMES_OF_FORMATS)}")
    warnings, report = import_labels(
        files,
        out,
        format_name=format_name,
        destination=Destination(
            list_name=list_name, validation_folds=validation_folds, test_folds=test_folds
        ),
        options=ReadOptions(
            label_column=label_column, tiers=tiers, name_of_mid=AudiosetNames(names).name_of
        ),
        media_dir=media,
        adds=add,
        shows_progress=not quiet,
    )
    _print_report(warnings, report)


@click.command("cut")
@click.argument("lists", type=FOLDER, help="Folder with lists of recordings of any length.")
@click.argument("media", type=FOLDER, help="Folder of the recordings.")
@click.option("--out", type=FOLDER, required=True, help="Gets `media` and `metadata` of the clips.")
@click.option(
    "--shortest",
    type=click.FloatRange(0.001, 10.0),
    default=1.0,
    show_default=True,
    help="Seconds; a shorter rest at the end of a recording is dropped.",
)
@click.option("--audio-only", is_flag=True, help="Leave the video out.")
@quiet_option
def cut_lists(
    lists: Path, media: Path, out: Path, shortest: float, audio_only: bool, quiet: bool
) -> None:
    """Cut long recordings with labels into clips of 10 s.

    A run that was stopped continues where it was.
    """
    from avsed.labels.cutting import CutOptions, cut_recordings

    options = CutOptions(shortest=shortest, keeps_video=not audio_only)
    _print_report(*cut_recordings(lists, media, out, options, shows_progress=not quiet))


def _print_report(warnings: Sequence[str], report: Sequence[str]) -> None:
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print("\n".join(report))
