"""What AutoGen's components lose, and these keep."""

import json
import sys
from typing import Any

import pytest
from tests.unit.component.examples import look_up

from teamrun.agents import CodeExecutorAgent
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.core import ComponentLoader
from teamrun.models import AzureOpenAIChatCompletionClient, ChatCompletionClient
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool, Tool


@pytest.mark.behaviour("component.loss.strict")
def test_strict_is_written() -> None:
    written = [FunctionTool(look_up, strict=strict).dump_component() for strict in (True, False)]

    assert [each.config.get("strict") for each in written] == [True, None]
    read: Any = ComponentLoader.load_component(
        json.loads(written[0].model_dump_json()), Tool, tools=[FunctionTool(look_up, strict=True)]
    )
    assert read.schema["strict"] is True


@pytest.mark.behaviour("code_executor.component")
@pytest.mark.filterwarnings("ignore:No approval function")
def test_max_retries_on_error_is_written() -> None:
    agent = CodeExecutorAgent(
        "coder",
        LocalCommandLineCodeExecutor(),
        model_client=ScriptedModel([]),
        max_retries_on_error=2,
    )

    written = agent.dump_component()
    read = CodeExecutorAgent.load_component(written, classes=[LocalCommandLineCodeExecutor])

    assert written.config["max_retries_on_error"] == 2
    assert read.dump_component() == written


@pytest.mark.behaviour("model.azure.dump")
def test_a_client_of_azure_with_a_key_needs_no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    client = AzureOpenAIChatCompletionClient(
        "gpt-4o", azure_endpoint="https://r.openai.azure.com", api_version="v", api_key="k"
    )

    written = client.dump_component()

    assert "azure_ad_token_provider" not in written.config
    read = ChatCompletionClient.load_component(written)
    assert isinstance(read, AzureOpenAIChatCompletionClient)
