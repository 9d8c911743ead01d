"""The model server's answers in the form of Anthropic's Messages API.

Answers have the form of `anthropic.types`, which `tests/unit/test_model_server.py` checks.
"""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.messages_rules import faults_of
from tests.support.model_replies import Reply, ToolCall

__all__ = ["MessagesWire"]

Json = dict[str, Any]

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
SIGNATURE = "c2lnbmF0dXJl"


class MessagesWire:
    """The wire of `POST /v1/messages`."""

    media_type = "text/event-stream"
    done = b""

    @staticmethod
    def fits(path: str) -> bool:
        """Whether a path is of this wire."""
        return path.endswith("/v1/messages")

    def streams(self, path: str, body: Json) -> bool:
        """Whether a stream is requested."""
        return body.get("stream") is True

    def refusal(self, path: str, headers: Json, body: Json) -> Reply | None:
        """The answer to a request that the service does not accept."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if not (bearer or headers.get("x-api-key")):  # the SDK sends the first
            return Reply(status=401, content="x-api-key header is required")
        if not headers.get("anthropic-version"):
            return Reply(status=400, content="anthropic-version: header is required")
        faults = faults_of(body)
        return Reply(status=400, content="; ".join(faults)) if faults else None

    def error(self, reply: Reply) -> tuple[Json, dict[str, str]]:
        """Body and headers of an error."""
        return _error(reply, _ERRORS.get(reply.status, "api_error")), {"request-id": "req_1"}

    def whole(self, reply: Reply, body: Json, number: int) -> Json:
        """An answer in one piece."""
        reply = _obedient(reply, body)
        return {
            **_frame(reply, body, number),
            "content": [block for block, _ in _blocks(reply, body, number)],
            **_stop(reply),
        }

    def events(self, reply: Reply, body: Json, number: int) -> Iterator[bytes]:
        """The events of a stream; those without text are sent with the next that has some."""
        reply = _obedient(reply, body)
        start: Json = {**_frame(reply, body, number), "content": [], "stop_reason": None}
        start["usage"] = {**_usage(reply), "output_tokens": 1}
        yield event("message_start", message=start) + event("ping")
        held = b""
        for index, (block, deltas) in enumerate(_blocks(reply, body, number)):
            begun = {**block, **_EMPTY.get(block["type"], {})}
            held += event("content_block_start", index=index, content_block=begun)
            for delta in deltas:
                yield held + event("content_block_delta", index=index, delta=delta)
                held = b""
            held += event("content_block_stop", index=index)
        usage = _usage(reply) if reply.usage else {"output_tokens": 0}
        yield held + event("message_delta", delta=_stop(reply), usage=usage)
        yield event("message_stop")

    def malformed(self) -> bytes:
        """An event whose JSON breaks off."""
        return b'event: content_block_delta\ndata: {"type": "content_block_delta", "ind\n\n'

    def error_event(self, reply: Reply) -> bytes:
        """An error in place of an event."""
        return event("error", **_error(reply, "overloaded_error"))


_EMPTY: dict[str, Json] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


def event(name: str, **members: Any) -> bytes:
    """An event of a stream."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **members})}\n\n".encode()


def _error(reply: Reply, kind: str) -> Json:
    text = f"status {reply.status}" if reply.content is None else reply.content
    error = {"type": reply.error_code or kind, "message": text}
    return {"type": "error", "error": error, "request_id": "req_1"}


def _frame(reply: Reply, body: Json, number: int) -> Json:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "stop_sequence": None,
        "usage": _usage(reply),
    }


def _stop(reply: Reply) -> Json:
    reason = reply.finish_reason or ("tool_use" if reply.tool_calls else "end_turn")
    return {"stop_reason": reason, "stop_sequence": None}


def _blocks(reply: Reply, body: Json, number: int) -> Iterator[tuple[Json, list[Json]]]:
    """Each block as it is whole, and the deltas by which it is streamed."""
    if reply.reasoning is not None:
        words = [{"type": "thinking_delta", "thinking": word} for word in _words(reply.reasoning)]
        signed = {"type": "signature_delta", "signature": SIGNATURE}
        block = {"type": "thinking", "thinking": reply.reasoning, "signature": SIGNATURE}
        yield block, [*words, signed]
    if text := _text(reply, body):
        words = [{"type": "text_delta", "text": word} for word in _words(text)]
        yield {"type": "text", "text": text, "citations": None}, words
    for index, call in enumerate(reply.tool_calls):
        arguments = json.dumps(call.arguments)
        half = len(arguments) // 2
        parts = ("", arguments[:half], arguments[half:])
        yield (
            {
                "type": "tool_use",
                "id": call.id or f"toolu_{number}_{index}",
                "name": call.name,
                "input": call.arguments,
            },
            [{"type": "input_json_delta", "partial_json": part} for part in parts],
        )


def _words(text: str) -> list[str]:
    *words, last = text.split(" ")
    return [*(f"{word} " for word in words), last]


def _obedient(reply: Reply, body: Json) -> Reply:
    """The reply as the call of the tool that the request forces, if it is JSON."""
    choice: Json = body.get("tool_choice", {})
    if choice.get("type") != "tool" or reply.tool_calls or not reply.content:
        return reply
    call = ToolCall(name=choice["name"], arguments=json.loads(reply.content))
    return reply.model_copy(update={"content": None, "tool_calls": [call]})


def _text(reply: Reply, body: Json) -> str | None:
    if reply.content is not None or reply.tool_calls:
        return reply.content
    blocks: list[Json] = body["messages"][-1]["content"]
    texts = [block["text"] for block in blocks if block["type"] == "text"]
    return f"You said: {texts[-1] if texts else 'nothing'}"


def _usage(reply: Reply) -> Json:
    """Like the service, it counts tokens from its cache apart."""
    return {
        "input_tokens": reply.prompt_tokens - reply.cached_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"thinking_tokens": reply.reasoning_tokens},
    }
