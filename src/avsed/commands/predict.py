"""Apply a trained model, or YAMNet, to media."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from avsed.commands.detector import detector_options
from avsed.commands.options import FILE, FOLDER, quiet_option
from avsed.errors import AvsedError

if TYPE_CHECKING:
    from avsed.prediction.formats import FormatName
    from avsed.prediction.predict import Detector


@click.command("predict")
@click.argument(
    "media",
    type=FILE,
    nargs=-1,
    required=True,
    help="Files that ffmpeg can read, and folders of them.",
)
@detector_options
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
    open_detector: "Callable[[], Detector]",
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
    n_failed = predict_files(
        open_detector,
        media,
        out_dir=out,
        plot_path=plot,
        page_path=html,
        formats=formats or DEFAULT_FORMATS,
        shows_progress=not quiet,
    )
    if n_failed:
        sys.exit(1)
