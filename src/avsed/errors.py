"""The one exception that a user can mend, and what errors of a disk are such, too."""

import errno

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DISK_TROUBLE = DISK_FULL | {errno.EACCES, errno.EROFS}


class AvsedError(Exception):
    """A mistake in the input: one line that says what, where and how to mend it."""
