"""Dependencies of routes: an authorized call, and common parameters.

One dependency does it all, since each costs every request some 20 microseconds.
"""

from typing import Annotated

from fastapi import Depends, Path, Query, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from pydantic import AfterValidator
from starlette.requests import Request

from teamrun.core.refs import is_run_id
from teamrun.errors import EndpointNotFound, RunNotFound
from teamrun_api.auth import LOCAL
from teamrun_api.context import Call, api_of
from teamrun_api.queries import check_query

__all__ = [
    "AnyKey",
    "EventId",
    "KeyAuth",
    "NoKey",
    "RunId",
    "RunReader",
    "RunWriter",
    "TeamName",
    "TeamReader",
    "TeamWriter",
    "ThreadId",
    "Wait",
    "WebhookId",
    "WebhookReader",
    "WebhookWriter",
]


class KeyAuth(SecurityBase):
    """A dependency: a call whose caller has the scopes that the operation names."""

    def __init__(self) -> None:
        """Describe the scheme for the OpenAPI document."""
        self.model = HTTPBearer(
            description="An API key. A server without keys serves its own machine only, as one"
            " caller with all scopes."
        )
        self.scheme_name = "apiKey"

    async def __call__(self, request: Request, needed: SecurityScopes) -> Call:
        """The call.

        Raises:
            Unauthenticated: No key, or none that is known.
            MissingScope: The key does not allow this.
            InvalidParameter: The query has a parameter that the operation does not support.
        """
        api = api_of(request)
        caller = api.keyring.caller(request.headers.get("authorization"))
        for scope in needed.scopes:
            caller.require(scope)
        check_query(request)
        return Call(api, caller, request)


async def _without_key(request: Request) -> Call:
    check_query(request)
    return Call(api_of(request), LOCAL, request)


_key = KeyAuth()

NoKey = Annotated[Call, Depends(_without_key)]
AnyKey = Annotated[Call, Security(_key, scopes=[])]
RunReader = Annotated[Call, Security(_key, scopes=["runs:read"])]
RunWriter = Annotated[Call, Security(_key, scopes=["runs:write"])]
TeamReader = Annotated[Call, Security(_key, scopes=["teams:read"])]
TeamWriter = Annotated[Call, Security(_key, scopes=["teams:write"])]
WebhookReader = Annotated[Call, Security(_key, scopes=["webhooks:read"])]
WebhookWriter = Annotated[Call, Security(_key, scopes=["webhooks:write"])]


def _of_known_form(run_id: str) -> str:
    # Not a validation error: to a client, an id that cannot exist is like one that does not.
    if not is_run_id(run_id):
        raise RunNotFound(f"There is no run {run_id[:80]!r}; GET /v1/runs lists yours.")
    return run_id


def _webhook(webhook_id: str) -> str:
    if not is_run_id(webhook_id):
        raise EndpointNotFound(
            f"There is no webhook {webhook_id[:80]!r}; GET /v1/webhooks lists yours."
        )
    return webhook_id


RunId = Annotated[
    str,
    Path(description="The run's id.", examples=["run_01jd8v3m7q"]),
    AfterValidator(_of_known_form),
]

WebhookId = Annotated[
    str,
    Path(description="The webhook's id.", examples=["whe_01jd8v3m7q"], max_length=64),
    AfterValidator(_webhook),
]

TeamName = Annotated[
    str,
    Path(max_length=256, description="The team's name or id.", examples=["analysts"]),
]

ThreadId = Annotated[
    str,
    Path(max_length=64, description="The thread's id.", examples=["thr_01jd8v3m7q"]),
]

EventId = Annotated[
    str,
    Path(description="The event's id.", examples=["run_01jd8v3m7q-14"], max_length=128),
]

Wait = Annotated[
    int | None,
    Query(
        ge=0,
        le=86_400,
        description="Maximum number of seconds to wait before answering, as with `Prefer: wait`.",
        examples=[20],
    ),
]
