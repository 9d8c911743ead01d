"""The options of profiles of the type `anthropic`, as in the operator's file."""

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

__all__ = ["AnthropicOptions"]


class AnthropicOptions(ProfileOptions):
    """Options of a profile of type `anthropic`."""

    secret = frozenset({"api_key", "default_headers"})
    aliases: ClassVar[Mapping[str, str]] = {"model_id": "model", "endpoint": "base_url"}

    model: str = Field(min_length=1)
    api_key: str | None = Field(default=None, repr=False)
    base_url: Address | None = None
    default_headers: dict[str, str] | None = Field(default=None, repr=False)
    temperature: Number | None = Field(default=None, ge=0)
    max_tokens: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    top_k: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    stop: str | list[str] | None = None
    thinking: JsonObject | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: SwitchOption | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    metadata: dict[str, str] | None = None
    prompt_caching: SwitchOption | None = None
    cache_ttl: Literal["5m", "1h"] | None = None
    add_name_prefixes: SwitchOption | None = None
    extra_body: JsonObject | None = None
    """Members of the request beyond these."""
    timeout: Number | None = Field(default=None, gt=0, le=LONGEST_S)
    """Seconds for one attempt."""
    max_retries: WholeNumber | None = Field(default=None, ge=0, le=1000)
