"""The arguments of an OpenAI chat completion besides messages and tools."""

from collections.abc import Collection
from difflib import get_close_matches
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic reads typing's own only from 3.12 on

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.wrong_arguments import ModelArgumentError
from teamrun.validation import misfits

__all__ = ["CreateArgs", "checked", "checked_by"]

T = TypeVar("T")


@with_config(ConfigDict(extra="forbid"))
class CreateArgs(TypedDict, total=False):
    """The arguments of a chat completion besides messages and tools, under OpenAI's names."""

    temperature: float | None
    max_tokens: int | None
    max_completion_tokens: int | None
    top_p: float | None
    seed: int | None
    stop: str | list[str] | None
    n: int | None
    frequency_penalty: float | None
    presence_penalty: float | None
    logit_bias: dict[str, int] | None
    logprobs: bool | None
    top_logprobs: int | None
    parallel_tool_calls: bool | None
    reasoning_effort: str | None
    verbosity: str | None
    response_format: JsonObject | type[BaseModel] | None
    stream_options: JsonObject | None
    service_tier: str | None
    store: bool | None
    metadata: dict[str, str] | None
    user: str | None
    safety_identifier: str | None
    prompt_cache_key: str | None
    extra_body: JsonObject | None
    """For arguments of compatible servers beyond OpenAI's."""


def checked(args: JsonMapping) -> CreateArgs:
    """The arguments, if all of them exist and have the right type.

    Raises:
        ModelArgumentError: One does not; the message names it.
    """
    return checked_by(
        _create_args(),
        args,
        CreateArgs.__annotations__,
        call="A chat completion",
        otherwise="give it within extra_body=.",
    )


def checked_by(
    adapter: TypeAdapter[T], args: JsonMapping, known: Collection[str], *, call: str, otherwise: str
) -> T:
    """The arguments of some provider, if all of them exist and have the right type.

    Args:
        adapter: Validates them.
        args: The arguments.
        known: The names that there are.
        call: What takes them, as the beginning of a sentence.
        otherwise: What to do about a name that is not known.

    Raises:
        ModelArgumentError: An argument does not exist, or has another type; the message names it.
    """
    for name in args:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else otherwise
            raise ModelArgumentError(f"{call} takes no argument {name!r}; {hint}", argument=name)
    try:
        return adapter.validate_python(args)
    except ValidationError as error:
        first = misfits(error, args)[0]
        name = ".".join(map(str, first.path))
        raise ModelArgumentError(
            first.sentence(f"The argument {name!r}"), argument=str(first.path[0])
        ) from error


@cache
def _create_args() -> TypeAdapter[CreateArgs]:  # made at first use: a cold start need not pay
    return TypeAdapter(CreateArgs)
