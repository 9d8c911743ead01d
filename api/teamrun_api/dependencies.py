"""What routes ask for beside path and query: the caller, a time to wait, checked headers."""

import re
from collections.abc import Coroutine
from datetime import timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import Depends, Path, Query, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from pydantic import AfterValidator
from starlette.requests import Request

from teamrun.errors import RunNotFound
from teamrun_api.auth import Caller
from teamrun_api.context import Api, ApiDep
from teamrun_api.faults import Fault, InvalidIdempotencyKey
from teamrun_api.prefer import wait_of
from teamrun_api.presence import while_present

__all__ = [
    "Hold",
    "HoldDep",
    "IdempotencyKey",
    "KeyAuth",
    "RunId",
    "RunReader",
    "RunWriter",
    "TeamReader",
]

T = TypeVar("T")

_RUN_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class KeyAuth(SecurityBase):
    """A dependency: the caller, who has the scopes that the operation names."""

    def __init__(self) -> None:
        """Describe the scheme for the OpenAPI document."""
        self.model = HTTPBearer(
            description="An API key. A server without keys serves its own machine only, as one"
            " caller with all scopes."
        )
        self.scheme_name = "apiKey"

    async def __call__(self, request: Request, api: ApiDep, needed: SecurityScopes) -> Caller:
        """The caller of this request.

        Raises:
            Unauthenticated: No key, or none that is known.
            MissingScope: The key does not allow this.
        """
        caller = api.keyring.caller(request.headers.get("authorization"))
        for scope in needed.scopes:
            caller.require(scope)
        return caller


_key = KeyAuth()

AnyCaller = Annotated[Caller, Security(_key, scopes=[])]
RunReader = Annotated[Caller, Security(_key, scopes=["runs:read"])]
RunWriter = Annotated[Caller, Security(_key, scopes=["runs:write"])]
TeamReader = Annotated[Caller, Security(_key, scopes=["teams:read"])]


def _of_known_form(run_id: str) -> str:
    # Not a validation error: to a client, an id that cannot exist is like one that does not.
    if not _RUN_ID.fullmatch(run_id):
        raise RunNotFound(f"There is no run {run_id[:80]!r}; GET /v1/runs lists yours.")
    return run_id


RunId = Annotated[
    str,
    Path(description="The run's id.", examples=["run_01jd8v3m7q"]),
    AfterValidator(_of_known_form),
]


class Hold(NamedTuple):
    """How long the client lets its answer be held."""

    timeout: timedelta | None
    applied: dict[str, str]
    """The header that says so."""
    api: Api
    request: Request

    async def until(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`; None where the server is about to stop.

        Raises:
            ClientDisconnect: The client has left.
        """
        return await while_present(self.request.receive, self.api.closing, work)


async def _hold(
    request: Request,
    api: ApiDep,
    wait: Annotated[
        int | None,
        Query(
            ge=0,
            le=86_400,
            description="Hold the answer for up to so many seconds, as `Prefer: wait` does.",
            examples=[20],
        ),
    ] = None,
) -> Hold:
    asked = wait if wait is not None else wait_of(request.headers.get("prefer"))
    if asked is None:
        return Hold(None, {}, api, request)
    timeout = min(timedelta(seconds=asked), api.settings.wait_limit)
    applied = {"Preference-Applied": f"wait={int(timeout.total_seconds())}"}
    return Hold(timeout if timeout else None, applied, api, request)


HoldDep = Annotated[Hold, Depends(_hold)]


async def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None or _IDEMPOTENCY_KEY.fullmatch(key):
        return key
    message = "An Idempotency-Key has 1 to 255 printable ASCII characters; send another one."
    fault = Fault(message, InvalidIdempotencyKey.code, header="Idempotency-Key")
    raise InvalidIdempotencyKey(message, faults=[fault])


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
