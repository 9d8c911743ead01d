"""The options of profiles of the type `ollama`, as in the operator's file."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from teamrun.json_types import JsonObject
from teamrun.models.ollama.host import host_fault
from teamrun.models.options import ProfileOptions
from teamrun.models.scalars import LONGEST_S, MOST, Number, SwitchOption, WholeNumber

__all__ = ["OllamaOptions"]


def _host(value: str) -> str:
    """Refuse what is no address; it may contain a password, so it is not repeated."""
    if (fault := host_fault(value)) is not None:
        raise ValueError(f"the address {fault}")
    return value


Duration = Annotated[str, Field(pattern=r"^-?(?:[0-9.]+(?:ns|us|ms|s|m|h))+$")]
"""A text such as `10m` or `1h30m` (https://pkg.go.dev/time#ParseDuration)."""


class OllamaOptions(ProfileOptions):
    """Options of a profile of type `ollama`."""

    secret = frozenset({"api_key", "headers"})
    aliases: ClassVar[Mapping[str, str]] = {
        "model_id": "model",
        "base_url": "host",
        "endpoint": "host",
        "default_headers": "headers",
        "num_predict": "max_tokens",
    }

    model: str = Field(min_length=1)
    host: Annotated[str, AfterValidator(_host)] | None = None
    api_key: str | None = Field(default=None, repr=False)
    headers: dict[str, str] | None = Field(default=None, repr=False)
    temperature: Number | None = Field(default=None, ge=0)
    max_tokens: WholeNumber | None = Field(default=None, ge=-2, le=MOST)
    """-1: no limit; -2: until the context window is full."""
    top_p: Number | None = Field(default=None, gt=0, le=1)
    top_k: WholeNumber | None = Field(default=None, ge=0, le=MOST)
    seed: WholeNumber | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    num_ctx: WholeNumber | None = Field(default=None, ge=1, le=MOST)
    frequency_penalty: Number | None = None
    presence_penalty: Number | None = None
    options: JsonObject | None = None
    """Any other options of the model."""
    think: SwitchOption | Literal["low", "medium", "high"] | None = None
    keep_alive: Number | Duration | None = None
    add_name_prefixes: SwitchOption | None = None
    timeout: Number | None = Field(default=None, gt=0, le=LONGEST_S)
    """Seconds for one attempt."""
    max_retries: WholeNumber | None = Field(default=None, ge=0, le=1000)
