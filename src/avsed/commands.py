"""Commands of `avsed`; a docstring is the help text of its command.

Each command imports what it needs itself: all of avsed takes seconds to import, and `avsed --help`
must be fast.
"""

import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from avsed.errors import AvsedError
from avsed.runtime.process import say_error

if TYPE_CHECKING:
    from avsed.model.decisions import Decisions
    from avsed.prediction.predict import Detector

# Whether a file can be read is checked later, one file at a time.
_FILE = click.Path(path_type=Path, readable=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


def _silence(context: click.Context, parameter: click.Parameter, is_quiet: bool) -> bool:
    if is_quiet:
        context.with_resource(redirect_stdout(io.StringIO()))
    return is_quiet


def _parse_shard(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    job, _, n_jobs = text.partition("/")
    if not (job.isdecimal() and n_jobs.isdecimal() and 1 <= int(job) <= int(n_jobs)):
        raise click.BadParameter(f"{text!r} is not I/N, such as 1/8 to 8/8.")
    return int(job), int(n_jobs)


def _parse_weights(
    context: click.Context, parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, Path]:
    weights = {}
    for text in texts:
        kind, _, path = text.partition("=")
        if not path:
            raise click.BadParameter(f"{text!r} is not KIND=PATH, such as auditory=vggish.pth.")
        weights[kind] = Path(path)
    return weights


_quiet = click.option(
    "-q", "--quiet", is_flag=True, callback=_silence, help="Print only errors and warnings."
)


@click.command("check")
@click.argument(
    "folder",
    type=_FOLDER,
    required=False,
    help="Four .tsv lists, or those of DCASE 2018; default: the lists of params.yaml.",
)
@_quiet
def check_lists(folder: Path | None, quiet: bool) -> None:
    """Check the four lists of clips for errors and oddities.

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
    _end_check(report, errors, quiet=quiet)


@click.command("retry")
@click.argument("reason", required=False, help="As in reports/clips.md; default: all reasons.")
@_quiet
def retry_clips(reason: str | None, quiet: bool) -> None:
    """Let `dvc repro -f collect` request videos again that were gone."""
    from avsed.config import load_params
    from avsed.dataset.clips import read_clips
    from avsed.sources.youtube.ledger import retry_gone

    load_params()  # fails in any other folder
    n_clips = retry_gone(reason, read_clips(Path("data/clips.csv")))
    print(f"{n_clips:,} clips will be requested again by `dvc repro -f collect`")


@click.command("check")
@_quiet
def check_features(quiet: bool) -> None:
    """Read all shards of data/features and report errors.

    Exit with status 1 if there are errors.
    """
    from avsed.dataset.clips import read_clips
    from avsed.dataset.shards import kinds_in
    from avsed.features.extraction.check import check_shards

    records = read_clips(Path("data/clips.csv"))
    features_dir = Path("data/features")
    kinds = kinds_in(features_dir)
    if not kinds:
        raise AvsedError(f"{features_dir}: has no features; run `dvc repro extract`")
    errors: list[str] = []
    for kind in kinds:
        check = check_shards(features_dir, kind, records)
        print(
            f"{kind}: {check.n_clips:,} clips in {check.n_shards:,} shards, "
            f"{check.n_bytes / 1e6:,.0f} MB, {check.n_left_out:,} excluded",
            flush=True,
        )
        errors += [f"{error}; run `dvc repro -f extract`" for error in check.errors]
    report = [*(f"error: {error}" for error in errors), f"{len(errors)} errors"]
    _end_check(report, errors, quiet=quiet)


@click.command("show")
@click.argument("clip", help="A clip_id of data/clips.csv.")
@click.option("--out", type=_FILE, help="Figure to write; default: CLIP.png.")
@_quiet
def show_features(clip: str, out: Path | None, quiet: bool) -> None:
    """Draw the features of a clip on one time axis."""
    from avsed.features.extraction.plot import plot_features

    path = out or Path(f"{clip}.png")
    plot_features(Path("data/features"), clip, path)
    print(path)


@click.command("clean")
@click.option("--yes", is_flag=True, help="Remove it; default: only show it.")
@_quiet
def clean_store(yes: bool, quiet: bool) -> None:
    """Show what this workspace does not use in the store, and remove it with --yes.

    Only feature shards and trained seeds are removed; they are computed again when needed.
    """
    from avsed.config import load_params
    from avsed.runtime.store import store_dir
    from avsed.store.cleaning import describe_unused, find_unused, hold_store, remove_unused

    load_params()  # fails in any other folder
    store = store_dir()
    with hold_store(store):
        folders = find_unused(
            store, features_dir=Path("data/features"), models_dir=Path("data/models")
        )
        print(describe_unused(folders))
        n_unused = remove_unused(folders) if yes else sum(len(each.unused) for each in folders)
    if not n_unused:
        print(f"{store}: nothing to remove")
    elif yes:
        print(f"{store}: removed {n_unused:,} items")
    else:
        print(f"{store}: removed nothing; `avsed store clean --yes` removes {n_unused:,} items")


@click.command("train")
@click.argument("variants", nargs=-1, help="Rows of variants.yaml; default: all.")
@click.option("--shard", metavar="I/N", callback=_parse_shard, required=True, help="Job I of N.")
@_quiet
def train_shard(variants: Sequence[str], shard: tuple[int, int], quiet: bool) -> None:
    """Train one job's share of all seeds.

    `dvc repro` then uses the trained seeds.
    """
    from avsed.config import load_params
    from avsed.runtime.store import store_dir
    from avsed.training.batches import open_training_data
    from avsed.training.train import train_seeds
    from avsed.variants import kinds_of_variant

    params = load_params()
    for variant, seeds in _seeds_of_job(shard, variants, params.train.n_seeds).items():
        kinds = kinds_of_variant(variant)
        data = open_training_data(
            Path("data/features"),
            Path("data/metadata"),
            kinds,
            made_by={kind: params.section_of(kind) for kind in kinds},
        )
        train_seeds(
            data,
            params.fusion,
            params.train,
            seeds=seeds,
            store=store_dir(),
            shows_progress=not quiet,
        )
        print(f"{variant}: trained seeds {', '.join(map(str, seeds))}")


@click.command("predict")
@click.argument("media", type=_FILE, nargs=-1, required=True, help="Files that ffmpeg can read.")
@click.option(
    "--model",
    type=_FOLDER,
    help="Models of a variant, such as data/models/spectral; the scores of all seeds are averaged. "
    "Default: YAMNet, which needs no training.",
)
@click.option(
    "--classes",
    type=click.Choice(["dcase", "audioset"]),
    help="Without --model: the ten classes of DCASE 2018 task 4 (default), or all 521 of AudioSet.",
)
@click.option(
    "--weights",
    metavar="KIND=PATH",
    callback=_parse_weights,
    multiple=True,
    help="Weights of the auditory or visual network, if neither random nor published.",
)
@click.option("--threshold", type=float, help="For all scores; default: the model's thresholds.")
@click.option("--median-filter-frames", type=int, help="Odd; default: the model's.")
@click.option(
    "--out",
    type=_FOLDER,
    help="Gets events.tsv of all files (DCASE's columns), and for each file MEDIA.json (tags, "
    "events, scores) and MEDIA.txt (labels for Audacity).",
)
@click.option("--plot", type=_FILE, help="Figure to write, for a single file.")
@click.option("--html", type=_FILE, help="Page with a player to write, for a single file.")
@_quiet
def run_predict(
    media: Sequence[Path],
    model: Path | None,
    classes: Literal["dcase", "audioset"] | None,
    weights: Mapping[str, Path],
    threshold: float | None,
    median_filter_frames: int | None,
    out: Path | None,
    plot: Path | None,
    html: Path | None,
    quiet: bool,
) -> None:
    """Find tags and events in media of any length.

    Exit with status 1 if a file cannot be scored; the others are.
    """
    from avsed.prediction.run import predict_files

    if model and classes:
        raise AvsedError("--classes: a model has its own classes; omit --model or --classes")
    if weights and not model:
        raise AvsedError("--weights: YAMNet's are fixed; name the --model that uses other weights")
    decide_by = _options_for_decisions(threshold, median_filter_frames)
    n_failed = predict_files(
        lambda: _open_detector(model, classes, weights, decide_by),
        media,
        out_dir=out,
        plot_path=plot,
        page_path=html,
        shows_progress=not quiet,
    )
    if n_failed:
        sys.exit(1)


def _open_detector(
    model_dir: Path | None,
    classes: Literal["dcase", "audioset"] | None,
    weights: Mapping[str, Path],
    decide_by: Mapping[str, float | int],
) -> "Detector":
    """Load a model, or YAMNet without one, and apply the options for decisions."""
    if model_dir:
        from avsed.prediction.trained_model import load_model

        model = load_model(model_dir, weights)
        return replace(model, decisions=_changed(model.decisions, decide_by))
    from avsed.zero_shot.detector import load_detector

    detector = load_detector(classes or "dcase")
    return replace(detector, decisions=_changed(detector.decisions, decide_by))


def _options_for_decisions(
    threshold: float | None, median_filter_frames: int | None
) -> dict[str, float | int]:
    """Check the options for decisions; return those that are given.

    Raises:
        AvsedError: if an option is out of range.
    """
    from pydantic import ValidationError

    from avsed.params import PAPER_POSTPROCESS, Postprocess

    options = {"threshold": threshold, "median_filter_frames": median_filter_frames}
    given = {name: value for name, value in options.items() if value is not None}
    try:
        Postprocess.model_validate(PAPER_POSTPROCESS.model_dump() | given)
    except ValidationError as error:
        reason = error.errors()[0]
        option = "".join(f"--{name}: " for name in reason["loc"]).replace("_", "-")
        raise AvsedError(f"{option}{reason['msg'].removeprefix('Value error, ')}") from None
    return given


def _changed(decisions: "Decisions", options: Mapping[str, float | int]) -> "Decisions":
    changed: dict[str, object] = dict(options)
    if threshold := changed.pop("threshold", None):
        changed |= dict.fromkeys(("tags", "events"), dict.fromkeys(decisions.tags, threshold))
    return decisions.model_copy(update=changed)


def _seeds_of_job(
    shard: tuple[int, int], variants: Sequence[str], n_seeds: int
) -> Mapping[str, Sequence[int]]:
    """Return the seeds of each variant that a job trains; warn if there are none."""
    from avsed.config import load_variants, require_variant
    from avsed.training.distributed import seeds_of_job

    job, n_jobs = shard
    chosen = list(dict.fromkeys(variants or load_variants()))
    for variant in chosen:
        require_variant(variant)
    dealt = seeds_of_job(chosen, n_seeds, shard=job, n_shards=n_jobs)
    if not dealt:
        n_useful = n_seeds * len(chosen)
        message = f"warning: job {job} has no seeds to train; use at most {n_useful} jobs"
        print(message, file=sys.stderr)
    return dealt


def _end_check(report: Sequence[str], errors: Sequence[str], *, quiet: bool) -> None:
    """Print a check's report, or only its errors; exit with status 1 if there are any."""
    if quiet:
        for error in errors:
            say_error(error)
    print("\n".join(report))
    if errors:
        sys.exit(1)


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
        return _four_lists(params.local.metadata_dir), params.dataset.classes
    folder = Path("data/metadata")
    if not (folder / "classes.txt").is_file():
        raise AvsedError(f"{folder}: the demo's lists are missing; run `dvc repro prepare` first")
    return _four_lists(folder), read_classes(folder)


def _lists_in(folder: Path) -> tuple[Mapping[str, Path], Sequence[str] | None]:
    """Find the lists in a folder and their classes, which are None if unknown."""
    from avsed.dataset.annotations import DCASE_2018_CLASSES, read_classes
    from avsed.sources.youtube.lists import FILES

    if not folder.is_dir():
        problem = "is not a folder" if folder.exists() else "not found"
        raise AvsedError(f"{folder}: {problem}; name the folder of the lists")
    lists = _four_lists(folder)
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


def _four_lists(folder: Path) -> dict[str, Path]:
    from avsed.dataset.annotations import SPLITS, list_path

    return {split: list_path(folder, split) for split in SPLITS}
