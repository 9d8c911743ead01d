"""The messages that a run of a team has produced.

The record has two uses. If the run is interrupted at any point, the turn of the outer team that it
belongs to still gets all of its messages. If an agent whose turn was interrupted repeats the same
task, the run continues, and no turn is repeated.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from teamrun import teams
from teamrun.core.protocols import AnyMessage
from teamrun.core.saved import read_all
from teamrun.json_types import JsonMapping
from teamrun.messages import BaseChatMessage, ModelClientStreamingChunkEvent

__all__ = ["RunRecord", "is_turn_taken_again", "turn_taken_again"]

_taken_again: ContextVar[bool] = ContextVar("teamrun_turn_taken_again", default=False)


def is_turn_taken_again() -> bool:
    """Whether the caller is an agent that repeats an interrupted turn."""
    return _taken_again.get()


@contextmanager
def turn_taken_again(is_again: bool) -> Generator[None]:
    """Mark the code in the block as part of a repeated turn, or not."""
    token = _taken_again.set(is_again)
    try:
        yield
    finally:
        _taken_again.reset(token)


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """One run, from its task to its end; it may be interrupted and continued several times."""

    task: tuple[str, ...] = ()
    """The ids of the messages that the run began with."""
    shown: list[AnyMessage] = field(default_factory=list[AnyMessage])
    """The messages of complete turns, in order, without the task."""
    opening: list[AnyMessage] = field(default_factory=list[AnyMessage])
    """The events of the selection of the speaker in the current turn."""
    nested: list[str] = field(default_factory=list[str])
    """The nested teams whose turns are under way."""
    is_over: bool = False
    """Whether it ended normally, and its result was given to the caller."""

    def is_for(self, task: Sequence[BaseChatMessage]) -> bool:
        """Whether this task continues the run, instead of starting another one.

        If the run has ended, or has no task, only a repeated turn continues it: other callers
        start another run, or request the rest of this one.
        """
        if self.task != tuple(message.id for message in task):
            return False
        if not task:
            return not self.is_over and is_turn_taken_again()
        return not self.is_over or is_turn_taken_again()

    def begin_turn(self) -> None:
        """A speaker is chosen."""
        self.opening = []

    def complete_turn(self, speaker: str, shown: Sequence[AnyMessage]) -> None:
        """Add a turn that is complete."""
        whole = [m for m in shown if not isinstance(m, ModelClientStreamingChunkEvent)]
        self.shown += [*self.opening, *whole] if self.opening else whole
        self.opening = []
        self.forget(speaker)

    def forget(self, speaker: str) -> None:
        """Note that no turn of that nested team is under way."""
        if speaker in self.nested:
            self.nested = [name for name in self.nested if name != speaker]

    def save(
        self, thread: Sequence[AnyMessage], *, reason: str | None, code: str | None
    ) -> "teams.state.RunState":
        """The record as JSON data, with the reason and code of the run's end."""
        known = {message.id for message in thread}
        return teams.state.RunState(
            task=list(self.task),
            shown=[m.id if m.id in known else m.dump() for m in self.shown],
            opening=[message.dump() for message in self.opening],
            nested=self.nested,
            is_over=self.is_over,
            stop_reason=reason,
            stop_code=code,
        )

    @classmethod
    def load(
        cls,
        state: "teams.state.RunState | None",
        thread: Sequence[AnyMessage],
        create: Callable[[JsonMapping], AnyMessage],
    ) -> "RunRecord":
        """The record that `save` gave; AutoGen's states have none.

        Raises:
            ValueError: The run has produced a message that is not in the thread.
        """
        if state is None:
            return cls(is_over=True)
        known = {message.id: message for message in thread}
        missing = [each for each in state.shown if isinstance(each, str) and each not in known]
        if missing:
            raise ValueError(f"The message {missing[0]!r} of the run is not in its thread.")
        whole = [each for each in state.shown if not isinstance(each, str)]
        made = iter(read_all(whole, create, "run.shown"))
        return cls(
            task=tuple(state.task),
            shown=[known[each] if isinstance(each, str) else next(made) for each in state.shown],
            opening=read_all(state.opening, create, "run.opening"),
            nested=state.nested,
            is_over=state.is_over,
        )
