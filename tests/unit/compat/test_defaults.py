"""The constructors of AutoGen 0.7.5: the order, the names and the defaults of their arguments."""

import inspect
from typing import Any

import pytest
from tests.support.talkers import Talker

from teamrun import agents, code, conditions, context, memory, teams, tools

SIGNATURES: dict[Any, str] = {
    agents.AssistantAgent: "name model_client * tools=None workbench=None handoffs=None "
    "model_context=None description system_message model_client_stream=False "
    "reflect_on_tool_use=None max_tool_iterations=1 tool_call_summary_format='{result}' "
    "tool_call_summary_formatter=None output_content_type=None output_content_type_format=None "
    "memory=None metadata=None",
    agents.UserProxyAgent: "name * description input_func=None",
    agents.CodeExecutorAgent: "name code_executor * model_client=None model_context=None "
    "model_client_stream=False max_retries_on_error=0 description=None system_message sources=None "
    "supported_languages=None approval_func=None",
    agents.SocietyOfMindAgent: "name team model_client * description instruction response_prompt "
    "model_context=None",
    agents.MessageFilterAgent: "name wrapped_agent filter",
    teams.RoundRobinGroupChat: "participants * name=None description=None "
    "termination_condition=None max_turns=None custom_message_types emit_team_events=False "
    "runtime=None",
    teams.SelectorGroupChat: "participants model_client * name=None description=None "
    "termination_condition=None max_turns=None selector_prompt allow_repeated_speaker=False "
    "max_selector_attempts=3 selector_func=None candidate_func=None emit_team_events=False "
    "model_client_streaming=False model_context=None runtime=None",
    teams.Swarm: "participants * termination_condition=None max_turns=None emit_team_events=False",
    teams.GraphFlow: "participants graph * termination_condition=None max_turns=None runtime=None",
    teams.MagenticOneGroupChat: "participants model_client * termination_condition=None "
    "max_turns=20 max_stalls=3 final_answer_prompt emit_team_events=False",
    conditions.MaxMessageTermination: "max_messages include_agent_event=False",
    conditions.TextMentionTermination: "text sources=None",
    conditions.TokenUsageTermination: "max_total_token=None max_prompt_token=None "
    "max_completion_token=None",
    conditions.HandoffTermination: "target",
    conditions.TimeoutTermination: "timeout_seconds",
    conditions.SourceMatchTermination: "sources",
    conditions.TextMessageTermination: "source=None",
    conditions.FunctionCallTermination: "function_name",
    conditions.FunctionalTermination: "func",
    context.BufferedChatCompletionContext: "buffer_size initial_messages=None",
    context.HeadAndTailChatCompletionContext: "head_size tail_size initial_messages=None",
    context.TokenLimitedChatCompletionContext: "model_client * token_limit=None tool_schema=None "
    "initial_messages=None",
    memory.ListMemory: "name=None memory_contents=None",
    tools.FunctionTool: "func description name=None global_imports strict=False",
    tools.AgentTool: "agent return_value_as_last_message=False",
    tools.TeamTool: "team name description return_value_as_last_message=False",
    tools.StaticWorkbench: "tools tool_overrides=None",
    tools.BaseTool: "args_type return_type name description strict=False",
    code.LocalCommandLineCodeExecutor: "timeout=60 work_dir=None * cleanup_temp_files=True "
    "virtual_env_context=None",
}
"""A `*` before those that AutoGen takes by keyword; a default is given if it is a short one."""


@pytest.mark.behaviour("team.arguments", "assistant.defaults")
@pytest.mark.parametrize("cls", SIGNATURES, ids=lambda cls: cls.__name__)
def test_arguments_have_autogens_order_and_defaults(cls: Any) -> None:
    positional, _, by_keyword = (each.split() for each in SIGNATURES[cls].partition("*"))
    ours = inspect.signature(cls).parameters

    assert list(ours)[: len(positional)] == [each.partition("=")[0] for each in positional]
    for each in (*positional, *by_keyword):
        name, sign, default = each.partition("=")
        assert name in ours
        assert not sign or repr(ours[name].default) == default, name


@pytest.mark.behaviour("team.names", "team.names.subclass")
def test_the_names_of_teams_are_those_of_their_classes() -> None:
    class Desk(teams.RoundRobinGroupChat):
        pass

    class Named(Desk):
        DEFAULT_NAME = "office"
        DEFAULT_DESCRIPTION = "An office."

    for cls in (teams.RoundRobinGroupChat, teams.SelectorGroupChat, Desk):
        assert (cls.__name__, "A team of agents.") == (cls.DEFAULT_NAME, cls.DEFAULT_DESCRIPTION)
    made = [cls([Talker("a")]) for cls in (Desk, Named)]
    assert [(each.name, each.description) for each in made] == [
        ("Desk", "A team of agents."),
        ("office", "An office."),
    ]
