"""Models on a server of Ollama, called by its own API.

Above it: agents. Below it: an `Attempt` with the requests and calls of this folder, which a
`RetryingModel` repeats. The `ollama` package is not needed: it has another HTTP stack, and the wire
is JSON lines over one POST. The HTTP library is loaded when the first client is created.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Self, Unpack

from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.json_types import JsonMapping
from teamrun.models.attempt import Attempt, as_timedelta
from teamrun.models.base import ModelInfo
from teamrun.models.component import arguments_of
from teamrun.models.families import resolved_model_info
from teamrun.models.makers import OLLAMA, maker_at, provider_of
from teamrun.models.ollama.arguments import OllamaArgs, checked_arguments
from teamrun.models.ollama.host import DEFAULT_HOST, host_fault, host_url
from teamrun.models.ollama.request import RequestBuilder
from teamrun.models.retry import RetryingModel, RetryPolicy
from teamrun.models.wrong_arguments import ModelArgumentError

if TYPE_CHECKING:
    import httpx2

__all__ = ["OllamaChatCompletionClient"]

_WRONG_KEY = "check api_key, which is only needed by a proxy in front of Ollama, and at ollama.com"


class OllamaChatCompletionClient(RetryingModel):
    """A model on a server of Ollama.

    Args:
        model: Its name, such as `qwen3:8b`; without it, `OLLAMA_MODEL`.
        host: The server, such as `http://127.0.0.1:11434` or `gpu-1:11434`; without it,
            `OLLAMA_HOST`, else port 11434 of this machine.
        base_url: Another name for `host`.
        api_key: Sent as `Authorization: Bearer`, for a proxy in front of the server. Without it no
            key is sent, except `OLLAMA_API_KEY` to ollama.com.
        headers: Sent with every request; `default_headers` is another name for it.
        timeout: Of a whole call, or of silence within a stream: seconds, or a `timedelta`. It
            includes the time in which the server loads the model.
        max_retries: How often a call is repeated after a transient failure.
        retry: The whole retry policy, in place of `max_retries`.
        model_info: The model's capabilities, if those known for its name are wrong. A model of
            another name is assumed to support everything.
        add_name_prefixes: Begin each user message with `{source} said:`; without it, if the
            conversation has several sources.
        follow_redirects: Follow redirects to the same server; others are never followed.
        http_client: An `httpx2.AsyncClient` of your own, for proxies and certificates.
        create_args: `temperature`, `num_ctx`, `think` and the other arguments of `OllamaArgs`; they
            apply to every call.

    Raises:
        ModelArgumentError: An argument is missing, unknown or of the wrong type.
        MissingPackage: The `httpx2` package is not installed.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        host: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        default_headers: Mapping[str, str] | None = None,
        timeout: timedelta | float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        model_info: ModelInfo | None = None,
        add_name_prefixes: bool | None = None,
        follow_redirects: bool = True,
        http_client: "httpx2.AsyncClient | None" = None,
        clock: Clock | None = None,
        **create_args: Unpack[OllamaArgs],
    ) -> None:
        given = arguments_of(locals())
        require("httpx2", extra="ollama", needed_by=type(self).__name__, lowest=(2,))
        from teamrun.models.ollama.calls import OllamaCalls, Place  # loads the HTTP library

        model = model or os.environ.get("OLLAMA_MODEL")
        if not model:
            raise ModelArgumentError(
                "No model: pass model=, or set OLLAMA_MODEL.", argument="model"
            )
        if (asked := host or base_url) is not None:
            given["host"] = asked
        if (headers := headers or default_headers) is not None:
            given["headers"] = headers
        given.pop("base_url", None)
        given.pop("default_headers", None)
        self._given = given | {"model": model}
        self._base_url = _address(asked)
        info = resolved_model_info(model, model_info, own_server=True)
        info["forced_tool"] = False  # the API has no choice of tools
        requests = RequestBuilder(
            model=model,
            info=info,
            arguments=checked_arguments(create_args),
            provider=provider_of(self._base_url),
            add_name_prefixes=add_name_prefixes,
        )
        place = Place(
            address=self._base_url,
            headers=_headers(headers or {}, api_key, self._base_url),
            timeout_seconds=as_timedelta(timeout).total_seconds(),
            follows_redirects=follow_redirects,
            http_client=http_client,
        )
        missing = f"run 'ollama pull {model}' on the server, or check the model's name and host"
        remedies = {401: _WRONG_KEY, 403: _WRONG_KEY, 404: missing}
        calls = OllamaCalls(place, family=info["family"], remedies=remedies)
        super().__init__(Attempt(requests, calls), retry, max_retries, clock=clock)

    @classmethod
    def create_from_config(cls, config: JsonMapping) -> Self:
        """The client of these arguments."""
        return cls(**config)

    @property
    def base_url(self) -> str:
        """The address of the server."""
        return self._base_url


def _address(host: str | None) -> str:
    if not host and not (host := os.environ.get("OLLAMA_HOST")):
        return DEFAULT_HOST
    if (fault := host_fault(host)) is not None:
        raise ModelArgumentError(f"host (or OLLAMA_HOST) {fault}.", argument="host")
    return host_url(host)


def _headers(headers: Mapping[str, str], api_key: str | None, address: str) -> dict[str, str]:
    """The headers of every request; a caller's own `Authorization` takes precedence."""
    key = api_key
    if not key and maker_at(address) is OLLAMA and address.startswith("https://"):
        key = os.environ.get(OLLAMA.variable)
    if not key or any(name.lower() == "authorization" for name in headers):
        return dict(headers)
    return {"Authorization": f"Bearer {key.strip()}", **headers}
