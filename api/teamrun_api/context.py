"""The parts of one application, and one request to it as the routes see it."""

import asyncio
import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

from starlette.requests import Request
from starlette.types import Scope

from teamrun.batches.service import BatchService
from teamrun.catalog.service import TeamService
from teamrun.runs.service.service import RunService
from teamrun.threads.service import ThreadService
from teamrun.webhooks.service import WebhookService
from teamrun_api.auth import Caller, Keyring
from teamrun_api.disconnect import while_present
from teamrun_api.faults import InvalidIdempotencyKey, RequestFault
from teamrun_api.metrics import Metrics
from teamrun_api.prefer import wait_of
from teamrun_api.readiness import ReadinessProbe
from teamrun_api.settings import ApiSettings

__all__ = ["DEADLINE", "Api", "Call", "WaitPreference", "api_of", "time_left"]

T = TypeVar("T")

DEADLINE = "teamrun.deadline"
"""The key of a scope under which a host puts the time, by the clock of the event loop, at which it
ends the request."""

_ANSWERING = timedelta(seconds=5)
"""Time for what a request does after it has waited."""

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(slots=True, kw_only=True)
class Api:
    """The parts of one application."""

    service: RunService
    batches: BatchService
    webhooks: WebhookService
    teams: TeamService
    threads: ThreadService
    settings: ApiSettings
    keyring: Keyring
    metrics: Metrics
    readiness: ReadinessProbe
    live: bool
    """Whether token deltas and wake-ups reach this process from others."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to stop: streams and waiting requests end."""


def time_left(scope: Scope) -> timedelta:
    """The time in which a request may wait before a host with a limit ends it."""
    deadline: float | None = scope.get(DEADLINE)
    if deadline is None:
        return timedelta.max
    left = deadline - asyncio.get_running_loop().time()
    return max(timedelta(seconds=left) - _ANSWERING, timedelta())


def api_of(request: Request) -> Api:
    """The parts of the application that a request was sent to."""
    return cast(Api, request.app.state.api)


@dataclass(frozen=True, slots=True)
class Call:
    """One authorized request."""

    api: Api
    caller: Caller
    request: Request

    @property
    def tenant(self) -> str:
        """Whose runs the request is about."""
        return self.caller.tenant

    @property
    def service(self) -> RunService:
        """The service of runs."""
        return self.api.service

    @property
    def batches(self) -> BatchService:
        """The service of batches and files."""
        return self.api.batches

    @property
    def webhooks(self) -> WebhookService:
        """The service of webhooks."""
        return self.api.webhooks

    @property
    def teams(self) -> TeamService:
        """The service of teams."""
        return self.api.teams

    @property
    def threads(self) -> ThreadService:
        """The service of threads."""
        return self.api.threads

    def link(self, path: str) -> str:
        """The URL of a path of this API, as clients reach it through a proxy."""
        return self.api.settings.root_path + path

    def header(self, name: str) -> str | None:
        """A header of the request; a list that was sent in several lines is joined.

        RFC 9110, 5.3. Headers with a single value have been checked by `heads.head_fault`.
        """
        values = self.request.headers.getlist(name)
        return ", ".join(values) if values else None

    def idempotency_key(self) -> str | None:
        """The `Idempotency-Key`.

        Raises:
            InvalidIdempotencyKey: It is not 1 to 255 printable ASCII characters.
        """
        key = self.header("idempotency-key")
        if key is None or _IDEMPOTENCY_KEY.fullmatch(key):
            return key
        message = "An Idempotency-Key has 1 to 255 printable ASCII characters; send another one."
        fault = RequestFault(message, InvalidIdempotencyKey.code, header="Idempotency-Key")
        raise InvalidIdempotencyKey(message, faults=[fault])

    def wait_preference(self, wait: int | None) -> "WaitPreference":
        """How long the request may wait: by `wait`, in seconds, else by the `Prefer` header."""
        asked = wait if wait is not None else wait_of(self.header("prefer"))
        if asked is None:
            return _NO_WAIT
        left = time_left(self.request.scope)
        timeout = min(timedelta(seconds=asked), self.api.settings.wait_limit, left)
        applied = {"Preference-Applied": f"wait={int(timeout.total_seconds())}"}
        return WaitPreference(timeout or None, applied)

    async def until(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of `work`; None if the server is about to stop.

        Raises:
            ClientDisconnect: The client has left.
        """
        return await while_present(self.request.receive, self.api.closing, work)


class WaitPreference(NamedTuple):
    """How long the client wants to wait for an answer."""

    timeout: timedelta | None
    applied: dict[str, str]
    """The header that confirms the preference."""


_NO_WAIT = WaitPreference(None, {})
