"""Commands of `avsed`, a module for each group; a docstring is the help text of its command.

Each command imports what it needs itself: all of avsed takes seconds to import, and `avsed --help`
must be fast.
"""
