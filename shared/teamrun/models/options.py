"""The options of model profiles, by the names of the operator's file; one class per provider."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.json_types import JsonObject
from teamrun.models.scalars import (
    LONGEST_S,
    MOST,
    Address,
    Number,
    SwitchOption,
    WholeNumber,
)
from teamrun.models.script import ScriptStep

__all__ = [
    "AzureOpenAIOptions",
    "BedrockOptions",
    "OpenAIOptions",
    "ProfileOptions",
    "ScriptedOptions",
]


class ProfileOptions(BaseModel):
    """Options of every type of profile."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    secret: ClassVar[frozenset[str]] = frozenset()
    """Options that are no part of the profile's digest."""
    verbatim: ClassVar[frozenset[str]] = frozenset()
    """Options whose texts are not expanded."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of options, each with the option's own."""
    file_only: ClassVar[frozenset[str]] = frozenset()
    """Names in the operator's file that are replaced while it is read."""

    model_info: JsonObject | None = None

    def arguments(self) -> JsonObject:
        """The arguments of the client's constructor."""
        return self.model_dump(exclude_none=True)


class _ChatOptions(ProfileOptions):
    secret = frozenset({"api_key", "default_headers"})

    model: str = Field(min_length=1)
    api_key: str | None = Field(default=None, repr=False)
    default_headers: dict[str, str] | None = Field(default=None, repr=False)
    temperature: Number | None = Field(default=None, ge=0)
    max_tokens: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    max_completion_tokens: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    top_p: Number | None = Field(default=None, gt=0, le=1)
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    seed: WholeNumber | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    reasoning_effort: str | None = None
    parallel_tool_calls: SwitchOption | None = None
    add_name_prefixes: SwitchOption | None = None
    include_name_in_message: SwitchOption | None = None
    alternate_roles: SwitchOption | None = None
    multiple_system_messages: SwitchOption | None = None
    empty_content: SwitchOption | None = None
    include_usage: SwitchOption | None = None
    """Whether usage is requested in streams; some servers refuse the field."""
    extra_body: JsonObject | None = None
    """Arguments of the server beyond OpenAI's."""
    timeout: Number | None = Field(default=None, gt=0, le=LONGEST_S)
    """Seconds for one attempt."""
    max_retries: WholeNumber | None = Field(default=None, ge=0, le=1000)


class OpenAIOptions(_ChatOptions):
    """Options of a profile of type `openai`."""

    aliases = {"model_id": "model", "endpoint": "base_url", "org_id": "organization"}

    base_url: Address | None = None
    organization: str | None = None


class AzureOpenAIOptions(_ChatOptions):
    """Options of a profile of type `azure_openai`."""

    secret = _ChatOptions.secret | {"azure_ad_token"}
    aliases = {"model_id": "model", "endpoint": "azure_endpoint"}

    azure_endpoint: Address | None = None
    azure_deployment: str | None = None
    api_version: str | None = None
    azure_ad_token: str | None = Field(default=None, repr=False)
    azure_ad_token_provider: JsonObject | None = None
    """AutoGen's component JSON of an `AzureTokenProvider`."""


class BedrockOptions(ProfileOptions):
    """Options of a profile of type `bedrock`; credentials come from the AWS SDK's own sources."""

    aliases = {
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


class ScriptedOptions(ProfileOptions):
    """Options of a profile of type `scripted`: written answers, for demonstrations and tests."""

    verbatim = frozenset({"script"})
    file_only = frozenset({"script_file"})

    script: dict[str, list[str | ScriptStep]] | list[str | ScriptStep]
    """The answers in order, of each agent or of all together."""
    latency_ms: Number = Field(default=0, ge=0, le=LONGEST_S * 1000)
    """How long each answer takes."""

    def arguments(self) -> JsonObject:
        """The arguments of the client's constructor."""
        rest = self.model_dump(exclude={"latency_ms", "script"}, exclude_none=True)
        latency = timedelta(milliseconds=self.latency_ms)
        return {**rest, "script": self.script, "latency": latency}
