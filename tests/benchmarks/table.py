"""How figures are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.measure import Figure, Figures

__all__ = ["Column", "heading", "print_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure of each subject."""

    key: str
    title: str
    digits: int = 1
    spread: bool = False
    """Show the least and the most, too."""
    ideal: float | None = None
    """Show how many times the ideal it is."""
    compare: bool = False
    """Show its relation to the peer's."""


def heading(text: str) -> None:
    """Begin a row of the report."""
    print(f"\n{text}")


def print_table(
    measured: Mapping[str, Figures], columns: Sequence[Column], *, peer: str | None = None
) -> None:
    """Print a line for each subject; `peer` is the one that others are compared with."""
    other = measured.get(peer) if peer is not None else None
    rows = [["", *(column.title for column in columns)]]
    for name, figures in measured.items():
        against = None if name == peer else other
        rows.append([name, *(_cell(figures, column, against) for column in columns)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(f"  {'  '.join(cells)}".rstrip())


def _cell(figures: Figures, column: Column, other: Figures | None) -> str:
    figure = figures.get(column.key)
    if figure is None:
        return "-"
    text = f"{figure.median:,.{column.digits}f}"
    if column.spread and figure.count > 1:
        text += f" ({figure.least:,.{column.digits}f} to {figure.most:,.{column.digits}f})"
    if column.ideal is not None:
        text += f" = {figure.median / column.ideal:.2f} x ideal"
    if column.compare and other is not None and column.key in other:
        text += f" = {_share(figure, other[column.key])}"
    return text


def _share(figure: Figure, other: Figure) -> str:
    share = figure.median / other.median
    # Memory of a single run can be too little to be seen.
    return f"1/{1 / share:.1f}" if 0 < share < 0.4 else f"{share:.2f} x"
