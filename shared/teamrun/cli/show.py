"""Shows the events of a run to a person, as they happen."""

import json
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter
from rich.console import Console
from rich.text import Text

from teamrun.json_types import JsonObject
from teamrun.runs.log.usage import RunUsage
from teamrun.runs.service.resources import Delta, Event, Run

__all__ = ["EventView", "sender", "view_on_stdout"]

MAX_RESULT = 300

_parts: TypeAdapter[list[Any]] = TypeAdapter(list[Any])

_ERASE_LINE = "\r\x1b[2K"
"""ECMA-48, section 8.3.41: erase the whole line."""


class EventView:
    """Prints events one after another; streamed text is printed as it arrives.

    Each line ends with the number of its event, for `teamrun fork --after`. At a terminal, the
    reason why the run waits is shown until the next event.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streaming: str | None = None
        self._streamed = ""
        self._kept: dict[str, str] = {}  # text of others, until the current message is complete
        self._is_waiting = False
        self._seq: int | None = None
        self._said = ""
        """The text of the last message."""

    def take(self, item: Event | Delta) -> None:
        """Print an event or a piece of text of a run."""
        seq = item.seq if isinstance(item, Event) else None
        try:
            self.show(item.type, item.agent, item.data, seq=seq)
        except (AttributeError, LookupError, TypeError, ValueError):
            # Of another release of the service, perhaps: the run is to be watched all the same.
            text = _short(json.dumps(item.data, ensure_ascii=False, default=str))
            self._line(item.agent or "team", f"{item.type}: {text}", "dim")

    def show(
        self, event_type: str, agent: str | None, data: JsonObject, *, seq: int | None = None
    ) -> None:
        """Print one event or delta; those that mean nothing to a person are left out."""
        who = agent or "team"
        self._seq = seq
        match event_type:
            case "message.delta":
                self._delta(who, str(data.get("text", "")))
            case "message.created":
                self._message(str(data["message"].get("source", who)), data["message"])
            case "model.call.started":
                self._wait(f"{who} waits for the model {data.get('model')} …")
            case "artifact.created":
                file = f"file {data.get('name')} ({data.get('size')} bytes)"
                self._line(who, file, "magenta")
            case "model.call.failed" | "model.call.retried" | "model.call.fell_back":
                self._line(who, _model_trouble(event_type, data), "red")
            case "run.input_required":
                self._line(who, f"asks: {str(data.get('prompt', '')).strip()}", "yellow")
            case _ if event_type.startswith("tool.call."):
                self._tool(who, event_type.rpartition(".")[2], data)
            case _ if event_type.startswith(("run.", "limit.")):
                self._run(event_type, data)
            case _:
                pass
        if self._streaming is None and self._kept:
            who = next(iter(self._kept))
            self._delta(who, self._kept.pop(who))

    def summary(self, run: Run) -> None:
        """Print the usage and the cost of an ended run."""
        self.end_line()
        self._console.print(Text(_used(run.usage), style="dim"))

    def end_line(self) -> None:
        """End a line that text has left open."""
        if self._is_waiting:
            self._console.file.write(_ERASE_LINE)
            self._is_waiting = False
        if self._streaming is not None:
            self._print(Text())
            self._streaming = None

    def _wait(self, text: str) -> None:
        if not self._console.is_terminal or self._streaming is not None:
            return
        self.end_line()
        self._console.print(Text(text[: self._console.width - 1], style="dim"), end="")
        self._is_waiting = True

    def _delta(self, who: str, text: str) -> None:
        if self._streaming not in (None, who):
            # Text is live, while a message arrives some milliseconds after its last piece.
            self._kept[who] = self._kept.get(who, "") + text
            return
        if self._streaming != who:
            self.end_line()
            self._console.print(Text(f"{who}: ", style="bold"), end="")
            self._streaming, self._streamed = who, ""
        self._streamed += text
        self._console.print(Text(text), end="")

    def _message(self, who: str, message: JsonObject) -> None:
        text = self._said = _text_of(message.get("content", ""))
        self._kept.pop(who, None)
        seen = self._streaming == who and self._streamed.strip() == text.strip()
        if not seen:
            seq, self._seq = self._seq, None  # it is the number of the line below
            self.end_line()
            self._seq = seq
            self._print(
                Text(f"{sender(message, who)}: ", style="bold") + Text(text, style="not bold")
            )
        self.end_line()

    def _tool(self, who: str, what: str, data: JsonObject) -> None:
        tool = data.get("tool")
        match what:
            case "requested":
                self._line(who, f"→ {tool}({_short(data.get('arguments', ''))})", "cyan")
            case "completed":
                self._line(who, f"← {tool}: {_outcome(data)}", "green")
            case "failed":
                self._line(who, f"← {tool} failed: {_outcome(data)}", "red")
            case "progressed":
                self._line(who, f"… {tool}: {_progress(data)}", "cyan")
            case _:
                self._line(who, f"{what}: {tool}", "yellow")

    def _line(self, who: str, text: str, style: str) -> None:
        self._begin_line()
        self._print(Text(f"{who} ", style="bold") + Text(text, style=style))

    def _run(self, event_type: str, data: JsonObject) -> None:
        self._output(data.get("output"))
        self._begin_line()
        self._print(Text(f"[{event_type}] {_why(event_type, data)}".rstrip(), style="dim"))
        if event_type == "run.queued":
            self._wait("The run waits for a worker …")

    def _output(self, output: JsonObject | None) -> None:
        """Print the output of a run with a schema, unless it was the last message."""
        if output is None or output.get("json") is None:
            return
        text = json.dumps(output["json"], ensure_ascii=False)
        if self._said not in (text, output.get("text")):
            self.end_line()
            self._console.print(Text("output: ", style="bold") + Text(text, style="not bold"))

    def _begin_line(self) -> None:
        seq, self._seq = self._seq, None  # an open line ends without a number
        self.end_line()
        self._seq = seq

    def _print(self, text: Text) -> None:
        if self._seq is not None:
            text = text + Text(f"  #{self._seq}", style="dim not bold")
        self._console.print(text)


def sender(message: JsonObject, name: str) -> str:
    """The name of the sender after the names of those that enclose it: `lead/pair/writer`."""
    path = message.get("path")
    return "/".join([*cast("list[str]", path), name]) if isinstance(path, list) else name


def view_on_stdout() -> EventView:
    """A view that prints to stdout."""
    return EventView(Console(highlight=False, soft_wrap=True, emoji=False))


def _text_of(content: object) -> str:
    """The text of a message; other content (an image, a structure) is named."""
    match content:
        case str():
            return content
        case list():
            parts = _parts.validate_python(content)
            return " ".join(part if isinstance(part, str) else "[image]" for part in parts)
        case _:
            return json.dumps(content, ensure_ascii=False)


def _why(event_type: str, data: JsonObject) -> str:
    if event_type == "run.retried":
        return f"attempt {data.get('attempt')} at {_time(data.get('retry_at'))}: {_outcome(data)}"
    if event_type == "run.scheduled":
        return f"begins at {_time(data.get('run_at'))}"
    why = data.get("stop_reason") or data.get("decision") or _level(data) or _outcome(data)
    code = data.get("stop_code")
    return f"{why} ({code})" if code else str(why)


def _model_trouble(event_type: str, data: JsonObject) -> str:
    model, error = data.get("model"), _outcome(data)
    if event_type == "model.call.failed":
        return f"model {model} failed: {error}"
    if event_type == "model.call.fell_back":
        return f"model {model} failed, {data.get('fallback')} is asked: {error}"
    return (
        f"model {model} failed, attempt {data.get('attempt')}; tried again in "
        f"{_number(data.get('delay_seconds', 0))} s: {error}"
    )


def _progress(data: JsonObject) -> str:
    note, percent = str(data.get("note") or ""), data.get("percent")
    return note if percent is None else f"{note} ({_number(percent)} %)".strip()


def _number(value: object) -> str:
    """A number in few digits; other values are printed unchanged."""
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _time(text: object) -> str:
    return datetime.fromisoformat(str(text)).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _used(usage: RunUsage) -> str:
    cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:f}"
    # Agents and teams as tools are not counted: what they call is. So 0 would look wrong.
    tools = f", tool calls: {usage.tool_calls}" if usage.tool_calls else ""
    return (
        f"Model calls: {usage.model_calls}{tools}, tokens: {usage.input_tokens} in,"
        f" {usage.output_tokens} out, cost: {cost}"
    )


def _level(data: JsonObject) -> str:
    if "kind" not in data:
        return ""
    return f"{data['kind']}: {_number(data.get('used'))} of {_number(data.get('limit'))}"


def _outcome(data: JsonObject) -> str:
    error: Any = data.get("error")
    return _short(error["message"] if error else data.get("result", ""))


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MAX_RESULT else f"{text[:MAX_RESULT]} … ({len(text)} characters)"
