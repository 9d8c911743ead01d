"""When a run of a team ends: the termination condition, the number of turns, and the verdict."""

import copy
from collections.abc import Sequence
from typing import Final, NamedTuple

from teamrun.conditions.base import OrTerminationCondition, TerminationCondition
from teamrun.core.checks import checked_count, wrong_type
from teamrun.core.protocols import AnyMessage
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import RequestUsage

__all__ = ["Ending"]

_HANDOFF: Final = "handoff"
"""The stop code of `HandoffTermination`."""


class Ending:
    """Counts the turns of a run and determines when it ends.

    When a run ends, everything is reset. When it is interrupted, the counts are kept, so that the
    next run without a task continues them.
    """

    __slots__ = (
        "_condition",
        "_handed_over",
        "_is_cut_short",
        "_undecided",
        "code",
        "max_turns",
        "reason",
        "turns",
    )

    def __init__(self, condition: TerminationCondition | None, max_turns: int | None) -> None:
        if not (condition is None or isinstance(condition, TerminationCondition)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            expected = "a condition, such as MaxMessageTermination(10)"
            raise wrong_type("termination_condition", expected, condition)
        if max_turns is not None:
            checked_count(max_turns, parameter="max_turns")
        self._condition = condition
        self._is_cut_short = False
        self._handed_over: _Counts | None = None
        self._undecided: list[AnyMessage] = []
        self.max_turns = max_turns
        self.turns = 0
        """Turns taken in the present run, or in the one that was interrupted."""
        self.reason: str | None = None
        """Why the last run ended; None while it continues."""
        self.code: str | None = None
        """The code of `reason`."""

    @property
    def condition(self) -> TerminationCondition | None:
        """The termination condition."""
        return self._condition

    def fresh_condition(self) -> TerminationCondition | None:
        """A copy of the condition for another team."""
        return copy.deepcopy(self._condition)

    async def begin(self, *, is_new: bool) -> None:
        """Begin a run, or continue the interrupted one if the task is not new."""
        self.reason = self.code = self._handed_over = None
        if self._is_cut_short and is_new:
            await self.reset()
        if self._condition is not None:
            if self._condition.terminated:
                self.reason = "The group chat has already terminated."
                self.code = self._condition.stop_code
                return
            self._condition.start()
        self._is_cut_short = True  # until the run ends

    @property
    def is_undecided(self) -> bool:
        """Whether messages were added since `decide` was last called."""
        return bool(self._undecided)

    def add(self, delta: Sequence[AnyMessage]) -> None:
        """Add the messages of a task or a turn; `decide` checks them after they were yielded."""
        self._undecided.extend(delta)

    def goes_on(self) -> bool:
        """Check the added messages if no condition has to be asked; False: `decide` has to."""
        if self._condition is not None or self._is_last_turn():
            return False
        self._undecided = []
        return True

    async def decide(self) -> None:
        """Check the added messages; sets `reason` if the run ends."""
        delta, self._undecided = self._undecided, []
        if self._condition is not None:
            stop = await self._condition(delta)
            if stop is not None:
                await self.end(stop.content, self._condition.stop_code)
                return
        if self._is_last_turn():
            await self.end(*self._turns_reached())

    def count_usage(self, usage: RequestUsage) -> None:
        """Count a model call that no message carries."""
        if self._condition is not None:
            self._condition.count_usage(usage)

    async def reopen(self) -> bool:
        """Continue, in the next run, the counts from before a handoff ended the last one.

        Returns False, with `reason` and `code` set, if the run has reached another end as well.
        Does nothing if the last run did not end with a handoff.
        """
        if self._handed_over is None:
            return True
        if self._is_last_turn(self._handed_over.turns):
            self.reason, self.code = self._turns_reached()
            return False
        counted, condition = self._handed_over, self._condition
        self.turns = counted.turns
        if condition is not None:
            await condition.load_state(counted.termination)
            others = [code for code in _fired(condition) if code != _HANDOFF]
            if others:
                self.code = others[0]
                await self.reset()
                return False
            await condition.reopen()
        return True

    def _is_last_turn(self, turns: int | None = None) -> bool:
        taken = self.turns if turns is None else turns
        return self.max_turns is not None and taken >= self.max_turns

    def _turns_reached(self) -> tuple[str, str]:
        return f"Maximum number of turns {self.max_turns} reached.", "max_turns"

    async def reset(self) -> None:
        """Reset all counts."""
        if self._condition is not None:  # first: a cancel can end only this
            await self._condition.reset()
        self.turns = 0
        self._is_cut_short = False
        self._undecided = []

    async def save_state(self) -> JsonObject:
        """The fields of the manager's state, with counts if a run was interrupted."""
        counts = None
        if self._condition is not None and self._is_cut_short:
            counts = await self._condition.save_state()
        undecided = len(self._undecided)
        return {"current_turn": self.turns, "termination": counts, "undecided": undecided}

    async def load_state(
        self, turns: int, counts: JsonMapping | None, undecided: Sequence[AnyMessage]
    ) -> None:
        """Continue from a saved state, with its undecided messages."""
        self.turns = turns
        self._undecided = list(undecided)
        self._is_cut_short = counts is not None or turns > 0 or bool(undecided)
        if self._condition is not None:
            if counts is None:  # between runs, and in AutoGen's states, which have no counts
                await self._condition.reset()
            else:
                await self._condition.load_state(counts)

    async def end(self, reason: str, code: str) -> None:
        """End the run for that reason."""
        if code == _HANDOFF and self._condition is not None:
            self._handed_over = _Counts(self.turns, await self._condition.save_state())
        await self.reset()
        self.reason, self.code = reason, code


class _Counts(NamedTuple):
    turns: int
    termination: JsonObject


def _fired(condition: TerminationCondition) -> list[str]:
    """The stop codes of the parts that have fired, each of which alone would end a run."""
    if isinstance(condition, OrTerminationCondition):
        return [code for part in condition.conditions for code in _fired(part)]
    return [condition.stop_code] if condition.terminated else []
