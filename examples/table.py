"""A table of text, as in a CSV file."""

import csv
import io
from dataclasses import dataclass

from teamrun.errors import ToolError

__all__ = ["Table", "as_number", "is_number", "shown"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns."""

    columns: list[str]
    rows: list[dict[str, str]]

    @classmethod
    def from_csv(cls, data: bytes) -> "Table":
        """The table in a CSV file with a line of column names."""
        reader = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
        return cls(list(reader.fieldnames or []), list(reader))

    def to_csv(self) -> str:
        """The table as a CSV file."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def column(self, name: str) -> list[str]:
        """The values of one column.

        Raises:
            ToolError: The column does not exist; the message names those that exist.
        """
        if name not in self.columns:
            raise ToolError(f"There is no column {name!r}; there are {', '.join(self.columns)}.")
        return [row[name] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """The values of a column of numbers.

        Raises:
            ToolError: The column does not exist, or contains something else.
        """
        return [as_number(value, name) for value in self.column(name)]

    def to_text(self) -> str:
        """The table for people and models: aligned columns, numbers to the right."""
        lines = [self.columns, *([row[name] for name in self.columns] for row in self.rows)]
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        right = [bool(self.rows) and is_number(self.rows[0][name]) for name in self.columns]
        return "\n".join(_line(cells, widths, right) for cells in lines)


def is_number(text: str) -> bool:
    """Whether a cell is a number, with or without thousands separators or `%`."""
    try:
        float(text.replace(",", "").removesuffix("%"))
    except ValueError:
        return False
    return True


def as_number(text: str, column: str) -> float:
    """A cell as a number.

    Raises:
        ToolError: It is none.
    """
    try:
        return float(text.replace(",", "").removesuffix("%"))
    except ValueError as error:
        raise ToolError(f"The column {column!r} contains {text!r}, which is no number.") from error


def shown(value: float) -> str:
    """A number as people write it: `134,247.50`, and `337` if it is whole."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1_000 else f"{value:,.2f}"


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()
