"""The tools of the recipes: plain functions without a service behind them."""

import ast
import csv
import operator
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

from teamrun.errors import FatalToolError, ToolError
from teamrun.tools import ToolContext

__all__ = ["calculate", "look_up", "order_status", "query", "refund", "save", "search_notes"]

_HERE: Final = Path(__file__).parent
_MOST_ROWS: Final = 50
_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda dividend, divisor: dividend / divisor,
}
_FACTS: Final = {
    "mont blanc": "Mont Blanc is 4,806 metres high.",
    "zugspitze": "The Zugspitze is 2,962 metres high.",
    "ben nevis": "Ben Nevis is 1,345 metres high.",
}
_NOTES: Final = {
    "interviews": "Nine of twelve customers asked for exports; four mentioned the price.",
    "tickets": "Of 240 tickets of the last quarter, 96 were about exports and 30 about invoices.",
}
_ORDERS: Final = {"A17": ("delivered", 129.0), "B42": ("lost on the way", 58.5)}


def calculate(expression: Annotated[str, "Numbers with + - * / and brackets: (2 + 3) * 4"]) -> str:
    """Calculate an arithmetic expression."""
    try:
        return f"{_value(ast.parse(expression, mode='eval').body):g}"
    except (SyntaxError, ZeroDivisionError, RecursionError) as error:
        raise ToolError(f"{expression!r} cannot be calculated: {error}.") from error


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case _:
            raise ToolError("Only numbers, + - * / and brackets are calculated.")


def look_up(subject: Annotated[str, "A mountain"]) -> str:
    """Look a fact up in the encyclopedia."""
    fact = _FACTS.get(subject.strip().lower())
    if fact is None:
        raise ToolError(f"There is nothing about {subject!r}; there is {', '.join(_FACTS)}.")
    return fact


async def search_notes(source: Annotated[str, "`interviews` or `tickets`"]) -> str:
    """Read the notes of a source."""
    if source not in _NOTES:
        raise ToolError(f"There is no source {source!r}; there is {', '.join(_NOTES)}.")
    return _NOTES[source]


def query(
    sql: Annotated[str, "A SELECT over sales(date, region, product, channel, units, unit_price)"],
) -> str:
    """Query the sales of the first half of 2025; at most 50 rows are returned."""
    with closing(sqlite3.connect(":memory:")) as database:
        columns = "date text, region text, product text, channel text, units int, unit_price real"
        database.execute(f"create table sales ({columns})")
        with _sales().open(encoding="utf-8", newline="") as file:
            rows = [tuple(row.values()) for row in csv.DictReader(file)]
        database.executemany("insert into sales values (?, ?, ?, ?, ?, ?)", rows)
        database.commit()
        database.set_authorizer(_only_reading)
        try:
            cursor = database.execute(sql)
            found = cursor.fetchmany(_MOST_ROWS)
        except sqlite3.Error as error:
            raise ToolError(f"The query failed: {error}.") from error
    header = [column[0] for column in cursor.description or ()]
    return "\n".join(", ".join(map(str, row)) for row in [header, *found])


def _sales() -> Path:
    """The data: beside this file, or in the folder above, where the examples have it."""
    for folder in (_HERE, _HERE.parent):
        if (file := folder / "sales.csv").is_file():
            return file
    raise FatalToolError(f"There is no sales.csv in {_HERE}; copy it from the folder examples.")


def _only_reading(action: int, *_: object) -> int:
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY


def save(
    name: Annotated[str, "A file name such as report.md"], text: str, context: ToolContext
) -> str:
    """Save a text as a file of the run."""
    context.artifacts.write(name, text)
    return f"Saved {name} with {len(text)} characters."


def order_status(order: Annotated[str, "The number of the order, such as A17"]) -> str:
    """Look up an order."""
    status, euros = _order(order)
    return f"Order {order} of {euros:.2f} euros: {status}."


def refund(order: Annotated[str, "The number of the order"], euros: float) -> str:
    """Pay money back for an order."""
    _, paid = _order(order)
    if not 0 < euros <= paid:
        raise ToolError(f"{euros} euros cannot be paid back: the customer paid {paid:.2f}.")
    return f"Paid {euros:.2f} euros back for order {order}."


def _order(order: str) -> tuple[str, float]:
    if order not in _ORDERS:
        raise ToolError(f"There is no order {order!r}; there are {', '.join(_ORDERS)}.")
    return _ORDERS[order]
