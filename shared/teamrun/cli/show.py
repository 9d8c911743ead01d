"""Shows the events of a run to a person, as they happen."""

from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["EventView"]

MAX_TEXT = 2000
MAX_RESULT = 300


class EventView:
    """Prints events one after another; text that streams is printed while it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streaming: str | None = None

    def show(self, event_type: str, agent: str | None, data: dict[str, Any]) -> None:
        """Print one event or delta; those that say nothing to a person are passed over."""
        who = agent or "team"
        if event_type == "message.delta":
            self._delta(who, str(data.get("content", "")))
        elif event_type == "message.created":
            self._message(who, data.get("message", {}))
        elif event_type == "tool.call.requested":
            self._line(who, f"→ {data.get('tool')}({_short(data.get('arguments', ''))})", "cyan")
        elif event_type in {"tool.call.completed", "tool.call.failed"}:
            style = "green" if event_type.endswith("completed") else "red"
            self._line(who, f"← {data.get('tool')}: {_outcome(data)}", style)
        elif event_type == "artifact.created":
            self._line(who, f"file {data.get('name')} ({data.get('size')} bytes)", "magenta")
        elif event_type in {"model.call.failed", "model.call.retried"}:
            self._line(who, f"{event_type}: {_outcome(data)}", "red")
        elif event_type.startswith("run."):
            self._run(event_type, data)

    def end_line(self) -> None:
        """End a line that text has left open."""
        if self._streaming is not None:
            self._console.print()
            self._streaming = None

    def _delta(self, who: str, text: str) -> None:
        if self._streaming != who:
            self.end_line()
            self._console.print(Text(f"{who}: ", style="bold"), end="")
            self._streaming = who
        self._console.print(Text(text), end="")

    def _message(self, who: str, message: dict[str, Any]) -> None:
        if message.get("source") == self._streaming:
            self.end_line()
            return
        self.end_line()
        content = message.get("content", "")
        text = content if isinstance(content, str) else str(content)
        head = Text(f"{message.get('source', who)}: ", style="bold")
        self._console.print(head + Text(_cut(text, MAX_TEXT), style="default"))

    def _line(self, who: str, text: str, style: str) -> None:
        self.end_line()
        self._console.print(Text(f"{who} ", style="bold") + Text(text, style=style))

    def _run(self, event_type: str, data: dict[str, Any]) -> None:
        self.end_line()
        why = data.get("stop_reason") or _outcome(data)
        self._console.print(Text(f"[{event_type}] {why}".rstrip(), style="dim"))


def _outcome(data: dict[str, Any]) -> str:
    error = data.get("error")
    if isinstance(error, dict):
        return _short(str(error.get("message", error)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return _short(data.get("result", ""))


def _short(value: Any) -> str:
    return _cut(" ".join(str(value).split()), MAX_RESULT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text)} characters)"
