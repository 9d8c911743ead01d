"""The model server's answers in the form of Mistral's chat completions, with its strictness.

Source: https://docs.mistral.ai/api/endpoint/chat
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tests.support.chat_wire import ChatWire
from tests.support.model_replies import Reply, chunks, completion

__all__ = ["MistralWire"]

Json = dict[str, Any]

_FIELDS = frozenset(
    {
        *("model", "messages", "stream", "temperature", "top_p", "max_tokens", "stop"),
        *("random_seed", "response_format", "tools", "tool_choice", "presence_penalty", "n"),
        *("frequency_penalty", "prediction", "parallel_tool_calls", "prompt_mode", "safe_prompt"),
        *("reasoning_effort", "metadata", "guardrails", "prompt_cache_key"),
    }
)
_OF_MESSAGES = frozenset({"role", "content", "tool_calls", "tool_call_id", "name", "prefix"})


class MistralWire(ChatWire):
    """The wire of `POST /mistral/v1/chat/completions`."""

    @staticmethod
    def fits(path: str) -> bool:
        """Whether a path is of this wire."""
        return path.startswith("/mistral/") and ChatWire.fits(path)

    def refusal(self, path: str, headers: Json, body: Json) -> Reply | None:
        """The answer to a request that the service does not accept."""
        messages: list[Json] = body["messages"]
        extra = sorted(body.keys() - _FIELDS)
        extra += [name for message in messages for name in sorted(message.keys() - _OF_MESSAGES)]
        extra += ["user.name" for part in messages if part["role"] == "user" and "name" in part]
        if extra or body.get("tools") == []:
            return Reply(status=422, content=f"Extra inputs are not permitted: {extra}")
        ids = [call["id"] for part in messages for call in part.get("tool_calls", ())]
        ids += [part["tool_call_id"] for part in messages if part["role"] == "tool"]
        if wrong := [each for each in ids if not re.fullmatch("[a-zA-Z0-9]{9}", each)]:
            words = "must be a-z, A-Z, 0-9, with a length of 9."
            return Reply(status=400, content=f"Tool call id was {wrong[0]} but {words}")
        return _order(messages)

    def error(self, reply: Reply) -> tuple[Json, dict[str, str]]:
        """Body and headers of an error."""
        words = reply.content or f"status {reply.status}"
        kind = "invalid_request_error" if 400 <= reply.status < 500 else "internal_server_error"
        body = {"object": "error", "message": words, "type": kind, "param": None}
        return {**body, "code": reply.error_code or "1500"}, {}

    def whole(self, reply: Reply, body: Json, number: int) -> Json:
        """An answer that is not streamed."""
        answer = completion(reply, body, number)
        answer["choices"][0]["message"] = _message(answer["choices"][0]["message"], number)
        return answer

    def chunks(self, reply: Reply, body: Json, number: int) -> Iterator[Json]:
        """The chunks of a stream: the last one has the usage, though nothing asks for it."""
        held: Json | None = None
        for chunk in chunks(reply, {**body, "stream_options": {"include_usage": True}}, number):
            if not chunk["choices"]:
                assert held is not None
                held["usage"] = chunk["usage"]
                continue
            if held is not None:
                yield held
            delta = chunk["choices"][0]["delta"]
            chunk["choices"][0]["delta"] = _message(delta, number)
            held = chunk
        if held is not None:
            yield held


def _order(messages: list[Json]) -> Reply | None:
    roles = [part["role"] for part in messages]
    allowed = {
        ("system", "user"),
        ("user", "assistant"),
        ("assistant", "user"),
        ("assistant", "tool"),
        ("tool", "tool"),
        ("tool", "assistant"),
    }
    for pair in pairwise(roles):
        if pair not in allowed:
            words = f"Unexpected role {pair[1]!r} after role {pair[0]!r}"
            return Reply(status=400, content=words)
    if roles[-1] not in ("user", "tool"):
        return Reply(status=400, content=f"Expected last role User or Tool but got {roles[-1]}")
    return None


def _message(message: Json, number: int) -> Json:
    message = {**message, "prefix": False}
    if thought := message.pop("reasoning_content", None):
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": thought}]}
        text = message.get("content")
        message["content"] = [thinking, *([{"type": "text", "text": text}] if text else [])]
    calls = message.get("tool_calls", ())
    if calls:
        message["tool_calls"] = [_call(call, k, number) for k, call in enumerate(calls)]
    return message


def _call(call: Json, index: int, number: int) -> Json:
    own = call.get("index", index)
    return {**call, "id": f"c{number:04d}{own:04d}"} if "id" in call else call
