"""The state of a turn of an assistant."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from teamrun.core.cancellation import CancellationToken
from teamrun.core.emission import Emit
from teamrun.core.protocols import AnyMessage, Response
from teamrun.messages.events import ModelClientStreamingChunkEvent
from teamrun.messages.llm import CreateResult, FunctionCall, FunctionExecutionResult

__all__ = ["TurnUnderWay"]


@dataclass(slots=True)
class TurnUnderWay:
    """The state of the current turn."""

    token: CancellationToken | None
    emit: Emit[AnyMessage]
    inner: list[AnyMessage]
    message_id: str = ""
    """Id of the message that the chunks of the last model call form, if it was streamed."""
    rounds: int = 0
    """Model calls that requested tools."""
    repairs: int = 0
    """Model calls that corrected an answer."""
    result: CreateResult = field(init=False)
    """Of the last model call."""
    calls: Sequence[FunctionCall] = ()
    """The calls executed last."""
    results: Sequence[FunctionExecutionResult] = ()
    """Of those calls."""
    response: Response | None = None

    async def show(self, message: AnyMessage) -> None:
        """Emit a message; unless it is a chunk of another one, the response lists it."""
        if not isinstance(message, ModelClientStreamingChunkEvent):
            self.inner.append(message)
        await self.emit(message)
