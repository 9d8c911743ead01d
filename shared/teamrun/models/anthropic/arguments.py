"""The arguments of the Messages API besides messages and tools.

Source: https://platform.claude.com/docs/en/api/messages/create
"""

from functools import cache
from typing import Literal, NotRequired, Required

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic reads typing's own only from 3.12 on

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.create_args import checked_by

__all__ = ["AnthropicArgs", "Thinking", "checked_arguments", "on_wire"]

Json = JsonObject

_MAX_TOKENS = (("claude-3", 4_096), ("claude-", 16_384), ("", 8_192))
"""The longest answers by default, by how the model's name begins; thoughts are part of them."""


@with_config(ConfigDict(extra="allow"))
class Thinking(TypedDict):
    """How the model thinks before it answers."""

    type: Required[str]
    """`adaptive`, `enabled` or `disabled`; which of them a model takes depends on the model."""
    budget_tokens: NotRequired[int]
    """The most tokens of thoughts, with `enabled`; at least 1,024."""
    display: NotRequired[str | None]
    """`summarized` or `omitted`."""


@with_config(ConfigDict(extra="forbid"))
class AnthropicArgs(TypedDict, total=False):
    """The arguments of a call besides messages and tools."""

    temperature: float | None
    max_tokens: int | None
    """The longest answer, thoughts included. The API requires it: by default 16,384 for Claude, or
    4,096 for Claude 3, and 8,192 for other models, with the `budget_tokens` of `thinking` added."""
    top_p: float | None
    top_k: int | None
    stop: str | list[str] | None
    thinking: Thinking | None
    reasoning_effort: str | None
    """`output_config.effort`, for models that take it."""
    parallel_tool_calls: bool | None
    """False: at most one tool call in an answer (`disable_parallel_tool_use`)."""
    service_tier: Literal["auto", "standard_only"] | None
    metadata: dict[str, str] | None
    """`user_id`: an opaque id of the end user."""
    extra_body: JsonObject | None
    """Members of the request beyond these."""


def checked_arguments(args: JsonMapping) -> AnthropicArgs:
    """The arguments, if all of them exist and have the right type.

    Raises:
        ModelArgumentError: One does not; the message names it.
    """
    return checked_by(
        _adapter(),
        args,
        AnthropicArgs.__annotations__,
        call="A call of Anthropic",
        otherwise="give it within extra_body=.",
    )


def on_wire(args: AnthropicArgs, model: str) -> Json:
    """The arguments as members of a request.

    Args:
        args: The arguments.
        model: The model's name, which decides the default of `max_tokens`.
    """
    stop = args.get("stop")
    effort = args.get("reasoning_effort")
    members = {
        "max_tokens": args.get("max_tokens") or _max_tokens(args.get("thinking"), model),
        "temperature": args.get("temperature"),
        "top_p": args.get("top_p"),
        "top_k": args.get("top_k"),
        "stop_sequences": [stop] if isinstance(stop, str) else stop,
        "thinking": args.get("thinking"),
        "output_config": None if effort is None else {"effort": effort},
        "service_tier": args.get("service_tier"),
        "metadata": args.get("metadata"),
        "extra_body": args.get("extra_body"),
    }
    return {name: value for name, value in members.items() if value is not None}


def _max_tokens(thinking: Thinking | None, model: str) -> int:
    budget = (thinking or {}).get("budget_tokens", 0)
    return budget + next(most for prefix, most in _MAX_TOKENS if model.startswith(prefix))


@cache
def _adapter() -> TypeAdapter[AnthropicArgs]:  # made at first use: a cold start need not pay
    return TypeAdapter(AnthropicArgs)
