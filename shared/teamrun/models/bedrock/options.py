"""The options of profiles of the type `bedrock`, as in the operator's file."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from teamrun.json_types import JsonObject
from teamrun.models.options import ProfileOptions
from teamrun.models.scalars import (
    LONGEST_S,
    MOST,
    Address,
    Number,
    SwitchOption,
    WholeNumber,
)

__all__ = ["BedrockOptions"]


class BedrockOptions(ProfileOptions):
    """Options of a profile of type `bedrock`; credentials come from the AWS SDK's own sources."""

    aliases: ClassVar[Mapping[str, str]] = {
        "model_id": "model",
        "endpoint": "base_url",
        "base_model_id": "base_model",
        "guardrail_identifier": "guardrail_id",
    }

    model: str = Field(min_length=1)
    region: str | None = None
    profile: str | None = None
    """A profile of the AWS configuration files."""
    base_url: Address | None = None
    base_model: str | None = None
    """The id of the model behind an ARN that does not contain it."""
    temperature: Number | None = Field(default=None, ge=0)
    max_tokens: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    add_name_prefixes: SwitchOption | None = None
    prompt_caching: SwitchOption | None = None
    guardrail_id: str | None = None
    guardrail_version: str | None = None
    guardrail_trace: Literal["enabled", "disabled", "enabled_full"] | None = None
    latency: Literal["standard", "optimized"] | None = None
    service_tier: Literal["priority", "default", "flex", "reserved"] | None = None
    request_metadata: dict[str, str] | None = None
    additional_model_request_fields: JsonObject | None = None
    timeout: Number | None = Field(default=None, gt=0, le=LONGEST_S)
    """Seconds for one attempt."""
    max_retries: WholeNumber | None = Field(default=None, ge=0, le=1000)
