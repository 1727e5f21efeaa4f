"""Commands for clips from YouTube."""

from pathlib import Path

import click

from avsed.commands.options import quiet_option


@click.command("retry")
@click.argument("reason", required=False, help="As in reports/clips.md; default: all reasons.")
@quiet_option
def retry_clips(reason: str | None, quiet: bool) -> None:
    """Let `dvc repro -f collect` request videos again that were gone."""
    from avsed.config import load_params
    from avsed.dataset.clips import read_clips
    from avsed.sources.youtube.ledger import retry_gone

    load_params()  # fails in any other folder
    n_clips = retry_gone(reason, read_clips(Path("data/clips.csv")))
    print(f"{n_clips:,} clips will be requested again by `dvc repro -f collect`")
