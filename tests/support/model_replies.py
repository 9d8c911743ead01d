"""The answers of the model server, and their form on the wire of chat completions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Fault", "Plan", "Reply", "Rule", "ToolCall", "chunks", "completion", "error_body"]

Json = dict[str, Any]

Fault = Literal["drop", "cut", "end_early", "hang", "drip", "malformed", "not_json", "error_event"]
"""`drop`: no answer, the connection is reset; `cut`: reset within the answer; `end_early`: a stream
that ends in good form before the answer does; `hang`: silence; `drip`: byte by byte, with
`gap_seconds` between, not streamed; `malformed`: JSON that breaks off; `not_json`: a web page;
`error_event`: an error within the stream."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Data):
    """A call that the model requests."""

    name: str
    arguments: Json = {}
    id: str | None = None


class Reply(_Data):
    """One answer."""

    content: str | None = None
    """By default, without tool calls, the last user message is echoed."""
    tool_calls: list[ToolCall] = []
    reasoning: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int = 11
    completion_tokens: int = 7
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage: bool = True
    """Whether usage is reported; in a stream only if it was requested."""
    latency_seconds: float | None = None
    """The delay before the answer; by default that of the server."""
    gap_seconds: float = 0
    """Between the chunks of a stream, or between the bytes of an answer that drips."""
    status: int = 200
    headers: dict[str, str] = {}
    error_code: str | None = None
    fault: Fault | None = None
    after: int = 2
    """How many chunks of a stream come before its fault."""
    body: str | bytes | None = None
    """The body of the answer, byte for byte, streamed or not; it replaces everything above but
    `status`, `headers` and the times."""
    media_type: str = "application/json"
    """Of `body`."""


class Rule(_Data):
    """A reply for every matching request; all given conditions must be met."""

    reply: Reply
    model: str | None = None
    contains: str | None = None
    """In any message."""
    last_contains: str | None = None
    """In the last message."""
    system_contains: str | None = None
    messages: int | None = None
    """How many there are."""

    def fits(self, body: Json) -> bool:
        """Whether the reply is for this request."""
        messages: list[Json] = body["messages"]
        system = [message for message in messages if message["role"] == "system"]
        return (
            self.model in (None, body["model"])
            and self.messages in (None, len(messages))
            and _holds(messages, self.contains)
            and _holds(messages[-1:], self.last_contains)
            and _holds(system, self.system_contains)
        )


class Plan(BaseModel):
    """How the server answers: from the queue first, else by the first rule that fits, else so."""

    model_config = ConfigDict(extra="forbid")

    queue: list[Reply] = []
    rules: list[Rule] = []
    default: Reply = Reply()

    def pick(self, body: Json) -> Reply:
        """The reply to a request; takes it off the queue."""
        if self.queue:
            return self.queue.pop(0)
        return next((rule.reply for rule in self.rules if rule.fits(body)), self.default)


def completion(reply: Reply, body: Json, number: int) -> Json:
    """The body of an answer in one piece."""
    message: Json = {"role": "assistant", "content": _text(reply, body), "refusal": reply.refusal}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            _call(call, number, index) for index, call in enumerate(reply.tool_calls)
        ]
    answer = _frame(body, number, "chat.completion")
    answer["choices"] = [
        {"index": 0, "message": message, "finish_reason": _finish(reply), "logprobs": None}
    ]
    if reply.usage:
        answer["usage"] = _usage(reply)
    return answer


def chunks(reply: Reply, body: Json, number: int) -> Iterator[Json]:
    """The chunks of a streamed answer, `[DONE]` not included."""
    yield _chunk(body, number, {"role": "assistant", "content": ""})
    for word in (reply.reasoning or "").split(" ") if reply.reasoning else ():
        yield _chunk(body, number, {"reasoning_content": word})
    for delta in _deltas(reply, body, number):
        yield _chunk(body, number, delta)
    yield _chunk(body, number, {}, finish=_finish(reply))
    asked: Mapping[str, Any] = body.get("stream_options") or {}
    if reply.usage and asked.get("include_usage"):
        last = _frame(body, number, "chat.completion.chunk")
        yield {**last, "choices": [], "usage": _usage(reply)}


def error_body(reply: Reply) -> Json:
    """The body of an error, as OpenAI writes it."""
    return {
        "error": {
            "message": reply.content or f"status {reply.status}",
            "type": "invalid_request_error" if 400 <= reply.status < 500 else "server_error",
            "param": None,
            "code": reply.error_code,
        }
    }


def _deltas(reply: Reply, body: Json, number: int) -> Iterator[Json]:
    text = _text(reply, body) or ""
    words = text.split(" ")
    for k, word in enumerate(words if text else ()):
        yield {"content": word if k == len(words) - 1 else word + " "}
    if reply.refusal:
        yield {"refusal": reply.refusal}
    for index, call in enumerate(reply.tool_calls):
        whole = _call(call, number, index)
        arguments: str = whole["function"]["arguments"]
        half = len(arguments) // 2
        whole["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": index, **whole}]}
        for part in (arguments[:half], arguments[half:]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}


def _text(reply: Reply, body: Json) -> str | None:
    if reply.content is not None or reply.tool_calls or reply.refusal:
        return reply.content
    users = [message for message in body["messages"] if message["role"] == "user"]
    return f"You said: {_plain(users[-1]) if users else 'nothing'}"


def _call(call: ToolCall, number: int, index: int) -> Json:
    return {
        "id": call.id or f"call_{number}_{index}",
        "type": "function",
        "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
    }


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _frame(body: Json, number: int, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": 1_780_000_000,
        "model": body["model"],
    }


def _chunk(body: Json, number: int, delta: Json, *, finish: str | None = None) -> Json:
    frame = _frame(body, number, "chat.completion.chunk")
    frame["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    return frame


def _usage(reply: Reply) -> Json:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
    }


def _holds(messages: list[Json], text: str | None) -> bool:
    return text is None or any(text in _plain(message) for message in messages)


def _plain(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else json.dumps(content)
