"""Which files a folder of results has, so that an interrupted command continues."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

from avsed.errors import AvsedError
from avsed.prediction.media_files import MediaFile
from avsed.runtime.files import name_disk_errors

FILE_NAME = "predicted.tsv"
_COLUMNS = ("filename", "path", "bytes", "modified", "settings")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A predicted file, as text: its state and what it was predicted with."""

    path: str
    bytes: str
    modified: str  # nanoseconds since 1970
    settings: str


class Ledger:
    """The files whose results a folder has; each is a line of `predicted.tsv`.

    A file is predicted again if it was changed, or with other settings.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        """Read the ledger of a folder.

        Args:
            folder: folder of results.
            settings: hash of everything beside the files that the results depend on.
        """
        self._path = folder / FILE_NAME
        self._settings = settings
        self._entries = _read(self._path)

    def has(self, file: MediaFile) -> bool:
        """Return whether the folder has the results of a file as it is now."""
        try:
            return self._entries.get(file.name) == self._entry(file)
        except OSError:  # no such file any more
            return False

    def require_own(self, file: MediaFile) -> None:
        """Check that the folder has no results of another file of the same name.

        Raises:
            AvsedError: if it does.
        """
        entry = self._entries.get(file.name)
        if entry and entry.path != str(file.path.resolve()):
            raise AvsedError(
                f"{file.path}: {self._path.parent} has the results of {entry.path}, which would be "
                "lost; name another --out"
            )

    def add(self, file: MediaFile) -> None:
        """Record a file whose results are written."""
        entry = self._entries[file.name] = self._entry(file)
        with (
            name_disk_errors(self._path),
            self._path.open("a", encoding="utf-8", errors="surrogateescape", newline="") as table,
        ):
            writer = csv.writer(table, "excel-tab", lineterminator="\n")
            if not table.tell():
                writer.writerow(_COLUMNS)
            writer.writerow([file.name, *asdict(entry).values()])

    def _entry(self, file: MediaFile) -> _Entry:
        state = file.path.stat()
        return _Entry(
            path=str(file.path.resolve()),
            bytes=str(state.st_size),
            modified=str(state.st_mtime_ns),
            settings=self._settings,
        )


def _read(path: Path) -> dict[str, _Entry]:
    """Read the last line of each file; a line that a stop has cut counts as missing."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as table:
            lines = list(csv.DictReader(table, dialect="excel-tab"))
    except FileNotFoundError:
        return {}
    return {
        line["filename"]: _Entry(**{name: line[name] for name in _COLUMNS[1:]})
        for line in lines
        if None not in line.values() and set(line) == set(_COLUMNS)
    }
