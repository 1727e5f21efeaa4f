"""Read label tracks of Audacity and selection tables of Raven."""

import re
from pathlib import Path

from avsed.errors import AvsedError
from avsed.labels.readers.tables import UNREADABLE, find_column, read_table, text_lines
from avsed.labels.recordings import (
    Label,
    ReadOptions,
    Recording,
    Remarks,
    name_beside,
    parse_seconds,
)

# Names that users commonly choose for Raven's column of labels, in order of preference.
LABEL_COLUMNS = ("Annotation", "Annotations", "Label", "Labels", "Species", "Common Name", "Class")
_RAVEN_ENDING = re.compile(r"(\.Table\.\d+)?(\.selections)?\.(txt|tsv|csv)$", re.IGNORECASE)
_BEGIN, _END = "Begin Time (s)", "End Time (s)"
_FILE, _FILE_OFFSET = "Begin File", "File Offset (s)"


def read_audacity(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    r"""Read a label track: start, end and label, separated by tabs.

    A line that begins with a backslash has the frequencies of the label before it. The recording
    has the name of the file without .txt.
    """
    labels = []
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        onset, _, rest = line.partition("\t")
        offset, _, text = rest.partition("\t")
        try:
            times = parse_seconds(onset), parse_seconds(offset)
        except ValueError:
            remarks.add(UNREADABLE, f"{path}, line {number}")
            continue
        labels.append(Label(text=text, onset=times[0], offset=times[1]))
    return [Recording(name=name_beside(path), labels=tuple(labels))]


def read_raven(path: Path, options: ReadOptions, remarks: Remarks) -> list[Recording]:
    """Read a selection table.

    A selection has one row for each view (waveform, spectrogram); the first is read. If several
    sound files were opened as one sequence, `Begin Time (s)` counts from the start of the
    sequence, and `File Offset (s)` from the start of the file. Without a column `Begin File`, the
    recording has the name of the table without `.Table.1.selections.txt`.

    Raises:
        AvsedError: if there is no column of labels, or several sound files without their offsets.
    """
    table = read_table(path, remarks)
    column = options.label_column or find_column(table.columns, *LABEL_COLUMNS)
    if column not in table.columns:
        raise AvsedError(
            f"{path}: has no column {column or 'of labels'}; name one of "
            f"{', '.join(table.columns)} with --label-column"
        )
    labels: dict[str, list[Label]] = {}
    seen: set[tuple[str, str]] = set()
    for where, row in table.rows:
        selection = (row.get("Selection", where), row.get(_FILE, ""))
        if selection in seen:
            continue
        seen.add(selection)
        name = row.get(_FILE, "") or _RAVEN_ENDING.sub("", str(path))
        try:
            begin, end = parse_seconds(row[_BEGIN]), parse_seconds(row[_END])
            onset = parse_seconds(row.get(_FILE_OFFSET) or row[_BEGIN])
        except ValueError:
            remarks.add(UNREADABLE, where)
            continue
        offset = round(onset + end - begin, 6)
        labels.setdefault(name, []).append(Label(text=row[column], onset=onset, offset=offset))
    if len(labels) > 1 and _FILE_OFFSET not in table.columns:
        raise AvsedError(
            f"{path}: lists {len(labels)} sound files without their offsets, so that the times in "
            f"each are unknown; add the column {_FILE_OFFSET} in Raven, and export again"
        )
    return [Recording(name=name, labels=tuple(found)) for name, found in labels.items()]
