"""The one exception that a user can mend, and what errors of a disk are such, too."""

import errno

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DISK_TROUBLE = DISK_FULL | {errno.EACCES, errno.EROFS}
MAX_SHOWN = 80  # characters of what a file holds, in a message


class AvsedError(Exception):
    """A mistake in the input: one line that says what, where and how to mend it."""


def show(value: object) -> str:
    """Give what a file holds as one short line, for a message."""
    if isinstance(value, list | dict):  # aliases make a small file's list a huge one
        return "a list" if isinstance(value, list) else "a section"
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
