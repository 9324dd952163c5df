"""Makes the tables that commands print: bold names over columns, no lines."""

from collections.abc import Collection

from rich.table import Table


def make_table(
    *names: str,
    right: Collection[str] = (),
    whole: Collection[str] = (),
    folded: Collection[str] = (),
) -> Table:
    """Make a table without rows. On a narrow terminal, a column is wrapped between words, then cut.

    Columns in `right` are aligned to the right, as numbers are. Columns in `whole` are cut and never wrapped;
    columns in `folded` are wrapped within words and never cut.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name in whole,
            overflow="fold" if name in folded else "ellipsis",
        )
    return table
