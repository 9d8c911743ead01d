"""A model server for tests: the wires of several providers, with the faults of real servers.

In process: `async with ModelServer() as server`, then `server.plan`, `server.requests`. As a
process: `python -m tests.support.model_server --port 0` prints its base URL on the first line;
`GET /control/stats`, `GET /control/requests`, `POST /control/plan` and `POST /control/reset`
serve other processes. It keeps thousands of slow requests open at once.
"""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, cast

from tests.support.azure_wire import azure_refusal
from tests.support.chat_wire import ChatWire
from tests.support.converse_wire import ConverseWire
from tests.support.messages_wire import MessagesWire
from tests.support.mistral_wire import MistralWire
from tests.support.model_replies import Plan, Reply
from tests.support.ollama_wire import OllamaWire

__all__ = ["ModelServer"]

Json = dict[str, Any]

_WIRES = (MistralWire, ChatWire, ConverseWire, MessagesWire, OllamaWire)
_KEPT = 10_000
"""Requests beyond this are counted only."""


_Wire = ChatWire | ConverseWire | MessagesWire | OllamaWire


class ModelServer:
    """Answers by `plan`; keeps the requests."""

    def __init__(
        self,
        plan: Plan | None = None,
        *,
        latency_seconds: float = 0,
        capacity: int | None = None,
        retry_after: str = "1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.plan = plan or Plan()
        self.latency_seconds = latency_seconds
        self.capacity = capacity
        """How many calls it takes at once; it answers 429 to all beyond."""
        self.retry_after = retry_after
        self.rejected = 0
        """Answers 429 because of `capacity`."""
        self.serving = 0
        self.requests: list[Json] = []
        """`{path, headers, body}` of each call, in order."""
        self.calls = 0
        self.answered = 0
        """Answers that were written to their end."""
        self.abandoned = 0
        """Calls that the client left before their answer's end."""
        self.in_flight = 0
        self.peak = 0
        self.connections = 0
        """How many were opened."""
        self.by_key: Counter[str] = Counter()
        """Calls by their Idempotency-Key."""
        self.changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._notes: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> Self:
        """Listen; port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), host, port, backlog=4096, reuse_address=True, ssl=self._tls
        )
        return self

    async def stop(self) -> None:
        """Close the listener and every connection."""
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()
        while self._notes:
            await asyncio.gather(*self._notes)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """`http://host:port`, or `https`."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    @property
    def base_url(self) -> str:
        """The `base_url` for a client."""
        return f"{self.address}/v1"

    async def until(self, **counts: int) -> None:
        """Wait until each counter named has reached at least that number."""
        async with self.changed:
            await self.changed.wait_for(
                lambda: all(getattr(self, name) >= count for name, count in counts.items())
            )

    def stats(self) -> Json:
        """The counters."""
        names = ("calls", "answered", "abandoned", "in_flight", "peak", "rejected")
        repeated = {key: count for key, count in self.by_key.items() if count > 1}
        return {**{name: getattr(self, name) for name in names}, "repeated_keys": repeated}

    def reset(self) -> None:
        """Forget requests, counters and the plan."""
        self.plan = Plan()
        self.requests.clear()
        self.by_key.clear()
        self.calls = self.answered = self.abandoned = self.peak = self.rejected = 0

    def note(self) -> None:
        """Wake the waiters for a counter."""
        task = asyncio.ensure_future(self._notify())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def joined(self, connection: "_Connection") -> None:
        self.connections += 1
        self._connections.add(connection)

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)

    def begin(self, path: str, headers: Json, body: Json) -> int:
        """Count a call; returns its number."""
        self.calls += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        if key := headers.get("idempotency-key"):
            self.by_key[key] += 1
        if len(self.requests) < _KEPT:
            self.requests.append({"path": path, "headers": headers, "body": body})
        self.note()
        return self.calls

    def take(self) -> bool:
        """Whether the server takes a call that has begun."""
        if self.capacity is not None and self.serving >= self.capacity:
            self.rejected += 1
            return False
        self.serving += 1
        return True

    def ended(self, *, whole: bool, taken: bool = True) -> None:
        """Count the end of a call."""
        self.in_flight -= 1
        self.serving -= taken
        self.answered += whole
        self.abandoned += not whole
        self.note()


class _Connection(asyncio.Protocol):
    """One client connection; HTTP/1.1 with keep-alive, bodies by Content-Length."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._serve_next()

    def abort(self) -> None:
        """Reset the connection."""
        assert self._transport is not None
        self._transport.abort()

    def _serve_next(self) -> None:
        head, sign, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if not sign:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        method, path, _ = request.split(" ")
        self._buffer = bytearray(rest[length:])
        self._task = asyncio.ensure_future(self._serve(method, path, headers, rest[:length]))
        self._task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if task.exception() is not None:
            self.abort()  # else the client would wait for its timeout
        task.result()
        self._serve_next()

    async def _serve(self, method: str, path: str, headers: Json, data: bytes) -> None:
        if path.startswith("/control/"):
            self._send(200, _control(self._server, method, path.partition("/control/")[2], data))
            return
        route = path.partition("?")[0]
        wire = next((wire() for wire in _WIRES if wire.fits(route)), None)
        if wire is None:
            self._send(404, {"error": {"message": f"no such path: {path}", "code": None}})
        elif (refusal := azure_refusal(path, headers)) is not None:
            self._send(*refusal)
        else:
            await self._answer(wire, path, headers, json.loads(data))

    async def _answer(self, wire: _Wire, path: str, headers: Json, body: Json) -> None:
        number = self._server.begin(path, headers, body)
        whole = False
        taken = self._server.take()
        route = path.partition("?")[0]
        try:
            reply = wire.refusal(route, headers, body)
            if reply is None:
                reply = self._server.plan.pick(body) if taken else self._rejection()
            streamed = wire.streams(route, body)
            whole = await self._reply(wire, reply, body, number, streamed=streamed)
        finally:
            self._server.ended(whole=whole, taken=taken)

    def _rejection(self) -> Reply:
        headers = {"retry-after": self._server.retry_after}
        return Reply(status=429, headers=headers, latency_seconds=0)

    async def _reply(
        self, wire: _Wire, reply: Reply, body: Json, number: int, *, streamed: bool
    ) -> bool:
        latency = reply.latency_seconds
        await asyncio.sleep(self._server.latency_seconds if latency is None else latency)
        if reply.body is not None:
            data = reply.body if isinstance(reply.body, bytes) else reply.body.encode()
            self._verbatim(reply, data)
        elif reply.status != 200:
            error, headers = wire.error(reply)
            self._send(reply.status, error, {**headers, **reply.headers})
        elif reply.fault in ("drop", "hang") and not (streamed and reply.fault == "hang"):
            await self._break(reply)
        elif reply.fault == "not_json":
            self._write_head(200, {"content-type": "text/html", "content-length": "6"})
            self._write(b"<html>")
        elif streamed:
            return await self._stream(wire, reply, body, number)
        elif reply.fault is not None:
            await self._half(wire, reply, body, number)
        else:
            self._send(200, wire.whole(reply, body, number), reply.headers)
        return True

    def _verbatim(self, reply: Reply, data: bytes) -> None:
        head = {"content-type": reply.media_type, "content-length": str(len(data))}
        self._write_head(reply.status, {**head, **reply.headers})
        self._write(data)

    async def _half(self, wire: _Wire, reply: Reply, body: Json, number: int) -> None:
        text = json.dumps(wire.whole(reply, body, number)).encode()
        half = text[: len(text) // 2]
        length = len(half) if reply.fault == "malformed" else len(text)
        self._write_head(200, {"content-type": "application/json", "content-length": str(length)})
        if reply.fault == "drip":
            for byte in text:
                self._write(bytes([byte]))
                await asyncio.sleep(reply.gap_seconds)
            return
        self._write(half)
        if reply.fault != "malformed":
            await self._break(reply)

    async def _stream(self, wire: _Wire, reply: Reply, body: Json, number: int) -> bool:
        self._write_head(200, {"content-type": wire.media_type, "transfer-encoding": "chunked"})
        for k, event in enumerate(wire.events(reply, body, number)):
            if reply.fault is not None and k >= reply.after:
                return await self._stream_fault(wire, reply)
            self._chunk(event)
            await asyncio.sleep(reply.gap_seconds)
        self._chunk(wire.done)
        self._write(b"0\r\n\r\n")
        return True

    async def _stream_fault(self, wire: _Wire, reply: Reply) -> bool:
        match reply.fault:
            case "malformed":
                self._chunk(wire.malformed())
            case "error_event":
                self._chunk(wire.error_event(reply))
            case "end_early":
                pass
            case _:
                await self._break(reply)
                return False
        self._write(b"0\r\n\r\n")
        return True

    async def _break(self, reply: Reply) -> None:
        if reply.fault == "hang":
            await asyncio.get_running_loop().create_future()  # until the client leaves
        await asyncio.sleep(0)  # written data is sent first
        self.abort()

    def _chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            self._write(b"%x\r\n%s\r\n" % (len(data), data))

    def _send(self, status: int, answer: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        head = {"content-type": "application/json", "content-length": str(len(body))}
        self._write_head(status, {**head, **(headers or {})})
        self._write(body)

    def _write_head(self, status: int, headers: dict[str, str]) -> None:
        phrase = "Overloaded" if status == 529 else HTTPStatus(status).phrase  # Anthropic's own
        lines = [f"HTTP/1.1 {status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)


def _control(server: ModelServer, method: str, what: str, data: bytes) -> object:
    match method, what:
        case "GET", "stats":
            return server.stats()
        case "GET", "requests":
            return server.requests
        case "POST", "plan":
            server.plan = Plan.model_validate_json(data)
        case "POST", "reset":
            server.reset()
        case _:
            return {"error": f"{method} {what} is unknown"}
    return {"ok": True}


async def _main(arguments: argparse.Namespace, plan: Plan | None) -> None:
    server = ModelServer(plan, latency_seconds=arguments.latency)
    await server.start(arguments.port)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    if arguments.exit_with_stdin:
        loop.add_reader(sys.stdin, lambda: os.read(0, 4096) or stopped.set())
    sys.stdout.write(f"{server.base_url}\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A model server for tests and benchmarks.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--plan", type=Path, help="a JSON file: queue, rules, default")
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="end when the parent closes our input"
    )
    return parser.parse_args()


if __name__ == "__main__":
    _given = _arguments()
    _file: Path | None = _given.plan
    _plan = Plan.model_validate_json(_file.read_text(encoding="utf-8")) if _file else None
    asyncio.run(_main(_given, _plan))
