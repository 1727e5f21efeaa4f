"""Write predictions as console text, and in the chosen formats into a folder."""

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from avsed.errors import AvsedError
from avsed.prediction.formats import FILE_FORMATS, LIST_FORMATS, FormatName, ListFormat
from avsed.prediction.ledger import Ledger
from avsed.prediction.media_files import MediaFile
from avsed.prediction.predict import Prediction
from avsed.runtime.files import atomic_write

Rows = dict[str, Sequence[Sequence[str]]]  # name of a medium to its rows in a list


def format_prediction(prediction: Prediction) -> str:
    """Return the tags and events as text for the console."""
    scores = dict(zip(prediction.classes, prediction.clip_scores.tolist(), strict=True))
    tags = ", ".join(f"{tag} {scores[tag]:.2f}" for tag in prediction.tags)
    if not tags:
        highest = max(scores, key=lambda label: scores[label])
        tags = f"none (highest: {highest} {scores[highest]:.2f})"
    lines = [f"{prediction.name}: {prediction.duration:.2f} s", f"  tags: {tags}"]
    if prediction.events:
        lines.append(f"  {'onset':>9} {'offset':>9}  event")
    lines += [
        f"  {event.onset:9.2f} {event.offset:9.2f}  {event.label}" for event in prediction.events
    ]
    return "\n".join(lines)


class ResultsFolder:
    """A folder with predictions in some formats, to which each prediction adds its files and rows.

    Lists and the ledger are rewritten once a second at most, and at the end.

    Args:
        folder: may have the results of earlier runs, which are kept.
        formats: names of `FILE_FORMATS` and `LIST_FORMATS`.

    Raises:
        AvsedError: if a list that would be written is not one of avsed.
    """

    def __init__(self, folder: Path, formats: Sequence[FormatName]) -> None:
        """Read the lists of earlier runs."""
        self._folder = folder
        self._ledger = Ledger(folder)
        self._files = [FILE_FORMATS[name] for name in formats if name in FILE_FORMATS]
        self._lists: Mapping[str, Rows] = {
            name: _read_list(folder, LIST_FORMATS[name]) for name in formats if name in LIST_FORMATS
        }
        self._next_time = 0.0  # of writing lists

    def require_own(self, file: MediaFile) -> None:
        """Check that the folder has no results of another file of the same name.

        Raises:
            AvsedError: if it does.
        """
        self._ledger.require_own(file)

    def has(self, file: MediaFile, settings: str) -> bool:
        """Return whether a file as it is now has its results in all formats.

        Args:
            file: may be missing.
            settings: hash of everything beside the file that its results depend on.
        """
        return (
            self._ledger.has(file, settings)
            and all((self._folder / f"{file.name}{each.ending}").is_file() for each in self._files)
            and all(file.name in rows for rows in self._lists.values())
        )

    def add(self, prediction: Prediction) -> None:
        """Write a prediction's files, and put its rows in place of earlier ones."""
        for file_format in self._files:
            path = self._folder / f"{prediction.name}{file_format.ending}"
            with atomic_write(path) as part:
                part.write_text(file_format.render(prediction), "utf-8", newline="")
        for name, rows in self._lists.items():
            rows[prediction.name] = LIST_FORMATS[name].list_events(prediction)

    def finish(self, file: MediaFile, settings: str) -> None:
        """Record that a file's results were added; write the lists if it is time."""
        self._ledger.add(file, settings)
        if time.monotonic() > self._next_time:
            self.write_lists()

    def write_lists(self) -> None:
        """Write all lists, and then the ledger."""
        start = time.monotonic()
        for name, rows in self._lists.items():
            list_format = LIST_FORMATS[name]
            with (
                atomic_write(self._folder / list_format.file_name) as part,
                part.open("w", encoding="utf-8", newline="") as file,
            ):
                writer = csv.writer(file, list_format.dialect)
                writer.writerow(list_format.columns)
                writer.writerows(row for of_medium in rows.values() for row in of_medium)
        self._ledger.write()
        now = time.monotonic()
        self._next_time = now + max(1.0, 20 * (now - start))  # long lists take longer


def _read_list(folder: Path, list_format: ListFormat) -> Rows:
    """Read the rows that earlier predictions have written; none if there is no list."""
    path = folder / list_format.file_name
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file, list_format.dialect)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error):
        header, lines = [], []
    if tuple(header) != list_format.columns:
        raise AvsedError(f"{path}: is no list of avsed, and would be lost; name another folder")
    rows: dict[str, list[list[str]]] = {}
    for line in filter(None, lines):
        rows.setdefault(line[0], []).append(line)
    return dict(rows)
