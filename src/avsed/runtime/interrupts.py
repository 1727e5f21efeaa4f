"""Handle Ctrl-C: print one line and exit within two seconds."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = "interrupted; what is finished is kept"
GRACE = 1.5  # seconds for cleaning up


def _say_so() -> None:
    # Not by print(), which may have been interrupted. A progress bar may be in the line.
    os.write(2, f"\n{INTERRUPTED}\n".encode())


def leave(*_: object) -> NoReturn:
    """Exit without waiting for threads.

    No finished work is lost: files are written atomically, and the next run deletes the rest.
    """
    os._exit(130)  # as a shell reports an interrupted program


def _say_so_and_leave(*_: object) -> None:
    _say_so()
    leave()


def _say_so_and_raise(*_: object) -> None:
    """Raise KeyboardInterrupt; exit directly if that is swallowed or takes too long."""
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, GRACE)
    _say_so()
    raise KeyboardInterrupt


# Interrupts that are ignored, as in a background job of a script, stay ignored.
_IS_HEEDED = signal.getsignal(signal.SIGINT) is signal.default_int_handler

# Importing modules takes seconds, and some of them swallow exceptions.
if _IS_HEEDED:
    signal.signal(signal.SIGINT, _say_so_and_leave)


@contextmanager
def raised_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C in the block, so that temporary files are deleted.

    The process exits with status 130, even if the exception is swallowed.
    """
    if not _IS_HEEDED:
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, _say_so_and_raise)
        yield
    finally:
        if signal.signal(signal.SIGINT, before) is leave:  # it was interrupted
            with suppress(OSError):
                sys.stdout.flush()
            leave()
