"""A model over HTTP whose answers the suite can hold back.

The last message decides: with `hold`, the answer waits until the suite lets it go. A request with
another key is refused in the way of OpenAI, whose message repeats a part of the key.
"""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.http_server import QuietHandler, serving
from tests.support.service import until

__all__ = ["Model", "model_server"]


@dataclass
class Model:
    """The server, as the suite sees it."""

    key: str
    url: str = ""
    """For `base_url`."""
    requests: Counter[str] = field(default_factory=Counter[str])
    """By the task of the run."""
    _released: set[str] = field(default_factory=set[str])
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def until_asked(self, task: str, times: int = 1) -> None:
        """Wait until a run with this task has sent that many requests."""
        until(lambda: self.requests[task] >= times, f"{times} requests for {task!r}")

    def release(self, task: str) -> None:
        """Let the answers to this task go."""
        with self._changed:
            self._released.add(task)
            self._changed.notify_all()

    def answer(self, task: str) -> str:
        """The answer to a task, when it may go."""
        with self._changed:
            self.requests[task] += 1
            if task.startswith("hold"):
                self._changed.wait_for(lambda: task in self._released, timeout=60)
        return f"answered: {task} DONE"


@contextmanager
def model_server(key: str) -> Generator[Model]:
    """A server that takes this key."""
    model = Model(key)

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # the caller has gone, as it does when it is killed
                super().handle()

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            data = self.rfile.read(length)
            if len(data) < length:
                self.close_connection = True
                return
            body = json.loads(data)
            given = self.headers["Authorization"].removeprefix("Bearer ")
            if given != model.key:
                message = f"Incorrect API key provided: {given}."
                error = {"message": message, "type": "invalid_request_error", "code": "no_key"}
                self.answer(401, json.dumps({"error": error}).encode())
            else:
                self.answer(200, json.dumps(_completion(model.answer(_task_of(body)))).encode())

    with serving(Handler) as url:
        model.url = f"{url}/v1"
        try:
            yield model
        finally:
            for task in list(model.requests):
                model.release(task)


def _task_of(body: dict[str, Any]) -> str:
    texts = [each["content"] for each in body["messages"] if each["role"] == "user"]
    return texts[0]


def _completion(text: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "suite-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }
