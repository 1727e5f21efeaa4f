"""Command line of `avsed`: the names of its commands, help, completion and usage errors."""

import os
import sys

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete, shell_complete

from avsed import __version__
from avsed.commands.clips import retry_clips
from avsed.commands.export import export_model
from avsed.commands.features import check_features, show_features
from avsed.commands.listen import run_listen
from avsed.commands.metadata import check_lists, cut_lists, import_lists
from avsed.commands.predict import run_predict
from avsed.commands.store import clean_store
from avsed.commands.train import train_shard
from avsed.errors import AvsedError
from avsed.runtime.process import run

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_ASKED_BY_SHELL = "_AVSED_COMPLETE"  # environment variable set by the completion scripts
_EXIT_STATUS = """\
Exit status:
  0    done
  1    a check found errors, or a file could not be scored
  2    invalid input, reported in one line
  130  interrupted"""


def main() -> None:
    """Run the command `avsed`."""
    run(_run_command)


def _run_command() -> None:
    if asked := os.environ.get(_ASKED_BY_SHELL):
        sys.exit(shell_complete(avsed, {}, "avsed", _ASKED_BY_SHELL, asked))
    try:
        with avsed.make_context("avsed", sys.argv[1:]) as context:
            avsed.invoke(context)
    except click.exceptions.Exit as end:  # after --help
        sys.exit(end.exit_code)
    except click.UsageError as error:
        name = error.ctx.command_path if error.ctx else "avsed"
        message = error.format_message().removesuffix(".")
        raise AvsedError(f"{message} (see `{name} --help`)") from None


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def avsed() -> None:
    """Check data and features, train a share of the seeds, apply and export trained models."""


@avsed.group(no_args_is_help=False)
def metadata() -> None:
    """Import, cut and check the lists of clips and their annotations."""


@avsed.group(no_args_is_help=False)
def clips() -> None:
    """Request clips from YouTube again."""


@avsed.group(no_args_is_help=False)
def features() -> None:
    """Check and draw the extracted features."""


@avsed.group(no_args_is_help=False)
def store() -> None:
    """Free disk space in the store of completed work."""


@click.command
@click.option("-s", "--shell", type=click.Choice(tuple(_SHELLS)), default="bash", show_default=True)
def completion(shell: str) -> None:
    """Print the script that completes this command in a shell."""
    print(_SHELLS[shell](avsed, {}, "avsed", _ASKED_BY_SHELL).source())


def _add_commands() -> None:
    trained = "avsed predict film.mp4 --model data/models/spectral+visual --html film.html"
    added = (
        (metadata, check_lists, "avsed metadata check data/local/metadata"),
        (metadata, import_lists, "avsed metadata import labels/*.txt --as test --out lists"),
        (metadata, cut_lists, "avsed metadata cut lists recordings --out clips"),
        (clips, retry_clips, "avsed clips retry private"),
        (features, check_features, "avsed features check"),
        (features, show_features, "avsed features show Y00pbt6aJV8Y_350.000_360.000"),
        (store, clean_store, "avsed store clean --yes"),
        (avsed, train_shard, "avsed train --shard 3/8"),
        (avsed, run_predict, "avsed predict dog.ogg", trained),
        (avsed, run_listen, "avsed listen", "arecord -f cd -t wav | avsed listen -"),
        (avsed, export_model, "avsed export data/models/spectral --onnx spectral.onnx"),
        (avsed, completion, 'eval "$(avsed completion -s bash)"'),
    )
    for group, command, *examples in added:
        group.add_command(command)
        command.epilog = _epilog(*examples)
    avsed.epilog = _epilog(*(example for _, _, *examples in added for example in examples))


def _epilog(*examples: str) -> str:
    # \b keeps the line breaks of the paragraph that it begins.
    return "\n  ".join(["\b\nExamples:", *examples]) + f"\n\n\b\n{_EXIT_STATUS}"


_add_commands()

if __name__ == "__main__":
    main()
