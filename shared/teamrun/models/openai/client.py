"""OpenAI's chat completions, and every server that speaks them: Ollama, vLLM, gateways.

Above it: agents. Below it: an `Attempt` with the requests and calls of this folder, which a
`RetryingModel` repeats.
The SDK's own retries are off: ours respect the server's headers, are bounded in number and time,
and are observable (`retry.py`). The SDK is loaded when the first client is created.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from pydantic import BaseModel

from teamrun.core.cancellation import CancellationToken
from teamrun.core.clock import Clock
from teamrun.core.optional import require
from teamrun.core.urls import public_url
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import CreateResult, LLMMessage
from teamrun.models.attempt import Attempt, as_timedelta
from teamrun.models.base import ModelInfo, ToolChoice
from teamrun.models.component import arguments_of
from teamrun.models.create_args import CreateArgs, checked
from teamrun.models.families import is_reasoning, resolved_model_info
from teamrun.models.makers import (
    NO_KEY,
    OPENAI,
    Access,
    Maker,
    access_to,
    address_and_query,
    check_address,
    preset_named,
    provider_of,
    quirks_of,
)
from teamrun.models.openai.request import RequestBuilder
from teamrun.models.openai.stream_usage import UsageInStreams
from teamrun.models.quirks import NO_QUIRKS, Quirks
from teamrun.models.retry import RetryingModel, RetryPolicy
from teamrun.models.tool_names import HasSchema
from teamrun.models.wrong_arguments import ModelArgumentError
from teamrun.tools.schema import ToolSchema

if TYPE_CHECKING:
    import httpx2

    from teamrun.models.openai.calls import Connect

__all__ = ["BaseOpenAIClient", "OpenAIChatCompletionClient", "OpenAIClientBuilder"]

ApiKey = str | Callable[[], Awaitable[str]]
"""A key, or a function that is called for one before each request."""

_REMEDIES = {
    401: "check api_key, or the variable that it is read from",
    404: "check the model's name and base_url",
}


class BaseOpenAIClient(RetryingModel):
    """The common base of the OpenAI and the Azure client: everything but the connection."""

    def __init__(
        self,
        connect: "Connect",
        *,
        model: str,
        base_url: str,
        info: ModelInfo,
        timeout: timedelta,
        retry: RetryPolicy | None,
        max_retries: int | None,
        clock: Clock | None,
        add_name_prefixes: bool,
        include_name_in_message: bool,
        include_usage: bool | None,
        create_args: JsonMapping,
        sent_as: str | None = None,
        remedies: Mapping[int, str] | None = None,
        quirks: Quirks = NO_QUIRKS,
    ) -> None:
        from teamrun.models.openai.calls import OpenAICalls  # loads the SDK

        requests = RequestBuilder(
            model=model,
            sent_as=sent_as or model,
            info=info,
            create_args=checked(create_args),
            provider=provider_of(base_url),
            add_name_prefixes=add_name_prefixes,
            include_name_in_message=include_name_in_message,
            rename_max_tokens=is_reasoning(model),
            quirks=quirks,
        )
        calls = OpenAICalls(
            connect,
            timeout_seconds=timeout.total_seconds(),
            family=info["family"],
            remedies=remedies or _REMEDIES,
        )
        with_usage = UsageInStreams(
            calls,
            is_wanted=include_usage is not False and quirks.stream_options,
            options=requests.create_args.get("stream_options"),
        )
        super().__init__(Attempt(requests, with_usage), retry, max_retries, clock=clock)

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema | HasSchema] = (),
        tool_choice: ToolChoice | HasSchema = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
        include_usage: bool | None = None,
        max_consecutive_empty_chunk_tolerance: int = 0,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """Call the model once; yields text as it arrives, then the whole `CreateResult`.

        Thoughts that the server shows come first, between `<think>` and `</think>`. A failure is
        retried only if no text was yielded before it; otherwise it is raised, retryable, and
        the caller decides.

        Args:
            messages: The conversation.
            tools: The tools that the model may call.
            tool_choice: Which of them it may, must or must not call.
            json_output: Ask for JSON, or for JSON of that type.
            extra_create_args: Arguments of this call alone.
            cancellation_token: Ends the call.
            include_usage: Ask for usage in this call, or not; without it, as the client does.
            max_consecutive_empty_chunk_tolerance: Has no effect: empty chunks are always tolerated.

        Raises:
            ModelError: The call failed permanently, or broke off after text had been yielded.
            ModelArgumentError: The model does not support the request.
        """
        return super().create_stream(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=_asking_for_usage(extra_create_args, include_usage),
            cancellation_token=cancellation_token,
        )


class OpenAIChatCompletionClient(BaseOpenAIClient):
    """A model behind OpenAI's chat completions API.

    Args:
        model: Its name; without it, `OPENAI_MODEL`.
        api_key: Without it, the variable of the company at the address: `OPENAI_API_KEY`,
            `GEMINI_API_KEY` or `GOOGLE_API_KEY`, `ANTHROPIC_API_KEY`, `LLAMA_API_KEY` and so on
            (`makers.py`). At any other address, `OPENAI_API_KEY` if it is set; a server of your
            own may need none.
        preset: The server by its name, such as `groq` or `vllm` (`makers.PRESETS`): its address,
            the variable of its key, and how it differs from OpenAI. A company is known by its
            address as well.
        base_url: A server that speaks the same API, such as `http://127.0.0.1:11434/v1`. Without
            it, the address of the model's own company (`gemini-`, `claude-`, `Llama-`,
            `deepseek-chat`, `grok-`); for other models `OPENAI_BASE_URL`, else OpenAI's own.
        organization: OpenAI's organization; `org_id` is another name for it.
        timeout: Of a whole call, or of silence within a stream: seconds, or a `timedelta`; infinity
            is no limit.
        max_retries: How often a call is repeated after a transient failure.
        retry: The whole retry policy, in place of `max_retries`.
        model_info: The model's capabilities, if its name is unknown; or only the switches
            `alternate_roles`, `multiple_system_messages` and `empty_content`, for a server whose
            chat template is strict.
        add_name_prefixes: Begin each user message with `{source} said:`.
        include_name_in_message: Send the source of user messages in the `name` field.
        include_usage: Ask for usage in streams; `False` for servers that refuse `stream_options`.
            A server that refuses it by name gets none after its first refusal.
        default_headers: Sent with every request.
        http_client: An `httpx2.AsyncClient` of your own, for proxies and certificates.
        create_args: `temperature`, `max_tokens`, `seed` and the other arguments of a chat
            completion; they apply to every call.

    Raises:
        ModelArgumentError: An argument is missing, unknown or of the wrong type.
        MissingPackage: The `openai` package is not installed.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        api_key: ApiKey | None = None,
        preset: str | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        org_id: str | None = None,
        timeout: timedelta | float | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        model_info: ModelInfo | None = None,
        add_name_prefixes: bool = False,
        include_name_in_message: bool = True,
        include_usage: bool | None = None,
        default_headers: Mapping[str, str] | None = None,
        http_client: "httpx2.AsyncClient | None" = None,
        clock: Clock | None = None,
        **create_args: Unpack[CreateArgs],
    ) -> None:
        given = arguments_of(locals())
        require("openai", extra="openai", needed_by=type(self).__name__, lowest=(3,))
        model = model or os.environ.get("OPENAI_MODEL")
        if not model:
            raise ModelArgumentError(
                "No model: pass model=, or set OPENAI_MODEL.", argument="model"
            )
        self._given = given | {"model": model}
        server = None if preset is None else preset_named(preset)
        access = access_to(model, base_url or (server and server.base_url), os.environ)
        check_address(access.base_url, "base_url")
        quirks = quirks_of(access.base_url, server)
        self._base_url = access.base_url
        key = _key(api_key, access, server)
        seconds = as_timedelta(timeout)
        super().__init__(
            lambda: _connect(
                access,
                api_key=key,
                organization=organization or org_id,
                timeout=seconds,
                default_headers=default_headers,
                http_client=http_client,
            ),
            model=model,
            base_url=access.base_url,
            info=_info(model, model_info, access, quirks),
            timeout=seconds,
            retry=retry,
            max_retries=max_retries,
            clock=clock,
            add_name_prefixes=add_name_prefixes,
            include_name_in_message=include_name_in_message,
            include_usage=include_usage,
            create_args=create_args,
            quirks=quirks,
        )

    @classmethod
    def create_from_config(cls, config: JsonMapping) -> Self:
        """The client of these arguments."""
        return cls(**config)

    @property
    def base_url(self) -> str:
        """The address at which the model is called."""
        return self._base_url

    @staticmethod
    def builder() -> "OpenAIClientBuilder":
        """A builder for the same arguments: `builder().with_model("gpt-4o").build()`."""
        return OpenAIClientBuilder()


class OpenAIClientBuilder:
    """Collects the arguments of an `OpenAIChatCompletionClient`."""

    def __init__(self) -> None:
        self._options: JsonObject = {}

    def with_model(self, model: str) -> Self:
        """The model's name."""
        return self.with_options(model=model)

    def with_api_key(self, api_key: ApiKey) -> Self:
        """The key, or a function that returns one."""
        return self.with_options(api_key=api_key)

    def with_base_url(self, base_url: str) -> Self:
        """The server."""
        return self.with_options(base_url=base_url)

    def with_temperature(self, temperature: float) -> Self:
        """How freely the model chooses its words."""
        return self.with_options(temperature=temperature)

    def with_max_tokens(self, max_tokens: int) -> Self:
        """The longest answer."""
        return self.with_options(max_tokens=max_tokens)

    def with_options(self, **options: Any) -> Self:
        """Any other arguments of the constructor."""
        self._options.update(options)
        return self

    def build(self) -> OpenAIChatCompletionClient:
        """The client; raises what its constructor raises."""
        return OpenAIChatCompletionClient(**self._options)


def _asking_for_usage(extra: JsonMapping | None, include_usage: bool | None) -> JsonMapping | None:
    if include_usage is None:
        return extra
    given = extra or {}
    options: JsonMapping = given.get("stream_options") or {}
    return {**given, "stream_options": {"include_usage": include_usage, **options}}


def stripped(key: ApiKey | None) -> ApiKey | None:
    """Without the line end that a key read from a file tends to bring."""
    return key.strip() if isinstance(key, str) else key


def _info(model: str, given: ModelInfo | None, access: Access, quirks: Quirks) -> ModelInfo:
    """The capabilities of a model on that server; the caller's own switches take precedence."""
    info = resolved_model_info(model, given, own_server=not access.is_openai)
    return cast(ModelInfo, {**info, **quirks.switches, **(given or {})})


def _key(api_key: ApiKey | None, access: Access, server: Maker | None) -> ApiKey:
    """The key to send to that address.

    Raises:
        ModelArgumentError: There is none, and the address needs one.
    """
    key = stripped(api_key or access.key)
    if not key and access.variable is None:
        # By the SDK's convention, for a server that is not known by its name.
        own = stripped(os.environ.get(OPENAI.variable)) if server is None else None
        key = own or NO_KEY
    if not key:
        raise ModelArgumentError(
            f"No API key for {public_url(access.base_url)}: pass api_key=, or set "
            f"{access.variable}; a server of your own (base_url=) may need none.",
            argument="api_key",
        )
    return key


def _connect(
    access: Access,
    *,
    organization: str | None,
    timeout: timedelta,
    http_client: "httpx2.AsyncClient | None",
    **options: Any,
) -> Any:
    from openai import AsyncOpenAI

    from teamrun.models import http_answer, http_pool, redirects

    address = address_and_query(access.base_url)
    client = AsyncOpenAI(
        **options,
        base_url=address.url,
        default_query=address.query,
        organization=organization,
        max_retries=0,
        timeout=http_answer.timeouts(timeout.total_seconds()),
        http_client=redirects.guarded(http_client or http_pool.http_client()),
    )
    if not access.is_openai:  # the SDK takes OPENAI_ORG_ID and OPENAI_PROJECT_ID for every server
        client.organization, client.project = organization, None
    return client
