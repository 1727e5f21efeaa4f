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
    """DVC's remote cannot be read, or lacks the content of a whole folder; with the reason."""


class LastCommit:
    """The files of the project's last commit."""

    def __init__(self, files: Any) -> None:
        self._files = files
        self._was_reached = False  # whether the remote has been read

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
            OutOfReachError: if the remote cannot be read, or the content of the whole folder is
                not available.
        """
        # Slow to import.
        from dvc.exceptions import DvcException
        from dvc_data.index.index import DataIndexError

        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            self._files.get_file(path.as_posix(), str(target))
        except FileNotFoundError:
            self._require_remote(path)
            raise
        except ImportError as error:  # of the package for this kind of remote, such as dvc-s3
            raise OutOfReachError(str(error)) from None
        except (DataIndexError, DvcException) as error:
            raise OutOfReachError(str(_cause(error))) from None

    def _require_remote(self, path: Path) -> None:
        """Check once that the remote can be read: DVC 3.67 reports a missing file either way.

        Raises:
            OutOfReachError: if it cannot.
        """
        if self._was_reached or not self.remote:
            return
        file_hash = self._files.info(path.as_posix()).get("md5")
        remote = self._files.repo.cloud.get_remote(self.remote).odb
        if remote.fs.protocol == "local" and not remote.fs.exists(remote.path):
            raise OutOfReachError(f"{remote.path}: no such folder")
        try:
            remote.fs.info(remote.oid_to_path(file_hash))
        except Exception as error:  # each kind of remote has its own
            if not isinstance(_cause(error), FileNotFoundError):
                raise OutOfReachError(str(_cause(error))) from None
        self._was_reached = True


def _cause(error: BaseException) -> BaseException:
    """Return the first of a chain of exceptions, in which DVC hides what a remote answered."""
    while earlier := error.__cause__ or error.__context__:
        error = earlier
    return error


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
