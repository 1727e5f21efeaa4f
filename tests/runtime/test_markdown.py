"""Markdown tables."""

from avsed.runtime.markdown import markdown_table


def test_columns_from_right_from_on_are_right_aligned() -> None:
    assert markdown_table(["a", "b", "c"], [["1", "2", "3"]], right_from=2) == [
        "| a | b | c |",
        "| --- | --- | ---: |",
        "| 1 | 2 | 3 |",
    ]


def test_a_table_without_rows_has_a_header() -> None:
    assert markdown_table(["a", "b"], []) == ["| a | b |", "| --- | ---: |"]
