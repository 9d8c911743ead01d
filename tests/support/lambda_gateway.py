"""An HTTP API of Amazon in front of a function: real requests as events of payload version 2.0.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from tests.support.http_server import QuietHandler, serving
from tests.support.lambda_service import Failed, Function

__all__ = ["gateway", "request_event"]

_TEXT = ("text/", "application/json", "application/javascript", "application/xml")


def request_event(
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes,
    *,
    stage: str = "$default",
) -> dict[str, Any]:
    """The event of a request."""
    path, _, query = target.partition("?")
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        if name.lower() == "cookie":
            cookies += [part.strip() for part in value.split(";")]
        else:
            key = name.lower()
            joined[key] = f"{joined[key]},{value}" if key in joined else value
    prefix = "" if stage == "$default" else f"/{stage}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": prefix + unquote(path),
        "rawQueryString": query,
        "headers": {**joined, "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": joined.get("host", ""),
            "http": {
                "method": method,
                "path": prefix + unquote(path),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": joined.get("user-agent", ""),
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": stage,
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if body:
        is_text = joined.get("content-type", "").startswith(_TEXT)
        event["isBase64Encoded"] = not is_text
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    return event


@contextmanager
def gateway(function: Function, *, port: int = 0, stage: str = "$default") -> Generator[str]:
    """The URL of an HTTP API."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            event = request_event(
                self.command, self.path, [*self.headers.items()], body, stage=stage
            )
            answer: dict[str, Any]
            try:
                answer = function.invoke(event)
            except Failed as error:
                is_late = "timed out" in str(error)
                message = "Service Unavailable" if is_late else "Internal Server Error"
                answer = {  # as the gateway itself answers
                    "statusCode": 503 if is_late else 500,
                    "headers": {"content-type": "application/json"},
                    "body": json.dumps({"message": message}),
                }
            data: str = answer.get("body") or ""
            content = base64.b64decode(data) if answer.get("isBase64Encoded") else data.encode()
            self.send_response(answer["statusCode"])
            for name, value in answer.get("headers", {}).items():
                if name != "content-length":
                    self.send_header(name, value)
            for cookie in answer.get("cookies", ()):
                self.send_header("set-cookie", cookie)
            length = answer.get("headers", {}).get("content-length", str(len(content)))
            is_head = self.command == "HEAD"
            self.send_header("content-length", length if is_head else str(len(content)))
            self.end_headers()
            if not is_head:
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any

    with serving(Handler, port=port) as url:
        yield url
