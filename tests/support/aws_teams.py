"""The teams and tools of the tests on AWS; the tools write each call into a ledger."""

from pathlib import Path

__all__ = ["ledger", "open_gate", "write_teams"]

_TEAMS = """\
version: 1
models:
  main:
    type: scripted
    latency_ms: 100
    script:
      talker: [one, two, three, "four DONE"]
      payer:
        - tool_calls: [{name: note, arguments: {text: first}}]
        - tool_calls: [{name: nap, arguments: {seconds: 4}}]
        - tool_calls: [{name: note, arguments: {text: second}}]
        - "paid DONE"
      waiter:
        - tool_calls: [{name: wait, arguments: {}}]
        - "waited DONE"
      walker:
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - tool_calls: [{name: nap, arguments: {seconds: 1.5}}]
        - "there DONE"
      blocker:
        - tool_calls: [{name: note, arguments: {text: before}}]
        - tool_calls: [{name: hang_once, arguments: {}}]
        - "free DONE"
      victim:
        - tool_calls: [{name: die, arguments: {}}]
        - DONE
tools:
  note: {type: function, function: "aws_tools:note"}
  nap: {type: function, function: "aws_tools:nap"}
  wait: {type: function, function: "aws_tools:wait"}
  hang_once: {type: function, function: "aws_tools:hang_once"}
  die: {type: function, function: "aws_tools:die"}
agents:
  talker: {model: main}
  payer: {model: main, tools: [note, nap], max_tool_iterations: 5}
  waiter: {model: main, tools: [wait], max_tool_iterations: 5}
  walker: {model: main, tools: [nap], max_tool_iterations: 10}
  blocker: {model: main, tools: [note, hang_once], max_tool_iterations: 5}
  victim: {model: main, tools: [die], max_tool_iterations: 5}
  boss: {type: user_proxy_agent}
teams:
  talk:
    type: round_robin_group_chat
    agents: [talker]
    termination: {type: text_mention, text: DONE, sources: [talker]}
  ask: {type: round_robin_group_chat, agents: [boss, talker], max_turns: 2}
  pay: {type: round_robin_group_chat, agents: [payer], max_turns: 1}
  wait: {type: round_robin_group_chat, agents: [waiter], max_turns: 1}
  walk: {type: round_robin_group_chat, agents: [walker], max_turns: 1}
  block: {type: round_robin_group_chat, agents: [blocker], max_turns: 1}
  die: {type: round_robin_group_chat, agents: [victim], max_turns: 1}
"""

_TOOLS = '''\
"""Tools of the tests on AWS."""

import asyncio
import os
import time


def _write(line):
    with open(os.environ["LEDGER"], "a", encoding="utf-8") as ledger:
        ledger.write(line + "\\n")


def note(text: str) -> str:
    """Leave a line."""
    _write(text)
    return "noted"


async def nap(seconds: float) -> str:
    """Take a while."""
    _write("nap")
    await asyncio.sleep(seconds)
    _write("woke")
    return "slept"


async def wait() -> str:
    """Wait until the test opens the gate."""
    _write("wait")
    while not os.path.exists(os.environ["LEDGER"] + ".gate"):
        await asyncio.sleep(0.02)
    return "waited"


async def hang_once() -> str:
    """Block the whole process, the first time."""
    with open(os.environ["LEDGER"], encoding="utf-8") as ledger:
        is_first = "hang" not in ledger.read()
    _write("hang")
    if is_first:
        time.sleep(600)
    return "free"


def die() -> str:
    """End the process."""
    _write("die")
    os._exit(1)
'''


def write_teams(folder: Path) -> None:
    """Write the team file and its tools."""
    (folder / "teamrun.yaml").write_text(_TEAMS, encoding="utf-8")
    (folder / "aws_tools.py").write_text(_TOOLS, encoding="utf-8")


def ledger(folder: Path) -> list[str]:
    """The lines of the tools."""
    path = folder / "ledger"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def open_gate(folder: Path) -> None:
    """Let the calls of `wait` end."""
    (folder / "ledger.gate").touch()
