"""Files of the project's last commit, from DVC's cache or its remote.

DVC removes a stage's outputs before it runs the stage. After `dvc pull` on another machine, or
after the store was deleted, what was made once and committed would be made again.
"""

import os
from pathlib import Path
from typing import Any

# What DVC calls the cache of the project itself, where it has no remote.
_OWN_CACHE = "auto-generated-upstream"


class OutOfReachError(Exception):
    """Neither DVC's cache nor its remote gives what a commit has."""


class LastCommit:
    """The project's last commit, as DVC sees it."""

    def __init__(self, files: Any) -> None:
        self._files = files

    @property
    def remote(self) -> str | None:
        """The name of DVC's default remote, if it has one."""
        name = self._files.repo.config["core"].get("remote")
        return None if name == _OWN_CACHE else name

    def take(self, path: Path, target: Path) -> None:
        """Copy a file, or link it.

        Args:
            path: relative to the project.
            target: replaced. DVC may link it to its cache: it must not be written into.

        Raises:
            FileNotFoundError: if the commit has no such file, or its content is lost.
            OutOfReachError: if the content of its whole folder is.
        """
        # Of DVC; slow to import.
        from dvc.exceptions import DvcException
        from dvc_data.index.index import DataIndexError

        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            self._files.get_file(path.as_posix(), str(target))
        except (DataIndexError, DvcException) as error:
            raise OutOfReachError(str(error)) from None


def open_last_commit() -> LastCommit | None:
    """Open the last commit of the project that DVC runs a stage of, if there is one."""
    root = os.environ.get("DVC_ROOT")
    if not root:
        return None
    # Slow to import, and not needed where the store has everything.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        return LastCommit(DVCFileSystem(root, rev="HEAD"))
    except DvcException:
        return None
