"""Which files a folder of results has, so that an interrupted command continues."""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

from avsed.errors import AvsedError
from avsed.prediction.media_files import MediaFile
from avsed.runtime.files import atomic_write

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

    def __init__(self, folder: Path) -> None:
        """Read the ledger of a folder of results."""
        self._path = folder / FILE_NAME
        self._entries = _read(self._path)

    def has(self, file: MediaFile, settings: str) -> bool:
        """Return whether the folder has the results of a file as it is now.

        Args:
            file: may be missing.
            settings: hash of everything beside the file that its results depend on.
        """
        return file.path.is_file() and self._entries.get(file.name) == _entry(file, settings)

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

    def add(self, file: MediaFile, settings: str) -> None:
        """Record a file whose results are written; `write` keeps the record."""
        self._entries[file.name] = _entry(file, settings)

    def write(self) -> None:
        """Write the ledger."""
        with (
            atomic_write(self._path) as part,
            part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as table,
        ):
            writer = csv.writer(table, "excel-tab", lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(
                [name, *asdict(entry).values()] for name, entry in self._entries.items()
            )


def _entry(file: MediaFile, settings: str) -> _Entry:
    state = file.path.stat()
    return _Entry(
        path=str(file.path.resolve()),
        bytes=str(state.st_size),
        modified=str(state.st_mtime_ns),
        settings=settings,
    )


def _read(path: Path) -> dict[str, _Entry]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as table:
            lines = list(csv.DictReader(table, dialect="excel-tab"))
        return {
            line["filename"]: _Entry(**{name: line[name] for name in _COLUMNS[1:]})
            for line in lines
        }
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, csv.Error):
        raise AvsedError(
            f"{path}: is no ledger of avsed; name another folder, or remove it"
        ) from None
