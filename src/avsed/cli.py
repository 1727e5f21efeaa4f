"""The command `avsed`: what a data set and a model need beside the stages of the pipeline."""

import argparse
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import shtab

from avsed import commands as verbs
from avsed.runtime.process import Parser, run

if TYPE_CHECKING:
    _Parsers = argparse._SubParsersAction[Parser]
    _Completion = Mapping[str, str | Mapping[str, str]]

SHELLS = ("bash", "zsh", "fish")

_EXAMPLES = (
    "avsed metadata check data/local/metadata",
    "avsed clips retry private",
    "avsed features check",
    "avsed features show Y00pbt6aJV8Y_350.000_360.000 --out clip.png",
    "avsed train --shard 3/8",
    "avsed predict film.mp4 --model data/models/spectral+visual --html film.html",
    'eval "$(avsed completion -s bash)"',
)


def main() -> None:
    """Run the command; `avsed --help` says how it ends."""
    run(_run_verb)


def _run_verb() -> None:
    args = _parser().parse_args()
    if args.quiet:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            args.verb(args)
    else:
        args.verb(args)


def _parser() -> Parser:
    """Give each noun a group of verbs; a verb is a function of the arguments."""
    parser = _describe(
        Parser(prog="avsed"),
        "What a data set and a model need beside the stages of the pipeline.",
        fails_if="what it checks has errors, or a file cannot be scored",
    )
    nouns = parser.add_subparsers(
        title="nouns with their verbs, and verbs", metavar="VERB", required=True
    )

    metadata = _add_noun(nouns, "metadata", "the lists of clips and their annotations: check")
    check = _add_verb(
        metadata,
        "check",
        verbs.check_metadata,
        "say what is wrong and what is odd in the four lists",
        fails_if="something is wrong",
    )
    folder = check.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        nargs="?",
        help="has weak, unlabeled, validation and test .tsv, or the lists of DCASE 2018; "
        "without it, the lists of the set-up in params.yaml",
    )
    _complete(folder, shtab.DIRECTORY)

    clips = _add_noun(nouns, "clips", "the clips from YouTube: retry")
    retry = _add_verb(
        clips,
        "retry",
        verbs.retry_clips,
        "have `dvc repro -f collect` ask again for videos that were gone",
    )
    retry.add_argument(
        "reason",
        metavar="REASON",
        nargs="?",
        help="as reports/clips.md calls it, such as private; without it, all",
    )

    features = _add_noun(nouns, "features", "the extracted features: check, show")
    _add_verb(
        features,
        "check",
        verbs.check_features,
        "read all shards of data/features, and say what is wrong",
        fails_if="something is wrong",
    )
    show = _add_verb(
        features, "show", verbs.show_features, "draw a clip's features on one time axis"
    )
    show.add_argument("clip", metavar="CLIP", help="a clip_id of data/clips.csv")
    picture = show.add_argument("--out", type=Path, help="the picture; by default CLIP.png")
    _complete(picture, shtab.FILE)

    train = _add_verb(
        nouns,
        "train",
        verbs.train_shard,
        "train one job's share of all seeds, which `dvc repro` then finds trained",
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
    _add_completion(nouns, parser)
    return parser


def _shard(text: str) -> tuple[int, int]:
    shard, _, n_shards = text.partition("/")
    if not (shard.isdecimal() and n_shards.isdecimal() and 1 <= int(shard) <= int(n_shards)):
        raise argparse.ArgumentTypeError(f"{text!r} is none; write I/N, as 1/8 to 8/8")
    return int(shard), int(n_shards)


def _add_predict(nouns: "_Parsers") -> None:
    predict = _add_verb(
        nouns,
        "predict",
        verbs.predict,
        "find tags and events in media of any length by a trained model",
        fails_if="a file cannot be scored; the others are",
    )
    media = predict.add_argument(
        "media", metavar="MEDIA", type=Path, nargs="+", help="what ffmpeg reads"
    )
    model = predict.add_argument(
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
    out = predict.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        help="gets events.tsv of all files (DCASE's columns), and for each MEDIA.json (tags, "
        "events, scores) and MEDIA.txt (labels for Audacity)",
    )
    plot = predict.add_argument(
        "--plot", metavar="PNG", type=Path, help="a picture; of one file only"
    )
    page = predict.add_argument(
        "--html", metavar="HTML", type=Path, help="a page with a player; of one file only"
    )
    for files in (media, plot, page):
        _complete(files, shtab.FILE)
    for folder in (model, out):
        _complete(folder, shtab.DIRECTORY)


def _named_path(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form auditory=PATH")
    return name, Path(path)


def _add_completion(nouns: "_Parsers", parser: Parser) -> None:
    """Give shells what they need to complete this command, as `dvc completion` does."""
    about = "print what completes this command in a shell"
    completion = _describe(nouns.add_parser("completion", help=about), about)
    completion.add_argument("-s", "--shell", choices=SHELLS, default="bash", help="by default bash")
    completion.set_defaults(verb=lambda args: print(shtab.complete(parser, args.shell)))
    completion.set_defaults(quiet=False)


def _add_noun(nouns: "_Parsers", name: str, about: str) -> "_Parsers":
    noun = _describe(nouns.add_parser(name, help=about), about)
    return noun.add_subparsers(title="verbs", metavar="VERB", required=True)


def _add_verb(
    nouns: "_Parsers",
    name: str,
    verb: Callable[[argparse.Namespace], None],
    about: str,
    *,
    fails_if: str = "",
) -> Parser:
    parser = _describe(nouns.add_parser(name, help=about), about, fails_if=fails_if)
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print errors and warnings only, and no progress",
    )
    parser.set_defaults(verb=verb)
    return parser


def _describe(parser: Parser, about: str, *, fails_if: str = "") -> Parser:
    """Give a parser the text around its options; `fails_if` says when its exit status is 1."""
    examples = [line for line in _EXAMPLES if f"{parser.prog} " in f"{line} "]
    statuses = {
        "0": "done, and nothing is wrong",
        "1": fails_if,
        "2": "a mistake in the command or in what it reads, told in one line",
        "130": "interrupted",
    }
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = f"{about[0].upper()}{about[1:]}".removesuffix(".") + "."
    parser.epilog = "\n".join(
        [
            "examples:" if len(examples) > 1 else "example:",
            *(f"  {line}" for line in examples),
            "",
            "exit status:",
            *(f"  {status:3}  {meaning}" for status, meaning in statuses.items() if meaning),
        ]
    )
    return parser


def _complete(action: argparse.Action, completion: "_Completion") -> None:
    action.complete = completion  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
