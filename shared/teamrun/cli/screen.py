"""Output: results to stdout, messages to stderr."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "end_prompt",
    "print_json",
    "print_row",
    "print_table",
    "prompt",
    "result",
    "talk",
    "warn",
]


def _console(*, stderr: bool) -> Console:
    # Made when it is used: tests and shells replace the streams.
    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)


def result(text: str) -> None:
    """Print a line of the result."""
    _console(stderr=False).print(Text(text))


def talk(text: str) -> None:
    """A line for the person at the terminal."""
    _console(stderr=True).print(Text(text, style="dim"))


def warn(text: str) -> None:
    """A line that the person at the terminal must not miss."""
    _console(stderr=True).print(Text(text, style="bold yellow"))


def prompt(text: str) -> None:
    """Ask the person at the terminal for a line."""
    _console(stderr=True).print(Text(text, style="bold"), end="")


def end_prompt() -> None:
    """End the line of a prompt that got no answer."""
    _console(stderr=True).print()


def print_json(document: str) -> None:
    """Print a JSON document."""
    console = _console(stderr=False)
    console.file.write(f"{document}\n")


def print_row(cells: Sequence[str]) -> None:
    """Print a row for a script, with tabs between its cells."""
    _console(stderr=False).file.write("\t".join(cells) + "\n")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below a header; tab-separated and without a header if stdout is no terminal."""
    console = _console(stderr=False)
    if not console.is_terminal:
        for row in rows:
            print_row(row)
        return
    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
