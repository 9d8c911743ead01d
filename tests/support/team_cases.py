"""Rows of the table of features: teams, conditions, contexts and options of a model's agent."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.ways_to_run import calls, case

__all__ = ["TEAM_CASES"]

SERVER = [sys.executable, str(Path(__file__).with_name("mcp_stdio.py"))]

NESTED = {"type": "round_robin_group_chat", "agents": ["b"], "max_turns": 2}
SELECTOR = {"type": "selector_group_chat", "model": "m"}
USED = {"content": "Used", "usage": {"prompt_tokens": 5, "completion_tokens": 5}}
B = {"b": {"model": "m"}}
GRAPH = {
    "default_start_node": "a",
    "nodes": {
        "a": {"name": "a", "activation": "all", "edges": [{"target": "b"}, {"target": "c"}]},
        **{name: {"edges": [{"target": "d", "activation_group": "join"}]} for name in ("b", "c")},
        "d": {
            "edges": [
                {"target": "a", "condition": "loop", "activation_condition": "any"},
                {"target": "e", "condition": "never"},
            ]
        },
        "e": {},
    },
}
"""Two at the same time, again and again."""


def stops(id: str, condition: dict[str, Any], *, last: str = "Two", **more: Any) -> Any:
    """A team that would speak nine times, and stops at the condition."""
    steps = more.pop("steps", ["One", "Two", "Three", "Four"])
    team = {"max_turns": 9, "termination": condition}
    return case(f"stops at {id}", steps, team=team, contains=last, **more)


def context(id: str, **sizes: Any) -> Any:
    return case(
        f"a context, {id}",
        ["One", calls("pay", euros=1), "Three"],
        tools=["pay"],
        agent={"model_context": {"type": id, **sizes}},
        team={"max_turns": 3},
        paid="1;",
        contains="Three",
    )


def progress(speaker: str, say: str, *, done: bool = False, moving: bool = True) -> str:
    """A progress ledger of Magentic-One."""
    answers = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": moving,
        "next_speaker": speaker,
        "instruction_or_question": say,
    }
    return json.dumps({k: {"reason": "so it is", "answer": v} for k, v in answers.items()})


TEAM_CASES = [
    case(
        "events of a team",
        ["One"],
        team={"description": "Speaks.", "emit_team_events": True},
        contains="One",
    ),
    case(
        "a selector that stops",
        ["Haiku"],
        agents=B,
        script={"b": ["APPROVE"], "selector": ["a", "b"]},
        team={
            **SELECTOR,
            "max_turns": 9,
            "output": "a",
            "termination": {"type": "text_mention", "text": "APPROVE"},
        },
        contains="APPROVE",
        output="Haiku",
    ),
    case(
        "a shared memory",
        [calls("write_shared_memory", key="plan", value={"n": [1]})],
        agents=B,
        script={"b": [calls("read_shared_memory", key="plan")]},
        team={"shared_memory": True},
        contains='{"n": [1]}',
    ),
    case(
        "objectives and constraints",
        ["One"],
        team={"objectives": ["Win"], "constraints": ["Be brief"]},
        contains="One",
    ),
    case(
        "functions of a selector",
        ["One", "Again", "Third"],
        agents=B,
        functions=("pick", "among"),
        script={"b": ["Of b"], "selector": ["a", "a"]},
        team={
            **SELECTOR,
            "selector_func": "pick",
            "candidate_func": "among",
            "max_turns": 4,
        },
        contains="Third",
    ),
    case(
        "a function of an edge",
        ["One", "Two"],
        agents={"b": {"model": "m"}, "c": {"model": "m"}},
        functions=("says_two",),
        script={"b": ["Two"], "c": ["Three"]},
        team={
            "type": "graph_flow",
            "max_turns": 5,
            "graph": {
                "nodes": {
                    "a": {"edges": [{"target": "b"}]},
                    "b": {"edges": [{"target": "c", "condition": {"function": "says_two"}}]},
                    "c": {},
                }
            },
        },
        contains="Three",
    ),
    stops("a function", {"type": "functional", "function": "heard_two"}, functions=("heard_two",)),
    stops(
        "a condition of one's own",
        {"type": "functional", "function": "Spoken"},
        functions=("Spoken",),
    ),
    case(
        "a team in Python",
        [calls("pay", euros=1)],
        script={"b": ["Two"], "selector": ["inner"]},
        teams={
            "desk": {
                "function": "case_tools:made",
                "model": "m",
                "description": "Pays.",
                "max_turns": 3,
                "output": "b",
            },
        },
        team={"agents": ["desk"], "max_turns": 1},
        paid="1;",
        contains="paid 1!",
    ),
    case(
        "a workbench",
        [calls("pay", euros=1), calls("plus", a=1, b=2)],
        tools=["pay"],
        servers={"ours": {"command": SERVER}},
        agent={
            "workbench": {
                "server": "ours",
                "tools": ["add"],
                "tool_overrides": {"add": {"name": "plus", "description": "Adds."}},
            }
        },
        team={"max_turns": 2},
        paid="1;",
        contains="3",
    ),
    stops("max_messages", {"type": "max_messages", "max_messages": 3}),
    stops(
        "max_messages with events",
        {"type": "max_messages", "max_messages": 4, "include_agent_event": True},
        steps=[calls("pay", euros=1), "Two"],
        tools=["pay"],
        paid="1;",
        last="paid 1",
    ),
    *(
        stops(limit, {"type": "token_usage", limit: 10}, steps=[USED, "Two", USED], last="Used")
        for limit in ("max_prompt_token", "max_completion_token")
    ),
    stops("max_total_token", {"type": "token_usage", "max_total_token": 11}, steps=[USED, "Two"]),
    stops(
        "timeout",
        {"type": "timeout", "timeout_seconds": 1e-6},
        last="One",
        why_not_in_library="the time of a run is its log's; elsewhere it passes within a turn",
    ),
    stops(
        "stop_message",
        {"type": "stop_message"},
        agents={"s": {"class": "case_tools:Stopper"}},
        last="Stop",
    ),
    stops("source_match", {"type": "source_match", "sources": ["a"]}, last="One"),
    stops("text_message", {"type": "text_message"}, last="go"),
    stops(
        "text_message of one",
        {"type": "text_message", "source": "b"},
        agents=B,
        script={"b": ["Of b"]},
        last="Of b",
    ),
    stops(
        "function_call",
        {"type": "function_call", "function_name": "pay"},
        steps=["One", calls("pay", euros=1)],
        tools=["pay"],
        paid="1;",
        last="paid 1",
    ),
    stops(
        "text_mention of one, in any case",
        {"type": "text_mention", "text": "two", "sources": ["a"], "ignore_case": True},
    ),
    stops(
        "handoff",
        {"type": "handoff", "target": "b"},
        agent={"handoffs": ["b"]},
        agents=B,
        steps=[calls("transfer_to_b")],
        last="Transferred to b",
    ),
    stops(
        "or, with external",
        {
            "type": "or",
            "conditions": [{"type": "external"}, {"type": "max_messages", "max_messages": 3}],
        },
    ),
    stops(
        "and",
        {
            "type": "and",
            "conditions": [
                {"type": "text_mention", "text": "One"},
                {"type": "max_messages", "max_messages": 3},
            ],
        },
    ),
    context("unbounded"),
    context("buffered", buffer_size=2),
    context("head_and_tail", head_size=1, tail_size=1),
    context("token_limited", token_limit=20),
    case(
        "a selector",
        ["One", "Two"],
        agents=B,
        script={"b": ["Three"], "selector": ["a", "no name", "a", "b"]},
        team={
            **SELECTOR,
            "description": "Chosen.",
            "max_turns": 3,
            "selector_prompt": "Of {participants}: {roles} {history}",
            "allow_repeated_speaker": True,
            "max_selector_attempts": 2,
            "model_client_streaming": True,
            "model_context": {"type": "buffered", "buffer_size": 4},
            "emit_team_events": True,
        },
        contains="Three",
    ),
    case(
        "a selector without repeats",
        ["One"],
        agents=B | {"c": {"model": "m"}},
        script={"b": ["Two"], "selector": ["a", "a", "a", "b"]},
        team={**SELECTOR, "max_turns": 2},
        contains="Two",
    ),
    case(
        "a selector's default attempts run out",
        ["One"],
        agents=B,
        script={"b": ["Two"], "selector": ["nobody"] * 9},
        team={**SELECTOR, "max_turns": 2},
    ),
    case(
        "a swarm",
        [calls("transfer_to_b"), "Four"],
        agents=B | {"b": {"model": "m", "handoffs": ["a"]}},
        script={"b": ["Two", calls("transfer_to_a")]},
        agent={"handoffs": ["b"]},
        team={
            "type": "swarm",
            "description": "Pass on.",
            "max_turns": 4,
            "emit_team_events": True,
            "termination": {"type": "text_mention", "text": "Four"},
            "output": "a",
        },
        contains="Four",
    ),
    case(
        "a graph",
        ["One", "Four"],
        agents={name: {"model": "m"} for name in "bcde"},
        script={"b": ["Two", "again"], "c": ["Three", "so"], "d": ["loop", "Done"]},
        team={
            "type": "graph_flow",
            "description": "Two at a time.",
            "max_turns": 9,
            "emit_team_events": True,
            "termination": {"type": "text_mention", "text": "Done"},
            "output": "d",
            "graph": GRAPH,
        },
        contains="Done",
    ),
    case(
        "an orchestrator",
        [calls("pay", euros=1), "Nothing"],
        tools=["pay"],
        agents=B,
        script={
            "b": ["Checked"],
            "orchestrator": [
                *("Facts", "Plan", progress("a", "Pay."), "no ledger", progress("b", "Check.")),
                *(progress("a", "Again.", moving=False), "New facts", "New plan"),
                *(progress("a", "So?"), progress("a", "", done=True), "Paid."),
            ],
        },
        team={
            "type": "magentic_one",
            "model": "m",
            "description": "Led.",
            "max_turns": 7,
            "max_stalls": 1,
            "final_answer_prompt": "Answer in a word.",
            "emit_team_events": True,
            "termination": {"type": "text_mention", "text": "never"},
        },
        paid="1;",
        contains="Paid.",
    ),
    case(
        "what its agents say is the output",
        ["Haiku"],
        script={"orchestrator": ["F", "P", progress("?", "Go."), progress("", "", done=True), "!"]},
        team={"type": "magentic_one", "model": "m", "max_turns": 9, "output": "a"},
        output="Haiku",
    ),
    *(
        case(
            f"steps, {type}",
            ["One", "Two"],
            agents={"b": {"model": "m"}, "c": {"model": "m"}},
            script={"b": ["a: look", "End of b"], "c": ["b"]},
            team={
                "type": type,
                "description": "In steps.",
                "max_turns": 9,
                "emit_team_events": True,
                "termination": {"type": "text_mention", "text": "never"},
                "output": ["a", "b", "c"],
                **options,
            },
            contains=last,
        )
        for type, last, options in (
            ("sequential", "b", {}),
            ("concurrent", "b", {"synthesizer": "c", "final_prompt": "Combine."}),
            ("hierarchical", "End", {"lead": "b", "rounds": 1, "final_prompt": "Answer."}),
            ("debate", "a: look", {"judge": "b", "rounds": 1, "final_prompt": "Judge."}),
            ("competitive", "a: look", {"judge": "c", "enough": 2, "final_prompt": "{names}?"}),
        )
    ),
    case(
        "nested teams",
        ["One", "Four"],
        extra={**B, "c": {"model": "m"}},
        teams={
            "inner": {**NESTED, "output": "b"},
            "chosen": {**SELECTOR, "agents": ["b", "c"], "max_turns": 2},
        },
        script={"b": ["Two", "Three"], "c": ["Five"], "selector": ["c", "b"]},
        team={"agents": ["a", "inner"], "max_turns": 3},
        contains="Four",
    ),
    case(
        "a nested selector",
        ["One"],
        extra={**B, "c": {"model": "m"}},
        teams={"chosen": {**SELECTOR, "agents": ["b", "c"], "max_turns": 2}},
        script={"b": ["Three"], "c": ["Two"], "selector": ["c", "b"]},
        team={"agents": ["a", "chosen"], "max_turns": 2},
    ),
    case(
        "an agent and a team as tools",
        [
            {
                "tool_calls": [
                    *calls("b", task="Help")["tool_calls"],
                    *calls("d", task="Do")["tool_calls"],
                ]
            },
            calls("b", task="Again"),
        ],
        extra={"b": {"model": "m", "tools": ["pay"]}, "c": {"model": "m"}},
        teams={"inner": {**NESTED, "agents": ["c"], "max_turns": 1}},
        script={"b": [calls("pay", euros=1), "Helped"], "c": ["Done"]},
        tools=["pay"],
        agent={
            "tools": [
                {"agent": "b", "return_value_as_last_message": True, "approval": False},
                {
                    "type": "team_tool",
                    "team": "inner",
                    "name": "d",
                    "description": "Does.",
                    "return_value_as_last_message": True,
                    "approval": False,
                },
            ]
        },
        team={"max_turns": 2},
        paid="1;",
        contains="Helped",
    ),
    case(
        "whose words are the output",
        ["Haiku"],
        agents=B,
        script={"b": ["APPROVE"]},
        team={"output": ["a"]},
        contains="APPROVE",
        output="Haiku",
    ),
    case(
        "a stream",
        [{"content": "One two", "thought": "Hm"}],
        agent={"model_client_stream": True},
        contains="One two",
    ),
    *(
        case(
            f"tool_choice {choice}", steps, tools=["pay"], agent={"tool_choice": choice}, paid=paid
        )
        for choice, steps, paid in (
            ("auto", [calls("pay", euros=1)], "1;"),
            ("required", [calls("pay", euros=1)], "1;"),
            ("none", ["No tool"], ""),
        )
    ),
    case(
        "reflection",
        [calls("pay", euros=1), "It is paid"],
        tools=["pay"],
        agent={"reflect_on_tool_use": True},
        paid="1;",
        contains="It is paid",
    ),
    case(
        "reflection answered by a tool call",
        [calls("pay", euros=1), calls("pay", euros=2)],
        tools=["pay"],
        agent={"reflect_on_tool_use": True},
        paid="1;",
        contains="paid 1",
    ),
    case(
        "rounds of tools",
        [calls("pay", euros=1), calls("pay", euros=2), "Both"],
        tools=["pay"],
        agent={"max_tool_iterations": 3},
        paid="1;2;",
        contains="Both",
    ),
    case(
        "texts of an agent",
        [calls("pay", euros=1)],
        tools=["pay"],
        agent={
            "system_message": "Pay.",
            "description": "Pays.",
            "metadata": {"k": "v"},
            "tool_call_summary_format": "{tool_name}: {result}",
        },
        paid="1;",
        contains="pay: paid 1",
    ),
    case(
        "an output in a form",
        ["Three euros"],
        script={"output-schema": ["3", {"content": {"euros": 3}}]},
        team={"output_model": "m", "output_repairs": 1},
        output_schema={"type": "object", "properties": {"euros": {"type": "integer"}}},
        contains="Three euros",
        output='{"euros": 3}',
    ),
    case(
        "an output that never fits a form",
        ["Three euros"],
        script={"output-schema": ["3"]},
        team={"output_repairs": 0},
        output_schema={"type": "object", "properties": {"euros": {"type": "integer"}}},
        contains="Three euros",
        output="3",
        status=1,
    ),
    case(
        "a described handoff",
        [calls("give")],
        agents=B,
        script={"b": ["Mine"]},
        agent={
            "handoffs": [
                {"target": "b", "name": "give", "description": "To b.", "message": "Take it"}
            ]
        },
        team={"max_turns": 1},
        contains="Take it",
    ),
    case(
        "a described person",
        ["Hello"],
        agents={"boss": {"type": "user_proxy_agent", "description": "Decides."}},
        lines=("Go on",),
        answers=({"content": "Go on"},),
        contains="Go on",
    ),
    case(
        "a custom agent with a model",
        ["Hello"],
        agents={
            "t": {
                "class": "case_tools:Thinker",
                "model": "m",
                "description": "Thinks.",
                "options": {"mark": "?"},
            }
        },
        script={"t": ["Deep"]},
        contains="Deep?",
    ),
    *(
        case(
            f"conduct {conduct}", [calls("pay", euros=1)], tools=["pay"], conduct=conduct, paid="1;"
        )
        for conduct in (
            {"effects": "none", "description": "Pay now.", "strict": True, "approval": False},
            {"effects": "idempotent", "session": "stateless"},
            {"effects": "write", "on_unknown": "tell"},
            {"effects": "write", "on_unknown": "fail"},
            {"session": "stateful", "on_lost": "tell"},
            {"session": "stateful", "on_lost": "fail"},
        )
    ),
]
