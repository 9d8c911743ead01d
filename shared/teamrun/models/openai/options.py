"""The options of profiles of the types `openai` and `azure_openai`, as in the operator's file."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.models.makers import preset_named
from teamrun.models.options import ProfileOptions
from teamrun.models.scalars import (
    LONGEST_S,
    MOST,
    Address,
    Number,
    SwitchOption,
    WholeNumber,
)

__all__ = ["AzureOpenAIOptions", "MistralOptions", "OpenAIOptions"]


def _known(name: str) -> str:
    try:
        return preset_named(name).name
    except UsageError as error:
        raise ValueError(error.message.rstrip(".")) from error


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

    aliases: ClassVar[Mapping[str, str]] = {
        "model_id": "model",
        "endpoint": "base_url",
        "org_id": "organization",
    }

    preset: Annotated[str, AfterValidator(_known)] | None = None
    """The server, by name: its address, the variable of its key, and how it differs."""
    base_url: Address | None = None
    organization: str | None = None


class MistralOptions(_ChatOptions):
    """Options of a profile of type `mistral`."""

    aliases: ClassVar[Mapping[str, str]] = {
        "model_id": "model",
        "endpoint": "base_url",
        "random_seed": "seed",
    }

    base_url: Address | None = None


class AzureOpenAIOptions(_ChatOptions):
    """Options of a profile of type `azure_openai`."""

    secret = _ChatOptions.secret | {"azure_ad_token"}
    aliases: ClassVar[Mapping[str, str]] = {"model_id": "model", "endpoint": "azure_endpoint"}

    azure_endpoint: Address | None = None
    azure_deployment: str | None = None
    api_version: str | None = None
    azure_ad_token: str | None = Field(default=None, repr=False)
    azure_ad_token_provider: JsonObject | None = None
    """AutoGen's component JSON of an `AzureTokenProvider`."""
