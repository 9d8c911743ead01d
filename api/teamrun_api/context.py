"""What the routes work with: one `Api` per application, handed to them by a dependency."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import Request

from teamrun.components.registry import Registry
from teamrun.runs.service import RunService
from teamrun_api.auth import Keyring
from teamrun_api.metrics import Metrics
from teamrun_api.readiness import Readiness
from teamrun_api.settings import ApiSettings

__all__ = ["Api", "ApiDep"]


@dataclass(slots=True, kw_only=True)
class Api:
    """The parts of one application."""

    service: RunService
    registry: Registry
    settings: ApiSettings
    keyring: Keyring
    metrics: Metrics
    readiness: Readiness
    live: bool
    """Whether token deltas and wake-ups reach this process from others."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to stop: streams and held answers end."""


async def _api(request: Request) -> Api:
    return cast(Api, request.app.state.api)


ApiDep = Annotated[Api, Depends(_api)]
