"""Makes requests: paths, queries, bodies, and the readers of answers."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from teamrun.client.address import is_header_text
from teamrun.client.requests import Reply, Request
from teamrun.core.tolerance import read_tolerantly
from teamrun.core.urls import path_segment
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping, JsonObject

__all__ = [
    "changing",
    "delete",
    "encoded",
    "get",
    "given",
    "if_match",
    "json_of",
    "nothing",
    "path_of",
    "post",
    "query_of",
]

T = TypeVar("T")


def path_of(*segments: str) -> str:
    """The path of a resource from its segments below the version.

    Each is percent-encoded, so that no id is taken for another resource.
    """
    return "/".join(("/v1", *map(path_segment, segments)))


def json_of(kind: type[T]) -> Callable[[Reply], T]:
    """Reads an answer as a value of that type; tolerates what a newer server adds."""
    adapter = TypeAdapter(kind)

    def read(reply: Reply) -> T:
        return read_tolerantly(adapter, reply.content)

    return read


def nothing(reply: Reply) -> None:
    """Reads an answer without content."""


def get(
    path: str,
    read: Callable[[Reply], T],
    *,
    query: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    wait_seconds: float = 0,
    is_long_poll: bool = False,
    is_probe: bool = False,
) -> Request[T]:
    """A GET request; values of the query that are None are left out."""
    return Request(
        method="GET",
        path=path,
        read=read,
        query=query_of(query or {}),
        headers={**_waiting(wait_seconds), **(headers or {})},
        wait_seconds=wait_seconds,
        is_long_poll=is_long_poll,
        is_probe=is_probe,
    )


def post(
    path: str,
    read: Callable[[Reply], T],
    body: JsonMapping,
    *,
    idempotency_key: str | None = None,
    wait_seconds: float = 0,
    method: str = "POST",
) -> Request[T]:
    """A request with a JSON body, and a key that makes it safe to repeat.

    Args:
        path: Its path.
        read: Reads the answer.
        body: The fields of the body.
        idempotency_key: The key of a POST; without one, a random key that all attempts share.
        wait_seconds: How long the server may wait for the end of a run.
        method: POST, or PATCH or PUT.

    Raises:
        UsageError: The body has no JSON form, or the key cannot be sent.
    """
    if idempotency_key is not None and not is_header_text(idempotency_key):
        raise UsageError(
            "idempotency_key is sent in an HTTP header: use printable ASCII characters, without "
            "blanks at the ends."
        )
    return Request(
        method=method,
        path=path,
        read=read,
        headers={
            "Content-Type": "application/json",
            **_key(method, idempotency_key),
            **_waiting(wait_seconds),
        },
        body=encoded(body),
        wait_seconds=wait_seconds,
    )


def if_match(revision: int | None) -> dict[str, str]:
    """The header of a change that is refused if the object has another revision; None for any."""
    return {} if revision is None else {"If-Match": f'"v{revision}"'}


def changing(request: Request[T], revision: int | None) -> Request[T]:
    """A PATCH or PUT, which must have an `If-Match`: with a revision, or `*` for any."""
    return replace(request, headers={**request.headers, "If-Match": "*", **if_match(revision)})


def _key(method: str, given: str | None) -> dict[str, str]:
    """The others are safe to repeat without a key."""
    return {"Idempotency-Key": given or uuid.uuid4().hex} if method == "POST" else {}


def delete(path: str, *, headers: Mapping[str, str] | None = None) -> Request[None]:
    """A DELETE request."""
    return Request(method="DELETE", path=path, read=nothing, headers=headers or {})


def given(**fields: object) -> JsonObject:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def query_of(values: Mapping[str, object]) -> dict[str, str]:
    """The parameters of a query as text, without those that are None."""
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _moment(value) if isinstance(value, datetime) else str(value)


def _moment(time: datetime) -> str:
    if time.tzinfo is None:
        raise UsageError(f"{time!r} has no time zone; use one such as datetime.now(UTC).")
    return time.isoformat()


def _waiting(seconds: float) -> dict[str, str]:
    return {"Prefer": f"wait={int(seconds)}"} if seconds >= 1 else {}


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise TypeError(f"{type(value).__name__} is not JSON")


def encoded(body: JsonMapping) -> bytes:
    """A value as JSON in UTF-8, without a line end.

    Raises:
        UsageError: It has no JSON form.
    """
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, default=_plain).encode()
    except TypeError as error:
        raise UsageError(f"The request cannot be sent: {error}.") from None
    except (ValueError, RecursionError):
        raise UsageError(
            "The request cannot be sent: a number is not finite, a text contains half of a "
            "surrogate pair, or values are nested too deeply."
        ) from None
