"""What an interrupt (Ctrl-C) does: one line, and an end within two seconds."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = "interrupted; what is finished is kept"
GRACE = 1.5  # seconds to put things away


def _say_so() -> None:
    # Not by `print`, which may be what was interrupted. A bar may stand in the line.
    os.write(2, f"\n{INTERRUPTED}\n".encode())


def leave(*_: object) -> NoReturn:
    """End the process without waiting for its threads.

    Nothing that is finished is lost: it is written whole, and a later run removes the rest.
    """
    os._exit(130)  # what a shell gives for a program that was interrupted


def _say_so_and_leave(*_: object) -> None:
    _say_so()
    leave()


def _say_so_and_raise(*_: object) -> None:
    """End by an exception; where that is swallowed, or takes too long, without one."""
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, GRACE)
    _say_so()
    raise KeyboardInterrupt


# Where interrupts are ignored, as in the background of a script, they stay so.
_IS_HEEDED = signal.getsignal(signal.SIGINT) is signal.default_int_handler

# While a script still imports modules, which takes seconds, and some of which swallow exceptions.
if _IS_HEEDED:
    signal.signal(signal.SIGINT, _say_so_and_leave)


@contextmanager
def raised_interrupts() -> Iterator[None]:
    """Raise an interrupt in the block, for what is in work to be put away.

    Whatever becomes of the exception, the process ends with exit status 130.
    """
    if not _IS_HEEDED:
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, _say_so_and_raise)
        yield
    finally:
        if signal.signal(signal.SIGINT, before) is leave:  # there was one
            with suppress(OSError):
                sys.stdout.flush()
            leave()
