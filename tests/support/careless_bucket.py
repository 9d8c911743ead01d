"""A small S3 server that ignores `If-None-Match`, as some do, or has no bucket."""

from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Thread

from tests.support.http_server import Server

__all__ = ["careless_bucket"]

_NO_BUCKET = b"<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>"


@contextmanager
def careless_bucket(*, missing: bool = False) -> Generator[str]:
    """The URL of a store in it; the credentials are in the environment.

    Args:
        missing: The bucket does not exist.
    """
    objects: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if missing:
                self.send(404, _NO_BUCKET)
            elif self.command == "PUT":
                objects[self.path] = body
                self.send(200, b"")
            elif self.command == "DELETE":
                objects.pop(self.path, None)
                self.send(204, b"")
            else:
                found = objects.get(self.path)
                self.send(404 if found is None else 200, found or b"")

        def send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("etag", '"1"')
            self.send_header("last-modified", "Sat, 21 Nov 2026 00:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_PUT = do_GET = do_HEAD = do_DELETE = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"s3://bucket/x?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
