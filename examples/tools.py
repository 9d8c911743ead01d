"""The tools of the example team: they read a CSV file, compute, and draw.

Each is a plain function that `teamrun.yaml` names. Calls exchange tables as artifacts of the run,
so another worker can continue with the same tables.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from svg_chart import Chart, Kind
from table import Table, as_number, is_number, shown

from teamrun.errors import ToolError
from teamrun.tools import ToolContext

__all__ = ["aggregate", "chart", "filter_rows", "load"]

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "contains"]
Measure = Literal["sum", "mean", "median", "min", "max", "count"]

_FOLDER: Final = Path(__file__).parent
_COMPARE: Final[dict[str, Callable[[int], bool]]] = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}
_MEASURES: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "sum": sum,
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
    "count": len,
}


def load(file: Annotated[str, "The CSV file, for example sales.csv."], context: ToolContext) -> str:
    """Load a CSV file as a table of the same name, without the ending, for the other tools.

    A column `revenue` is added if there are `units` and `unit_price`, and a column `month` if
    there is a `date`.
    """
    known = sorted(path.name for path in _FOLDER.glob("*.csv"))
    if file not in known:
        raise ToolError(f"There is no file {file!r}; there is {', '.join(known)}.")
    table = _with_derived(Table.from_csv((_FOLDER / file).read_bytes()))
    name = file.removesuffix(".csv")
    _leave(context, name, table)
    described = "\n".join(f"- {column}: {_range(table.column(column))}" for column in table.columns)
    return f"Table {name!r}, {len(table.rows)} rows. Columns:\n{described}"


def filter_rows(
    table: Annotated[str, "The table to take rows from."],
    column: Annotated[str, "The column to look at."],
    operator: Operator,
    value: Annotated[str, "What to compare with; dates as 2025-03-31."],
    into: Annotated[str, "The name of the new table."],
    context: ToolContext,
) -> str:
    """Keep the rows of a table that fulfil one condition, as a new table."""
    source = _table(context, table)
    cells = source.column(column)
    rows = [
        row for row, cell in zip(source.rows, cells, strict=True) if _holds(cell, operator, value)
    ]
    if not rows:
        raise ToolError(f"No row of {table!r} has {column} {operator} {value!r}; {_range(cells)}.")
    _leave(context, into, Table(source.columns, rows))
    return (
        f"Table {into!r}: {len(rows)} of {len(source.rows)} rows have {column} {operator} {value}."
    )


def aggregate(
    table: Annotated[str, "The table to summarise."],
    by: Annotated[list[str], "One or two columns to group by."],
    of: Annotated[str, "The column of numbers."],
    measure: Measure,
    into: Annotated[str, "The name of the new table."],
    context: ToolContext,
) -> str:
    """Summarise a column of numbers for each group, as a new table; sums come with their share."""
    source = _table(context, table)
    if not 1 <= len(by) <= 2:
        raise ToolError(f"'by' takes one or two columns, not {len(by)}.")
    numbers = source.numbers(of)
    keys = list(zip(*(source.column(column) for column in by), strict=True))
    groups: dict[tuple[str, ...], list[float]] = {}
    for key, number in zip(keys, numbers, strict=True):
        groups.setdefault(key, []).append(number)
    values = {key: _MEASURES[measure](group) for key, group in sorted(groups.items())}
    result = _summary(by, of, measure, values)
    _leave(context, into, result)
    total = f"\nTotal {of}: {shown(sum(numbers))}" if measure == "sum" else ""
    return f"Table {into!r}: {measure} of {of} by {', '.join(by)}\n{result.to_text()}{total}"


def chart(
    table: Annotated[str, "The table to draw, best one that `aggregate` made."],
    x: Annotated[str, "The column of labels."],
    y: Annotated[str, "The column of numbers."],
    title: str,
    name: Annotated[str, "The name of the image, without an ending."],
    context: ToolContext,
    kind: Kind = "bar",
    series: Annotated[str | None, "A column that splits the data into several series."] = None,
) -> str:
    """Draw a bar or line chart of a table; the image is kept with the run."""
    source = _table(context, table)
    labels = list(dict.fromkeys(source.column(x)))
    names = [y] * len(source.rows) if series is None else source.column(series)
    drawn: dict[str, list[float | None]] = {key: [None] * len(labels) for key in names}
    for key, label, number in zip(names, source.column(x), source.numbers(y), strict=True):
        drawn[key][labels.index(label)] = number
    note = f"{y} by {x}" if series is None else f"{y} by {x} and {series}"
    image = Chart(title=title, note=note, labels=labels, series=drawn, kind=kind)
    context.artifacts.write(f"{name}.svg", image.to_svg(), "image/svg+xml")
    return f"The chart {name}.svg shows {len(labels)} labels and {len(drawn)} series."


def _table(context: ToolContext, name: str) -> Table:
    known = context.artifacts.names()
    if f"{name}.csv" not in known:
        tables = [each.removesuffix(".csv") for each in known if each.endswith(".csv")]
        raise ToolError(
            f"There is no table {name!r}; "
            + (f"there are {', '.join(tables)}." if tables else "call load first.")
        )
    return Table.from_csv(context.artifacts.read(f"{name}.csv"))


def _leave(context: ToolContext, name: str, table: Table) -> None:
    context.artifacts.write(f"{name}.csv", table.to_csv(), "text/csv")


def _with_derived(table: Table) -> Table:
    columns = list(table.columns)
    rows = [dict(row) for row in table.rows]
    if "date" in columns:
        columns.append("month")
        for row in rows:
            row["month"] = row["date"][:7]
    if {"units", "unit_price"} <= set(columns):
        columns.append("revenue")
        for row in rows:
            revenue = as_number(row["units"], "units") * as_number(row["unit_price"], "unit_price")
            row["revenue"] = f"{revenue:.2f}"
    return Table(columns, rows)


def _range(cells: Sequence[str]) -> str:
    different = sorted(set(cells))
    if all(map(is_number, different)):
        numbers = [as_number(cell, "") for cell in different]
        return f"numbers from {shown(min(numbers))} to {shown(max(numbers))}"
    if len(different) <= 12:
        return ", ".join(different)
    return f"{len(different)} values from {different[0]} to {different[-1]}"


def _holds(cell: str, operator: Operator, value: str) -> bool:
    if operator == "contains":
        return value.casefold() in cell.casefold()
    if is_number(cell) and is_number(value):
        left, right = as_number(cell, ""), as_number(value, "")
        return _COMPARE[operator]((left > right) - (left < right))
    return _COMPARE[operator]((cell > value) - (cell < value))


def _summary(
    by: Sequence[str], of: str, measure: str, values: dict[tuple[str, ...], float]
) -> Table:
    total = sum(values.values())
    rows: list[dict[str, str]] = []
    for key, value in values.items():
        row = dict(zip(by, key, strict=True)) | {of: shown(value)}
        if measure == "sum" and total:
            row["share"] = f"{100 * value / total:.1f}%"
        rows.append(row)
    columns = [*by, of, *(["share"] if measure == "sum" and total else [])]
    return Table(columns, rows)
