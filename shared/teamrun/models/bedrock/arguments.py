"""The arguments of Converse besides messages and tools."""

from functools import cache
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic reads typing's own only from 3.12 on

from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.create_args import checked_by

__all__ = ["BedrockArgs", "checked_arguments", "on_wire"]

Json = JsonObject


@with_config(ConfigDict(extra="forbid"))
class BedrockArgs(TypedDict, total=False):
    """The arguments of a call besides messages and tools."""

    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    stop: str | list[str] | None
    reasoning_effort: str | None
    """`outputConfig.effort`, for models that take it."""
    latency: Literal["standard", "optimized"] | None
    """`performanceConfig.latency`."""
    service_tier: Literal["priority", "default", "flex", "reserved"] | None
    request_metadata: dict[str, str] | None
    """For the filters of invocation logs."""
    additional_model_request_fields: JsonObject | None
    """Arguments of the model that Converse does not have, such as Claude's `thinking`."""


def checked_arguments(args: JsonMapping) -> BedrockArgs:
    """The arguments, if all of them exist and have the right type.

    Raises:
        UsageError: One does not; the message names it.
    """
    return checked_by(
        _adapter(),
        args,
        BedrockArgs.__annotations__,
        call="A call of Bedrock",
        otherwise="give it within additional_model_request_fields=.",
    )


def on_wire(args: BedrockArgs) -> Json:
    """The arguments as members of a request."""
    stop = args.get("stop")
    inference = {
        "maxTokens": args.get("max_tokens"),
        "temperature": args.get("temperature"),
        "topP": args.get("top_p"),
        "stopSequences": [stop] if isinstance(stop, str) else stop,
    }
    members = {
        "inferenceConfig": _given(inference),
        "additionalModelRequestFields": args.get("additional_model_request_fields"),
        "outputConfig": _given({"effort": args.get("reasoning_effort")}),
        "performanceConfig": _given({"latency": args.get("latency")}),
        "serviceTier": _given({"type": args.get("service_tier")}),
        "requestMetadata": args.get("request_metadata"),
    }
    return {name: value for name, value in members.items() if value}


def _given(members: Json) -> Json:
    return {name: value for name, value in members.items() if value is not None}


@cache
def _adapter() -> TypeAdapter[BedrockArgs]:  # made at first use: a cold start need not pay
    return TypeAdapter(BedrockArgs)
