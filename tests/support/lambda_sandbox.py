"""One instance of a Lambda function: the real runtime interface client in a process of its own.

It speaks to a Runtime API as in Lambda, is frozen (SIGSTOP) between invocations, and is killed if
it does not answer in time.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.http_server import QuietHandler

__all__ = ["Failed", "Sandbox", "Specification"]

_INIT_S = 120.0
_SHUTDOWN_S = 60.0
"""Lambda waits for two seconds; this machine may be busy."""


class Failed(Exception):
    """An invocation that the service counts as an error."""


@dataclass(frozen=True)
class Specification:
    """A function."""

    handler: str
    timeout_s: float
    environ: Mapping[str, str]
    logs: Path
    """The folder of the output of its instances."""
    most: int = 2
    """Maximum number of instances."""

    @property
    def name(self) -> str:
        return self.handler.rsplit(".", 2)[-2]


@dataclass
class _Invocation:
    id: str
    event: bytes
    deadline_ms: int


@dataclass
class _Outcome:
    kind: str
    body: bytes = b""


@dataclass
class Sandbox:
    """One instance."""

    of: Specification
    number: int
    _inbox: "queue.SimpleQueue[_Invocation]" = field(default_factory=lambda: queue.SimpleQueue())
    _outbox: "queue.SimpleQueue[_Outcome]" = field(default_factory=lambda: queue.SimpleQueue())
    process: "subprocess.Popen[bytes] | None" = None
    invocations: int = 0
    is_busy: bool = False
    _silent: "list[subprocess.Popen[bytes]]" = field(
        default_factory=lambda: list["subprocess.Popen[bytes]"]()
    )
    """Processes that are left behind when their invocation times out."""
    _told: "subprocess.Popen[bytes] | None" = None
    """The process that was told to end."""

    def start(self) -> None:
        """Start the process, and return when it asks for its first event."""
        sandbox = self
        inbox, outbox = self._inbox, self._outbox  # a process that is left behind keeps its own

        class RuntimeApi(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outbox.put(_Outcome("idle"))
                given = inbox.get()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(given.event)))
                self.send_header("Lambda-Runtime-Aws-Request-Id", given.id)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(given.deadline_ms))
                arn = f"arn:aws:lambda:us-east-1:123456789012:function:{sandbox.of.name}"
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
                self.end_headers()
                self.wfile.write(given.event)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outbox.put(_Outcome(self.path.rsplit("/", 1)[-1], body))
                self.answer(202)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), RuntimeApi)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        log = self.of.logs / f"{self.of.name}.{self.number}.log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", self.of.handler],
                cwd=self.of.logs,
                env={
                    **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                    **self.of.environ,
                    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                    "AWS_LAMBDA_FUNCTION_NAME": self.of.name,
                    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                    "_HANDLER": self.of.handler,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        self._await("idle", time.monotonic() + _INIT_S)
        self._signal(signal.SIGSTOP)

    def invoke(self, event: Any, *, timeout_s: float | None = None) -> Any:
        """The answer to an event.

        Args:
            event: The event.
            timeout_s: Another time limit than that of the function.

        Raises:
            Failed: There is none; the process may have been ended.
        """
        if self.process is None or self.process.poll() is not None:
            self.start()
        timeout_s = timeout_s or self.of.timeout_s
        self.invocations += 1
        given = _Invocation(
            uuid.uuid4().hex,
            json.dumps(event).encode(),
            int((time.time() + timeout_s) * 1000),
        )
        until = time.monotonic() + timeout_s
        self._inbox.put(given)
        self._signal(signal.SIGCONT)
        outcome = self._await("response", until)
        self._await("idle", time.monotonic() + _INIT_S)
        self._signal(signal.SIGSTOP)
        return json.loads(outcome.body or b"null")

    def kill(self) -> None:
        """End the process at once, as a host that is lost."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait(timeout=30)

    def terminate(self) -> None:
        """Tell the process to end, as if it had an extension, and kill it if it does not end.

        Its invocation has failed, and it gets no other one.
        Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
        """
        process = self.process
        if process is not None:
            self._told = process
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_SHUTDOWN_S)
            process.kill()
            process.wait(timeout=30)

    def freeze(self) -> None:
        """Stop the process; its invocation times out, and it is left beside its successor."""
        if self.process is not None and self.process.poll() is None:
            self._silent.append(self.process)
            self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the processes that were stopped go on."""
        for process in self._silent:
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the process and its Runtime API."""
        for process in self._silent:
            process.kill()
            process.wait(timeout=30)
        if self.process is not None:
            self.kill()
            self._drop()

    def _await(self, kind: str, until: float) -> _Outcome:
        assert self.process is not None
        while True:
            if self.process is self._told:
                self._drop()
                raise Failed(f"{self.of.name}: shut down")
            try:
                outcome = self._outbox.get(timeout=min(0.05, max(until - time.monotonic(), 0.001)))
            except queue.Empty:
                if self.process.poll() is not None:
                    self._drop()
                    raise Failed(f"{self.of.name}: the process has ended") from None
                if time.monotonic() >= until:
                    if self.process not in self._silent:
                        self.kill()
                    self._drop()
                    raise Failed(f"{self.of.name}: timed out") from None
                continue
            if outcome.kind == "error" and kind == "response":
                self._await("idle", time.monotonic() + _INIT_S)
                self._signal(signal.SIGSTOP)
                raise Failed(f"{self.of.name}: {outcome.body.decode()}")
            if outcome.kind == kind:
                return outcome
            assert outcome.kind == "idle", outcome

    def _drop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._inbox, self._outbox = queue.SimpleQueue(), queue.SimpleQueue()
        self.process = None

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
