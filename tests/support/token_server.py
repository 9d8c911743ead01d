"""The token endpoints of Azure: Microsoft Entra ID, App Service's and the metadata service's.

Wire formats: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow,
https://learn.microsoft.com/azure/app-service/overview-managed-identity (the REST reference) and
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token.
"""

import json
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["TokenServer", "token_server"]

TENANT = "adfs"
"""By this name the SDK asks no other server about the authority."""


class TokenServer:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.address = ""
        self.lifetime_seconds = 3600
        self.refusal: tuple[int, dict[str, Any]] | None = None
        """Status and body of all requests for tokens."""
        self.drops = 0
        """How many more requests for tokens get no answer: the connection is closed."""
        self.requests: list[dict[str, Any]] = []
        """`{path, query, form, headers}` of each request for a token."""
        self.answers = Event()
        """Requests for tokens wait until it is set."""
        self.answers.set()
        self.asked = Event()
        """A request for a token has come."""

    def service_principal(self, secret: str) -> dict[str, str]:
        """The environment of a service principal of this authority."""
        return {
            "AZURE_AUTHORITY_HOST": self.address,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "client-1",
            "AZURE_CLIENT_SECRET": secret,
        }

    def app_service(self, secret: str) -> dict[str, str]:
        """The environment that App Service and Functions give to code with a managed identity."""
        return {"IDENTITY_ENDPOINT": f"{self.address}/msi/token", "IDENTITY_HEADER": secret}

    def metadata_service(self) -> dict[str, str]:
        """The environment of a virtual machine, whose metadata service is here."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.address}

    def token(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """The answer to a request for a token: `token-1`, `token-2` and so on; None for none."""
        self.requests.append(request)
        self.asked.set()
        number = len(self.requests)
        self.answers.wait()
        if self.drops:
            self.drops -= 1
            return None
        if self.refusal is not None:
            return self.refusal
        managed = not request["form"]
        ends: Any = int(time.time()) + self.lifetime_seconds
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": f"token-{number}-of-entra",
            "expires_in": str(self.lifetime_seconds) if managed else self.lifetime_seconds,
        }
        if managed:
            answer |= {"expires_on": str(ends), "resource": request["query"].get("resource")}
        return 200, answer


class _Handler(BaseHTTPRequestHandler):
    state: TokenServer

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.endswith("/openid-configuration"):
            base = f"{self.state.address}/{TENANT}/oauth2"
            self._answer(
                200,
                {
                    "issuer": f"{self.state.address}/{TENANT}",
                    "authorization_endpoint": f"{base}/authorize",
                    "token_endpoint": f"{base}/token",
                },
            )
        elif path == "/metadata/identity/oauth2/token" and "Metadata" not in self.headers:
            self._answer(400, {"error": "invalid_request", "error_description": "no Metadata"})
        elif path in ("/msi/token", "/metadata/identity/oauth2/token"):
            self._token(self._request(path, {}))
        else:
            self._answer(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._token(self._request(urlsplit(self.path).path, form))

    def _token(self, request: dict[str, Any]) -> None:
        answer = self.state.token(request)
        if answer is None:
            self.close_connection = True
        else:
            self._answer(*answer)

    def _request(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        return {"path": path, "query": query, "form": form, "headers": headers}

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def token_server(tls: ssl.SSLContext | None = None) -> Generator[TokenServer]:
    """A server; an authority needs `tls`, the endpoints of managed identities have none."""
    state = TokenServer()
    handler = type("_Bound", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.address = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()
