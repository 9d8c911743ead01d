"""A receiver of webhooks over HTTP, as a user would write it: it knows only `standardwebhooks`."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.http_server import QuietHandler, serving

__all__ = ["Received", "Receiver", "Reply", "receiving"]


class Received(NamedTuple):
    """A request, with its header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_genuine(self, secret: str) -> bool:
        """Whether the public library accepts it."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except (WebhookVerificationError, ValueError):  # ValueError: malformed headers
            return False
        return True


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict[str, str])
    size: int = 0
    """Length of the body, in bytes."""
    waits: bool = False
    """Whether it is sent only when the receiver is released."""


@dataclass
class Receiver:
    """What a receiver has received; it answers with the replies in order, then with 204."""

    url: str = ""
    received: list[Received] = field(default_factory=list[Received])
    replies: list[Reply] = field(default_factory=list[Reply])
    decide: Callable[[Received], Reply] | None = None
    """Decides the answers in place of `replies`."""
    released: threading.Event = field(default_factory=threading.Event)

    def reply_to(self, request: Received) -> Reply:
        """Note a request, and select its answer."""
        self.received.append(request)
        if self.decide is not None:
            return self.decide(request)
        return self.replies.pop(0) if self.replies else Reply()

    @property
    def types(self) -> list[str]:
        return [each.event["type"] for each in self.received]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def receiving(*replies: Reply, port: int = 0) -> Generator[Receiver]:
    """A receiver on a port of 127.0.0.1, by default a free one."""
    receiver = Receiver(replies=list(replies))

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = receiver.reply_to(Received(self.path, headers, body))
            if reply.waits:
                receiver.released.wait(30)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(reply.size))
            self.end_headers()
            self._send(reply.size)

        def _send(self, size: int) -> None:
            try:
                for _ in range(size // 10_000):
                    self.wfile.write(b"x" * 10_000)
            except OSError:  # the client has read enough
                self.close_connection = True

    with serving(Handler, port=port) as url:
        receiver.url = url
        try:
            yield receiver
        finally:
            receiver.released.set()
