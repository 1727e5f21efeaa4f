"""The one exception that a user can mend."""


class AvsedError(Exception):
    """A mistake in the input: one line that says what, where and how to mend it."""
