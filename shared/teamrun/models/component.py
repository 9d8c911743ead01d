"""Model clients as components.

A component may name an address. The key of the environment belongs to the program and is never
sent to an address that a component chose: such a client needs its own key in the component, or is
passed by the program.
"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

from pydantic import BaseModel, SecretStr

from teamrun.core.component.table import inherited_row
from teamrun.core.component.writing import MASK
from teamrun.core.urls import public_url
from teamrun.errors import DefinitionError, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.models.makers import maker_at

__all__ = [
    "arguments_of",
    "make_anthropic",
    "make_azure",
    "make_bedrock",
    "make_ollama",
    "make_openai",
    "write_anthropic",
    "write_client",
]

_SECRET = ("api_key", "azure_ad_token")
_HEADERS = ("default_headers", "headers")
_INEXPRESSIBLE = ("retry", "http_client", "clock")
_NAMES: Mapping[str, str] = {
    "org_id": "organization",
    "endpoint": "azure_endpoint",
    "model_id": "model",
}


def arguments_of(scope: JsonMapping) -> JsonObject:
    """The arguments that a constructor got, from its `locals()`; those that are None are left out.

    They are kept until the client is written as a component.
    """
    rest = {name: value for name, value in scope.items() if name not in _NO_ARGUMENTS}
    named = {_NAMES.get(name, name): value for name, value in rest.items() if value is not None}
    return {**named, **(scope.get("create_args") or {})}


_NO_ARGUMENTS = ("self", "__class__", "create_args")


def write_client(client: Any) -> JsonObject:
    """The arguments of a client; keys are `SecretStr`, which is masked in JSON.

    Raises:
        UsageError: An argument cannot be expressed.
    """
    row = inherited_row(cast("type[object]", type(client)))
    assert row is not None
    fields = row.fields
    arguments: JsonObject = {**dict.fromkeys(fields), **client._given}
    for name in _INEXPRESSIBLE:
        if arguments.pop(name, None) is not None:
            raise _inexpressible(name, client)
    for name in _SECRET:
        key = arguments.get(name)
        # A function that returns keys belongs to the process.
        arguments[name] = SecretStr(key) if isinstance(key, str) else None
    for name in _HEADERS:
        if headers := arguments.get(name):
            arguments[name] = {header: SecretStr(text) for header, text in headers.items()}
    timeout = arguments.get("timeout")
    if isinstance(timeout, timedelta):
        arguments["timeout"] = timeout.total_seconds()
    if isinstance(form := arguments.get("response_format"), type) and issubclass(form, BaseModel):
        raise _inexpressible("response_format", client)
    provider = arguments.get("azure_ad_token_provider")
    if provider is not None and not isinstance(provider, Mapping):
        arguments["azure_ad_token_provider"] = _token_provider(provider, client)
    return arguments


def write_anthropic(client: Any) -> JsonObject:
    """The arguments of a client of Anthropic, under AutoGen's names.

    Raises:
        UsageError: An argument cannot be expressed.
    """
    arguments = write_client(client)
    stop = arguments.pop("stop", None)
    arguments["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return arguments


def make_openai(cls: Callable[..., Any], arguments: JsonObject) -> Any:
    """A client of OpenAI's API."""
    return _made(cls, _opened(arguments))


def make_anthropic(cls: Callable[..., Any], arguments: JsonObject) -> Any:
    """A client of Anthropic's API."""
    options = _opened(arguments)
    form = options.pop("response_format", None)
    if form not in (None, {"type": "text"}):
        raise DefinitionError(
            "'response_format' of a client of Anthropic can only be {'type': 'text'}; use the "
            "agent's output_content_type, or json_output= of a call.",
            pointer="/config/response_format",
        )
    stop = options.pop("stop_sequences", None)
    return _made(cls, options if stop is None else {**options, "stop": stop})


def _made(cls: Callable[..., Any], options: JsonObject) -> Any:
    address = options.get("base_url")
    is_known = str(address).startswith("https://") and maker_at(str(address)) is not None
    if address and "api_key" not in options and not is_known:
        raise _foreign(str(address), str(options.get("model")), "base_url")
    return cls(**options)


def make_azure(cls: Callable[..., Any], arguments: JsonObject) -> Any:
    """A client of Azure OpenAI."""
    options = _opened(arguments)
    address = str(options.get("azure_endpoint"))
    is_own = address.rstrip("/") == os.environ.get("AZURE_OPENAI_ENDPOINT", "").rstrip("/")
    if "api_key" not in options and "azure_ad_token" not in options and not is_own:
        raise _foreign(address, str(options.get("model")), "azure_endpoint")
    return cls(**options)


def make_ollama(cls: Callable[..., Any], arguments: JsonObject) -> Any:
    """A client of Ollama. No key of the environment belongs to an address but Ollama's own."""
    return cls(**_opened(arguments))


def make_bedrock(cls: Callable[..., Any], arguments: JsonObject) -> Any:
    """A client of Bedrock; its credentials are those of the AWS SDK's own sources."""
    options = dict(arguments)
    info: JsonMapping = options.pop("bedrock_info", None) or {}
    for name in _CREDENTIALS:
        if _secret(info.get(name)):
            raise _of_the_program(f"bedrock_info/{name}")
    for name in ("base_url", "profile"):
        if options.get(name):
            raise _of_the_program(name)
    given = {"region": info.get("aws_region"), "stop": options.pop("stop_sequences", None)}
    return cls(**{name: value for name, value in given.items() if value}, **options)


_CREDENTIALS = ("aws_access_key", "aws_secret_key", "aws_session_token")


def _of_the_program(field: str) -> DefinitionError:
    return DefinitionError(
        f"{field!r} is the program's: credentials of Bedrock come from the AWS SDK's sources. "
        "Remove it, or pass the client to load_component(..., model_client=...).",
        pointer=f"/config/{field}",
        code="unknown_field",
    )


def _opened(arguments: JsonObject) -> JsonObject:
    """The arguments with their keys; masked ones are absent."""
    opened = {name: _secret(value) for name, value in arguments.items()}
    for name in _HEADERS:
        headers: JsonMapping = opened.get(name) or {}
        readable = {header: _secret(text) for header, text in headers.items()}
        opened[name] = {header: text for header, text in readable.items() if text} or None
    return {name: value for name, value in opened.items() if value not in (None, "")}


def _secret(value: Any) -> Any:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return None if value == MASK else value


def _foreign(address: str, model: str, field: str) -> DefinitionError:
    return DefinitionError(
        f"The model {model!r} is called at {public_url(address)}, which the component chose, and "
        "the component has no key. The environment's key is not sent there: pass the client to "
        f"load_component(..., model_client={{{model!r}: client}}).",
        pointer=f"/config/{field}",
        code="unknown_field",
    )


def _inexpressible(name: str, client: object) -> UsageError:
    return UsageError(
        f"A component cannot express {name!r} of a {type(client).__name__}.", argument=name
    )


def _token_provider(provider: Any, client: object) -> JsonObject:
    as_component: Any = getattr(provider, "as_component", None)
    if as_component is None:
        raise _inexpressible("azure_ad_token_provider", client)
    return cast("JsonObject", as_component())
