"""The teams and tools that every host is given."""

from pathlib import Path

__all__ = ["write_team"]

_TEAMS = """\
version: 1
models:
  main:
    type: scripted
    latency_ms: 5
    price: {{input: 1, output: 2}}
    script:
      talker: [one, two, three, "four DONE"]
      keeper:
        - tool_calls: [{{name: keep, arguments: {{text: kept}}}}]
        - tool_calls: [{{name: fall, arguments: {{}}}}, {{name: unknown, arguments: {{}}}}]
        - {{content: "all kept", thought: "It fell."}}
      pair:
        - tool_calls:
          - {{name: hold, arguments: {{name: first}}}}
          - {{name: hold, arguments: {{name: second}}}}
        - both
      writer:
        - tool_calls: [{{name: write, arguments: {{text: paid}}}}]
        - written
        - again
      holder:
        - tool_calls: [{{name: hold, arguments: {{name: one}}}}]
        - held
        - held again
      carrier:
        - tool_calls: [{{name: hold, arguments: {{name: one}}}}]
        - tool_calls: [{{name: hold, arguments: {{name: two}}}}]
        - tool_calls: [{{name: hold, arguments: {{name: three}}}}]
        - tool_calls: [{{name: hold, arguments: {{name: four}}}}]
        - tool_calls: [{{name: hold, arguments: {{name: five}}}}]
        - carried
      stamper:
        - tool_calls: [{{name: stamp, arguments: {{name: one}}}}]
        - stamped
      broken:
        - error: {{message: "out of order", status_code: 400}}
      weak:
        - error: {{message: "too busy", status_code: 503, retryable: true}}
  paid: {{type: openai, model: gpt-4o, api_key: "${{SUITE_MODEL_KEY}}", base_url: "{model_url}"}}
  refused:
    type: openai
    model: gpt-4o
    api_key: "wrong-${{SUITE_MODEL_KEY}}"
    base_url: "{model_url}"
tools:
  keep: {{type: function, function: "{module}:keep"}}
  fall: {{type: function, function: "{module}:fall"}}
  write: {{type: function, function: "{module}:write", effects: write, approval: true}}
  hold: {{type: function, function: "{module}:hold"}}
  stamp: {{type: function, function: "{module}:stamp", effects: write}}
agents:
  talker: {{model: main}}
  keeper: {{model: main, tools: [keep, fall], max_tool_iterations: 3, reflect_on_tool_use: true}}
  pair: {{model: main, tools: [hold], reflect_on_tool_use: true}}
  writer: {{model: main, tools: [write], reflect_on_tool_use: true}}
  holder: {{model: main, tools: [hold], reflect_on_tool_use: true}}
  carrier: {{model: main, tools: [hold], max_tool_iterations: 6}}
  stamper: {{model: main, tools: [stamp], reflect_on_tool_use: true}}
  broken: {{model: main}}
  weak: {{model: main}}
  asked: {{model: paid}}
  refused: {{model: refused}}
  boss: {{type: user_proxy_agent}}
  absent: {{type: user_proxy_agent, expires_in_seconds: 1, default_answer: "no answer"}}
teams:
  talk:
    type: round_robin_group_chat
    agents: [talker]
    termination: {{type: text_mention, text: DONE, sources: [talker]}}
  files: {{type: round_robin_group_chat, agents: [keeper], max_turns: 1}}
  two_at_once: {{type: round_robin_group_chat, agents: [pair], max_turns: 1}}
  pay: {{type: round_robin_group_chat, agents: [writer], max_turns: 1}}
  ask: {{type: round_robin_group_chat, agents: [boss, talker], max_turns: 2}}
  ask_in_vain: {{type: round_robin_group_chat, agents: [absent, talker], max_turns: 2}}
  hold: {{type: round_robin_group_chat, agents: [holder], max_turns: 1}}
  hold_and_talk: {{type: round_robin_group_chat, agents: [holder, talker], max_turns: 2}}
  stamp: {{type: round_robin_group_chat, agents: [stamper], max_turns: 1}}
  carry: {{type: round_robin_group_chat, agents: [carrier], max_turns: 1}}
  think: {{type: round_robin_group_chat, agents: [asked], max_turns: 1}}
  refused: {{type: round_robin_group_chat, agents: [refused], max_turns: 1}}
  fail: {{type: round_robin_group_chat, agents: [talker, broken], max_turns: 2}}
  try: {{type: round_robin_group_chat, agents: [talker, weak], max_turns: 2}}
"""

_TOOLS = '''\
"""Tools of the suite. They note their calls in a ledger next to this file."""

import asyncio
import os
from pathlib import Path

from teamrun import ToolContext

_HERE = Path(__file__).parent


def _note(context: ToolContext, text: str) -> None:
    file = os.open(_HERE / "ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{context.run_id} {text}\\n".encode())
    os.close(file)


def keep(text: str, context: ToolContext) -> str:
    """Leave a file."""
    _note(context, f"kept {text}")
    context.artifacts.write("note.txt", text)
    return "kept"


def fall() -> str:
    """Fail."""
    raise ValueError("it fell")


def write(text: str, context: ToolContext) -> str:
    """Do something outside, once."""
    _note(context, f"wrote {text}")
    return "done"


async def hold(name: str, context: ToolContext) -> str:
    """Wait until the suite opens a gate."""
    _note(context, f"begun {name}")
    gate = _HERE / "gates" / f"{context.run_id}.{name}"
    while not gate.exists():
        await asyncio.sleep(0.02)
    return f"held {name}"


async def stamp(name: str, context: ToolContext) -> str:
    """Do something outside, and answer when the suite opens a gate."""
    return await hold(name, context)
'''


def write_team(folder: Path, *, model_url: str) -> None:
    """Write the team file and the module of its tools, whose name is of this folder alone."""
    module = f"suite_tools_{folder.name.replace('-', '_')}"
    (folder / f"{module}.py").write_text(_TOOLS, encoding="utf-8")
    text = _TEAMS.format(module=module, model_url=model_url)
    (folder / "teamrun.yaml").write_text(text, encoding="utf-8")
