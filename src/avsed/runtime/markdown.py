"""Format tables as Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right_from: int = 1
) -> list[str]:
    """Format a table as Markdown lines.

    Args:
        header: column titles.
        rows: cells, as many in each row as in the header; not escaped.
        right_from: index of the first right-aligned column; columns before it are left-aligned.

    Returns:
        A line for the header, one for the alignment, and one for each row.

    >>> markdown_table(["variant", "F1"], [["visual", "61.60"]])
    ['| variant | F1 |', '| --- | ---: |', '| visual | 61.60 |']
    """
    alignment = ["---" if column < right_from else "---:" for column in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in (header, alignment, *rows)]
