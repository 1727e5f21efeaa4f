"""How the command and the stage scripts are run: what the user can mend becomes one line."""

import argparse
import errno
import io
import os
import select
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from avsed.errors import DISK_FULL, DISK_TROUBLE, AvsedError
from avsed.runtime.interrupts import raised_interrupts

READER_GONE = 141  # what a shell gives for a program whose output nobody reads any more


class Parser(argparse.ArgumentParser):
    """Arguments, a mistake in which is told in one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments.

        Raises:
            AvsedError: always.
        """
        raise AvsedError(f"{message}; see `{self.prog} --help`")


def say_error(error: object) -> None:
    """Print an error as one line, even if it names a file whose name has several."""
    print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)


def run_stage(main: Callable[[], None], about: str | None) -> None:
    """Run a stage that is the same for all variants.

    Args:
        main: takes nothing; the settings of a stage are DVC's parameters.
        about: what it does, for `--help`.
    """

    def parse_and_run() -> None:
        _stage_parser(about).parse_args()
        main()

    run(parse_and_run)


def run_stage_of_variant(main: Callable[[str], None], about: str | None) -> None:
    """Run a stage of one variant.

    Args:
        main: takes the variant's name, the only argument.
        about: what it does, for `--help`.
    """

    def parse_and_run() -> None:
        parser = _stage_parser(about)
        parser.add_argument("variant", metavar="VARIANT", help="a row of variants.yaml")
        main(parser.parse_args().variant)

    run(parse_and_run)


def _stage_parser(about: str | None) -> Parser:
    return Parser(
        description=about,
        epilog="`dvc repro` runs this, with the settings of params.yaml.",
    )


def run(main: Callable[[], None]) -> None:
    """Run a main function.

    Exit 2 after an AvsedError or where a file cannot be opened, a disk is full or closed to us,
    130 after an interrupt.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr: what is printed may name files whose names are no text.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with raised_interrupts(), _output_may_end():
            main()
    except AvsedError as error:
        say_error(error)
        sys.exit(2)
    except OSError as error:
        remedy = _remedy(error)
        if not remedy and error.filename is None:
            raise
        kept = "what is finished is kept, and the same command goes on with it"
        say_error("; ".join([str(error), *([remedy] if remedy else []), kept]))
        sys.exit(2)


@contextmanager
def _output_may_end() -> Iterator[None]:
    """End silently where the reader of the output has left, as `head` does."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # it is where the output was closed from the start
                sys.stdout.flush()
    except OSError as error:
        if sys.stdout is None:
            raise
        left = isinstance(error, BrokenPipeError) and _has_lost_its_reader(sys.stdout)
        if left or not _can_be_flushed(sys.stdout):
            # Or Python, when it ends, complains of what it cannot write once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if left:
            sys.exit(READER_GONE)
        raise


def _can_be_flushed(output: IO[str]) -> bool:
    try:
        output.flush()
    except OSError:
        return False
    return True


def _has_lost_its_reader(output: IO[str]) -> bool:
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _remedy(error: OSError) -> str:
    """Say what to do about a disk that is full or closed to us; nothing of other errors."""
    if "No usable temporary directory" in str(error):  # where each of them is full
        return "make room in one of them, or let TMPDIR name another"
    if error.errno not in DISK_TROUBLE:
        return ""
    if error.errno not in DISK_FULL:
        return "let this user write there"
    if error.errno == errno.EFBIG:
        return "allow larger files (ulimit -f)"
    temporary = tempfile.tempdir  # where one was needed
    if temporary and error.filename and Path(error.filename).is_relative_to(temporary):
        return "make room there, or let TMPDIR name a folder on another disk"
    return "make room there"
