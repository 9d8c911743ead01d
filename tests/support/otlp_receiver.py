"""A collector for tests: takes OTLP over HTTP (protobuf) on loopback, and keeps what it gets.

Protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

__all__ = ["Receiver", "receiver", "values_of"]

_KINDS: dict[str, tuple[Any, Any]] = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
}


class Receiver:
    """What was received."""

    def __init__(self) -> None:
        self.address = ""
        self.bodies: list[bytes] = []
        self.spans: list[Any] = []
        """Messages of the type `Span`."""
        self.metrics: dict[str, Any] = {}
        """The newest state of each metric, by its name."""
        self.resources: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    def take(self, path: str, body: bytes) -> bytes:
        """Keep the body of a request; returns that of the response."""
        request, response = _KINDS[path]
        message = request.FromString(body)
        self.bodies.append(body)
        for group in getattr(message, "resource_spans", ()):
            self.resources.append(values_of(group.resource.attributes))
            for scope in group.scope_spans:
                self.spans += scope.spans
        for group in getattr(message, "resource_metrics", ()):
            for scope in group.scope_metrics:
                self.metrics |= {metric.name: metric for metric in scope.metrics}
        return response().SerializeToString()


def values_of(attributes: Any) -> dict[str, Any]:
    """Attributes as a dict."""
    values: dict[str, Any] = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        found = getattr(each.value, kind)
        if kind == "array_value":
            found = [value.string_value for value in found.values]
        values[each.key] = found
    return values


@contextmanager
def receiver() -> Generator[Receiver]:
    """A collector on a free port, ended with the block."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            kept.headers.append({key.lower(): value for key, value in self.headers.items()})
            answer = kept.take(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    kept.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
