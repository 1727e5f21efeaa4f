"""The exception for errors a user can fix, and the errno values of disk errors."""

import errno

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DISK_TROUBLE = DISK_FULL | {errno.EACCES, errno.EROFS}
MAX_SHOWN = 80  # characters of a value in a message


class AvsedError(Exception):
    """An error that the user can fix: one line with the place, the problem and the remedy."""


def show(value: object) -> str:
    """Format a value from a file as one short line, for a message."""
    if isinstance(value, list | dict):  # YAML aliases can turn a small file into a huge list
        return "a list" if isinstance(value, list) else "a section"
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}..."
