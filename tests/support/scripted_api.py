"""An HTTP server that gives the answers of a test, one after the other, and keeps the requests."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.http_server import QuietHandler, serving

__all__ = ["CUT", "Asked", "Given", "ScriptedApi", "scripted_api"]


@dataclass(frozen=True)
class Given:
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_whole: bool = True
    """If not, the connection is closed before the end of the body."""


CUT = Given(status=0)
"""The request is read, and the connection closed without an answer."""


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class ScriptedApi:
    """The server's URL, what it was asked, and what it has left to answer."""

    answers: list[Given]
    url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])


@contextmanager
def scripted_api(*answers: Given) -> Generator[ScriptedApi]:
    """Serve the answers on a free port of this machine; afterwards 500."""
    api = ScriptedApi(list(answers))

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.asked.append(Asked(self.command, self.path, headers, body))
            given = api.answers.pop(0) if api.answers else Given(500)
            if given is CUT:
                self.close_connection = True
                return
            _send(self, given)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one

    with serving(Handler) as url:
        api.url = url
        yield api


def _send(handler: BaseHTTPRequestHandler, given: Given) -> None:
    handler.send_response(given.status)
    for name, value in given.headers.items():
        handler.send_header(name, value)
    body = b"" if given.status in (204, 304) else given.body
    if given.status not in (204, 304):
        length = len(body) + (0 if given.is_whole else 1)
        handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = not given.is_whole
