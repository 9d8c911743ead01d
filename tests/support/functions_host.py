"""What the Azure Functions host does: it takes messages, invokes functions, and keeps time.

The queues are those of Azurite; a worker is a process of `functions_worker`.
Source: https://learn.microsoft.com/en-us/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

import contextlib
import json
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.support.functions_worker import APP
from tests.support.http_server import QuietHandler, serving
from tests.support.services import Azurite

__all__ = [
    "AZURE",
    "QUEUES",
    "Failed",
    "FunctionsHost",
    "Lost",
    "Message",
    "Platform",
    "functions_host",
]

Json = dict[str, Any]

QUEUES = ("interactive", "batch", "hooks", "interactive-poison", "batch-poison")


class Failed(Exception):
    """The function raised an exception, or its time was over."""


class Lost(Exception):
    """The worker has gone, and the host with it."""


@dataclass(frozen=True)
class Platform:
    """What host.json and the platform set, in seconds."""

    timeout_s: int = 12
    """`functionTimeout`."""
    hidden_s: int = 3
    """How long a message is hidden that the host has taken, unless it says otherwise; 10 minutes on
    Azure. The host extends it while the function runs."""
    visibility_s: int = 0
    """`visibilityTimeout`: how long a message of a failed function is hidden."""
    max_dequeues: int = 5
    """`maxDequeueCount`."""
    parallel: int = 24
    zombies: bool = False
    """Whether a worker whose function timed out goes on running beside its successor."""


AZURE = Platform()


@dataclass(frozen=True)
class Message:
    """A message that was taken."""

    id: str
    receipt: str
    body: str
    dequeue_count: int


class Worker:
    """A process with the functions."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.functions_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=dict(environ),
            text=True,
            encoding="utf-8",
        )
        self._numbers = count(1)
        self._lock = threading.Lock()
        self.waiting: dict[int, Future[Json]] = {}
        assert self.process.stdout is not None
        self.functions: list[str] = json.loads(self.process.stdout.readline() or "{}")["functions"]
        self._reader = threading.Thread(target=self._read, name="functions-reader")
        self._reader.start()

    def begin(self, function: str, kind: str, given: Json) -> "Future[Json]":
        """Start an invocation."""
        future: Future[Json] = Future()
        with self._lock:
            number = next(self._numbers)
            self.waiting[number] = future
            line = json.dumps({"number": number, "function": function, "kind": kind, **given})
            try:
                assert self.process.stdin is not None
                self.process.stdin.write(f"{line}\n")
                self.process.stdin.flush()
            except OSError:
                future.set_exception(Lost())
        return future

    def terminate(self) -> None:
        """SIGTERM, as when a container is stopped; SIGKILL if it does not end."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=60)
        self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=30)
        self._reader.join(timeout=30)
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = json.loads(line)
            future = self.waiting.pop(found["number"])
            if future.done():
                continue
            if "error" in found:
                future.set_exception(Failed(found["error"]))
            else:
                future.set_result(found)
        for future in [*self.waiting.values()]:
            if not future.done():
                future.set_exception(Lost())


@dataclass
class FunctionsHost:
    """One instance for messages and the timer, with one worker, and one for requests."""

    server: Azurite
    prefix: str
    environ: dict[str, str]
    logs: Path
    platform: Platform
    counts: Counter[str] = field(default_factory=Counter[str])
    """Invocations by function, and `timeout`, `failed`, `poisoned`."""
    bodies: list[str] = field(default_factory=list[str])
    """Of every message that was taken."""
    errors: list[str] = field(default_factory=list[str])
    _workers: dict[str, Worker] = field(default_factory=dict[str, Worker])
    _old: list[Worker] = field(default_factory=list[Worker])
    _running: set[int] = field(default_factory=set[int])
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    # Workers

    def worker(self, kind: str) -> Worker:
        """The worker of the instance for `requests` or for `messages`, which may be a new one."""
        with self._lock:
            if self._stopping.is_set():
                raise Lost
            worker = self._workers.get(kind)
            if worker is None or worker.process.poll() is not None:
                self._old += [worker] if worker else []
                log = self.logs / f"{kind}.{len(self._old)}.log"
                self._workers[kind] = Worker(self.environ, log)
            return self._workers[kind]

    def lose(self) -> None:
        """Kill the worker for messages; those in progress come back after `hidden_s`."""
        with self._lock:
            worker = self._workers.pop("messages", None)
        if worker is not None:
            worker.kill()

    def terminate(self) -> int:
        """Tell the worker for messages to end; another one takes its place. Its exit status."""
        with self._lock:
            worker = self._workers.pop("messages")
        worker.terminate()
        return worker.process.returncode

    def _replace(self, worker: Worker) -> None:
        """Let another worker take the place of one whose function timed out."""
        with self._lock:
            if self._workers.get("messages") is not worker:
                return  # another function's timeout has done it
            del self._workers["messages"]
            if self.platform.zombies:
                self._old.append(worker)
                return
        worker.kill()

    def running(self) -> set[int]:
        """The invocations for messages that are in progress."""
        with self._lock:
            return set(self._running)

    def until_ended(self, invocations: set[int]) -> None:
        """Wait until these have ended."""
        for _ in range(1200):
            if not invocations & self.running():
                return
            self._stopping.wait(0.05)
        raise AssertionError("invocations did not end")

    # Invocations

    def invoke(self, function: str, kind: str, given: Json) -> Json:
        """The result of an invocation on the instance for messages.

        Raises:
            Failed: It raised an exception or took too long.
            Lost: The worker was killed.
        """
        worker = self.worker("messages")
        self.counts[function] += 1
        with self._lock:
            number = next(self._numbers)
            self._running.add(number)
        try:
            return worker.begin(function, kind, given).result(timeout=self.platform.timeout_s)
        except NoAnswer:
            self.counts["timeout"] += 1
            self._replace(worker)
            raise Failed("timeout") from None
        finally:
            with self._lock:
                self._running.discard(number)

    def request(self, given: Json) -> Json:
        """The response of the API.

        Raises:
            Failed: The function raised an exception.
        """
        return self.worker("requests").begin("api", "http", given).result(timeout=230)

    # Queues

    def receive(self, queue: str, most: int = 16) -> list[Message]:
        """Take messages, as the host does."""
        query = {"numofmessages": str(most), "visibilitytimeout": str(self.platform.hidden_s)}
        answer = self.server.request("GET", f"{self._address(queue)}/messages", query)
        found = [
            Message(
                id=node.findtext("MessageId", ""),
                receipt=node.findtext("PopReceipt", ""),
                body=node.findtext("MessageText", ""),
                dequeue_count=int(node.findtext("DequeueCount", "0")),
            )
            for node in ElementTree.fromstring(answer).iter("QueueMessage")
        ]
        self.bodies += [message.body for message in found]
        return found

    def send_text(self, body: str, *, queue: str = "interactive") -> None:
        """Send a message of any text."""
        text = f"<QueueMessage><MessageText>{escape(body)}</MessageText></QueueMessage>"
        self.server.request("POST", f"{self._address(queue)}/messages", body=text.encode())

    def waiting(self, queue: str) -> list[str]:
        """The texts of the visible messages."""
        query = {"peekonly": "true", "numofmessages": "32"}
        answer = self.server.request("GET", f"{self._address(queue)}/messages", query)
        return [node.text or "" for node in ElementTree.fromstring(answer).iter("MessageText")]

    def handle(self, queue: str, message: Message) -> None:
        """Invoke the function of a queue, and do with the message what its end asks for."""
        given = {
            "id": message.id,
            "receipt": message.receipt,
            "body": message.body,
            "dequeue_count": message.dequeue_count,
        }
        if message.dequeue_count > self.platform.max_dequeues:
            self._release(queue, message)  # the hosts that had it before have all gone
            return
        extending = _Extending(self, queue, message)
        try:
            self.invoke(queue.replace("-", "_"), "queue", given)
        except Lost:
            extending.close()
            return  # the host has gone, too: it comes back when it is visible again
        except Failed as error:
            self.counts["failed"] += 1
            self.errors.append(f"{queue}: {error}")
            self._release(queue, extending.close())
            return
        self._delete(queue, extending.close())

    def _release(self, queue: str, message: Message) -> None:
        # A queue of poison has none of its own: its messages come again until they expire.
        if message.dequeue_count < self.platform.max_dequeues or queue.endswith("-poison"):
            self.update(queue, message, self.platform.visibility_s)
            return
        self.counts["poisoned"] += 1
        self.send_text(message.body, queue=f"{queue}-poison")
        self._delete(queue, message)

    def update(self, queue: str, message: Message, seconds: int) -> Message:
        """Hide a message from now on; its receipt changes."""
        query = {"popreceipt": message.receipt, "visibilitytimeout": str(seconds)}
        text = f"<QueueMessage><MessageText>{escape(message.body)}</MessageText></QueueMessage>"
        address = f"{self._address(queue)}/messages/{message.id}"
        try:
            headers, _ = self.server.exchange("PUT", address, query, body=text.encode())
        except HTTPError:
            return message  # it was visible already, and another host has it
        return replace(message, receipt=headers["x-ms-popreceipt"])

    def _delete(self, queue: str, message: Message) -> None:
        address = f"{self._address(queue)}/messages/{message.id}"
        with contextlib.suppress(HTTPError):
            self.server.request("DELETE", address, {"popreceipt": message.receipt})

    # The life of the host

    def poll(self, queue: str) -> None:
        """Take messages of a queue and handle them, until the host stops."""
        places = threading.Semaphore(self.platform.parallel)

        def handle(message: Message) -> None:
            try:
                self.handle(queue, message)
            finally:
                places.release()

        with ThreadPoolExecutor(self.platform.parallel) as pool:
            while not self._stopping.is_set():
                if not places.acquire(timeout=0.1):
                    continue
                try:
                    found = self.receive(queue, most=1)
                except OSError:  # the listener of the platform asks again, too
                    found = []
                if found:
                    pool.submit(handle, found[0])
                else:
                    places.release()
                    self._stopping.wait(0.05)

    def keep_time(self) -> None:
        """Fire the timer each second; the next time waits for the end of the last."""
        while not self._stopping.wait(1):
            with contextlib.suppress(Failed, Lost):
                self.invoke("upkeep", "timer", {})

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping.set()
        self.lose()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            left = [*self._workers.values(), *self._old]
            self._workers.clear()
        for worker in left:
            worker.kill()

    def _address(self, queue: str) -> str:
        return f"{self.server.queue_endpoint}/{self.prefix}-{queue}"


class _Extending:
    """Keeps a message hidden while its function runs."""

    def __init__(self, host: FunctionsHost, queue: str, message: Message) -> None:
        self._host = host
        self._queue = queue
        self._message = message
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._extend, name="functions-extending")
        self._thread.start()

    def close(self) -> Message:
        """Stop; the message with its newest receipt."""
        self._stop.set()
        self._thread.join(timeout=30)
        return self._message

    def _extend(self) -> None:
        hidden = self._host.platform.hidden_s
        while not self._stop.wait(hidden / 2):
            self._message = self._host.update(self._queue, self._message, hidden)


@contextmanager
def functions_host(
    folder: Path,
    server: Azurite,
    *,
    environ: Mapping[str, str],
    prefix: str,
    platform: Platform = AZURE,
    starts: Sequence[str] = (*QUEUES, "timer"),
    port: int = 0,
) -> Generator[tuple[FunctionsHost, str]]:
    """A running function app, and the URL of its API.

    Args:
        folder: For the logs of its workers.
        server: Has its queues.
        environ: Of its workers, complete.
        prefix: Of the names of its queues, which are created.
        platform: Its limits.
        starts: The queues whose messages are taken, and `timer` if it fires.
        port: Of the API.
    """
    for queue in QUEUES:
        server.make_queue(f"{prefix}-{queue}")
    span = f"{timedelta(seconds=platform.timeout_s)}".rjust(8, "0")
    made = {
        **environ,
        "AzureFunctionsJobHost__functionTimeout": span,
        "AzureWebJobsScriptRoot": str(APP),
    }
    host = FunctionsHost(server, prefix, made, folder, platform)
    with ExitStack() as stack:
        stack.callback(host.close)
        for queue in starts:
            act = host.keep_time if queue == "timer" else partial(host.poll, queue)
            thread = threading.Thread(target=act, name=f"functions-{queue}")
            thread.start()
            stack.callback(thread.join, 60)
        stack.callback(host.stop)
        yield host, stack.enter_context(serving(_gateway(host), port=port))


def _gateway(host: FunctionsHost) -> type[QuietHandler]:
    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            given = {
                "method": self.command,
                "url": f"http://{self.headers['host']}{self.path}",
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": b64encode(self._content()).decode(),
            }
            answer: Json
            try:
                answer = host.request(given)
            except (Failed, Lost):
                answer = {"status": 500, "headers": [], "body": ""}
            content = b64decode(answer["body"])
            self.send_response(answer["status"])
            for name, value in answer["headers"]:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            if answer["status"] != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _content(self) -> bytes:
            if "chunked" not in self.headers.get("transfer-encoding", ""):
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    return Handler
