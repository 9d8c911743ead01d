"""The classes of AutoGen 0.2 with scripted models: two agents, functions, persons, group chats."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.model_replies import Plan, Reply
from tests.support.model_server import ModelServer

from teamrun.code import LocalCommandLineCodeExecutor
from teamrun.compat.autogen.v02 import (
    AssistantAgent,
    ConversableAgent,
    GroupChat,
    GroupChatManager,
    UserProxyAgent,
    config_list_from_json,
    filter_config,
    register_function,
)
from teamrun.compat.autogen.v02.agents import HumanInputMode
from teamrun.compat.autogen.v02.calls import wait_for
from teamrun.compat.autogen.v02.configs import PAGE
from teamrun.errors import DefinitionError, ModelError, UsageError
from teamrun.testing import ScriptedModel

UNKNOWN: Any = "x"


def model(*steps: Any) -> dict[str, Any]:
    return {"model_client": ScriptedModel(list(steps), record=True)}


def proxy(**options: Any) -> UserProxyAgent:
    given: dict[str, Any] = {"human_input_mode": "NEVER", "code_execution_config": False, **options}
    return UserProxyAgent("user", **given)


def typed(monkeypatch: pytest.MonkeyPatch, *replies: str) -> list[str]:
    """A person at the terminal; returns the questions."""
    prompts: list[str] = []
    answers = iter(replies)

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    monkeypatch.setattr("builtins.input", ask)
    return prompts


def ends(message: dict[str, Any]) -> bool:
    return "TERMINATE" in message["content"]


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [f"{each['role']}: {each['content']}" for each in messages]


@pytest.mark.behaviour("v02.two_agents")
def test_two_agents_talk_until_one_says_terminate(capsys: pytest.CaptureFixture[str]) -> None:
    config = model("Four.", "TERMINATE")
    assistant = AssistantAgent("assistant", llm_config=config)
    result = proxy(default_auto_reply="Sure?").initiate_chat(assistant, message="2 + 2?")

    assert texts(result.chat_history) == [
        "assistant: 2 + 2?",
        "user: Four.",
        "assistant: Sure?",
        "user: TERMINATE",
    ]
    names = ["user", "assistant", "user", "assistant"]
    assert [each["name"] for each in result.chat_history] == names
    assert result.summary == ""
    assert result.cost["completion_tokens"] == 2
    seen = config["model_client"].calls[1].messages
    assert [type(each).__name__ for each in seen] == [
        "SystemMessage",
        "UserMessage",
        "AssistantMessage",
        "UserMessage",
    ]
    assert capsys.readouterr().out.startswith("user (to assistant):\n\n2 + 2?\n\n-----")


@pytest.mark.behaviour("v02.functions")
def test_a_function_is_called_by_one_agent_and_executed_by_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call: Any = {"tool_calls": [{"id": "c", "name": "add", "arguments": {"a": 1, "b": 2}}]}
    assistant = AssistantAgent("assistant", llm_config=model(call, "3 TERMINATE"))
    user = proxy(is_termination_msg=ends)

    async def add(a: int, b: int) -> int:
        return a + b

    register_function(add, caller=assistant, executor=user, description="Add two numbers.")
    result = user.initiate_chat(assistant, message="1 + 2?", silent=True)

    assert result.summary == "3 "
    request, answered = result.chat_history[1:3]
    assert request["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1, "b": 2}'}
    assert answered["tool_responses"] == [{"tool_call_id": "c", "role": "tool", "content": "3"}]
    client = assistant.client_list[0]
    assert isinstance(client, ScriptedModel)
    assert [each["name"] for each in client.calls[0].tools] == ["add"]
    assert capsys.readouterr().out == "\n>>>>>>>> EXECUTING FUNCTION add...\n"
    assert client.calls[1].messages[-1].type == "FunctionExecutionResultMessage"


@pytest.mark.parametrize(
    ("arguments", "result"),
    [("{}", "Error: no"), ("{", "must be in JSON format"), ("[]", "must be a JSON object")],
)
def test_a_function_that_fails_is_a_text_for_the_model(arguments: str, result: str) -> None:
    def fail() -> None:
        raise ValueError("no")

    user = proxy(function_map={"fail": fail})
    for name, expected in (("fail", result), ("other", "Error: Function other not found.")):
        call = {"id": "c", "function": {"name": name, "arguments": arguments}}
        reply = user.generate_reply([{"role": "user", "content": "", "tool_calls": [call]}])
        assert isinstance(reply, dict)
        assert expected in reply["content"]


@pytest.mark.behaviour("v02.functions")
def test_functions_of_an_agent_are_executed_for_it_by_the_other() -> None:
    def weather(city: str) -> dict[str, str]:
        """The weather of a city."""
        return {"city": city}

    call: Any = {"tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}
    config = model(call, "TERMINATE")
    assistant = AssistantAgent("assistant", llm_config=config, functions=[weather])
    result = proxy().initiate_chat(assistant, message="Rome?", silent=True)

    assert result.chat_history[2]["content"] == '{"city": "Rome"}'
    assert config["model_client"].calls[0].tools[0]["description"] == "The weather of a city."


@pytest.mark.behaviour("v02.functions")
def test_schemas_in_the_configuration_are_shown_to_the_model() -> None:
    schema = {"name": "old", "description": "Old.", "parameters": {"type": "object"}}
    config: dict[str, Any] = model("a") | {
        "functions": [schema],
        "tools": [{"function": schema | {"name": "new"}}],
    }
    assistant = AssistantAgent("assistant", llm_config=config)
    assistant.generate_reply([{"role": "user", "content": "Hi"}])

    assert [each["name"] for each in config["model_client"].calls[0].tools] == ["old", "new"]


@pytest.mark.behaviour("v02.people")
def test_a_person_is_asked_before_each_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = typed(monkeypatch, "shorter", "", "exit")
    assistant = AssistantAgent("assistant", llm_config=model("long", "short", "done"))
    user = UserProxyAgent("user", code_execution_config=False, default_auto_reply="and now?")
    result = user.initiate_chat(assistant, message="Write.", silent=True)

    assert texts(result.chat_history)[2::2] == ["assistant: shorter", "assistant: and now?"]
    assert result.human_input == ["shorter", "", "exit"]
    assert prompts[0].startswith("Replying as user. Provide feedback to assistant.")


@pytest.mark.behaviour("v02.people")
def test_a_person_is_asked_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = typed(monkeypatch, "not yet", "")
    assistant = AssistantAgent("assistant", llm_config=model("TERMINATE", "TERMINATE"))
    user = proxy(human_input_mode="TERMINATE")
    result = user.initiate_chat(assistant, message="Write.", silent=True)

    assert texts(result.chat_history)[2] == "assistant: not yet"
    assert ["to skip" in each for each in prompts] == [False, False]


def test_a_person_who_interrupts_a_call_answers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "stop", "exit")
    call: dict[str, Any] = {"tool_calls": [{"id": "c", "name": "add", "arguments": {}}]}
    assistant = AssistantAgent("assistant", llm_config=model(call, "ok"))
    user = UserProxyAgent("user", code_execution_config=False)
    result = user.initiate_chat(assistant, message="Add.", silent=True)

    assert result.chat_history[2]["tool_responses"][0]["content"] == "USER INTERRUPTED: stop"


@pytest.mark.behaviour("v02.code", "v02.two_agents")
def test_code_in_a_message_is_executed_where_the_program_allows_it(tmp_path: Path) -> None:
    code = "Run this:\n```python\nfrom pathlib import Path\nprint(6 * 7, Path.cwd().name)\n```"
    config = {"work_dir": str(tmp_path), "use_docker": False}
    user = proxy(code_execution_config=config)
    good = user.generate_reply([{"role": "user", "content": code}])
    bad = user.generate_reply([{"role": "user", "content": "```sh\nexit 3\n```"}])
    none = user.generate_reply([{"role": "user", "content": "No code."}])

    assert good == f"exitcode: 0 (execution succeeded)\nCode output: 42 {tmp_path.name}\n"
    assert str(bad).startswith("exitcode: 3 (execution failed)")
    assert none == ""
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    given = proxy(code_execution_config={"executor": executor})
    assert given.generate_reply([{"role": "user", "content": code}]) == good


@pytest.mark.parametrize("config", [{"work_dir": "code"}, {"use_docker": True}])
def test_execution_in_docker_is_refused_when_the_agent_is_made(config: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Docker"):
        UserProxyAgent("user", code_execution_config=config)


def test_a_proxy_with_the_default_fails_when_it_meets_code() -> None:
    user = UserProxyAgent("user", human_input_mode="NEVER")
    assert user.generate_reply([{"role": "user", "content": "No code."}]) == ""
    with pytest.raises(UsageError, match="Docker"):
        user.generate_reply([{"role": "user", "content": "```python\n1\n```"}])


def test_the_first_message_can_come_from_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "Hello")
    assistant = AssistantAgent("assistant", llm_config=model("TERMINATE"))

    assert proxy().initiate_chat(assistant, silent=True).chat_history[0]["content"] == "Hello"


@pytest.mark.parametrize(("turns", "limit", "count"), [(1, None, 2), (2, None, 4), (None, 1, 4)])
def test_a_conversation_has_limits(turns: int | None, limit: int | None, count: int) -> None:
    assistant = AssistantAgent("assistant", llm_config=model("a", "b", "c"))
    user = proxy(max_consecutive_auto_reply=limit)
    result = user.initiate_chat(assistant, message="Go.", max_turns=turns, silent=True)

    assert len(result.chat_history) == count


@pytest.mark.behaviour("v02.two_agents")
def test_a_conversation_continues_without_clearing(capsys: pytest.CaptureFixture[str]) -> None:
    assistant = AssistantAgent("assistant", llm_config=model("a", "b", "c"))
    user = proxy()
    user.initiate_chat(assistant, message="1", max_turns=1, silent=True)
    result = user.initiate_chat(assistant, False, message="2", max_turns=1, silent=True)
    assert [each["content"] for each in result.chat_history] == ["1", "a", "2", "b"]
    last = {"content": "b", "role": "user", "name": "assistant"}
    assert user.last_message() == user.last_message(assistant) == last

    user.send("3", assistant, request_reply=False, silent=True)
    assert user.chat_messages[assistant][-1]["content"] == "3"
    user.reset()
    assert user.last_message() is None
    assert capsys.readouterr().out == ""


@pytest.mark.behaviour("v02.two_agents")
def test_a_message_that_is_received_is_answered() -> None:
    assistant = AssistantAgent("assistant", llm_config=model("answer"))
    user = proxy(max_consecutive_auto_reply=0)
    assistant.receive("question", user, silent=True)

    assert [each["content"] for each in user.chat_messages[assistant]] == ["answer"]


@pytest.mark.behaviour("v02.group_chat")
@pytest.mark.parametrize("method", ["auto", "round_robin", "random", "manual", "function"])
def test_a_group_chat(
    method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "9", "1", "1")
    picks: list[int] = []

    def first(candidates: list[ConversableAgent]) -> ConversableAgent:
        picks.append(len(candidates))
        return candidates[0]

    monkeypatch.setattr(random, "choice", first)
    coder = AssistantAgent("coder", llm_config=model("code", "more"), description="Writes code")
    critic = AssistantAgent("critic", llm_config=model("TERMINATE", "TERMINATE"))
    user = proxy()
    order = iter([coder, "round_robin"])

    def select(last: ConversableAgent, chat: GroupChat) -> Any:
        return next(order)

    selection: Any = select if method == "function" else method
    chat = GroupChat([user, coder, critic], speaker_selection_method=selection)
    manager = GroupChatManager(chat, llm_config=model("Perhaps coder or critic", "coder", "critic"))
    result = user.initiate_chat(manager, message="Go.", silent=True)

    said = [(each["name"], each["content"]) for each in chat.messages]
    assert said[0] == ("user", "Go.")
    if method != "manual":
        assert capsys.readouterr().out == ""
    assert picks == ([3, 3] if method == "random" else [])
    assert said[1:] == [("coder", "code"), ("critic", "TERMINATE")]
    assert [each["content"] for each in result.chat_history] == ["Go.", "code", "TERMINATE"]
    assert [each["content"] for each in critic.chat_messages[manager]] == [
        "Go.",
        "code",
        "TERMINATE",
    ]


def no_one(last: ConversableAgent, chat: GroupChat) -> None:
    return None


@pytest.mark.behaviour("v02.group_chat")
def test_a_group_chat_ends_after_its_rounds_or_when_no_one_is_chosen() -> None:
    cases: list[tuple[dict[str, Any], int]] = [
        ({"max_round": 2, "speaker_selection_method": "round_robin"}, 2),
        ({"speaker_selection_method": no_one}, 1),
    ]
    for options, count in cases:
        coder = AssistantAgent("coder", llm_config=model("code", "more"))
        chat = GroupChat([coder, proxy()], **options)
        GroupChatManager(chat).initiate_chat(chat.agents[1], message="Go.", silent=True)
        assert [each["name"] for each in chat.messages][:1] == ["user"]
        assert len(chat.messages) == count
        GroupChatManager(chat).initiate_chat(message="Again.", silent=True)
        assert [each["name"] for each in chat.messages][:1] == ["coder"]


def test_a_group_chat_gives_a_call_to_the_agent_with_the_function() -> None:
    call: Any = {"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}
    coder = AssistantAgent("coder", llm_config=model(call, "TERMINATE"))
    other, runner = AssistantAgent("other"), ConversableAgent("runner")

    def add(a: int) -> int:
        return a + 1

    register_function(add, caller=coder, executor=runner, description="Add one.")
    chat = GroupChat(
        [coder, other, runner], speaker_selection_method="round_robin", allow_repeat_speaker=False
    )
    proxy().initiate_chat(GroupChatManager(chat), message="Go.", silent=True)

    assert [(each["name"], each["content"]) for each in chat.messages[1:]] == [
        ("coder", ""),
        ("runner", "2"),
        ("coder", "TERMINATE"),
    ]


def test_a_speaker_that_the_model_does_not_name_is_the_first_candidate() -> None:
    chat = GroupChat([proxy(), AssistantAgent("coder")], [{"name": "x", "content": "Go."}])
    manager = GroupChatManager(chat, llm_config=model("?", "?", "?"))

    assert chat.select_speaker(chat.agents[0], manager) is chat.agents[1]
    chat.allow_repeat_speaker = False
    assert chat.select_speaker(chat.agents[0], manager) is chat.agents[1]  # the only candidate
    assert chat.agent_names == ["user", "coder"]
    assert chat.agent_by_name("coder") is chat.agents[1]


UNSUPPORTED: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a.initiate_chat(b, message="x", summary_method="reflection_with_llm"),
    lambda a, b: a.initiate_chat(b, message="x", cache=object()),
    lambda a, b: a.initiate_chat(b, message="x", carryover="y"),
    lambda a, b: a.generate_reply([{"role": "user", "content": "x"}], exclude=[1]),
    lambda a, b: a.a_initiate_chat(b, message="x"),
    lambda a, b: a.register_reply([b], None),
    lambda a, b: a.print_usage_summary(),
    lambda a, b: a.update_tool_signature({}, False),
    lambda a, b: GroupChat([a, b], [], allowed_or_disallowed_speaker_transitions={a: [b]}),
    lambda a, b: GroupChat([a, b], [], func_call_filter=False),
    lambda a, b: AssistantAgent("c", chat_messages={}),
    lambda a, b: ConversableAgent("c", silent=True),
    lambda a, b: UserProxyAgent("u", human_input_mode="NEVER").generate_reply(
        [{"role": "user", "content": "```python\nprint(1)\n```"}]
    ),
]


@pytest.mark.behaviour("v02.rest")
@pytest.mark.parametrize("call", UNSUPPORTED)
def test_the_rest_is_an_error_that_names_the_page(call: Any) -> None:
    with pytest.raises(UsageError, match=f"not supported here; {PAGE}"):
        call(proxy(), AssistantAgent("b"))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: AssistantAgent("a", llm_config={"temperature": 0}), "needs `config_list`"),
        (lambda: GroupChat([]), "unique names"),
        (lambda: GroupChat([proxy()], max_round=0), "`max_round`"),
        (
            lambda: GroupChat([proxy()], speaker_selection_method=UNKNOWN),
            "`speaker_selection_method`",
        ),
        (lambda: config_list_from_json("NO_SUCH_LIST"), "neither an environment variable"),
    ],
)
def test_wrong_arguments_are_named(call: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        call()


def test_the_next_speaker_is_printed_unless_the_chat_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for silent in (False, True):
        agents = [proxy(), AssistantAgent("b", llm_config=model("One", "TERMINATE"))]
        chat = GroupChat(agents, [], 2, speaker_selection_method="round_robin")
        agents[0].initiate_chat(GroupChatManager(chat), message="Go", silent=silent)
        assert ("\nNext speaker: b\n\n" in capsys.readouterr().out) is not silent


def test_arguments_that_change_nothing_are_taken() -> None:
    chat = GroupChat([proxy()], [], 3, "Admin", True, "round_robin", send_introductions=False)
    assert (chat.max_round, chat.speaker_selection_method) == (3, "round_robin")
    assert ConversableAgent("c", silent=None).name == "c"


def test_the_default_instructions_ask_for_code_that_the_user_executes() -> None:
    assistant = AssistantAgent("a")
    assert all(
        part in assistant.system_message
        for part in ("```python", "```sh", "# filename:", "TERMINATE", "functions")
    )
    assert assistant.description == AssistantAgent.DEFAULT_DESCRIPTION
    assert AssistantAgent("a", "Count.").description == "Count."
    modes: list[HumanInputMode] = ["ALWAYS", "TERMINATE", "NEVER"]
    assert len({proxy(human_input_mode=mode).description for mode in modes}) == 3


def test_the_first_message_can_be_made_by_a_function() -> None:
    def first(sender: ConversableAgent, recipient: ConversableAgent, context: Any) -> Any:
        return f"{sender.name} to {recipient.name}: {context['topic']}"

    assistant = AssistantAgent("assistant", llm_config=model("TERMINATE"))
    result = proxy().initiate_chat(assistant, message=first, silent=True, topic="tea")
    assert result.chat_history[0]["content"] == "user to assistant: tea"


def test_the_configuration_shows_the_functions_that_the_model_may_call() -> None:
    def double(number: int) -> int:
        return 2 * number

    given = model("TERMINATE")
    assistant = AssistantAgent("assistant", llm_config=given)
    for text in ("Twice.", "Double."):
        assistant.register_for_llm(name="double", description=text)(double)

    assert assistant.llm_config
    (tool,) = assistant.llm_config["tools"]
    assert (tool["type"], tool["function"]["name"]) == ("function", "double")
    assert tool["function"]["description"] == "Double."
    assert list(tool["function"]["parameters"]["properties"]) == ["number"]
    assert "tools" not in given


def test_a_choice_by_a_model_needs_a_model() -> None:
    chat = GroupChat([proxy(), AssistantAgent("b"), AssistantAgent("c")])
    with pytest.raises(UsageError, match="needs a model: pass `llm_config`"):
        chat.select_speaker(chat.agents[0], GroupChatManager(chat))


def test_several_conversations_have_no_single_last_message() -> None:
    user = proxy()
    for name in "ab":
        user.send("x", AssistantAgent(name), request_reply=False, silent=True)
    with pytest.raises(UsageError, match="several conversations"):
        user.last_message()
    untyped: Any = user
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = untyped.nothing


@pytest.mark.behaviour("v02.config")
def test_a_list_of_models_is_read_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"model": "a", "tags": ["x"]}, {"model": "b"}]
    (tmp_path / "LIST").write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.setenv("IN_PLACE", json.dumps(entries))
    monkeypatch.setenv("ELSEWHERE", str(tmp_path / "LIST"))

    assert config_list_from_json("LIST", str(tmp_path)) == entries
    assert config_list_from_json("IN_PLACE", filter_dict={"model": ["b"]}) == entries[1:]
    assert config_list_from_json("ELSEWHERE") == entries
    assert filter_config(entries, {"tags": ["x", "y"]}) == entries[:1]
    assert filter_config(entries, {"tags": ["x", None]}) == entries
    assert filter_config(entries, {"model": "a"}, exclude=True) == entries[1:]
    for text, problem in (("[", "is no JSON"), ("{}", "must be a JSON list")):
        monkeypatch.setenv("IN_PLACE", text)
        with pytest.raises(UsageError, match=problem):
            config_list_from_json("IN_PLACE")


@pytest.mark.behaviour("v02.config")
async def test_models_of_a_list_are_called_in_turn_over_http() -> None:
    plan = Plan(queue=[Reply(status=400), Reply(content="TERMINATE")])
    async with ModelServer(plan) as server:
        entry = {"model": "gpt-4o", "api_key": "k", "base_url": server.base_url}
        config = {"config_list": [entry, entry | {"price": [1, 2]}], "temperature": 0}
        config |= {"cache_seed": 41, "timeout": 30}
        assistant = AssistantAgent("assistant", llm_config=config)

        def run() -> str:
            return proxy().initiate_chat(assistant, message="Hi", silent=True).summary

        assert await asyncio.to_thread(run) == ""
        assert [each["body"]["temperature"] for each in server.requests] == [0, 0]
        failing = {"config_list": [entry]}
        server.plan = Plan(default=Reply(status=400))
        alone = AssistantAgent("alone", llm_config=failing)
        with pytest.raises(ModelError):
            await asyncio.to_thread(alone.generate_reply, [{"role": "user", "content": "Hi"}])
        for client in [*assistant.client_list, *alone.client_list]:
            await asyncio.to_thread(wait_for, client.close())


def test_an_azure_entry_and_an_unknown_option() -> None:
    entry = {"model": "gpt-4o", "api_type": "azure", "api_key": "k", "api_version": "2024-06-01"}
    entry["base_url"] = "https://example.openai.azure.com"
    client = AssistantAgent("a", llm_config={"config_list": [entry]}).client_list[0]
    assert type(client).__name__ == "AzureOpenAIChatCompletionClient"
    with pytest.raises(DefinitionError, match="temprature"):
        AssistantAgent("a", llm_config={"config_list": [entry | {"temprature": 0}]})
