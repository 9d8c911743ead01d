"""The endpoint of a managed identity, as App Service and Functions give it to a process."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

__all__ = ["ManagedIdentity", "managed_identity"]

_HEADER = "canary-identity-header"
_SECONDS = 3600


@dataclass
class ManagedIdentity:
    """A running endpoint.

    Source: https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity#rest-endpoint-reference
    """

    endpoint: str
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """The query of each request that had the right header."""

    def environ(self) -> dict[str, str]:
        """The variables that the platform sets."""
        return {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": _HEADER}


@contextmanager
def managed_identity() -> Generator[ManagedIdentity, None, None]:
    """An endpoint that gives tokens for any resource; Azurite does not check their signature."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {
                name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()
            }
            status, body = 401, {"message": "no header"}
            if self.headers.get("x-identity-header") == _HEADER:
                identity.asked.append(query)
                end = int(time.time()) + _SECONDS
                token = _token(query.get("resource", ""), end)
                status, body = 200, {"access_token": token, "expires_on": str(end)}
                body |= {"resource": query.get("resource", ""), "token_type": "Bearer"}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    identity = ManagedIdentity(f"http://127.0.0.1:{server.server_port}/msi/token")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield identity
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


def _token(audience: str, end: int) -> str:
    start = end - 2 * _SECONDS
    issuer = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"
    claims = {"aud": audience, "iss": issuer, "iat": start, "nbf": start, "exp": end}
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(values: Mapping[str, str | int]) -> str:
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
