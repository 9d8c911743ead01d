"""Rows of the table of features: tools, agents, persons and limits."""

from tests.support.ways_to_run import calls, case

__all__ = ["CASES"]

FORM = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


BOSS = {"type": "user_proxy_agent"}

CASES = [
    case("a text", ["Hello"], contains="Hello"),
    case("a sync tool", [calls("pay", euros=1)], tools=["pay"], paid="1;", contains="paid 1"),
    case("a tool that fails", [calls("breaks")], tools=["breaks"], contains="broken"),
    case(
        "approved",
        [calls("pay", euros=2), "Done"],
        tools=["pay"],
        agent={"reflect_on_tool_use": True},
        conduct={"approval": True, "effects": "write"},
        lines=("", "perhaps", "y"),
        answers=({"decision": "approve"},),
        paid="2;",
        contains="Done",
    ),
    case(
        "rejected",
        [calls("pay", euros=3)],
        tools=["pay"],
        conduct={"approval": True},
        lines=("n", ""),
        answers=({"decision": "reject"},),
        contains="not approved",
    ),
    case(
        "approved by --yes",
        [calls("pay", euros=4)],
        tools=["pay"],
        conduct={"approval": True},
        options=("--yes",),
        library_lines=("y",),
        answers=({"decision": "approve"},),
        paid="4;",
    ),
    case(
        "effects",
        [calls("pay", euros=5)],
        tools=["pay"],
        conduct={"effects": "write", "on_unknown": "ask"},
        paid="5;",
    ),
    case(
        "a tool's timeout",
        [calls("slow")],
        tools=["slow"],
        conduct={"timeout": 0.05},
        contains="did not finish",
    ),
    case(
        "state",
        [calls("count"), calls("count"), "Counted"],
        tools=["count"],
        agent={"max_tool_iterations": 3},
        contains="Counted",
    ),
    case("a file", [calls("keep", text="Snow")], tools=["keep"], contains="Snow"),
    case("a temperature", ["Warm"], agent={"temperature": 0.5}, contains="Warm"),
    case(
        "a cache",
        [calls("pay", euros=6), calls("pay", euros=7), calls("pay", euros=6)],
        tools=["pay"],
        agent={"max_tool_iterations": 3},
        conduct={"cache_results": True},
        paid="6;7;",
        contains="paid 6",
    ),
    case(
        "a session",
        [calls("session"), calls("session")],
        tools=["session"],
        agent={"max_tool_iterations": 2},
        contains="2",
    ),
    case(
        "a person",
        ["Hello"],
        agents={"boss": BOSS},
        lines=("Go on",),
        answers=({"content": "Go on"},),
        contains="Go on",
    ),
    case(
        "a form",
        ["Hello"],
        agents={"boss": {**BOSS, "input_schema": FORM}},
        lines=("yes", '{"ok": 1}', '{"ok": true}'),
        answers=({"data": {"ok": True}},),
        contains='{"ok":true}',
    ),
    case(
        "a default answer",
        ["Hello"],
        agents={
            "boss": {
                **BOSS,
                "input_schema": FORM,
                "expires_in_seconds": 0.05,
                "default_answer": {"ok": False},
            }
        },
        contains='{"ok":false}',
    ),
    case(
        "a handoff to a person",
        [calls("transfer_to_human"), "Thanks"],
        agent={"handoffs": ["human"]},
        team={
            "max_turns": 9,
            "termination": [
                {"type": "handoff", "target": "human"},
                {"type": "text_mention", "text": "Thanks"},
            ],
        },
        lines=("Here I am",),
        answers=({"content": "Here I am"},),
        contains="Thanks",
        why_not_in_library="there the team ends at the handoff, and the program asks",
    ),
    case(
        "a custom agent",
        ["Hello"],
        agents={"echo": {"class": "case_tools:Echo"}},
        contains="Hello!",
    ),
    case(
        "a condition",
        ["One", "DONE", "Three"],
        team={"max_turns": 9, "termination": {"type": "text_mention", "text": "DONE"}},
        contains="DONE",
    ),
    case(
        "a limit of turns",
        ["One", "Two", "Three"],
        team={"max_turns": 9},
        options=("--max-turns", "2"),
        contains="Two",
        why_not_in_library="a limit of the run, not of the team",
    ),
    case(
        "a limit of time",
        [calls("slow"), "Late"],
        tools=["slow"],
        options=("--timeout-seconds", "0.2"),
        limits={"timeout_seconds": 0.2},
        why_not_in_library="a limit of the run, not of the team",
        status=1,
    ),
]
