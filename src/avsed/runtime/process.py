"""Run a stage or a command: errors a user can fix become one line and exit status 2."""

import argparse
import atexit
import errno
import gc
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from avsed.errors import DISK_FULL, DISK_TROUBLE, AvsedError
from avsed.runtime.interrupts import raised_interrupts

READER_GONE = 141  # as a shell reports a program that was stopped by SIGPIPE

# Modules of the packages that only `avsed[pipeline]` installs.
PIPELINE_MODULES = frozenset({"dvc", "dvc_data", "dvclive", "pkg_resources", "sed_eval", "yt_dlp"})
ONNX_MODULES = frozenset({"onnx", "onnxruntime"})  # likewise of `avsed[onnx]`


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AvsedError(f"{message}; see `{self.prog} --help`")


def say_error(error: object) -> None:
    """Print an error as one line, even if the name of a file in it has several."""
    print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)


def run_stage(main: Callable[[], None], about: str | None) -> None:
    """Run a stage that is the same for all variants.

    Args:
        main: takes no arguments; the settings of a stage are DVC's parameters.
        about: description of the stage for `--help`.
    """

    def parse_and_run() -> None:
        _stage_parser(about).parse_args()
        main()

    run(parse_and_run)


def run_stage_of_variant(main: Callable[[str], None], about: str | None) -> None:
    """Run a stage of one variant.

    Args:
        main: takes the variant's name, the only argument.
        about: description of the stage for `--help`.
    """

    def parse_and_run() -> None:
        parser = _stage_parser(about)
        parser.add_argument("variant", metavar="VARIANT", help="a row of variants.yaml")
        main(parser.parse_args().variant)

    run(parse_and_run)


def _stage_parser(about: str | None) -> _Parser:
    return _Parser(
        description=about,
        epilog="`dvc repro` runs this, with the settings of params.yaml.",
    )


def run(main: Callable[[], None]) -> None:
    """Run a main function.

    Exit with status 2 after an AvsedError, if a package of an extra is not installed, or if a file
    cannot be opened or a disk is full or read-only; with 130 after an interrupt; with 141 if
    nobody reads stdout any more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Like stderr: file names in the output can be invalid UTF-8.
        sys.stdout.reconfigure(errors="backslashreplace")
    # Python's collection at exit then has nothing to do; of PyTorch's objects, it takes half a
    # second.
    atexit.register(gc.freeze)
    try:
        with raised_interrupts():
            try:
                main()
            finally:
                _flush_output()
    except AvsedError as error:
        say_error(error)
        sys.exit(2)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in PIPELINE_MODULES | ONNX_MODULES:
            raise
        extra = "onnx" if name in ONNX_MODULES else "pipeline"
        say_error(f"{name} is not installed; run `pip install '.[{extra}]'` in the clone of avsed")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(READER_GONE)
    except OSError as error:
        remedy = _remedy(error)
        if not remedy and error.filename is None:
            raise
        kept = "finished work is kept; run the same command again to continue"
        say_error("; ".join([str(error), *([remedy] if remedy else []), kept]))
        sys.exit(2)


def _flush_output() -> None:
    try:
        if sys.stdout is not None:  # it is None if the process was started without stdout
            sys.stdout.flush()
    except OSError:
        # Python flushes once more at exit, and would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _remedy(error: OSError) -> str:
    """Return what to do about a full or read-only disk; empty for other errors."""
    if "No usable temporary directory" in str(error):  # each of them is full
        return "make room in one of them, or set TMPDIR to another folder"
    if error.errno not in DISK_TROUBLE:
        return ""
    if error.errno not in DISK_FULL:
        return "give this user write permission there"
    if error.errno == errno.EFBIG:
        return "allow larger files (ulimit -f)"
    temporary = tempfile.tempdir  # None until the first temporary file
    if temporary and error.filename and Path(error.filename).is_relative_to(temporary):
        return "make room there, or set TMPDIR to a folder on another disk"
    return "make room there"
