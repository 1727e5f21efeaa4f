"""What the verbs of the command `avsed` do with its arguments.

Each imports what it needs itself: all of avsed takes seconds to load, `avsed --help` must not.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avsed.errors import AvsedError
from avsed.runtime.process import say_error

if TYPE_CHECKING:
    from avsed.params import Postprocess


def check_metadata(args: argparse.Namespace) -> None:
    """Check the four lists of a folder, or of the set-up in params.yaml."""
    from avsed.sources.check_lists import check_metadata, format_check

    folder: Path | None = args.folder
    paths, classes = _lists_of_set_up() if folder is None else _lists_in(folder)
    check = check_metadata(paths, classes)
    _end_check(format_check(check), check.errors, quiet=args.quiet)


def check_features(args: argparse.Namespace) -> None:
    """Check all shards of all kinds of features."""
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
            f"{check.n_bytes / 1e6:,.0f} MB, {check.n_left_out:,} left out",
            flush=True,
        )
        errors += [f"{error}; run `dvc repro -f extract`" for error in check.errors]
    report = [*(f"error: {error}" for error in errors), f"{len(errors)} errors"]
    _end_check(report, errors, quiet=args.quiet)


def show_features(args: argparse.Namespace) -> None:
    """Draw one clip's features."""
    from avsed.features.extraction.plot import plot_features

    out = args.out or Path(f"{args.clip}.png")
    plot_features(Path("data/features"), args.clip, out)
    print(out)


def retry_clips(args: argparse.Namespace) -> None:
    """Have videos that were gone asked for again."""
    from avsed.config import load_params
    from avsed.dataset.clips import read_clips
    from avsed.sources.youtube.ledger import retry_gone

    load_params()  # refuses any other folder
    n_clips = retry_gone(args.reason, read_clips(Path("data/clips.csv")))
    print(f"{n_clips:,} clips will be asked for again by `dvc repro -f collect`")


def train_shard(args: argparse.Namespace) -> None:
    """Train one job's share of the seeds."""
    from avsed.config import load_params, load_variants, require_variant
    from avsed.runtime.store import store_dir
    from avsed.training.batches import open_training_data
    from avsed.training.distributed import seeds_of_job
    from avsed.training.loop import train_seeds
    from avsed.variants import kinds_of_variant

    params = load_params()
    shard, n_shards = args.shard
    variants = list(dict.fromkeys(args.variants or load_variants()))
    for variant in variants:
        require_variant(variant)
    dealt = seeds_of_job(variants, params.train.n_seeds, shard=shard, n_shards=n_shards)
    if not dealt:
        n_seeds = params.train.n_seeds * len(variants)
        print(f"remark: job {shard} has nothing to train: there are {n_seeds} seeds, one for each "
              "of as many jobs", file=sys.stderr)  # fmt: skip
    for variant, seeds in dealt.items():
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
            shows_progress=not args.quiet,
        )
        print(f"{variant}: trained seeds {', '.join(map(str, seeds))}")


def predict(args: argparse.Namespace) -> None:
    """Find tags and events in media."""
    from avsed.prediction.run import predict_files

    n_failed = predict_files(
        args.media,
        model_dir=args.model,
        weights=dict(args.weights),
        postprocess=decide_by(args.threshold, args.median_filter_frames),
        out_dir=args.out,
        plot_path=args.plot,
        page_path=args.html,
        shows_progress=not args.quiet,
    )
    if n_failed:
        sys.exit(1)


def _end_check(report: Sequence[str], errors: Sequence[str], *, quiet: bool) -> None:
    """Print a check's report, or of it the errors only; exit 1 if it has any."""
    if quiet:
        for error in errors:
            say_error(error)
    print("\n".join(report))
    if errors:
        sys.exit(1)


def _lists_of_set_up() -> tuple[Mapping[str, Path], Sequence[str]]:
    """Find the lists and the classes of the set-up in params.yaml."""
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
        raise AvsedError(f"{folder}: has no lists of the demo yet; run `dvc repro prepare` first")
    return _four_lists(folder), read_classes(folder)


def _lists_in(folder: Path) -> tuple[Mapping[str, Path], Sequence[str] | None]:
    """Find the lists in a folder, and their classes; None where these are not known."""
    from avsed.dataset.annotations import DCASE_2018_CLASSES, read_classes
    from avsed.sources.youtube.lists import FILES

    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "no such folder"
        raise AvsedError(f"{folder}: {what}; name the one that holds the lists")
    lists = _four_lists(folder)
    if any(path.is_file() for path in lists.values()):
        has_classes = (folder / "classes.txt").is_file()
        return lists, read_classes(folder) if has_classes else None
    if (folder / FILES["weak"]).is_file():
        return {split: folder / name for split, name in FILES.items()}, DCASE_2018_CLASSES
    names = ", ".join(path.name for path in lists.values())
    raise AvsedError(
        f"{folder}: has none of {names}, and no {FILES['weak']} of DCASE 2018; name the folder "
        "that holds the lists"
    )


def _four_lists(folder: Path) -> dict[str, Path]:
    from avsed.dataset.annotations import SPLITS, list_path

    return {split: list_path(folder, split) for split in SPLITS}


def decide_by(threshold: float | None, median_filter_frames: int | None) -> "Postprocess":
    """Take the parameters of the folder, or else the paper's, and what was asked for instead.

    Raises:
        AvsedError: if what was asked for is out of range, or params.yaml is wrong.
    """
    from pydantic import ValidationError

    from avsed.config import load_params
    from avsed.params import Postprocess

    params = Postprocess(threshold=0.5, median_filter_frames=7)
    if Path("params.yaml").is_file():
        params = load_params().postprocess
    asked = {"threshold": threshold, "median_filter_frames": median_filter_frames}
    try:
        return Postprocess.model_validate(
            params.model_dump()
            | {name: value for name, value in asked.items() if value is not None}
        )
    except ValidationError as error:
        reason = error.errors()[0]
        option = "".join(f"--{name}: " for name in reason["loc"]).replace("_", "-")
        raise AvsedError(f"{option}{reason['msg'].removeprefix('Value error, ')}") from None
