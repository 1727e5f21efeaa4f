"""Commands for the extracted features."""

from pathlib import Path

import click

from avsed.commands.options import FILE, end_check, quiet_option
from avsed.errors import AvsedError


@click.command("check")
@quiet_option
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
    end_check(report, errors, quiet=quiet)


@click.command("show")
@click.argument("clip", help="A clip_id of data/clips.csv.")
@click.option("--out", type=FILE, help="Figure to write; default: CLIP.png.")
@quiet_option
def show_features(clip: str, out: Path | None, quiet: bool) -> None:
    """Draw the features of a clip on one time axis."""
    from avsed.features.extraction.plot import plot_features

    path = out or Path(f"{clip}.png")
    plot_features(Path("data/features"), clip, path)
    print(path)
