"""Types, options and endings that several commands share."""

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import click

from avsed.runtime.process import say_error

# Whether a file can be read is checked later, one file at a time.
FILE = click.Path(path_type=Path, readable=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _silence(context: click.Context, parameter: click.Parameter, is_quiet: bool) -> bool:
    if is_quiet:
        context.with_resource(redirect_stdout(io.StringIO()))
    return is_quiet


quiet_option = click.option(
    "-q", "--quiet", is_flag=True, callback=_silence, help="Print only errors and warnings."
)


def end_check(report: Sequence[str], errors: Sequence[str], *, quiet: bool) -> None:
    """Print a check's report, or only its errors; exit with status 1 if there are any."""
    if quiet:
        for error in errors:
            say_error(error)
    print("\n".join(report))
    if errors:
        sys.exit(1)
