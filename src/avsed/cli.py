"""How a stage script is run: a mistake that the user can mend becomes one line."""

import errno
import sys
from collections.abc import Callable

from avsed.errors import AvsedError
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        print(f"error: {error}; what is finished is kept", file=sys.stderr)
        sys.exit(2)
