"""Conditions that the program around a team decides."""

from collections.abc import Awaitable, Callable, Sequence

from teamrun.conditions.base import SimpleTermination
from teamrun.core.protocols import AnyMessage
from teamrun.core.saved import saved_value
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages import StopMessage

__all__ = ["ExternalTermination", "FunctionalTermination"]


class ExternalTermination(SimpleTermination):
    """Fires at the end of the turn in which `set` was called."""

    stop_code = "external"

    def __init__(self) -> None:
        super().__init__()
        self._requested = False

    def set(self) -> None:
        """Ask for the end of the run when the present turn is over."""
        self._requested = True

    def _check(self, messages: Sequence[AnyMessage]) -> str | None:
        return "External termination requested" if self._requested else None

    def _counted(self) -> JsonObject:
        return {"requested": self._requested}

    def _restore(self, state: JsonMapping) -> None:
        self._requested = bool(state) and saved_value(state, "requested", bool, "true or false")


class FunctionalTermination(SimpleTermination):
    """Fires when `func`, sync or async, returns true for the new items."""

    stop_code = "functional"

    def __init__(
        self,
        func: Callable[[Sequence[AnyMessage]], bool | Awaitable[bool | None] | None],
    ) -> None:
        super().__init__()
        self._func = func

    async def __call__(self, messages: Sequence[AnyMessage]) -> StopMessage | None:
        """Ask the function."""
        self._refuse_when_terminated()
        met = self._func(messages)
        if isinstance(met, Awaitable):
            met = await met
        return self._stop("Functional termination condition met") if met else None
