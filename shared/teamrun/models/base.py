"""The seam to language models.

Above it: agents and teams, which know only `ChatCompletionClient`. Below it: `openai.py` and
the other providers, `teamrun.testing.ScriptedModel`, and `wrapper.py` for cross-cutting
behaviour (the journal of a run is such a wrapper).
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Literal, NotRequired, Required, TypedDict

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.core.component.base import ComponentBase
from teamrun.json_types import JsonMapping
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage
from teamrun.models.estimate import estimate_tokens
from teamrun.tools.schema import ToolSchema

__all__ = ["CallOptions", "ChatCompletionClient", "ModelInfo", "ToolChoice"]


class ModelInfo(TypedDict, total=False):
    """The capabilities of a model."""

    vision: Required[bool]
    function_calling: Required[bool]
    json_output: Required[bool]
    family: Required[str]
    structured_output: Required[bool]
    multiple_system_messages: NotRequired[bool]
    """System messages may come anywhere and more than once. If False, they are joined into one,
    which is the first."""
    alternate_roles: NotRequired[bool]
    """Messages of user and assistant have to alternate. If True, neighbours of one role are joined,
    and a turn that lacks one of the two gets a short one."""
    empty_content: NotRequired[bool]
    """Content may be empty or null. If False, neither is sent."""
    forced_tool: NotRequired[bool]
    """A `tool_choice` may force a tool. If False, structured answers are asked for in text."""


ToolChoice = ToolSchema | Literal["auto", "required", "none"]
"""Which tools the model may, must or must not call; a schema forces that one tool."""


class CallOptions(TypedDict, total=False):
    """The arguments of `create` and `create_stream` besides the messages.

    For `**options: Unpack[CallOptions]` in a class of which no subclass names them again: type
    checkers accept no named parameters in its place.
    """

    tools: Sequence[ToolSchema]
    tool_choice: ToolChoice
    json_output: bool | type[BaseModel] | None
    extra_create_args: JsonMapping | None
    cancellation_token: CancellationToken | None


class ChatCompletionClient(ComponentBase[BaseModel], ABC):
    """A model behind one method; implementations map their library's errors to `ModelError`."""

    @abstractmethod
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
        """Ask the model once.

        Raises:
            ModelError: The call failed permanently, after the client's retries.
        """

    @abstractmethod
    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call the model once; yields text as it arrives, then the whole `CreateResult`."""

    @property
    @abstractmethod
    def model_info(self) -> ModelInfo:
        """The capabilities of the model."""

    @property
    def capabilities(self) -> ModelInfo:
        """The same as `model_info`, which replaces it."""
        warnings.warn(
            "capabilities is deprecated, use model_info instead", DeprecationWarning, stacklevel=2
        )
        return self.model_info

    @property
    def is_scripted(self) -> bool:
        """Whether the answers are scripted, so that no model is called."""
        return False

    def for_agent(self, name: str) -> "ChatCompletionClient":
        """The client as the agent of that name should use it; the same object for most clients."""
        return self

    async def close(self) -> None:
        """Release connections."""

    def actual_usage(self) -> RequestUsage:
        """Tokens of calls that reached the provider."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        """Tokens of all calls, those answered from a cache included."""
        return self.actual_usage()

    def count_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """An estimate of the prompt's size in tokens."""
        return estimate_tokens(messages, tools=tools)

    def remaining_tokens(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[ToolSchema] = ()
    ) -> int:
        """An estimate of the room left in the model's window, in tokens."""
        return 128_000 - self.count_tokens(messages, tools=tools)
