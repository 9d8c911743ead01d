"""langgraph in memory: compiled graphs, without a checkpointer. A node takes its answer directly,
which costs less than a chat model of langchain would."""

import operator
import os
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command
from tests.benchmarks.meter import TASK, measured
from tests.benchmarks.patterns import (
    BRANCHES,
    NAMES,
    TURNS,
    Call,
    Choice,
    Handoff,
    Run,
    Script,
    other,
    works,
)

os.environ["LANGSMITH_TRACING"] = "false"


class State(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]
    turn: int


def spoken(script: Script) -> AIMessage:
    answer = script.next()
    assert isinstance(answer, str)
    return AIMessage(content=answer)


def running(built: Any) -> Run:
    app = built.compile()
    config = {"recursion_limit": 2 * TURNS + 5}
    return lambda: app.ainvoke({"messages": [HumanMessage(content=TASK)], "turn": 0}, config)


def speaking(script: Script) -> Any:
    async def speak(state: State) -> dict[str, Any]:
        return {"messages": [spoken(script)], "turn": state["turn"] + 1}

    return speak


def round_robin(script: Script) -> Run:
    def choose(state: State) -> str:
        return END if state["turn"] >= TURNS else "ab"[state["turn"] % 2]

    built = StateGraph(State)
    built.add_edge(START, "a")
    for name in "ab":
        built.add_node(name, speaking(script))
        built.add_conditional_edges(name, choose, [other(name), END])
    return running(built)


def selector(script: Script) -> Run:
    async def select(state: State) -> Command[Any]:
        if state["turn"] >= TURNS:
            return Command(goto=END)
        choice = script.next()
        assert isinstance(choice, Choice)
        return Command(goto=choice.name)

    built = StateGraph(State)
    built.add_node("selector", select, destinations=(*NAMES, END))
    built.add_edge(START, "selector")
    for name in NAMES:
        built.add_node(name, speaking(script))
        built.add_edge(name, "selector")
    return running(built)


def swarm(script: Script) -> Run:
    async def speak(state: State) -> Command[Any]:
        answer = script.next()
        if isinstance(answer, Handoff):
            call = {"id": "call", "name": f"transfer_to_{answer.target}", "args": {}}
            said = AIMessage(content="", tool_calls=[call])
            return Command(goto=answer.target, update={"messages": [said]})
        return Command(goto=END, update={"messages": [AIMessage(content=str(answer))]})

    built = StateGraph(State)
    built.add_edge(START, "a")
    for name in "ab":
        built.add_node(name, speak, destinations=(other(name), END))
    return running(built)


def graph(script: Script) -> Run:
    async def speak(state: State) -> dict[str, Any]:
        return {"messages": [spoken(script)]}

    built = StateGraph(State)
    for name in ("a", *BRANCHES, "z"):
        built.add_node(name, speak)
    built.add_edge(START, "a")
    for name in BRANCHES:
        built.add_edge("a", name)
    built.add_edge(list(BRANCHES), "z")
    return running(built)


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def tool_loop(script: Script) -> Run:
    async def ask(state: State) -> dict[str, Any]:
        answer = script.next()
        if isinstance(answer, Call):
            call = {"id": answer.id, "name": "add", "args": {"a": 1, "b": 2}}
            return {"messages": [AIMessage(content="", tool_calls=[call])]}
        return {"messages": [AIMessage(content=str(answer))]}

    def choose(state: State) -> str:
        return "tools" if state["messages"][-1].tool_calls else END

    built = StateGraph(State)
    built.add_node("a", ask)
    built.add_node("tools", ToolNode([add]))
    built.add_edge(START, "a")
    built.add_conditional_edges("a", choose, ["tools", END])
    built.add_edge("tools", "a")
    return running(built)


if __name__ == "__main__":
    measured(works(round_robin, selector, swarm, graph, tool_loop))
