"""The model server's answers in the form of Bedrock's Converse and ConverseStream."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.support.converse_rules import faults_of
from tests.support.eventstream import corrupt, event, exception
from tests.support.model_replies import Reply, ToolCall

__all__ = ["ConverseWire"]

Json = dict[str, Any]

_ERRORS = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class ConverseWire:
    """The wire of `POST /model/{id}/converse` and `.../converse-stream`."""

    media_type = "application/vnd.amazon.eventstream"
    done = b""

    @staticmethod
    def fits(path: str) -> bool:
        """Whether a path is of this wire."""
        return path.startswith("/model/") and path.endswith(("/converse", "/converse-stream"))

    def streams(self, path: str, body: Json) -> bool:
        """Whether a stream is requested."""
        return path.endswith("/converse-stream")

    def refusal(self, path: str, headers: Json, body: Json) -> Reply | None:
        """The answer to a request that the service does not accept."""
        if not headers.get("authorization", "").startswith(("AWS4-HMAC-SHA256 ", "Bearer ")):
            return Reply(
                status=403,
                error_code="MissingAuthenticationTokenException",
                content="Missing Authentication Token",
            )
        model = unquote(path.split("/")[2])
        faults = faults_of(model, body, streamed=self.streams(path, body))
        return Reply(status=400, content="; ".join(faults)) if faults else None

    def error(self, reply: Reply) -> tuple[Json, dict[str, str]]:
        """Body and headers of an error."""
        kind = reply.error_code or _ERRORS.get(reply.status, "UnknownException")
        headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/"}
        text = f"status {reply.status}" if reply.content is None else reply.content
        return {"message": text}, {**headers, "x-amzn-requestid": "request-1"}

    def whole(self, reply: Reply, body: Json, number: int) -> Json:
        """An answer of Converse."""
        content: list[Json] = []
        if reply.reasoning is not None:
            reasoning = {"text": reply.reasoning, "signature": "c2ln"}
            content.append({"reasoningContent": {"reasoningText": reasoning}})
        reply = _obedient(reply, body)
        if (text := _text(reply, body)) is not None:
            content.append({"text": text})
        content += [{"toolUse": use} for use in _uses(reply, number)]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _stop_reason(reply),
            "usage": _usage(reply),
            "metrics": {"latencyMs": 1},
        }

    def events(self, reply: Reply, body: Json, number: int) -> Iterator[bytes]:
        """The frames of ConverseStream."""
        reply = _obedient(reply, body)
        yield event("messageStart", {"role": "assistant"})
        for index, (start, deltas) in enumerate(_blocks(reply, body, number)):
            if start is not None:
                yield event("contentBlockStart", {"start": start, "contentBlockIndex": index})
            for delta in deltas:
                yield event("contentBlockDelta", {"delta": delta, "contentBlockIndex": index})
            yield event("contentBlockStop", {"contentBlockIndex": index})
        yield event("messageStop", {"stopReason": _stop_reason(reply)})
        if reply.usage:
            yield event("metadata", {"usage": _usage(reply), "metrics": {"latencyMs": 1}})

    def malformed(self) -> bytes:
        """A frame whose CRC is wrong."""
        return corrupt(event("contentBlockStop", {"contentBlockIndex": 0}))

    def error_event(self, reply: Reply) -> bytes:
        """An exception in place of an event."""
        kind = reply.error_code or "internalServerException"
        return exception(kind, {"message": reply.content or "broken"})


def _blocks(reply: Reply, body: Json, number: int) -> Iterator[tuple[Json | None, list[Json]]]:
    if reply.reasoning is not None:
        words = _words(reply.reasoning)
        yield None, [{"reasoningContent": part} for part in (*words, {"signature": "c2ln"})]
    if text := _text(reply, body):
        yield None, _words(text)
    for use in _uses(reply, number):
        arguments = json.dumps(use["input"])
        half = len(arguments) // 2
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        parts = (arguments[:half], arguments[half:])
        yield start, [{"toolUse": {"input": part}} for part in parts]


def _words(text: str) -> list[Json]:
    words: list[Json] = [{"text": f"{word} "} for word in text.split(" ")]
    words[-1]["text"] = words[-1]["text"][:-1]
    return words


def _obedient(reply: Reply, body: Json) -> Reply:
    """The reply as the call of the tool that the request forces, if it is JSON."""
    choice: Json = body.get("toolConfig", {}).get("toolChoice", {})
    if "tool" not in choice or reply.tool_calls or not reply.content:
        return reply
    call = ToolCall(name=choice["tool"]["name"], arguments=json.loads(reply.content))
    return reply.model_copy(update={"content": None, "tool_calls": [call]})


def _text(reply: Reply, body: Json) -> str | None:
    if reply.content is not None or reply.tool_calls:
        return reply.content
    texts = [block["text"] for block in body["messages"][-1]["content"] if "text" in block]
    return f"You said: {texts[-1] if texts else 'nothing'}"


def _uses(reply: Reply, number: int) -> list[Json]:
    return [
        {
            "toolUseId": call.id or f"tooluse_{number}_{index}",
            "name": call.name,
            "input": call.arguments,
        }
        for index, call in enumerate(reply.tool_calls)
    ]


def _stop_reason(reply: Reply) -> str:
    return reply.finish_reason or ("tool_use" if reply.tool_calls else "end_turn")


def _usage(reply: Reply) -> Json:
    """Like the service, it counts tokens from its cache apart."""
    return {
        "inputTokens": reply.prompt_tokens - reply.cached_tokens,
        "outputTokens": reply.completion_tokens,
        "totalTokens": reply.prompt_tokens + reply.completion_tokens,
        "cacheReadInputTokens": reply.cached_tokens,
        "cacheWriteInputTokens": 0,
    }
