"""Names and small parts of AutoGen and of its guides that exist for scripts alone."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.support.pages import page

import teamrun.compat.autogen as compat
from teamrun.agents import CodeExecutorAgent
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.compat.autogen.table import ABSENT, homes, packages
from teamrun.errors import UsageError
from teamrun.messages import Image, StructuredMessage, SystemMessage, UserMessage
from teamrun.testing import ScriptedModel

GUIDE = page("docs/how-to/bring-autogen-teams.md")
SCHEMA = {"title": "Answer", "type": "object", "properties": {"city": {"type": "string"}}}


@pytest.fixture(autouse=True)
def forget_modules() -> Iterator[None]:
    compat.install()
    yield
    for name in set(sys.modules) & packages():
        del sys.modules[name]


def named(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


@pytest.mark.behaviour("message.names", "import.dialect")
@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("autogen_agentchat.events.AgentStarted", "teamrun.core.bus"),
        ("autogen_core.config.ConfigLoader", "teamrun.components.config_loader"),
        ("autogen_ext.models.bedrock.BedrockChatCompletionClient", "teamrun.models"),
        ("autogen_ext.models.ollama.OllamaChatCompletionClient", "teamrun.models"),
        ("autogen_ext.models.azure.AzureOpenAIChatCompletionClient", "teamrun.models"),
        ("autogen_agentchat.messages.ToolCallMessage", "teamrun.messages"),
        ("autogen_agentchat.messages.ToolResultMessage", "teamrun.messages"),
        ("autogen_agentchat.messages.MultimodalMessage", "teamrun.messages"),
        ("autogen_agentchat.messages.AgentEvent", "teamrun.messages"),
        ("autogen_agentchat.conditions.ComposedTermination", "teamrun.conditions"),
    ],
)
def test_names_that_guides_give(name: str, home: str) -> None:
    module, _, last = name.rpartition(".")
    assert named(module, last) is named(home, last)


@pytest.mark.behaviour("model.google")
async def test_the_client_of_google_calls_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "g")
    make = named("autogen_ext.models.google", "GoogleChatCompletionClient")
    client = make(model="gemini-2.0-flash")
    assert "generativelanguage.googleapis.com" in client.base_url
    await client.close()


@pytest.mark.behaviour("core.logging.agentchat")
def test_the_loggers_of_agentchat_have_its_names() -> None:
    assert named("autogen_agentchat", "TRACE_LOGGER_NAME") == "autogen_agentchat"
    assert named("autogen_agentchat", "EVENT_LOGGER_NAME") == "autogen_agentchat.events"


@pytest.mark.behaviour("import.native")
def test_the_table_of_the_guide_names_the_module_of_each_name() -> None:
    rows = GUIDE.table("## Port a program")
    lacking: list[tuple[str, str]] = []
    for module in sorted(packages()):
        described = " ".join(right for left, right in rows if f"`{module}`" in left)
        for home in sorted({home for home, _ in homes(module).values()} - {ABSENT}):
            folder = ".".join(home.split(".")[:2])
            if folder not in described and folder != "teamrun.compat":
                lacking.append((module, home))
    assert lacking == []


@pytest.mark.behaviour("import.utils")
def test_small_functions() -> None:
    image = Image.from_bytes(b"\x89PNG\r\n\x1a\n-")
    seen = UserMessage(content=["look", image], source="u")
    told = SystemMessage(content="x")

    utils = import_module("autogen_agentchat.utils")
    assert utils.content_to_str(seen.content) == "look\n<image>"
    assert utils.content_to_str("text") == "text"
    assert utils.remove_images([told, seen]) == [
        told,
        UserMessage(content="look\n<image>", source="u"),
    ]
    core = import_module("autogen_core.utils")
    assert core.extract_json_from_str('```json\n{"a": 1}\n```') == [{"a": 1}]
    made = core.schema_to_pydantic_model(SCHEMA, "Answer")
    assert (made.__name__, made(city="Oslo").city) == ("Answer", "Oslo")


@pytest.mark.behaviour("import.states")
async def test_states_are_classes() -> None:
    state = named("autogen_agentchat.state", "AssistantAgentState")
    agent = named("autogen_agentchat.agents", "AssistantAgent")("a", ScriptedModel(["hi"]))
    await agent.run(task="go")

    read = state.model_validate(await agent.save_state())
    context = named("autogen_core.model_context", "ChatCompletionContextState")
    assert [m.content for m in context.model_validate(read.llm_context).messages] == ["go", "hi"]
    await agent.load_state(read.model_dump())

    society = named("autogen_agentchat.state", "SocietyOfMindAgentState")
    assert society(inner_team_state={"a": 1}).model_dump()["inner_team_state"] == {"a": 1}


@pytest.mark.behaviour("import.message_types")
def test_types_of_messages_and_models() -> None:
    factory = named("autogen_agentchat.messages", "StructuredMessageFactory")
    of_schema = factory(json_schema=SCHEMA, format_string="{city}!", content_model_name="Answer")
    of_class = factory(input_model=of_schema.ContentModel)

    message = of_schema.StructuredMessage(
        content=of_schema.ContentModel(city="Oslo"), source="a", format_string="{city}!"
    )
    assert message.to_text() == "Oslo!"
    assert of_class.StructuredMessage is StructuredMessage[of_schema.ContentModel]
    with pytest.raises(ValueError, match="json_schema"):
        factory()
    models = import_module("autogen_core.models")
    token = models.ChatCompletionTokenLogprob(
        token="a", logprob=-1.0, top_logprobs=[models.TopLogprob(logprob=-2.0)]
    )
    assert token.model_dump()["top_logprobs"] == [{"logprob": -2.0, "bytes": None}]


@pytest.mark.behaviour("code_executor.execution_config")
@pytest.mark.filterwarnings("ignore:No approval function")
def test_a_configuration_makes_the_executor(tmp_path: Path) -> None:
    agent = CodeExecutorAgent(
        "coder", code_execution_config={"work_dir": str(tmp_path), "use_docker": False}
    )
    executor = agent._code_executor  # pyright: ignore[reportPrivateUsage]
    assert isinstance(executor, LocalCommandLineCodeExecutor)
    assert (executor.work_dir, executor.timeout) == (tmp_path, 60)


@pytest.mark.parametrize(
    ("config", "text"),
    [({"use_docker": True}, "no executor in Docker"), ({"dir": "x"}, "no key 'dir'")],
)
def test_a_configuration_that_cannot_be_followed_is_refused(
    config: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        CodeExecutorAgent("coder", code_execution_config=config)


def test_an_agent_without_executor_is_refused() -> None:
    with pytest.raises(TypeError, match="code_executor must be"):
        CodeExecutorAgent("coder")
