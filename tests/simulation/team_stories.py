"""Small random teams of every type, and what their models answer.

An answer depends on a number that the outside draws anew for each call. So a call that is made
twice has two answers, and whatever does not come from the record shows.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from teamrun.messages.llm import CreateResult, FunctionCall, RequestUsage
from teamrun.tools.base import Effects, OnUnknown

__all__ = ["HANDS", "KINDS", "answer", "some_team"]

Definition = dict[str, Any]
_Tools = Sequence[str]

HANDS: Sequence[tuple[Effects, OnUnknown]] = (
    ("none", "tell"),
    ("idempotent", "tell"),
    ("write", "tell"),
    ("write", "ask"),
    ("write", "fail"),
)
"""The tools, which are named by their conduct."""


def some_team(rng: random.Random, kind: str | None = None) -> Definition:
    """A definition of a team of one of the `KINDS`, with few turns."""
    kind = kind or rng.choice([*KINDS])
    team: Definition = {
        "type": _TYPES.get(kind, kind),
        "name": kind,
        "max_turns": rng.choice((3, 4, 5)),
    }
    team["termination"] = {"type": "text_mention", "text": "STOP"}
    return team | KINDS[kind](rng)


def _agent(rng: random.Random, name: str, **more: Any) -> Definition:
    """A member: it may use tools, be a filter's, or be a class of its own."""
    roll = rng.random()
    if roll < 0.1 and not more:
        return {"type": "custom_agent", "name": name, "agent": "own", "model": "m"}
    agent: Definition = {"type": "assistant_agent", "name": name, "model": "m", **more}
    if roll < 0.6:
        agent["tools"] = ["_".join(conduct) for conduct in rng.sample(HANDS, 2)]
        agent["max_tool_iterations"] = rng.choice((1, 2))
        agent["reflect_on_tool_use"] = rng.random() < 0.3
        if rng.random() < 0.2:
            agent["tools"].append("helper")
    elif roll < 0.7:
        agent["model_context"] = {"type": "buffered", "buffer_size": 3}
    if rng.random() < 0.1:
        only = {"per_source": [{"source": "user"}, {"source": "a", "position": "last", "count": 1}]}
        return {"type": "message_filter_agent", "name": name, "agent": agent, "filter": only}
    return agent


def _members(rng: random.Random, names: str) -> Definition:
    return {"participants": [_agent(rng, name) for name in names]}


def _round_robin(rng: random.Random) -> Definition:
    members = [_agent(rng, name) for name in "ab"]
    if rng.random() < 0.4:
        person: Definition = {"type": "user_proxy_agent", "name": "person"}
        if rng.random() < 0.5:
            person |= {"expires_in_seconds": 20, "default_answer": "go on"}
        members.append(person)
    return {"participants": members}


def _swarm(rng: random.Random) -> Definition:
    members: list[Definition] = []
    asks = rng.choice("abc")
    for name in "abc":
        targets = [other for other in "abc" if other != name] + ["human"] * (name == asks)
        member = _agent(rng, name, handoffs=[{"target": target} for target in targets])
        members.append(member.get("agent", member))  # a filter is not asked for a handoff
    ends = [{"type": "text_mention", "text": "STOP"}, {"type": "handoff", "target": "human"}]
    return {"participants": members, "termination": {"type": "or", "conditions": ends}}


def _graph(rng: random.Random) -> Definition:
    """Two or three at the same time, a join of all or any, and perhaps a way back."""
    middle = "bc" if rng.random() < 0.5 else "bcf"
    join = rng.choice(("all", "any"))
    nodes: Definition = {"a": {"edges": [{"target": name} for name in middle]}}
    for name in middle:
        edge: Definition = {"target": "d", "activation_group": "join", "activation_condition": join}
        nodes[name] = {"edges": [edge]}
    nodes["d"] = {"edges": []}
    if rng.random() < 0.5:
        back = {"target": "a", "condition": "loop", "activation_group": "back"}
        nodes["d"]["edges"] = [back, {"target": "e", "condition": "done"}]
        nodes["e"] = {"edges": []}
        nodes["a"]["activation"] = "any"
    graph: Definition = {"nodes": nodes, "default_start_node": "a"}
    return {**_members(rng, "".join(nodes)), "graph": graph, "max_turns": rng.choice((4, 5, 7))}


def _magentic(rng: random.Random) -> Definition:
    return {**_members(rng, "ab"), "model": "m", "max_stalls": 1}


def _selector(rng: random.Random) -> Definition:
    return {**_members(rng, "abc"), "model": "m", "max_selector_attempts": rng.choice((1, 2))}


def _concurrent(rng: random.Random) -> Definition:
    return {**_members(rng, "abc"), "synthesizer": rng.choice((None, "c"))}


def _hierarchical(rng: random.Random) -> Definition:
    return {**_members(rng, "abc"), "manager": "a", "rounds": rng.choice((1, 2))}


def _debate(rng: random.Random) -> Definition:
    return {**_members(rng, "abc"), "judge": "c", "rounds": rng.choice((1, 2))}


def _competitive(rng: random.Random) -> Definition:
    """Losers are cancelled, also those that are teams, or in the middle of a tool."""
    members = [_agent(rng, name) for name in "abcd"]
    if rng.random() < 0.4:
        members[1] = _inner(rng, "b")
    options = rng.choice(
        ({"enough": 1}, {"enough": 2, "judge": "d"}, {"enough": 1, "judge": "d"}, {"judge": "d"})
    )
    return {"participants": members, **options}


def _inner(rng: random.Random, name: str) -> Definition:
    """A team that is a member."""
    kind = rng.choice(("round_robin_group_chat", "concurrent", "competitive", "sequential"))
    names = f"{name}{name}", f"{name}{name}{name}"
    members = [_agent(rng, each) for each in names]
    team = {"type": kind, "name": name, "participants": members, "max_turns": 2}
    return {**team, "enough": 1} if kind == "competitive" else team


def _nested(rng: random.Random) -> Definition:
    members = [_agent(rng, "a"), _inner(rng, "b")]
    kind = rng.choice(("round_robin_group_chat", "concurrent", "sequential"))
    return {"participants": members, "type": kind}


def _society(rng: random.Random) -> Definition:
    mind = {"type": "society_of_mind_agent", "name": "b", "model": "m", "team": _inner(rng, "w")}
    members = [_agent(rng, "a"), mind]
    return {"participants": members, "type": rng.choice(("round_robin_group_chat", "concurrent"))}


KINDS: Mapping[str, Callable[[random.Random], Definition]] = {
    "round_robin_group_chat": _round_robin,
    "selector_group_chat": _selector,
    "swarm": _swarm,
    "graph_flow": _graph,
    "magentic_one": _magentic,
    "sequential": lambda rng: _members(rng, "abc"),
    "concurrent": _concurrent,
    "hierarchical": _hierarchical,
    "debate": _debate,
    "competitive": _competitive,
    "nested": _nested,
    "society": _society,
}
"""The teams, by type, and those with teams inside."""

_TYPES = {"nested": "round_robin_group_chat", "society": "round_robin_group_chat"}


def answer(number: int, path: str, prompt: str, tools: _Tools, members: _Tools) -> CreateResult:
    """The answer of a model.

    Args:
        number: What the outside has drawn.
        path: Of the agent.
        prompt: The whole request.
        tools: The names of the tools that the request offers.
        members: Of the outermost team.
    """
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    dice = random.Random(number)
    if tools and dice.random() < 0.5:
        names = [dice.choice(tools) for _ in range(dice.choice((1, 1, 2)))]
        if any(name.startswith("transfer") for name in names):
            names = names[:1]  # agents warn of several handoffs
        calls = [
            FunctionCall(
                id=f"{number}-{k}",
                name=name,
                arguments=json.dumps({"task": f"of {number}"} if name == "helper" else {}),
            )
            for k, name in enumerate(names)
        ]
        return CreateResult(finish_reason="function_calls", content=calls, usage=usage)
    name, text = path.rpartition("/")[2], _words(number, dice, members)
    if name == "selector":
        text = dice.choice([*members, *members, "nobody"])
    elif name == "orchestrator" and "is_request_satisfied" in prompt:
        text = _ledger(number, dice, members) if dice.random() < 0.9 else "no ledger"
    return CreateResult(finish_reason="stop", content=text, usage=usage)


def _words(number: int, dice: random.Random, members: _Tools) -> str:
    """A text that may be a plan, a vote, a condition of an edge, or the end."""
    lines = [f"{name}: do {number}" for name in dice.sample(members, min(2, len(members)))]
    return dice.choice(
        (f"words {number}", f"loop {number}", f"done {number}", "\n".join(lines), lines[0], "STOP")
    )


def _ledger(number: int, dice: random.Random, members: _Tools) -> str:
    """A progress ledger of Magentic-One: it may be done, go on, or be stuck."""
    answers = {
        "is_request_satisfied": dice.random() < 0.25,
        "is_in_loop": False,
        "is_progress_being_made": dice.random() < 0.7,
        "next_speaker": dice.choice(members),
        "instruction_or_question": f"Go on {number}.",
    }
    return json.dumps({name: {"reason": "so", "answer": each} for name, each in answers.items()})
