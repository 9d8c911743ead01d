"""The progress of a batch on stderr: a bar at a terminal, otherwise a line now and then."""

from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from teamrun.batches.entries import FINAL
from teamrun.batches.resources import Batch
from teamrun.cli.screen import talk
from teamrun.core.refs import RunRef
from teamrun.runs.log.entries import Entry
from teamrun.runs.log.state import RunState

__all__ = ["BatchProgress", "ItemRows", "ended_of", "summary"]

_LONGEST = 300
"""The characters of a reason that are shown."""

_LINES = 10
"""How many lines a batch has without a terminal, besides those of changes of its status."""


class BatchProgress:
    """Shows the states of one batch.

    Args:
        console: The terminal; without one, lines are printed.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._is_terminal = console.is_terminal
        self._task = self._bar.add_task("", total=None, counts="")
        self._shown = (-1, "")

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self._bar.stop()

    def say(self, text: str) -> None:
        """Show a line, above the bar."""
        if self._is_terminal:
            self._bar.console.print(Text(text, style="dim"))
        else:
            talk(text)

    def take(self, batch: Batch) -> None:
        """Show a state."""
        ended, total = ended_of(batch), batch.counts.total
        if self._is_terminal:
            counts = summary(batch)
            self._bar.update(
                self._task,
                description=batch.status,
                completed=ended,
                total=total,
                counts=counts,
            )
            return
        shown = (ended * _LINES // max(total, 1), str(batch.status))
        # The command itself prints the last state.
        if shown != self._shown and batch.status not in FINAL:
            self._shown = shown
            talk(f"{batch.status}: {summary(batch)}")


class ItemRows:
    """Shows items that fail, each in a line, as they end in this process.

    Args:
        say: Shows a line.
        most: How many lines; the results have all failures.
    """

    def __init__(self, say: Callable[[str], None], *, most: int = 20) -> None:
        self._say = say
        self._left = most

    def appended(self, ref: RunRef, entry: Entry, state: RunState | None) -> None:
        """An observer of the log."""
        item = None if state is None else state.spec.batch
        if self._left == 0 or item is None or state is None or state.end is None:
            return
        end = state.end
        if end.status == "completed":
            return
        self._left -= 1
        more = "" if self._left else " (further ones are in the results only)"
        reason = " ".join((end.stop_reason or end.stop_code or "no reason").split())
        self._say(f"{item.custom_id}: {end.status}: {reason[:_LONGEST]}{more}")


def ended_of(batch: Batch) -> int:
    """The number of items that have ended."""
    return batch.counts.total - batch.counts.queued - batch.counts.running


def summary(batch: Batch) -> str:
    """The counts of a batch, its cost, and the time left, in one line."""
    counts, ended = batch.counts, ended_of(batch)
    parts = [f"{ended} of {counts.total} ended"]
    others = ("failed", counts.failed), ("cancelled", counts.cancelled)
    more = ("incomplete", counts.incomplete), ("expired", counts.expired)
    parts += [f"{count} {name}" for name, count in (*others, *more) if count]
    if batch.skipped:
        parts.append(f"{batch.skipped} skipped")
    if batch.usage.cost_usd is not None:
        expected = batch.expected_cost_usd
        of = f" of about ${expected:.2f}" if expected is not None and ended < counts.total else ""
        parts.append(f"${batch.usage.cost_usd:.2f}{of}")
    if batch.seconds_left is not None and ended < counts.total:
        left = batch.seconds_left
        rate = (counts.total - ended) / left if left > 0 else 0
        parts.append(f"{rate:.1f}/s" if rate else "")
        parts.append(f"{timedelta(seconds=round(left))} left")
    return ", ".join(part for part in parts if part)
