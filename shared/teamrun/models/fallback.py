"""A model client that asks the next profile if the server of one does not answer.

It belongs around the retries: a profile has failed when its own attempts are used up.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.attempts import answering, broken_off, on_fallback
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.models.wrapper import ModelWrapper
from teamrun.tools.schema import ToolSchema

__all__ = ["Candidate", "FallbackModel", "lets_another_answer"]

logger = logging.getLogger(__name__)

_SPENT = frozenset({402, 429})
"""No retry mends them, but another account: no balance is left, or the quota is used up."""
_CONTENT_FILTER = "content_filter"


class Candidate(NamedTuple):
    """A profile that may answer a call."""

    profile: str
    """Its name."""
    client: ChatCompletionClient
    on_content_filter: bool = False
    """Whether the next profile is asked if this one's content filter refuses the prompt."""


def lets_another_answer(error: ModelError, *, on_content_filter: bool = False) -> bool:
    """Whether another profile is asked after this failure.

    It is if the server cannot be reached, fails, is overloaded, or has no quota left for the
    caller. A request that is wrong would be wrong for the next profile, too.

    Args:
        error: The failure, after all attempts.
        on_content_filter: Whether a refused prompt counts.
    """
    if error.retryable or error.status_code in _SPENT:
        return True
    is_filtered = bool(error.data.get("filtered"))
    is_filtered |= error.data.get("provider_code") == _CONTENT_FILTER
    return on_content_filter and is_filtered


class FallbackModel(ModelWrapper):
    """Asks the profiles in order until one answers.

    Its capabilities and its estimates are those of the first one. A profile that cannot do what a
    call requires, such as images, is passed over.

    Args:
        candidates: The profiles with their clients, at least one.

    Raises:
        ValueError: There is no candidate.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        if not candidates:
            raise ValueError("candidates must have at least one profile.")
        super().__init__(candidates[0].client)
        self._candidates = tuple(candidates)

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
        """Ask the first profile, and after its failure the next one.

        Raises:
            ModelError: The last failure; or the first one that the request itself has caused.
            UsageError: The first profile does not support the request.
        """
        calls = _Calls(self._candidates)
        while True:
            candidate = calls.next()
            try:
                return await candidate.client.create(
                    messages,
                    tools=tools,
                    tool_choice=tool_choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args,
                    cancellation_token=cancellation_token,
                )
            except (ModelError, UsageError) as error:
                calls.failed(error)

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
        """The same; after a piece of an answer no other profile is asked.

        Raises:
            ModelError: As for `create`, or a failure after the first piece.
            UsageError: As for `create`.
        """
        calls = _Calls(self._candidates)
        while True:
            spoken = False
            stream = calls.next().client.create_stream(
                messages,
                tools=tools,
                tool_choice=tool_choice,
                json_output=json_output,
                extra_create_args=extra_create_args,
                cancellation_token=cancellation_token,
            )
            try:
                async with aclosing(stream) as pieces:
                    async for piece in pieces:
                        spoken = True
                        yield piece
                return
            except (ModelError, UsageError) as error:
                if spoken:
                    raise
                calls.failed(error)

    def for_agent(self, name: str) -> ChatCompletionClient:
        """The same profiles, each with its client's view for that agent."""
        seen = [each._replace(client=each.client.for_agent(name)) for each in self._candidates]
        if all(a.client is b.client for a, b in zip(seen, self._candidates, strict=True)):
            return self
        return FallbackModel(seen)

    async def close(self) -> None:
        """Close the clients of all profiles."""
        for candidate in self._candidates:
            await candidate.client.close()

    def actual_usage(self) -> RequestUsage:
        """Tokens of the calls of all profiles that reached a provider."""
        return sum((each.client.actual_usage() for each in self._candidates), RequestUsage(0, 0))

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls of all profiles."""
        return sum((each.client.total_usage() for each in self._candidates), RequestUsage(0, 0))


class _Calls:
    """The profiles that one call has asked and may still ask."""

    __slots__ = ("_asked", "_candidates", "_failure")

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._asked = -1
        if broken_off.get() is not None:  # the same profile is asked again
            names = [each.profile for each in candidates]
            name = answering.get()
            self._asked = names.index(name) - 1 if name in names else -1
        self._failure: tuple[Candidate, ModelError] | None = None

    def next(self) -> Candidate:
        """The profile to ask now; tells the observer if it stands in for another one.

        Raises:
            ModelError: None is left.
        """
        self._asked += 1
        if self._failure is None:
            answering.set(self._candidates[self._asked].profile if self._asked else None)
            return self._candidates[self._asked]
        failed, error = self._failure
        if self._asked == len(self._candidates):
            raise error
        candidate = self._candidates[self._asked]
        broken_off.set(None)  # it counts the attempts of the profile that has failed
        logger.warning(
            "A model profile has failed, and the next one is asked",
            extra={
                "action": "model.fell_back",
                "profile": failed.profile,
                "fallback": candidate.profile,
                "status_code": error.status_code,
                "code": error.code,
            },
        )
        answering.set(candidate.profile)
        if (tell := on_fallback.get()) is not None:
            tell(failed.profile, candidate.profile, error)
        return candidate

    def failed(self, error: ModelError | UsageError) -> None:
        """Note the failure of the profile that was asked.

        Raises:
            ModelError: The failure, if no other profile may answer.
            UsageError: The same, of the first profile.
        """
        candidate = self._candidates[self._asked]
        if isinstance(error, UsageError):
            if self._failure is None:
                raise error
            return  # it cannot do what the call requires
        if not lets_another_answer(error, on_content_filter=candidate.on_content_filter):
            raise error
        self._failure = candidate, error
