"""A server in front of moto that answers some requests itself, with errors as AWS words them."""

import http.client
import json
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any

from tests.support.http_server import Server
from tests.support.service import until

__all__ = ["AwsFaults", "Fault", "aws_faults", "denied", "missing", "throttled"]


@dataclass(frozen=True)
class Fault:
    """An answer in place of the server's."""

    status: int = 200
    body: Mapping[str, Any] | bytes = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hangs: bool = False
    """No answer until the end of the test."""
    executes: bool = False
    """The server executes the request first: its answer is lost."""


def _error(status: int, type: str, query: str) -> Fault:
    """An error of the JSON protocol.

    Source: https://smithy.io/2.0/aws/protocols/aws-query-compatible-trait.html
    """
    body = {"__type": f"com.amazonaws.sqs#{type}", "message": "The reason."}
    return Fault(status, body, {"x-amzn-query-error": f"{query};Sender"})


missing = _error(400, "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
denied = _error(403, "AccessDeniedException", "AccessDenied")
throttled = _error(400, "RequestThrottled", "RequestThrottled")


@dataclass
class AwsFaults:
    """Faults by operation: that of SQS (`SendMessageBatch`), or an HTTP method for S3 (`PUT`)."""

    endpoint: str
    faults: dict[str, list[Fault]] = field(
        default_factory=lambda: defaultdict[str, list[Fault]](list)
    )
    always: dict[str, Fault] = field(default_factory=dict[str, Fault])
    every: dict[str, tuple[int, Fault]] = field(default_factory=dict[str, tuple[int, Fault]])
    """By operation: how many requests there are for each that has the fault."""
    bodies: dict[str, list[bytes]] = field(
        default_factory=lambda: defaultdict[str, list[bytes]](list)
    )
    """The requests to SQS, by operation."""
    counts: Counter[str] = field(default_factory=Counter[str])
    """The requests, by operation."""
    ended: Event = field(default_factory=Event)
    connections: set[socket.socket] = field(default_factory=set[socket.socket])

    def cut(self) -> int:
        """Reset the connections there are, as servers do with idle ones; their number."""
        found = [*self.connections]
        for connection in found:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RD)  # wakes up its thread, which closes it
        until(lambda: self.connections.isdisjoint(found), "the connections are closed")
        return len(found)

    def next_fault(self, operation: str) -> Fault | None:
        self.counts[operation] += 1
        if waiting := self.faults[operation]:
            return waiting.pop(0)
        nth, fault = self.every.get(operation, (0, None))
        if nth and self.counts[operation] % nth == 0:
            return fault
        return self.always.get(operation)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: str
    found: "AwsFaults"

    def setup(self) -> None:
        super().setup()
        self.found.connections.add(self.connection)

    def finish(self) -> None:
        super().finish()
        self.connection.close()
        self.found.connections.discard(self.connection)

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        operation = self.headers.get("x-amz-target", self.command).rpartition(".")[2]
        if operation != self.command:
            self.found.bodies[operation].append(body)
        fault = self.found.next_fault(operation)
        if fault is None:
            self.send(*self.forward(body))
            return
        if fault.executes:
            self.forward(body)
        if fault.hangs:
            self.found.ended.wait()
            self.close_connection = True
            return
        answer = fault.body if isinstance(fault.body, bytes) else json.dumps(fault.body).encode()
        self.send(fault.status, dict(fault.headers), answer)

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.target, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_PUT = do_GET = do_HEAD = do_DELETE = do_POST = answer

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@contextmanager
def aws_faults(target: str) -> Generator[AwsFaults]:
    """A server that passes requests on to `target` except those with a fault."""

    class Handler(_Handler):
        pass

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = AwsFaults(f"http://127.0.0.1:{server.server_port}")
    Handler.target, Handler.found = target.removeprefix("http://"), found
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.ended.set()
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
