"""Small things of AutoGen's model clients: options, older forms, errors, estimates."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.model_server import ModelServer

from teamrun.errors import DefinitionError, UsageError
from teamrun.messages import UserMessage
from teamrun.models import (
    ChatCompletionClient,
    OpenAIChatCompletionClient,
    make_client,
    model_client_from_env,
)
from teamrun.models.families import model_info_for, validated
from teamrun.models.makers import access_to
from teamrun.testing import ScriptedModel

ASK = [UserMessage(content="x" * 400, source="user")]
OPTIONS: dict[str, Any] = {
    "temperature": 0.2,
    "max_tokens": 9,
    "seed": 3,
    "stop": ["END"],
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "user": "u",
    "n": 1,
    "logit_bias": {"5": 1},
}


@pytest.mark.behaviour("model.openai.arguments")
async def test_the_options_of_a_client_go_with_every_call() -> None:
    async with ModelServer() as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", api_key="k", base_url=server.base_url, **OPTIONS
        )
        await client.create(ASK)
        await client.create(ASK, extra_create_args={"temperature": 1.0})
        await client.close()
    first, second = (request["body"] for request in server.requests[-2:])
    assert {name: first[name] for name in OPTIONS} == OPTIONS
    assert (second["temperature"], second["seed"]) == (1.0, 3)


@pytest.mark.behaviour("model.openai.stream_arguments")
async def test_a_stream_takes_autogens_arguments() -> None:
    async with ModelServer() as server:
        client = OpenAIChatCompletionClient("gpt-4o", api_key="k", base_url=server.base_url)
        for wanted in (True, False):
            stream = client.create_stream(
                ASK, include_usage=wanted, max_consecutive_empty_chunk_tolerance=2
            )
            assert [item async for item in stream]
        await client.close()
    asked = [request["body"].get("stream_options") for request in server.requests[-2:]]
    assert asked == [{"include_usage": True}, None]


WRONG: dict[str, Callable[[], Any]] = {
    "an unknown model": lambda: model_info_for("gpt4o", own_server=False),
    "capabilities that lack some": lambda: validated({}),
    "no model": lambda: OpenAIChatCompletionClient(api_key="k"),
    "an unknown argument": lambda: OpenAIChatCompletionClient("gpt-4o", api_key="k", temprature=1),  # pyright: ignore[reportCallIssue] - a wrong call
}


@pytest.mark.behaviour("model.info", "model.errors.value_error")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_errors_of_models_are_value_errors(
    wrong: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_MODEL", raising=False)
    with pytest.raises(ValueError) as caught:
        wrong()
    assert isinstance(caught.value, UsageError)
    assert caught.value.code == "usage"


async def test_an_argument_of_a_call_that_is_wrong_is_a_value_error() -> None:
    client = OpenAIChatCompletionClient("gpt-4o", api_key="k")
    with pytest.raises(ValueError, match="no argument 'temprature'"):
        await client.create(ASK, extra_create_args={"temprature": 1})


@pytest.mark.behaviour("model.info.claude")
def test_claude_is_assumed_to_support_json_and_structured_output() -> None:
    info = model_info_for("claude-3-5-sonnet-20241022", own_server=False)
    assert (info["json_output"], info["structured_output"]) == (True, True)


@pytest.mark.behaviour("context.token_limited.estimate")
def test_tokens_are_estimated_without_a_tokenizer() -> None:
    assert ScriptedModel([]).count_tokens(ASK) == 104
    assert OpenAIChatCompletionClient("gpt-4o", api_key="k").count_tokens(ASK) == 104
    assert "tiktoken" not in sys.modules


@pytest.mark.behaviour("component.providers")
@pytest.mark.parametrize(
    "provider", ["openai_chat_completion_client", "OpenAIChatCompletionClient"]
)
def test_short_names_of_clients_are_read(provider: str) -> None:
    data: dict[str, Any] = {
        "provider": provider,
        "component_type": "model",
        "config": {"model": "gpt-4o", "api_key": "k"},
    }
    read = ChatCompletionClient.load_component(data)
    assert isinstance(read, OpenAIChatCompletionClient)


@pytest.mark.behaviour("config.models.planned")
@pytest.mark.parametrize("name", ["google"])
def test_types_that_are_planned_are_errors_with_a_remedy(name: str) -> None:
    with pytest.raises(DefinitionError, match="type 'openai'") as caught:
        make_client(name, model="m")
    assert caught.value.code == "not_available_yet"


@pytest.mark.behaviour("model.from_env.companies")
def test_a_client_of_google_takes_the_key_by_either_name() -> None:
    both = {"GOOGLE_API_KEY": "theirs", "GEMINI_API_KEY": "ours"}
    for environ, key in ((both, "ours"), ({"GOOGLE_API_KEY": "theirs"}, "theirs")):
        assert access_to("gemini-2.5-flash", None, environ).key == key
    assert access_to("gpt-4o", None, {"GOOGLE_API_KEY": "theirs"}).key is None
    client = model_client_from_env({"OPENAI_MODEL": "gemini-2.5-flash", "GOOGLE_API_KEY": "theirs"})
    assert isinstance(client, OpenAIChatCompletionClient)
