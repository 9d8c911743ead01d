"""The teams and tools that every host is given."""

from pathlib import Path

__all__ = ["write_team"]

_TEAMS = """\
version: 1
models:
  main:
    type: scripted
    latency_ms: 20
    script:
      talker: [one, two, three, "four DONE"]
      keeper:
        - tool_calls: [{name: keep, arguments: {text: kept}}]
        - DONE
      writer:
        - tool_calls: [{name: write, arguments: {text: paid}}]
        - written
        - again
      sleeper:
        - tool_calls: [{name: nap, arguments: {seconds: 3}}]
        - rested
tools:
  keep: {type: function, function: "suite_tools:keep"}
  write: {type: function, function: "suite_tools:write", effects: write, approval: true}
  nap: {type: function, function: "suite_tools:nap"}
agents:
  talker: {model: main}
  keeper: {model: main, tools: [keep]}
  writer: {model: main, tools: [write], reflect_on_tool_use: true}
  sleeper: {model: main, tools: [nap], reflect_on_tool_use: true}
  boss: {type: user_proxy_agent}
teams:
  talk:
    type: round_robin_group_chat
    agents: [talker]
    termination: {type: text_mention, text: DONE, sources: [talker]}
  files: {type: round_robin_group_chat, agents: [keeper], max_turns: 2}
  pay: {type: round_robin_group_chat, agents: [writer], max_turns: 1}
  ask: {type: round_robin_group_chat, agents: [boss, talker], max_turns: 2}
  nap: {type: round_robin_group_chat, agents: [sleeper], max_turns: 1}
"""

_TOOLS = '''\
"""Tools of the suite."""

import asyncio
import os

from teamrun import ToolContext


def keep(text: str, context: ToolContext) -> str:
    """Leave a file."""
    context.artifacts.write("note.txt", text)
    return "kept"


def write(text: str) -> str:
    """Do something outside, once."""
    with open(os.environ["LEDGER"], "a", encoding="utf-8") as ledger:
        ledger.write(text + "\\n")
    return "done"


async def nap(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    return "slept"
'''


def write_team(folder: Path) -> None:
    """Write the team file and its tools."""
    (folder / "teamrun.yaml").write_text(_TEAMS, encoding="utf-8")
    (folder / "suite_tools.py").write_text(_TOOLS, encoding="utf-8")
