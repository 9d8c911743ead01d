"""The seam for termination conditions, and how two of them combine.

Above it: teams, which ask a condition after the task and after each turn. Below it: one module
per subject (`text.py`, `counts.py`, `events.py`, `outside.py`), and any class of a user's own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import cast

from pydantic import BaseModel

from teamrun.core.checks import wrong_type
from teamrun.core.component.base import ComponentBase
from teamrun.core.protocols import AnyMessage
from teamrun.core.saved import MOST, damaged, read_state, saved_value
from teamrun.errors import TerminatedException
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import RequestUsage, StopMessage

__all__ = [
    "AndTerminationCondition",
    "ComposedTermination",
    "OrTerminationCondition",
    "SimpleTermination",
    "TerminationCondition",
]


class TerminationCondition(ComponentBase[BaseModel], ABC):
    """Decides when a team stops; combine two with `|` (either) and `&` (both).

    A condition is called with the items since the last call: first the task, then the messages
    and events of each turn. It is stateful; the team resets it when a run ends.
    """

    stop_code: str = "functional"
    """The machine-readable name of the reason; a class of your own may set another."""

    @property
    @abstractmethod
    def terminated(self) -> bool:
        """Whether the condition has fired and was not reset since."""

    @abstractmethod
    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Check the new items; returns the reason as a message if the team must stop.

        Raises:
            TerminatedException: The condition has already fired.
        """

    @abstractmethod
    async def reset(self) -> None:
        """Reset all counts."""

    async def terminate(self, messages: Sequence[AnyMessage]) -> bool:
        """Check the new items; returns whether the team must stop.

        Raises:
            TerminatedException: The condition has already fired.
        """
        return await self(messages) is not None

    async def reopen(self) -> None:
        """Continue after the condition has fired, with the same counts.

        A custom class that does not override this is reset.
        """
        await self.reset()

    def start(self) -> None:
        """Called when a run of the team begins or an interrupted one continues."""

    def count_usage(self, usage: RequestUsage) -> None:
        """Count a model call of the team itself, which no message reports."""

    async def save_state(self) -> JsonObject:
        """The counts, as JSON."""
        return {"type": type(self).__name__}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from a saved state; the state of another kind of condition resets it."""
        await self.reset()

    def _refuse_when_terminated(self) -> None:
        if self.terminated:
            raise TerminatedException(
                "Termination condition has already been reached; reset() it before the next use."
            )

    def __or__(self, other: "TerminationCondition") -> "OrTerminationCondition":
        if not isinstance(other, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            return NotImplemented
        return OrTerminationCondition(self, other)

    def __and__(self, other: "TerminationCondition") -> "AndTerminationCondition":
        if not isinstance(other, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            return NotImplemented
        return AndTerminationCondition(self, other)


def kind_of(state: object) -> str:
    """The class of the condition whose state this is.

    Raises:
        ValueError: The state does not say it. AutoGen saves no states of conditions at all.
    """
    if not isinstance(state, Mapping):
        raise damaged("termination", f"must be an object, not {state!r:.40}")
    return saved_value(cast("JsonMapping", state), "type", str, "the name of a condition's class")


def count_of(state: JsonMapping, key: str) -> int:
    """A count of the state of a condition; 0 if the state is empty, which is a reset.

    Raises:
        ValueError: It is missing, no whole number, negative or too large.
    """
    count: int = saved_value(state, key, int, "a whole number") if state else 0
    if not 0 <= count <= MOST:
        raise damaged(key, f"must be a whole number from 0 to {MOST}, not {count}")
    return count


class SimpleTermination(TerminationCondition):
    """The base of conditions that check messages and keep at most a few counts."""

    def __init__(self) -> None:
        self._terminated = False

    @property
    def terminated(self) -> bool:
        """Whether the condition has fired and was not reset since."""
        return self._terminated

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Check the new items; returns the reason as a message if the team must stop."""
        self._refuse_when_terminated()
        reason = self._check(messages)
        return None if reason is None else self._stop(reason)

    async def reset(self) -> None:
        """Reset all counts."""
        self._terminated = False
        self._restore({})

    async def reopen(self) -> None:
        """Continue after the condition has fired, with the same counts."""
        self._terminated = False

    async def save_state(self) -> JsonObject:
        """The counts, as JSON."""
        return {
            "type": type(self).__name__,
            "terminated": self._terminated,
            **self._counted(),
        }

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from a saved state; the state of another kind of condition resets it.

        Raises:
            ValueError: The state is damaged.
        """
        await self.reset()
        if kind_of(state) == type(self).__name__:
            self._terminated = saved_value(state, "terminated", bool, "true or false")
            self._restore(state)

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        """The reason to stop, or None."""
        raise NotImplementedError

    def _counted(self) -> JsonObject:
        """The counts as JSON; a class with counts overrides this method and `_restore`."""
        return {}

    def _restore(self, state: JsonMapping) -> None:
        """Restore the counts of `_counted`; an empty state resets them."""

    def _stop(self, reason: str) -> StopMessage:
        self._terminated = True
        return StopMessage(content=reason, source=type(self).__name__)


class _Combination(TerminationCondition):
    def __init__(self, *conditions: TerminationCondition) -> None:
        if not conditions:
            raise ValueError("A combination needs at least one condition.")
        for condition in conditions:
            if not isinstance(condition, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
                raise wrong_type("conditions", "termination conditions", condition)
        self._conditions = conditions

    @property
    def conditions(self) -> tuple[TerminationCondition, ...]:
        """The parts, in order."""
        return self._conditions

    async def reset(self) -> None:
        """Reset all parts."""
        for condition in self._conditions:
            await condition.reset()

    async def reopen(self) -> None:
        """Continue after the combination has fired, with the same counts of the parts."""
        for condition in self._conditions:
            await condition.reopen()

    def start(self) -> None:
        """Note that a run begins, in all parts."""
        for condition in self._conditions:
            condition.start()

    def count_usage(self, usage: RequestUsage) -> None:
        """Take note of a model call of the team itself, in all parts."""
        for condition in self._conditions:
            condition.count_usage(usage)

    async def save_state(self) -> JsonObject:
        """The counts of the parts, as JSON."""
        parts = [await condition.save_state() for condition in self._conditions]
        return {"type": type(self).__name__, "conditions": parts}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from a saved state; the state of another kind of condition resets it.

        Raises:
            ValueError: The state is damaged.
        """
        await self.reset()
        if kind_of(state) != type(self).__name__:
            return
        parts = saved_value(state, "conditions", list, "a list")
        if len(parts) != len(self._conditions):
            return
        for condition, part in zip(self._conditions, parts, strict=True):
            await condition.load_state(part)


class OrTerminationCondition(_Combination):
    """Fires when any of its conditions does; the reasons of all that fired at once are joined."""

    @property
    def terminated(self) -> bool:
        """Whether one of the parts has fired."""
        return any(condition.terminated for condition in self._conditions)

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Check every part; returns the joined reasons if one of them fired."""
        self._refuse_when_terminated()
        stops: list[StopMessage] = []
        for condition in self._conditions:
            stop = await condition(messages)
            if stop is not None:
                if not stops:
                    self.stop_code = condition.stop_code
                stops.append(stop)
        return _join(stops) if stops else None


ComposedTermination = OrTerminationCondition
"""Another name of the same: `ComposedTermination(a, b)` is `a | b`."""


class AndTerminationCondition(_Combination):
    """Fires when all of its conditions have fired, at once or one after another."""

    def __init__(self, *conditions: TerminationCondition) -> None:
        super().__init__(*conditions)
        self._stops: list[StopMessage] = []

    @property
    def terminated(self) -> bool:
        """Whether all parts have fired."""
        return all(condition.terminated for condition in self._conditions)

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Ask the parts that have not fired; the joined reasons when none is left."""
        self._refuse_when_terminated()
        for condition in self._conditions:
            if not condition.terminated:
                stop = await condition(messages)
                if stop is not None:
                    if not self._stops:
                        self.stop_code = condition.stop_code
                    self._stops.append(stop)
        return _join(self._stops) if self.terminated else None

    async def reset(self) -> None:
        """Reset all parts."""
        await super().reset()
        self._stops = []

    async def reopen(self) -> None:
        """Continue after all parts have fired, with the same counts."""
        await super().reopen()
        self._stops = []

    async def save_state(self) -> JsonObject:
        """The counts of the parts, and the reasons of those that have fired."""
        return {
            **await super().save_state(),
            "stop_code": self.stop_code,
            "stops": [{"content": stop.content, "source": stop.source} for stop in self._stops],
        }

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from a saved state; the state of another kind of condition resets it."""
        await super().load_state(state)
        if any(condition.terminated for condition in self._conditions):
            self.stop_code = saved_value(state, "stop_code", str, "a text")
            stops = saved_value(state, "stops", list, "a list")
            self._stops = [read_state(StopMessage, stop, "stops") for stop in stops]


def _join(stops: Sequence[StopMessage]) -> StopMessage:
    return StopMessage(
        content=", ".join(stop.content for stop in stops),
        source=", ".join(stop.source for stop in stops),
    )
