"""No error of the SDK, of its HTTP library or of a caller's hook leaves a model client as it is."""

import asyncio
import inspect
import json
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import openai
import pytest

from teamrun.errors import ModelError, UsageError
from teamrun.messages.llm import UserMessage
from teamrun.models import OpenAIChatCompletionClient
from teamrun.models.openai.errors import mapped_errors, to_model_error

ASK = [UserMessage(content="Hi", source="user")]
REQUEST = httpx2.Request("POST", "http://127.0.0.1:1/v1/chat/completions")


def exceptions_of(module: Any) -> list[type[Exception]]:
    # Names in lower case are modules, some of which take long to import.
    members = [getattr(module, name) for name in dir(module) if name[0].isupper()]
    return [
        member
        for member in members
        if inspect.isclass(member)
        and issubclass(member, Exception)
        and not issubclass(member, Warning)
    ]


FOREIGN = [
    *exceptions_of(openai),
    *exceptions_of(httpx2),
    *exceptions_of(anyio),
    ssl.SSLError,
    OSError,
    TimeoutError,
    json.JSONDecodeError,
    UnicodeEncodeError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    ZeroDivisionError,
]


def an(kind: type[Exception]) -> Exception:
    """An instance, made without the constructor's arguments."""
    error = kind.__new__(kind)
    Exception.__init__(error, "x")
    response = httpx2.Response(500, request=REQUEST)
    details = {"message": "x", "code": None, "type": None, "status_code": 500, "request": REQUEST}
    for name, value in {**details, "response": response, "request_id": None, "body": None}.items():
        try:
            setattr(error, name, value)
        except AttributeError:  # a read-only property
            continue
    return error


def client(handler: Callable[[httpx2.Request], httpx2.Response], **options: Any) -> Any:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handler))
    defaults: dict[str, Any] = {"api_key": "sk-secret", "max_retries": 0, "http_client": http}
    return OpenAIChatCompletionClient("gpt-4o", **{**defaults, **options})


async def failure(
    handler: Callable[[httpx2.Request], httpx2.Response], **options: Any
) -> ModelError:
    model = client(handler, **options)
    with pytest.raises(ModelError) as raised:
        try:
            await model.create(ASK)
        finally:
            await model.close()
    return raised.value


@pytest.mark.behaviour("model.errors")
@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_foreign_error_becomes_a_model_error_with_its_cause(kind: type[Exception]) -> None:
    foreign = an(kind)
    with pytest.raises(ModelError) as raised, mapped_errors():
        raise foreign
    assert raised.value.__cause__ is foreign
    json.dumps(raised.value.as_json())


@pytest.mark.parametrize(
    "kind", [kind for kind in exceptions_of(httpx2) if issubclass(kind, httpx2.RequestError)]
)
async def test_exceptions_of_the_transport_are_mapped(kind: type[Exception]) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise kind("x")

    assert (await failure(handler)).__cause__ is not None


def test_cancellation_and_our_own_errors_pass_unmapped() -> None:
    for kind in (asyncio.CancelledError, UsageError, GeneratorExit):
        with pytest.raises(kind), mapped_errors():
            raise kind("x")


@pytest.mark.parametrize(
    ("status", "headers", "code", "retryable"),
    [
        (400, {}, None, False),
        (401, {}, "invalid_api_key", False),
        (404, {}, "model_not_found", False),
        (408, {}, None, True),
        (409, {}, None, True),
        (422, {}, None, False),
        (429, {}, "rate_limit_exceeded", True),
        (429, {}, "insufficient_quota", False),
        (429, {"x-should-retry": "false"}, None, False),
        (400, {"x-should-retry": "true"}, None, True),
        (500, {}, None, True),
        (529, {}, None, True),
    ],
)
async def test_status_headers_and_code_say_whether_to_try_again(
    status: int, headers: dict[str, str], code: str | None, retryable: bool
) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        body = {"error": {"message": "no", "code": code}}
        return httpx2.Response(status, json=body, headers={**headers, "x-request-id": "r1"})

    error = await failure(handler)
    assert (error.status_code, error.retryable) == (status, retryable)
    assert error.data["request_id"] == "r1"
    assert error.data.get("provider_code") == code


async def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    error = await failure(lambda _: httpx2.Response(429, headers={"retry-after": "7"}, json={}))
    assert error.data["retry_after"] == 7.0


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>", headers={"content-type": "text/html"}),
        httpx2.Response(200, text="{", headers={"content-type": "application/json"}),
        httpx2.Response(200, json={}),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json="x"),
        httpx2.Response(200, json={"choices": []}),
        httpx2.Response(200, json={"choices": "none"}),
        httpx2.Response(200, json={"choices": [{"index": 0, "message": None}]}),
        httpx2.Response(
            200, json={"choices": [{"message": {"tool_calls": [{"type": "function"}]}}]}
        ),
    ],
    ids=range(9),
)
async def test_an_answer_that_cannot_be_read_is_a_passing_failure(answer: httpx2.Response) -> None:
    assert (await failure(lambda _: answer)).retryable is True


async def test_a_key_with_a_line_end_is_taken_without_it_and_no_key_is_ever_in_a_message() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["authorization"])
        raise httpx2.LocalProtocolError("Illegal header value b'Bearer sk-secret\\n'")

    error = await failure(handler, api_key="sk-secret\n")
    assert seen == ["Bearer sk-secret"]
    assert "sk-secret" not in json.dumps(error.as_json())
    assert error.retryable is False


@pytest.mark.parametrize(
    "url", ["localhost:1/v1", "htps://u:{}@gw/v1", "u:{}@gw/v1", "http://u:{}#x@gw", "http://h:x{}"]
)
def test_an_address_that_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        OpenAIChatCompletionClient("m", base_url=url.format("s3cr3tPW"), api_key="k")
    assert raised.value.as_json()["argument"] == "base_url"
    assert "s3cr3tPW" not in str(raised.value)


async def test_a_password_in_the_address_is_in_no_error() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(500, text=f"cannot proxy {request.url}")

    error = await failure(handler, base_url="http://svc:s3cr3tPW@gw/v1", api_key="k")
    assert "s3cr3tPW" not in json.dumps(error.as_json())


async def test_a_key_function_may_raise_anything() -> None:
    async def no_key() -> str:
        raise LookupError("vault sealed")

    assert isinstance(to_model_error(LookupError("x")), ModelError)
    error = await failure(lambda _: httpx2.Response(200, json={}), api_key=no_key)
    assert "vault sealed" in str(error)


def test_a_missing_key_or_model_or_a_misspelt_argument_is_named() -> None:
    misspelt: dict[str, Any] = {"api_key": "k", "temperatur": 1}
    with pytest.raises(UsageError) as no_key:
        OpenAIChatCompletionClient("gpt-4o")
    with pytest.raises(UsageError) as no_model:
        OpenAIChatCompletionClient(api_key="k")
    with pytest.raises(UsageError) as unknown:
        OpenAIChatCompletionClient("gpt-4o", **misspelt)
    arguments = [caught.value.data["argument"] for caught in (no_key, no_model, unknown)]
    assert arguments == ["api_key", "model", "temperatur"]


@pytest.mark.parametrize("seconds", [float("inf"), 1e300, timedelta(days=9)])
async def test_a_timeout_may_be_as_long_as_one_likes(seconds: Any) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Y"}}
    answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}

    model = client(
        lambda _: httpx2.Response(200, json=answer | {"choices": [choice]}), timeout=seconds
    )

    assert (await model.create(ASK)).content == "Y"
    await model.close()


@pytest.mark.parametrize("seconds", [float("nan"), float("-inf")])
def test_a_timeout_that_is_no_number_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="timeout must be a number of seconds or a timedelta, not"):
        OpenAIChatCompletionClient(model="gpt-4o", api_key="k", timeout=seconds)
