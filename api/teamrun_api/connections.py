"""Connections that answer every fault as a problem, and bound the time of a request's head.

uvicorn bounds only the time between two requests. A client that sends one byte now and then keeps
a connection, and with some hundreds of them a server (the attack is known as Slowloris). The time
of a body is bounded by `limits.BodyLimit`, which can still answer.
"""

import asyncio
import secrets
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from teamrun_api.faults import InvalidRequest
from teamrun_api.problems import MEDIA_TYPE, problem_of

__all__ = ["Connection"]

_INVALID = InvalidRequest("The request is not valid HTTP/1.1, or its head is longer than 64 KiB.")


class Connection(H11Protocol):
    """A connection of uvicorn with that bound."""

    def __init__(self, *args: Any, head_timeout_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timeout_seconds = head_timeout_seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and wait on if the head is not complete; further bytes do not extend the time."""
        super().data_received(data)
        if self._is_owed():
            self._start_timer()
        else:
            self._stop_timer()

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP; uvicorn would send plain text."""
        request_id = f"req_{secrets.token_hex(12)}"
        content = problem_of(_INVALID, request_id).model_dump_json(exclude_none=True).encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("X-Request-Id", request_id),
            ("Connection", "close"),
        ]
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _should_upgrade(self) -> bool:
        """Never, and without a word: a server may ignore `Upgrade` (RFC 9110, 7.8)."""
        return False

    def on_response_complete(self) -> None:
        """Wait for the rest of a body that no route has read."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._start_timer()

    def _is_owed(self) -> bool:
        """Whether the server still waits for data of the client."""
        head = self.conn.their_state is h11.IDLE
        rest = self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE
        return head or rest

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._head_timeout_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
