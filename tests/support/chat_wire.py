"""The model server's answers in the form of OpenAI's chat completions."""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.model_replies import Reply, chunks, completion, error_body

__all__ = ["ChatWire"]

Json = dict[str, Any]


class ChatWire:
    """The wire of `POST .../chat/completions`."""

    media_type = "text/event-stream"
    done = b"data: [DONE]\n\n"

    @staticmethod
    def fits(path: str) -> bool:
        """Whether a path is of this wire."""
        return path.endswith("/chat/completions")

    def streams(self, path: str, body: Json) -> bool:
        """Whether a stream is requested."""
        return bool(body.get("stream"))

    def refusal(self, path: str, headers: Json, body: Json) -> Reply | None:
        """The answer to a request that the server does not accept: it takes them all."""
        return None

    def error(self, reply: Reply) -> tuple[Json, dict[str, str]]:
        """Body and headers of an error."""
        return error_body(reply), {}

    def whole(self, reply: Reply, body: Json, number: int) -> Json:
        """An answer that is not streamed."""
        return completion(reply, body, number)

    def events(self, reply: Reply, body: Json, number: int) -> Iterator[bytes]:
        """The events of a stream but the last, `done`."""
        for chunk in self.chunks(reply, body, number):
            yield _event(json.dumps(chunk))

    def chunks(self, reply: Reply, body: Json, number: int) -> Iterator[Json]:
        """The chunks of a stream."""
        return chunks(reply, body, number)

    def malformed(self) -> bytes:
        """An event that breaks off."""
        return _event('{"id": "chatcmpl-1", "choices": [')

    def error_event(self, reply: Reply) -> bytes:
        """An error in place of a chunk."""
        return _event(json.dumps(self.error(reply)[0]))


def _event(data: str) -> bytes:
    return f"data: {data}\n\n".encode()
