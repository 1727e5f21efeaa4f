"""How a stage script is run: a mistake that the user can mend becomes one line."""

import errno
import sys
from collections.abc import Callable
from types import TracebackType

from avsed.errors import AvsedError

INTERRUPTED = "interrupted; the same command goes on with what is finished"


def _explain_interrupt(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


# For an interrupt while a stage still imports its modules, which takes seconds.
sys.excepthook = _explain_interrupt


def run(main: Callable[[], None]) -> None:
    """Run a stage's main function.

    Exit 2 after an AvsedError or where a disk is full or closed to us, 130 after an interrupt.
    """
    try:
        main()
    except AvsedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        print(f"error: {error}; what is finished is kept", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(130)
