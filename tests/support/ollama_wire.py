"""The model server's answers in the form of Ollama's `/api/chat`.

Source: https://docs.ollama.com/api/chat
"""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.model_replies import Reply, completion

__all__ = ["OllamaWire"]

Json = dict[str, Any]


class OllamaWire:
    """The wire of `POST /api/chat`."""

    media_type = "application/x-ndjson"
    done = b""

    @staticmethod
    def fits(path: str) -> bool:
        """Whether a path is of this wire."""
        return path.endswith("/api/chat")

    def streams(self, path: str, body: Json) -> bool:
        """Whether a stream is requested, as it is by default."""
        return bool(body.get("stream", True))

    def refusal(self, path: str, headers: Json, body: Json) -> Reply | None:
        """The answer to a request that the server does not accept."""
        for message in body["messages"]:
            for call in message.get("tool_calls", ()):
                if not isinstance(call["function"]["arguments"], dict):
                    return Reply(status=400, content="cannot unmarshal string into arguments")
            if not isinstance(message["content"], str):
                return Reply(status=400, content="cannot unmarshal array into content")
        return None

    def error(self, reply: Reply) -> tuple[Json, dict[str, str]]:
        """Body and headers of an error."""
        return {"error": reply.content or f"status {reply.status}"}, {}

    def whole(self, reply: Reply, body: Json, number: int) -> Json:
        """An answer that is not streamed."""
        message = _message(reply, body, number)
        return {**_frame(body), "message": message, **_end(reply)}

    def events(self, reply: Reply, body: Json, number: int) -> Iterator[bytes]:
        """The lines of a stream."""
        message = _message(reply, body, number)
        yield _line(body, content="")
        for piece in _pieces(message.get("thinking", "")):
            yield _line(body, content="", thinking=piece)
        for piece in _pieces(message["content"]):
            yield _line(body, content=piece)
        for call in message.get("tool_calls", ()):
            yield _line(body, content="", tool_calls=[call])
        end = {"message": {"role": "assistant", "content": ""}, **_end(reply)}
        yield _written({**_frame(body), **end})

    def malformed(self) -> bytes:
        """A line that breaks off."""
        return b'{"model": "m", "message": {"role"\n'

    def error_event(self, reply: Reply) -> bytes:
        """An error in place of a line."""
        return _written({"error": reply.content or "it broke"})


def _message(reply: Reply, body: Json, number: int) -> Json:
    said = completion(reply, body, number)["choices"][0]["message"]
    message: Json = {"role": "assistant", "content": said["content"] or ""}
    if reply.reasoning:
        message["thinking"] = reply.reasoning
    if "tool_calls" in said:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "function": {
                    "index": index,
                    "name": call["function"]["name"],
                    "arguments": json.loads(call["function"]["arguments"]),
                },
            }
            for index, call in enumerate(said["tool_calls"])
        ]
    return message


def _pieces(text: str) -> list[str]:
    words = text.split(" ") if text else []
    return [f"{word} " for word in words[:-1]] + words[-1:]


def _frame(body: Json) -> Json:
    return {"model": body["model"], "created_at": "2026-11-30T00:00:00.000000Z"}


def _line(body: Json, **message: Any) -> bytes:
    whole = {**_frame(body), "message": {"role": "assistant", **message}, "done": False}
    return _written(whole)


def _end(reply: Reply) -> Json:
    end: Json = {"done": True, "done_reason": reply.finish_reason or "stop", "total_duration": 1}
    if reply.usage:
        counts = {"prompt_eval_count": reply.prompt_tokens, "eval_count": reply.completion_tokens}
        end |= counts
    return end


def _written(line: Json) -> bytes:
    return json.dumps(line).encode() + b"\n"
