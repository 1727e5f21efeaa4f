"""How a stage script is run: a mistake that the user can mend becomes one line."""

import errno
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from avsed.errors import DISK_FULL, DISK_TROUBLE, AvsedError
from avsed.interrupts import raised_interrupts


def run(main: Callable[[], None]) -> None:
    """Run a stage's main function.

    Exit 2 after an AvsedError or where a disk is full or closed to us, 130 after an interrupt.
    """
    try:
        with raised_interrupts():
            main()
    except AvsedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        remedy = _remedy(error)
        if not remedy:
            raise
        kept = "what is finished is kept, and the same command goes on with it"
        print(f"error: {error}; {remedy}; {kept}", file=sys.stderr)
        sys.exit(2)


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
