"""Objects written as components, and read again."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel, Field, SecretStr
from tests.unit.component.agent_examples import EXAMPLES
from tests.unit.component.examples import (
    KEY,
    Answer,
    Example,
    agent,
    flow,
    look_up,
    memory,
    model,
)

from teamrun.agents import AssistantAgent, BaseChatAgent, UserProxyAgent
from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.conditions import FunctionalTermination
from teamrun.core import Component, ComponentLoader, ComponentModel, ComponentWarning, Response
from teamrun.core.component.table import COMPONENTS, load
from teamrun.errors import DefinitionError, UsageError
from teamrun.json_types import JsonObject
from teamrun.messages import StructuredMessage, TextMessage
from teamrun.models import (
    AzureOpenAIChatCompletionClient,
    AzureTokenProvider,
    OpenAIChatCompletionClient,
)
from teamrun.models.retry import RetryPolicy
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel
from teamrun.tools import FunctionTool, StaticWorkbench

pytestmark = pytest.mark.filterwarnings("ignore:No approval function")

Json = dict[str, Any]

BY_NAME = [pytest.param(each, id=each.name) for each in EXAMPLES]


def bare(data: Any) -> Any:
    """A component without its labels and descriptions."""
    if isinstance(data, list):
        return [bare(each) for each in data]  # pyright: ignore[reportUnknownVariableType] - JSON
    if not isinstance(data, dict):
        return data
    is_component = "provider" in data and "config" in data
    left_out = {"label", "description"} if is_component else set[str]()
    return {key: bare(value) for key, value in data.items() if key not in left_out}  # pyright: ignore[reportUnknownVariableType] - JSON


def as_json(component: ComponentModel) -> Json:
    return json.loads(component.model_dump_json(exclude_none=True))


@pytest.mark.behaviour(
    "condition.tree", "component.every_class", "component.form", "component.loss.sources"
)
@pytest.mark.parametrize("example", BY_NAME)
def test_an_object_is_written_as_autogen_writes_it(example: Example) -> None:
    assert bare(as_json(example.make().dump_component())) == example.written


@pytest.mark.behaviour("component.every_class", "component.providers")
@pytest.mark.parametrize("example", BY_NAME)
def test_what_is_written_as_json_is_read_as_the_same_object_by_each_name(example: Example) -> None:
    made = example.make()
    written, row = made.dump_component().model_dump_json(), COMPONENTS[type(made).__name__]
    with_key = json.loads(written.replace("**********", KEY))  # the reader's own

    for provider in row.providers:
        read: Any = ComponentLoader.load_component(
            {**with_key, "provider": provider},
            object,
            tools=[look_up],
            classes=[Answer, LocalCommandLineCodeExecutor],
        )

        assert type(read) is load(row.cls)
        again = json.loads(read.dump_component().model_dump_json())
        assert comparable(again) == comparable(json.loads(written))


def comparable(data: Any) -> Any:
    """A component without the imports of its functions, which the reader passes."""
    text = json.dumps(bare(data))
    return json.loads(re.sub(r'"global_imports": \[.*?\]\}\]', '"global_imports": []', text))


@pytest.mark.behaviour("component.every_class", "component.providers")
def test_every_class_of_the_table_has_an_example_and_says_what_it_is() -> None:
    made = {type(each.make()).__name__: each.make() for each in EXAMPLES}

    assert made.keys() == COMPONENTS.keys()
    for name, row in COMPONENTS.items():
        cls = cast("Any", type(made[name]))
        assert (cls.component_provider_override, cls.component_type) == (row.provider, row.type)
        assert cls.component_version == row.version
        assert set(cls.component_config_schema.model_fields) == set(row.fields)


def test_the_reference_lists_every_class() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/components.md").read_text(encoding="utf-8")

    for name, row in COMPONENTS.items():
        assert f"| `{name}` | `{row.provider}` | `{row.type}` | {row.version} |" in page


@pytest.mark.behaviour("component.keys")
def test_a_key_stays_in_the_process_and_is_masked_in_every_dump() -> None:
    written = OpenAIChatCompletionClient("gpt-4o", api_key=KEY).dump_component()
    team = RoundRobinGroupChat(
        [AssistantAgent("a", OpenAIChatCompletionClient("gpt-4o", api_key=KEY))]
    )

    assert written.config["api_key"] == SecretStr(KEY)
    for text in (
        json.dumps(written.model_dump()),
        written.model_dump_json(),
        team.dump_component().model_dump_json(),
        repr(team.dump_component()),
    ):
        assert KEY not in text
        assert "**********" in text


@pytest.mark.behaviour("component.keys")
def test_headers_are_masked_like_keys() -> None:
    client = OpenAIChatCompletionClient("gpt-4o", api_key=KEY, default_headers={"x-key": KEY})

    assert as_json(client.dump_component())["config"]["default_headers"] == {"x-key": "**********"}


@pytest.mark.behaviour("component.form")
def test_the_name_and_the_first_paragraph_are_for_people() -> None:
    written = model().dump_component()

    assert (written.label, written.description) == (
        "ScriptedModel",
        "Answers with the steps of a script, in order.",
    )


def test_a_tool_that_is_no_plain_function_has_no_source() -> None:
    class Desk:
        def look(self, word: str) -> str:
            """Look."""
            return word

    for func in (Desk().look, lambda: "x"):
        written = FunctionTool(func, "Look.", name="look").dump_component()
        assert "source_code" not in written.config


def decorated(func: Any) -> Any:
    return func


@decorated
async def later(word: str) -> str:
    return word


def test_the_source_of_a_function_begins_with_its_definition() -> None:
    written = FunctionTool(later, "Later.").dump_component()

    assert written.config["source_code"] == "async def later(word: str) -> str:\n    return word\n"


@pytest.mark.behaviour("component.loss.input_func")
def test_a_function_that_asks_a_person_is_left_out_with_a_warning() -> None:
    with pytest.warns(ComponentWarning, match=r"'boss'.*input_func="):
        written = UserProxyAgent("boss", input_func=lambda _: "yes").dump_component()

    assert written.config == {"name": "boss", "description": "A human user"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", timedelta(seconds=3)),
        ("effects", "write"),
        ("on_unknown", "fail"),
        ("session", "stateful"),
        ("on_lost", "fail"),
    ],
)
def test_a_setting_that_autogen_lacks_is_left_out_with_a_warning(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    tool = FunctionTool(later, "Later.", **options)

    with pytest.warns(ComponentWarning, match=f"'{name}' of the tool 'later'.*tools="):
        written = tool.dump_component()

    assert written.config == FunctionTool(later, "Later.").dump_component().config


def approves(message: TextMessage) -> bool:
    return True


INEXPRESSIBLE: list[tuple[str, Any, str]] = [
    ("a selector function", lambda: SelectorGroupChat(
        [agent("a"), agent("b")], model(), selector_func=lambda _: "a"), "'selector_func'"),
    ("a candidate function", lambda: SelectorGroupChat(
        [agent("a"), agent("b")], model(), candidate_func=lambda _: ["a"]), "'candidate_func'"),
    ("a formatter", lambda: AssistantAgent(
        "a", model(), tool_call_summary_formatter=lambda _, __: ""), "summary_formatter'"),
    ("types of messages", lambda: RoundRobinGroupChat(
        [agent()], custom_message_types=[StructuredMessage[Answer]]), "'custom_message_types'"),
    ("a functional condition", lambda: RoundRobinGroupChat(
        [agent()], termination_condition=FunctionalTermination(bool)), "FunctionalTermination"),
    ("a function of an edge", lambda: flow(approves), "the edge to 'b' is a function"),
    ("approval of a tool", lambda: FunctionTool(
        later, "Later.", needs_approval=True), "'needs_approval' of FunctionTool 'later'"),
    ("a script by agent", lambda: ScriptedModel({"a": []}), "for_agent"),
    ("a latency", lambda: ScriptedModel([], latency=1), "latency"),
    ("a failure", lambda: ScriptedModel([{"error": {"message": "no"}}]), "failure"),
    ("a retry policy", lambda: OpenAIChatCompletionClient(
        "gpt-4o", api_key=KEY, retry=RetryPolicy()), "'retry'"),
    ("a class of answers", lambda: OpenAIChatCompletionClient(
        "gpt-4o", api_key=KEY, response_format=Answer), "'response_format'"),
    ("a credential", lambda: AzureOpenAIChatCompletionClient(
        "gpt-4o", azure_endpoint="https://r.openai.azure.com",
        azure_ad_token_provider=AzureTokenProvider(object())), "credential"),
    ("a function for tokens", lambda: AzureOpenAIChatCompletionClient(
        "gpt-4o", azure_endpoint="https://r.openai.azure.com",
        azure_ad_token_provider=lambda: "token"), "'azure_ad_token_provider'"),
]  # fmt: skip


@pytest.mark.behaviour("team.graph.json.functions", "condition.functional", "component.loss")
@pytest.mark.parametrize(
    ("make", "says"), [row[1:] for row in INEXPRESSIBLE], ids=[row[0] for row in INEXPRESSIBLE]
)
def test_what_cannot_be_expressed_is_an_error_that_names_it(make: Any, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        make().dump_component()


def test_types_of_messages_that_a_participant_announces_need_not_be_written() -> None:
    clerk = AssistantAgent("clerk", model(), output_content_type=Answer)
    team = RoundRobinGroupChat([clerk], custom_message_types=[StructuredMessage[Answer]])

    assert "custom_message_types" not in team.dump_component().config


def test_a_view_of_a_script_is_written_as_the_answers_of_its_agent() -> None:
    script = ScriptedModel({"a": ["one"], "b": ["two"]})

    [answer] = script.for_agent("b").dump_component().config["chat_completions"]

    assert answer["content"] == "two"


def test_the_default_token_provider_of_azure_is_written() -> None:
    client = AzureOpenAIChatCompletionClient(
        "gpt-4o",
        azure_endpoint="https://r.openai.azure.com",
        azure_ad_token_provider=AzureTokenProvider(None, "scope"),
    )

    written = as_json(client.dump_component())["config"]["azure_ad_token_provider"]

    assert written["config"] == {"provider_kind": "DefaultAzureCredential", "scopes": ["scope"]}


class EchoConfig(BaseModel):
    name: str
    loud: bool = False


class Echo(BaseChatAgent, Component[EchoConfig]):
    """Repeats.

    And nothing else.
    """

    component_config_schema = EchoConfig

    def __init__(self, name: str, *, loud: bool = False) -> None:
        super().__init__(name, "Repeats.")
        self.loud = loud

    @property
    def produced_message_types(self) -> list[type[TextMessage]]:
        return [TextMessage]

    async def on_messages(self, messages: Any, cancellation_token: Any = None) -> Response:
        text = messages[-1].to_text()
        return Response(
            chat_message=TextMessage(content=text.upper() if self.loud else text, source=self.name)
        )

    async def on_reset(self, cancellation_token: Any) -> None:
        pass

    def _to_config(self) -> EchoConfig:
        return EchoConfig(name=self.name, loud=self.loud)

    @classmethod
    def _from_config(cls, config: EchoConfig) -> "Echo":
        return cls(config.name, loud=config.loud)


@pytest.mark.behaviour("component.own")
async def test_an_agent_of_ones_own_is_written_and_read_in_a_team() -> None:
    written = RoundRobinGroupChat([Echo("echo", loud=True)], max_turns=1).dump_component()

    [echo] = written.config["participants"]
    assert echo["provider"] == f"{Echo.__module__}.Echo"
    assert (echo["component_type"], echo["description"]) == ("agent", "Repeats.")
    team = RoundRobinGroupChat.load_component(as_json(written), classes=[Echo])
    result = await team.run(task="hi")
    assert result.messages[-1].to_text() == "HI"


@pytest.mark.behaviour("component.own")
def test_a_class_of_ones_own_reads_its_component_without_being_passed() -> None:
    assert Echo.load_component(Echo("echo", loud=True).dump_component()).loud


class Renewed(Echo):
    """Repeats, and was once configured by another name."""

    component_version = 2

    @classmethod
    def _from_config_past_version(cls, config: JsonObject, version: int) -> "Renewed":
        return cls(f"{config['title']}_{version}")


class Later(Echo):
    """Reads no earlier configuration."""

    component_version = 2


@pytest.mark.behaviour("component.versions")
def test_a_class_reads_the_configurations_of_its_earlier_versions() -> None:
    old = Renewed("echo").dump_component()
    assert old.component_version == 2
    old.component_version, old.config = 1, {"title": "echo"}

    assert Renewed.load_component(old).name == "echo_1"
    old.provider = f"{Later.__module__}.Later"
    with pytest.raises(DefinitionError, match="_from_config_past_version"):
        Later.load_component(old)


class Subclass(AssistantAgent):
    """An agent with its base class's configuration."""


def test_a_subclass_has_a_name_of_its_own() -> None:
    written = Subclass("a", model()).dump_component()

    assert written.provider == f"{Subclass.__module__}.Subclass"
    assert type(AssistantAgent.load_component(written, classes=[Subclass])) is Subclass


def test_a_class_without_a_configuration_says_how_to_write_one() -> None:
    class Silent(Echo):
        component_provider_override = "mine.Silent"

        def _to_config(self) -> Any:
            return BaseChatAgent._to_config(self)

    with pytest.raises(UsageError, match="component_config_schema"):
        Silent("s").dump_component()


@pytest.mark.behaviour("component.own")
def test_a_class_that_is_local_to_a_function_cannot_be_named() -> None:
    class Local(Echo):
        pass

    with pytest.raises(TypeError, match="Local is local to a function"):
        Local("a").dump_component()


def test_a_workbench_of_tools_becomes_the_tools_of_the_agent() -> None:
    benches = AssistantAgent("a", model(), workbench=[StaticWorkbench([FunctionTool(look_up)])])

    read = AssistantAgent.load_component(benches.dump_component(), tools=[look_up])

    assert read.dump_component().config["workbench"][0]["config"]["tools"]
    assert memory().dump_component().provider == "autogen_core.memory.ListMemory"


def _always(_: object) -> bool:
    return True


def test_a_function_as_the_condition_of_an_edge_cannot_be_written() -> None:
    with pytest.raises(UsageError) as raised:
        flow(_always).dump_component()

    assert "Error calling function" not in str(raised.value)
    assert "is a function, which is no data; use a text" in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": float("nan")},
        {"top_p": float("inf")},
        {"extra_body": {"a": [{"b": float("-inf")}]}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_numbers_that_are_no_json_cannot_be_written(options: Any) -> None:
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="sk-x", **options)

    with pytest.raises(UsageError, match="NaN and infinite numbers are no JSON") as raised:
        client.dump_component()

    assert repr(next(iter(options))) in str(raised.value)


class Tree(BaseModel):
    branches: "list[Tree] | None" = None


class Code(BaseModel):
    code: str = Field(pattern="^a+$")


@pytest.mark.parametrize("answer", [Tree, Code])
def test_a_schema_that_cannot_be_read_again_is_a_warning(answer: type[BaseModel]) -> None:
    first = AssistantAgent("a", model(), output_content_type=answer)

    with pytest.warns(ComponentWarning, match=rf"classes=\[{answer.__name__}\]"):
        written = first.dump_component()

    with pytest.raises(DefinitionError, match=f"The schema of '{answer.__name__}' cannot be used"):
        AssistantAgent.load_component(written)
    again = AssistantAgent.load_component(written, classes=[answer])
    assert again._output_content_type is answer  # pyright: ignore[reportPrivateUsage]


def test_metadata_of_a_component_are_texts() -> None:
    written = AssistantAgent("a", model()).dump_component().model_dump()
    written["config"]["metadata"] = {"a": [1]}

    with pytest.raises(DefinitionError, match=r"metadata\['a'\] must be a text, not list"):
        AssistantAgent.load_component(written, model_client=model())
