"""Shows the events of a run to a person, as they happen."""

import json
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

__all__ = ["EventView"]

MAX_RESULT = 300

_parts: TypeAdapter[list[Any]] = TypeAdapter(list[Any])


class EventView:
    """Prints events one after another; text that streams is printed while it comes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streaming: str | None = None
        self._streamed = ""

    def show(self, event_type: str, agent: str | None, data: dict[str, Any]) -> None:
        """Print one event or delta; those that say nothing to a person are passed over."""
        who = agent or "team"
        if event_type == "message.delta":
            self._delta(who, str(data.get("text", "")))
        elif event_type == "message.created":
            self._message(str(data["message"].get("source", who)), data["message"])
        elif event_type == "tool.call.requested":
            self._line(who, f"→ {data.get('tool')}({_short(data.get('arguments', ''))})", "cyan")
        elif event_type in {"tool.call.completed", "tool.call.failed"}:
            style = "green" if event_type.endswith("completed") else "red"
            self._line(who, f"← {data.get('tool')}: {_outcome(data)}", style)
        elif event_type == "artifact.created":
            self._line(who, f"file {data.get('name')} ({data.get('size')} bytes)", "magenta")
        elif event_type in {"model.call.failed", "model.call.retried"}:
            self._line(who, f"{event_type}: {_outcome(data)}", "red")
        elif event_type == "run.input_required":
            self._line(who, f"asks: {str(data.get('prompt', '')).strip()}", "yellow")
        elif event_type in {"tool.call.approved", "tool.call.denied"}:
            self._line(who, f"{event_type.rpartition('.')[2]}: {data.get('tool')}", "yellow")
        elif event_type.startswith(("run.", "limit.")):
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
            self._streaming, self._streamed = who, ""
        self._streamed += text
        self._console.print(Text(text), end="")

    def _message(self, who: str, message: dict[str, Any]) -> None:
        text = _text_of(message.get("content", ""))
        seen = self._streaming == who and self._streamed.strip() == text.strip()
        self.end_line()
        if not seen:
            self._console.print(Text(f"{who}: ", style="bold") + Text(text, style="not bold"))

    def _line(self, who: str, text: str, style: str) -> None:
        self.end_line()
        self._console.print(Text(f"{who} ", style="bold") + Text(text, style=style))

    def _run(self, event_type: str, data: dict[str, Any]) -> None:
        self.end_line()
        why = data.get("stop_reason") or data.get("decision") or _level(data) or _outcome(data)
        self._console.print(Text(f"[{event_type}] {why}".rstrip(), style="dim"))


def _text_of(content: object) -> str:
    """The text of a message; what is no text (an image, a structure) is named."""
    match content:
        case str():
            return content
        case list():
            parts = _parts.validate_python(content)
            return " ".join(part if isinstance(part, str) else "[image]" for part in parts)
        case _:
            return json.dumps(content, ensure_ascii=False)


def _level(data: dict[str, Any]) -> str:
    return f"{data['kind']}: {data['used']:g} of {data['limit']:g}" if "kind" in data else ""


def _outcome(data: dict[str, Any]) -> str:
    error: Any = data.get("error")
    return _short(error["message"] if error else data.get("result", ""))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_RESULT else f"{text[:MAX_RESULT]} … ({len(text)} characters)"
