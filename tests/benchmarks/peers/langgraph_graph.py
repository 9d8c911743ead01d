"""langgraph with its SQLite saver: two nodes that speak in turn, each turn a checkpoint."""

import operator
import os
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph
from tests.benchmarks.meter import TASK, Meter, measured, scratch, text_of

os.environ["LANGSMITH_TRACING"] = "false"


class State(TypedDict):
    messages: Annotated[list[AnyMessage], operator.add]
    turn: int


def graph(turns: int) -> StateGraph:
    async def speak(state: State) -> dict[str, Any]:
        said = AIMessage(content=text_of(state["turn"]))
        return {"messages": [said], "turn": state["turn"] + 1}

    def other(name: str) -> Any:
        def choose(state: State) -> str:
            return "__end__" if state["turn"] >= turns else name

        return choose

    built = StateGraph(State)
    built.add_node("a", speak)
    built.add_node("b", speak)
    built.add_edge(START, "a")
    built.add_conditional_edges("a", other("b"), ["b", "__end__"])
    built.add_conditional_edges("b", other("a"), ["a", "__end__"])
    return built


async def turn(*, runs: int, turns: int) -> dict[str, float]:
    with scratch() as folder:
        async with AsyncSqliteSaver.from_conn_string(f"{folder}/runs.sqlite") as saver:
            app = graph(turns).compile(checkpointer=saver)

            async def one(thread: str) -> None:
                config = {"configurable": {"thread_id": thread}, "recursion_limit": turns + 5}
                task = {"messages": [HumanMessage(content=TASK)], "turn": 0}
                result = await app.ainvoke(task, config)
                assert len(result["messages"]) == turns + 1

            await one("warm")
            with Meter() as meter:
                for run in range(runs):
                    await one(str(run))
    return {"cpu_us": meter.cpu_s / runs / turns * 1e6}


async def resume(*, steps: int, runs: int) -> dict[str, float]:
    """From taking up a thread with so many checkpoints to the beginning of its next node."""

    def crashing() -> StateGraph:
        def speak(state: State) -> dict[str, Any]:
            if state["turn"] >= steps:
                raise Crash
            said = AIMessage(content=text_of(state["turn"]))
            return {"messages": [said], "turn": state["turn"] + 1}

        built = StateGraph(State)
        built.add_node("a", speak)
        built.add_edge(START, "a")
        built.add_edge("a", "a")
        return built

    async def crash(app: Any, task: Any, thread: str) -> None:
        config = {"configurable": {"thread_id": thread}, "recursion_limit": steps + 5}
        try:
            await app.ainvoke(task, config)
        except Crash:
            return
        raise AssertionError("it did not come to the node that crashes")

    with scratch() as folder:
        async with AsyncSqliteSaver.from_conn_string(f"{folder}/runs.sqlite") as saver:
            app = crashing().compile(checkpointer=saver)
            for run in range(runs):
                await crash(app, {"messages": [HumanMessage(content=TASK)], "turn": 0}, str(run))
        async with AsyncSqliteSaver.from_conn_string(f"{folder}/runs.sqlite") as saver:
            app = crashing().compile(checkpointer=saver)
            with Meter() as meter:
                for run in range(runs):
                    await crash(app, None, str(run))
    return {"cpu_ms": meter.cpu_s / runs * 1e3}


class Crash(Exception):
    pass


if __name__ == "__main__":
    measured({"turn": turn, "resume": resume})
