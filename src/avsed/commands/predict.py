"""Apply a trained model, or YAMNet, to media."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from avsed.commands.options import FILE, FOLDER, quiet_option
from avsed.errors import AvsedError

if TYPE_CHECKING:
    from avsed.model.decisions import Decisions
    from avsed.prediction.formats import FormatName
    from avsed.prediction.predict import Detector


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


@click.command("predict")
@click.argument(
    "media",
    type=FILE,
    nargs=-1,
    required=True,
    help="Files that ffmpeg can read, and folders of them.",
)
@click.option(
    "--model",
    type=FOLDER,
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
    "--max-gap", type=float, help="Seconds; up to this, gaps are filled; default: the model's."
)
@click.option("--min-event", type=float, help="Seconds; drop shorter events; default: the model's.")
@click.option(
    "--out",
    type=FOLDER,
    help="Gets the results in the formats of --format.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(["tsv", "csv", "json", "audacity", "raven", "textgrid", "webvtt"]),
    multiple=True,
    help="Repeat for several; default: tsv, json, audacity. Lists of all files: tsv (events.tsv, "
    "DCASE's columns), csv (events.csv, with scores). For each file: json (MEDIA.json: tags, "
    "events, all scores), audacity (MEDIA.txt: labels), raven (MEDIA.selections.txt), textgrid "
    "(MEDIA.TextGrid, for Praat), webvtt (MEDIA.vtt: subtitles).",
)
@click.option("--plot", type=FILE, help="Figure to write, for a single file.")
@click.option("--html", type=FILE, help="Page with a player to write, for a single file.")
@quiet_option
def run_predict(
    media: Sequence[Path],
    model: Path | None,
    classes: Literal["dcase", "audioset"] | None,
    weights: Mapping[str, Path],
    threshold: float | None,
    median_filter_frames: int | None,
    max_gap: float | None,
    min_event: float | None,
    out: Path | None,
    formats: Sequence["FormatName"],
    plot: Path | None,
    html: Path | None,
    quiet: bool,
) -> None:
    """Find tags and events in media of any length.

    Files whose results the folder --out has, from the same model and settings, are not predicted
    again: the same command continues what was stopped.

    Exit with status 1 if a file cannot be scored; the others are.
    """
    from avsed.prediction.formats import DEFAULT_FORMATS
    from avsed.prediction.run import predict_files

    if formats and not out:
        raise AvsedError("--format: needs a folder for the files; add --out FOLDER")
    if model and classes:
        raise AvsedError("--classes: a model has its own classes; omit --model or --classes")
    if weights and not model:
        raise AvsedError("--weights: YAMNet's are fixed; name the --model that uses other weights")
    decide_by = _options_for_decisions(
        {
            "threshold": threshold,
            "median_filter_frames": median_filter_frames,
            "max_gap": max_gap,
            "min_event": min_event,
        }
    )
    n_failed = predict_files(
        lambda: _open_detector(model, classes, weights, decide_by),
        media,
        out_dir=out,
        plot_path=plot,
        page_path=html,
        formats=formats or DEFAULT_FORMATS,
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


def _options_for_decisions(options: Mapping[str, float | int | None]) -> dict[str, float | int]:
    """Check the options for decisions; return those that are given.

    Raises:
        AvsedError: if an option is out of range.
    """
    from pydantic import ValidationError

    from avsed.params import PAPER_POSTPROCESS, Postprocess

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
