"""Rows of the table of features: agents with another agent or a team inside, and coders."""

from typing import Any

from tests.support.ways_to_run import case

__all__ = ["AGENT_CASES"]

PAIR = {"type": "round_robin_group_chat", "agents": ["b", "c"], "max_turns": 2}
MEMBERS = {name: {"model": "m"} for name in "bc"}


def society(**more: Any) -> dict[str, Any]:
    return {"s": {"type": "society_of_mind_agent", "team": "pair", "model": "m", **more}}


AGENT_CASES = [
    case(
        "a society of mind",
        ["One", "Two"],
        agents=society(
            description="Two in one.",
            instruction="Read this.",
            response_prompt="Sum it up.",
            model_context={"type": "buffered", "buffer_size": 2},
        ),
        extra=MEMBERS,
        teams={"pair": PAIR},
        script={"b": ["B1", "B2"], "c": ["C1", "C2"], "s": ["Of both", "Again"]},
        team={"max_turns": 4, "output": "s"},
        contains="Again",
    ),
    case(
        "a message filter",
        ["One"],
        agents={
            "f": {
                "type": "message_filter_agent",
                "agent": "b",
                "filter": {
                    "per_source": [
                        {"source": "a", "position": "last", "count": 1},
                        {"source": "user", "position": "first", "count": 1},
                    ]
                },
            }
        },
        extra={"b": {"model": "m"}},
        script={"b": ["Filtered"]},
        team={"output": "f"},
        contains="Filtered",
    ),
    case(
        "a terminal",
        ["```python\n7\n```"],
        tools=["run_code"],
        agent={"tools": []},
        agents={
            "t": {
                "type": "code_executor_agent",
                "code_executor": "run_code",
                "description": "Executes.",
                "sources": ["a"],
                "supported_languages": ["python"],
            }
        },
        paid="7;",
        contains="ran 7",
    ),
    case(
        "a function as source",
        [{"tool_calls": [{"name": "f", "arguments": {"a": 7}}]}],
        tools=["inline_tools"],
        agent={
            "tools": [],
            "inline_tools": [
                {
                    "name": "f",
                    "description": "Add.",
                    "source": "def f(a: int) -> int:\n    return a + 1",
                }
            ],
        },
        paid="called;",
        contains="8",
    ),
    case(
        "a coder",
        ["Go"],
        tools=["run_code"],
        agent={"tools": []},
        agents={
            "c": {
                "type": "code_executor_agent",
                "code_executor": "run_code",
                "model": "m",
                "system_message": "Write code.",
                "max_retries_on_error": 1,
                "model_client_stream": True,
                "model_context": {"type": "buffered", "buffer_size": 5},
            }
        },
        script={
            "c": [
                "```sh\nfail\n```",
                {"content": {"reason": "a typo", "retry": True}},
                "```sh\n8\n```",
                "It ran",
            ]
        },
        paid="fail;8;",
        contains="It ran",
    ),
    case(
        "an answer in a form, with a memory",
        ["Three", {"content": {"euros": 3}}],
        agent={
            "output_repairs": 1,
            "output_schema": {
                "title": "Price",
                "type": "object",
                "properties": {"euros": {"type": "integer"}},
                "required": ["euros"],
            },
            "output_format": "It costs {euros}.",
            "memory": [{"name": "notes", "memory_contents": [{"content": "Tea is cheap."}]}],
        },
        contains="'euros': 3",
        output="It costs 3.",
    ),
]
