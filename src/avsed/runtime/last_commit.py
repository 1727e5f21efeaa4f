"""Read files of the project's last commit from DVC's cache or its remote.

DVC deletes the outputs of a stage before it runs the stage. Without this module, committed results
would be computed again after `dvc pull` on another machine or after the store was deleted.
"""

import os
from pathlib import Path
from typing import Any

# DVC's name for the project's own cache if there is no remote.
_OWN_CACHE = "auto-generated-upstream"


class OutOfReachError(Exception):
    """The content of a committed file is in neither DVC's cache nor its remote."""


class LastCommit:
    """The files of the project's last commit."""

    def __init__(self, files: Any) -> None:
        self._files = files

    @property
    def remote(self) -> str | None:
        """Name of DVC's default remote; None if there is none."""
        name = self._files.repo.config["core"].get("remote")
        return None if name == _OWN_CACHE else name

    def take(self, path: Path, target: Path) -> None:
        """Copy or link a file of the commit.

        Args:
            path: relative to the project.
            target: replaced. It may be a link to DVC's cache, so it must not be modified.

        Raises:
            FileNotFoundError: if the commit has no such file, or its content is not available.
            OutOfReachError: if the content of its whole folder is not available.
        """
        # Slow to import.
        from dvc.exceptions import DvcException
        from dvc_data.index.index import DataIndexError

        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            self._files.get_file(path.as_posix(), str(target))
        except (DataIndexError, DvcException) as error:
            raise OutOfReachError(str(error)) from None


def open_last_commit() -> LastCommit | None:
    """Open the last commit of the project whose stage DVC runs; None outside of DVC."""
    root = os.environ.get("DVC_ROOT")
    if not root:
        return None
    # Slow to import, and not needed if the store has everything.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        return LastCommit(DVCFileSystem(root, rev="HEAD"))
    except DvcException:
        return None
