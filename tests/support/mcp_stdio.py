"""An MCP server on standard input and output, written from the specification (2025-11-25).

`python mcp_stdio.py [KIND]`: `ordinary`, or a server that is at fault. It imports nothing of the
SDK, which takes a second to import.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOOLS: list[dict[str, Any]] = [
    {
        "name": "add",
        "description": "Adds two numbers.",
        "inputSchema": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {"name": "pay", "description": "Pays.", "inputSchema": {"type": "object"}},
    {
        "name": "put",
        "inputSchema": {"type": "object"},
        "annotations": {"idempotentHint": True},
    },
    *(
        {"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
        for name in ("fail", "refuse", "hang", "die", "garbage", "big", "more", "environment")
    ),
    *(
        {"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
        for name in ("picture", "structured", "roots", "sample", "progress", "count", "a.b/c")
    ),
]
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)
_calls = 0
_writing = threading.Lock()
_answers: dict[Any, Any] = {}


def send(message: dict[str, Any]) -> None:
    with _writing:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


def ask(method: str, params: dict[str, Any]) -> Any:
    """Ask the client; the answer is the next message."""
    send({"id": f"s-{method}", "method": method, "params": params})
    return json.loads(sys.stdin.readline())


def note(said: str) -> None:
    """Leave a line in the file that the tests read."""
    if path := os.environ.get("CALLS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(said + "\n")


def hang(_: dict[str, Any]) -> Any:
    time.sleep(1000)


def die(_: dict[str, Any]) -> Any:
    os._exit(3)


def garbage(_: dict[str, Any]) -> Any:
    sys.stdout.write("this is no message\n")
    return {"content": "no list"}


def more(_: dict[str, Any]) -> Any:
    TOOLS.append({"name": f"extra_{_calls}", "inputSchema": {"type": "object"}})
    send({"method": "notifications/tools/list_changed"})
    return text("there are more")


def picture(_: dict[str, Any]) -> Any:
    image = {"type": "image", "data": PNG, "mimeType": "image/png"}
    return {"content": [{"type": "text", "text": "A point:"}, image]}


def sample(_: dict[str, Any]) -> Any:
    messages = [{"role": "user", "content": {"type": "text", "text": "Say it."}}]
    params = {"messages": messages, "maxTokens": 9}
    return text(json.dumps(ask("sampling/createMessage", params)))


def progress(arguments: dict[str, Any]) -> Any:
    token = arguments["_meta"].get("progressToken")
    params = {"progressToken": token, "progress": 1, "total": 4, "message": "a quarter"}
    send({"method": "notifications/progress", "params": params})
    return text("done")


CALLS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "add": lambda given: text(str(given["a"] + given["b"])),
    "fail": lambda _: text("It is broken.", isError=True),
    "hang": hang,
    "die": die,
    "garbage": garbage,
    "big": lambda given: text("x" * int(given["size"])),
    "more": more,
    "environment": lambda _: text(" ".join(sorted(os.environ))),
    "picture": picture,
    "structured": lambda _: {"content": [], "structuredContent": {"answer": 42}},
    "roots": lambda _: text(json.dumps(ask("roots/list", {}))),
    "sample": sample,
    "progress": progress,
    "count": lambda _: text(str(_calls)),
}


def call(name: str, arguments: dict[str, Any], meta: dict[str, Any]) -> Any:
    global _calls
    _calls += 1
    note(name)
    made = CALLS.get(name)
    if made is None:
        return text(f"{name} {json.dumps(arguments)}")
    return made({**arguments, "_meta": meta})


def answer(message: dict[str, Any]) -> None:
    id, method = message.get("id"), message.get("method")
    params: dict[str, Any] = message.get("params") or {}
    match method:
        case "initialize":
            send(
                {
                    "id": id,
                    "result": {
                        "protocolVersion": "2025-11-25",
                        "capabilities": {"tools": {"listChanged": True}},
                        "serverInfo": {"name": "ours", "version": "1"},
                    },
                }
            )
        case "tools/list":
            note("tools/list")
            start = int(params.get("cursor") or 0)
            page: dict[str, Any] = {"tools": TOOLS[start : start + 10]}
            if start + 10 < len(TOOLS):
                page["nextCursor"] = str(start + 10)
            send({"id": id, "result": page})
        case "tools/call" if params["name"] == "refuse":
            secret = os.environ.get("KEY", "")
            error = {"code": -32602, "message": f"No such tool; the key is {secret}"}
            send({"id": id, "error": error})
        case "tools/call":
            name = params["name"]
            arguments: dict[str, Any] = params.get("arguments") or {}
            result = call(name, arguments, params.get("_meta") or {})
            send({"id": id, "result": result})
        case _ if id is not None and method:
            send({"id": id, "error": {"code": -32601, "message": "Method not found"}})
        case _:
            pass


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "ordinary"
    sys.stderr.write(f"started with {os.environ.get('KEY', 'no key')}\n")
    sys.stderr.flush()
    if kind == "silent":
        sys.stdin.read()
    if kind == "broken":
        sys.stdout.write("usage: server FOLDER\n")
        sys.stdout.flush()
        sys.exit(2)
    if kind == "reduced":  # it lists one tool, and has all of them
        del TOOLS[1:]
    note("started")
    for line in sys.stdin:
        answer(json.loads(line))
    note("ended")


if __name__ == "__main__":
    main()
