"""The command `avsed`: what a data set and a model need beside the stages of the pipeline."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from avsed.annotations import DCASE_2018_CLASSES, SPLITS, list_path, read_classes
from avsed.cli import run
from avsed.clips import read_clips
from avsed.config import LocalDataset, Postprocess, YoutubeDataset, load_params, load_variants
from avsed.errors import AvsedError
from avsed.feature_plot import plot_features
from avsed.metadata import check_metadata, format_check
from avsed.shard_check import check_shards
from avsed.sources.youtube.ledger import ask_again_for_gone
from avsed.sources.youtube.lists import FILES, find_lists
from avsed.store import kinds_in, store_dir

if TYPE_CHECKING:
    _Parsers = argparse._SubParsersAction[argparse.ArgumentParser]


def main() -> None:
    """Run the command; exit 0, 1 where what it checks has errors, or 2 after an AvsedError."""
    run(_run_verb)


def _run_verb() -> None:
    args = _parser().parse_args()
    args.verb(args)


def _parser() -> argparse.ArgumentParser:
    """Give each noun a group of verbs; a verb is a function of the arguments."""
    parser = argparse.ArgumentParser(
        prog="avsed",
        description="What a data set and a model need beside the stages of the pipeline.",
        epilog="example: avsed metadata check",
    )
    nouns = parser.add_subparsers(
        title="nouns, and the verb predict", metavar="NOUN", required=True
    )

    metadata = _add_noun(nouns, "metadata", "the lists of clips and their annotations")
    check = _add_verb(
        metadata,
        "check",
        _check_metadata,
        "say what is wrong (exit status 1) and what is odd in the four lists",
        "avsed metadata check data/local/metadata",
    )
    check.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        help="has weak, unlabeled, validation and test .tsv, or the lists of DCASE 2018; "
        "without it, the lists of the set-up in params.yaml",
    )

    clips = _add_noun(nouns, "clips", "the clips from YouTube")
    retry = _add_verb(
        clips,
        "retry",
        _retry_clips,
        "have `dvc repro -f collect` ask again for videos that were gone",
        "avsed clips retry private",
    )
    retry.add_argument(
        "reason",
        metavar="REASON",
        nargs="?",
        help="as reports/clips.md calls it, such as private; without it, all",
    )

    features = _add_noun(nouns, "features", "the extracted features")
    _add_verb(
        features,
        "check",
        _check_features,
        "read all shards of data/features, and say what is wrong (exit status 1)",
        "avsed features check",
    )
    show = _add_verb(
        features,
        "show",
        _show_features,
        "draw a clip's features on one time axis",
        "avsed features show Y00pbt6aJV8Y_350.000_360.000 --out clip.png",
    )
    show.add_argument("clip", metavar="CLIP", help="a clip_id of data/clips.csv")
    show.add_argument("--out", type=Path, help="the picture; by default CLIP.png")

    train = _add_verb(
        nouns,
        "train",
        _train_shard,
        "train one job's share of the seeds of all variants, which `dvc repro` then finds trained",
        "avsed train --shard 3/8",
    )
    train.add_argument(
        "--shard", metavar="I/N", type=_shard, required=True, help="job I of N, from 1"
    )
    train.add_argument(
        "--variants",
        metavar="VARIANT",
        nargs="+",
        help="such as spectral+visual; by default all of variants.yaml",
    )

    _add_predict(nouns)
    return parser


def _shard(text: str) -> tuple[int, int]:
    shard, _, n_shards = text.partition("/")
    if not (shard.isdecimal() and n_shards.isdecimal() and 1 <= int(shard) <= int(n_shards)):
        raise argparse.ArgumentTypeError(f"{text!r} is none; write I/N, as 1/8 to 8/8")
    return int(shard), int(n_shards)


def _add_predict(verbs: "_Parsers") -> None:
    predict = _add_verb(
        verbs,
        "predict",
        _predict,
        "find tags and events in media of any length by a trained model (exit status 1 if a file "
        "cannot be scored; the others are)",
        "avsed predict film.mp4 --model data/models/spectral+visual --html film.html",
    )
    predict.add_argument("media", metavar="MEDIA", type=Path, nargs="+", help="what ffmpeg reads")
    predict.add_argument(
        "--model",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="of a variant, as data/models/spectral; the scores of all its seeds are averaged",
    )
    predict.add_argument(
        "--weights",
        metavar="KIND=PATH",
        type=_named_path,
        action="append",
        default=[],
        help="file of the auditory or visual network, where it is neither random nor published",
    )
    predict.add_argument(
        "--threshold",
        metavar="T",
        type=float,
        help="of scores; by default that of params.yaml, or 0.5 where there is no such file",
    )
    predict.add_argument(
        "--median-filter-frames",
        metavar="N",
        type=int,
        help="of decisions; by default that of params.yaml, or 7 where there is no such file",
    )
    predict.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        help="gets events.tsv of all files (DCASE's columns), and for each MEDIA.json (tags, "
        "events, scores) and MEDIA.txt (labels for Audacity)",
    )
    predict.add_argument("--plot", metavar="PNG", type=Path, help="a picture; of one file only")
    predict.add_argument(
        "--html", metavar="HTML", type=Path, help="a page with a player; of one file only"
    )


def _add_noun(nouns: "_Parsers", name: str, about: str) -> "_Parsers":
    noun = nouns.add_parser(name, help=about, description=f"{about.capitalize()}.")
    return noun.add_subparsers(title="verbs", metavar="VERB", required=True)


def _add_verb(
    verbs: "_Parsers",
    name: str,
    verb: Callable[[argparse.Namespace], None],
    about: str,
    example: str,
) -> argparse.ArgumentParser:
    about_in_full = f"{about[0].upper()}{about[1:]}."
    parser = verbs.add_parser(
        name, help=about, description=about_in_full, epilog=f"example: {example}"
    )
    parser.set_defaults(verb=verb)
    return parser


def _check_metadata(args: argparse.Namespace) -> None:
    folder: Path | None = args.folder
    paths, classes = _lists_of_set_up() if folder is None else _lists_in(folder)
    check = check_metadata(paths, classes)
    print("\n".join(format_check(check)))
    if check.errors:
        sys.exit(1)


def _check_features(_: argparse.Namespace) -> None:
    records = read_clips(Path("data/clips.csv"))
    features_dir = Path("data/features")
    kinds = kinds_in(features_dir)
    if not kinds:
        raise AvsedError(f"{features_dir}: has no features; run `dvc repro extract`")
    errors = []
    for kind in kinds:
        check = check_shards(features_dir, kind, records)
        print(
            f"{kind}: {check.n_clips:,} clips in {check.n_shards:,} shards, "
            f"{check.n_bytes / 1e6:,.0f} MB, {check.n_left_out:,} left out"
        )
        errors += [f"{error}; run `dvc repro -f extract`" for error in check.errors]
    print("\n".join([f"error: {error}" for error in errors] + [f"{len(errors)} errors"]))
    if errors:
        sys.exit(1)


def _show_features(args: argparse.Namespace) -> None:
    out = args.out or Path(f"{args.clip}.png")
    plot_features(Path("data/features"), args.clip, out)
    print(out)


def _train_shard(args: argparse.Namespace) -> None:
    # torch takes seconds to load, which the other verbs do without.
    from avsed.dataset import open_training_data, parse_variant
    from avsed.training import deal_out, train_seeds

    params = load_params()
    shard, n_shards = args.shard
    variants = args.variants or list(load_variants())
    dealt = deal_out(variants, params.train.n_seeds, shard=shard, n_shards=n_shards)
    for variant, seeds in dealt.items():
        kinds = parse_variant(variant)
        data = open_training_data(
            Path("data/features"),
            Path("data/metadata"),
            kinds,
            made_by={kind: params.section_of(kind) for kind in kinds},
        )
        train_seeds(data, params.fusion, params.train, seeds=seeds, store=store_dir())
        print(f"{variant}: trained seeds {', '.join(map(str, seeds))}")


def _predict(args: argparse.Namespace) -> None:
    from avsed.prediction_command import predict_files  # torch takes seconds to load

    n_failed = predict_files(
        args.media,
        model_dir=args.model,
        weights=dict(args.weights),
        postprocess=_decide_by(args.threshold, args.median_filter_frames),
        out_dir=args.out,
        plot_path=args.plot,
        page_path=args.html,
    )
    if n_failed:
        sys.exit(1)


def _named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form auditory=PATH")
    return name, Path(path)


def _decide_by(threshold: float | None, median_filter_frames: int | None) -> Postprocess:
    """Take the parameters of the folder, or else the paper's, and what was asked for instead."""
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


def _retry_clips(args: argparse.Namespace) -> None:
    load_params()  # refuses any other folder
    n_clips = ask_again_for_gone(args.reason, read_clips(Path("data/clips.csv")))
    print(f"{n_clips:,} clips will be asked for again by `dvc repro -f collect`")


def _lists_of_set_up() -> tuple[Mapping[str, Path], Sequence[str]]:
    """Find the lists and the classes of the set-up in params.yaml."""
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
    if not folder.is_dir():
        raise AvsedError(f"{folder}: no such folder; name the one that holds the lists")
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
    return {split: list_path(folder, split) for split in SPLITS}


if __name__ == "__main__":
    main()
