"""An HTTP server on this machine with a handler of the test."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["QuietHandler", "Server", "serving"]


class QuietHandler(BaseHTTPRequestHandler):
    """Prints no requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def answer(self, status: int, body: bytes = b"") -> None:
        """Send a whole response."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Accepts many connections at the same time; with the default of 5, some would be reset."""

    request_queue_size = 128


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], *, port: int = 0) -> Generator[str]:
    """Serve on a port, by default a free one; yields the URL."""
    server = Server(("127.0.0.1", port), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
