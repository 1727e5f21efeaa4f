"""Read lists of DESED and of other DCASE tasks, with columns in any order.

DESED's lists of all years are separated by tabs, also those named .csv. Weak lists have
`event_labels`, strong ones `onset`, `offset` and `event_label`, and some have further columns.
"""

from pathlib import Path

from avsed.errors import AvsedError
from avsed.labels.readers.tables import UNREADABLE, Table, find_column, read_table
from avsed.labels.recordings import Label, ReadOptions, Recording, Remarks, parse_seconds

NAMES = ("filename", "file", "file_name")
ONSETS = ("onset", "event_onset")
OFFSETS = ("offset", "event_offset")
EVENT = ("event_label", "event_labels")  # one label; a comma is part of it
TAGS = ("event_labels", "event_label")  # labels separated by commas


def read_dcase(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read a weak, a strong or an unlabeled list.

    Args:
        path: the list.
        options: not used.
        remarks: counts rows that cannot be read.

    Returns:
        One recording per name. A row without label is a recording without events if the list
        has times.

    Raises:
        AvsedError: if only one of the columns onset and offset is present.
    """
    table = read_table(path, remarks)
    columns = table.columns
    onset, offset = find_column(columns, *ONSETS), find_column(columns, *OFFSETS)
    if bool(onset) != bool(offset):
        raise AvsedError(f"{path}: has one of the columns onset and offset; add the other")
    name = find_column(columns, *NAMES)
    if onset:
        return _strong(table, (name, onset, offset, find_column(columns, *EVENT)), path, remarks)
    tags = find_column(columns, *TAGS)
    labels: dict[str, list[Label]] = {}
    for where, row in table.rows:
        if not row[name]:
            remarks.add(UNREADABLE, where)
            continue
        found = labels.setdefault(row[name], [])
        if tags:
            found += [Label(text=text) for text in row[tags].split(",")]
    return [
        Recording(name=name, labels=tuple(found), is_annotated=bool(tags))
        for name, found in labels.items()
    ]


def _strong(
    table: Table, columns: tuple[str, str, str, str], path: Path, remarks: Remarks
) -> list[Recording]:
    name, onset, offset, label = columns
    if not label:
        raise AvsedError(f"{path}: has onset and offset, but no column event_label; add it")
    labels: dict[str, list[Label]] = {}
    for where, row in table.rows:
        try:
            times = [parse_seconds(row[column]) for column in (onset, offset) if row[column]]
        except ValueError:
            remarks.add(UNREADABLE, where)
            continue
        is_empty = not times and not row[label]  # a clip without events
        if not row[name] or (len(times) < 2 and not is_empty):
            remarks.add(UNREADABLE, where)
            continue
        found = labels.setdefault(row[name], [])
        if not is_empty:
            found.append(Label(text=row[label], onset=times[0], offset=times[1]))
    return [Recording(name=name, labels=tuple(found)) for name, found in labels.items()]
