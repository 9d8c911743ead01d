"""A circuit breaker: calls of a profile whose server fails again and again end at once.

The circuit is closed while calls succeed. It opens after failures, and no call is made then. After
a time it is half open: one call is made, and its outcome closes the circuit or opens it again.
Pattern: https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker.

It belongs inside the retries, so that each attempt counts, and outside the pace, so that a call
that waits for its turn is no failure. Each process has its own circuits.
"""

import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, contextmanager
from typing import Literal, NamedTuple

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import CircuitOpen, ModelError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.retry import RetryingModel
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = ["BreakerLimits", "BreakerModel", "Circuit", "with_breaker"]

logger = logging.getLogger(__name__)


class BreakerLimits(NamedTuple):
    """When a circuit opens, and for how long."""

    failures: int = 5
    """How many calls in a row have to fail; with `failure_share`, how many within the window."""
    failure_share: float | None = None
    """The part of the calls within the window that has to fail, above 0 and at most 1; None: only
    calls in a row count."""
    window_s: float = 60
    """The window of `failure_share`, in seconds."""
    cool_down_s: float = 30
    """The time in which no call is made, in seconds."""


class Circuit:
    """The circuit of one profile in one process.

    Args:
        profile: The name of the profile.
        limits: When it opens.
        now: Seconds from any fixed time; for tests.
    """

    def __init__(
        self,
        profile: str,
        limits: BreakerLimits,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._limits = limits
        self._now = now
        self._opened_at: float | None = None
        self._reason: ModelError | None = None
        self._is_probed = False
        self._in_a_row = 0
        self._recent: deque[tuple[float, bool]] = deque()
        """The end of each call within the window, and whether it failed."""
        self._period = 0
        """Increases when the circuit opens or closes; calls of an earlier period do not count."""

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """Whether calls are made: all, none, or one."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._rest_s(self._opened_at) > 0 else "half_open"

    @contextmanager
    def call(self) -> Generator[None]:
        """The block is a call; its outcome counts. A call that is cancelled does not count.

        Raises:
            CircuitOpen: The call must not be made.
        """
        period = self._enter()
        try:
            yield
        except ModelError as error:
            # Any other answer shows that the server works.
            self._ended(period, error if error.retryable else None)
            raise
        except BaseException:
            if period == self._period:
                self._is_probed = False
            raise
        else:
            self._ended(period, None)

    def _enter(self) -> int:
        if self._opened_at is None:
            return self._period
        rest_s = self._rest_s(self._opened_at)
        if rest_s > 0 or self._is_probed:
            reason = self._reason
            last = "" if reason is None else f" The last failure: {reason.message}"
            wait = f"in {rest_s:.0f} s" if rest_s > 0 else "when the one that is under way succeeds"
            raise CircuitOpen(
                f"The model profile {self._profile!r} is not called, because its server has failed"
                f" repeatedly; calls are made again {wait}.{last}",
                status_code=reason and reason.status_code,
                retryable=True,
            )
        self._is_probed = True
        return self._period

    def _ended(self, period: int, failure: ModelError | None) -> None:
        if period != self._period:
            return
        if self._opened_at is not None:
            self._is_probed = False
            if failure is None:
                self._close()
            else:
                self._open(failure)
            return
        self._in_a_row = 0 if failure is None else self._in_a_row + 1
        if self._limits.failure_share is not None:
            self._note(is_failure=failure is not None)
        if failure is not None and self._is_too_much():
            self._open(failure)

    def _note(self, *, is_failure: bool) -> None:
        now = self._now()
        self._recent.append((now, is_failure))
        while self._recent[0][0] <= now - self._limits.window_s:
            self._recent.popleft()

    def _is_too_much(self) -> bool:
        failures, share = self._limits.failures, self._limits.failure_share
        if self._in_a_row >= failures:
            return True
        failed = sum(is_failure for _, is_failure in self._recent)
        return share is not None and failed >= max(failures, share * len(self._recent))

    def _open(self, reason: ModelError) -> None:
        self._period += 1
        self._opened_at, self._reason = self._now(), reason
        logger.warning(
            "The circuit of a model profile is open: no call of it is made",
            extra={
                "action": "model.circuit_opened",
                "profile": self._profile,
                "cool_down_s": self._limits.cool_down_s,
                "status_code": reason.status_code,
            },
        )

    def _close(self) -> None:
        self._period += 1
        self._opened_at = self._reason = None
        self._in_a_row = 0
        self._recent.clear()
        logger.info(
            "The circuit of a model profile is closed: its calls are made again",
            extra={"action": "model.circuit_closed", "profile": self._profile},
        )

    def _rest_s(self, opened_at: float) -> float:
        return opened_at + self._limits.cool_down_s - self._now()


class BreakerModel(ModelWrapper):
    """Makes the calls of a client unless the circuit of its profile is open.

    Args:
        wrapped: A client that makes one attempt at each call.
        circuit: Of the profile; all clients of the profile share it.
    """

    def __init__(self, wrapped: ChatCompletionClient, circuit: Circuit) -> None:
        super().__init__(wrapped)
        self._circuit = circuit

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """Ask the wrapped client.

        Raises:
            CircuitOpen: The server has failed repeatedly, and the call was not made.
            ModelError: The call failed.
        """
        with self._circuit.call():
            return await self.wrapped.create(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args,
                cancellation_token=cancellation_token,
            )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The same for a stream, which counts when it ends.

        Raises:
            CircuitOpen: As for `create`.
            ModelError: The call failed.
        """
        with self._circuit.call():
            stream = self.wrapped.create_stream(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args,
                cancellation_token=cancellation_token,
            )
            async with aclosing(stream) as pieces:
                async for piece in pieces:
                    yield piece


def with_breaker(client: ChatCompletionClient, circuit: Circuit) -> ChatCompletionClient:
    """The client with a circuit breaker around each attempt.

    Args:
        client: Of the profile; the breaker is put inside its retries, if it has any.
        circuit: Of the profile.
    """
    if isinstance(client, RetryingModel):
        client.wrapped = BreakerModel(client.wrapped, circuit)
        return client
    return BreakerModel(client, circuit)
