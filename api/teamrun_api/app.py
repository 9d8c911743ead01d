"""Makes the ASGI application of the parts that it works with."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from teamrun.batches.service import BatchService
from teamrun.catalog.service import TeamService
from teamrun.core.exposition import MetricLines
from teamrun.errors import DeliveryError, StorageError, TeamrunError
from teamrun.json_types import JsonObject
from teamrun.runs.service.service import RunService
from teamrun.threads.service import ThreadService
from teamrun.validation import Misfit, either, misfit_of
from teamrun.version import VERSION
from teamrun.webhooks.service import WebhookService
from teamrun_api.auth import Keyring
from teamrun_api.context import Api
from teamrun_api.faults import InvalidParameter, MethodNotAllowed, RequestFault
from teamrun_api.hosts import LoopbackOnly
from teamrun_api.limits import BodyLimit
from teamrun_api.methods import Methods, MethodTable, missing_route
from teamrun_api.metrics import Metrics
from teamrun_api.openapi import document
from teamrun_api.problems import problem_response
from teamrun_api.readiness import Check, ReadinessProbe
from teamrun_api.request_context import Failsafe, RequestContextMiddleware
from teamrun_api.routes import (
    artifacts,
    batch_events,
    batch_items,
    batch_signals,
    batches,
    events,
    files,
    forks,
    mcp,
    pages,
    run_webhooks,
    runs,
    signals,
    system,
    team_versions,
)
from teamrun_api.routes import (
    teams as team_routes,
)
from teamrun_api.routes import (
    threads as thread_routes,
)
from teamrun_api.routes import (
    webhooks as webhook_routes,
)
from teamrun_api.settings import ApiSettings

__all__ = ["api_of", "create_app"]

logger = logging.getLogger(__name__)

_ROUTERS: tuple[APIRouter, ...] = (
    runs.router,
    signals.router,
    forks.router,
    events.router,
    artifacts.router,
    batches.router,
    batch_items.router,
    batch_events.router,
    batch_signals.router,
    files.router,
    team_routes.router,
    team_versions.router,
    thread_routes.router,
    webhook_routes.router,
    run_webhooks.router,
    system.router,
    mcp.router,
    pages.router,
)

_EXPOSED = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "X-Request-Id",
)


def create_app(
    *,
    service: RunService,
    batches: BatchService,
    webhooks: WebhookService,
    teams: TeamService,
    threads: ThreadService,
    settings: ApiSettings,
    checks: Mapping[str, Check] | None = None,
    live: bool = True,
    run_metrics: MetricLines | None = None,
) -> FastAPI:
    """An application over services that exist already; it owns none of them.

    Args:
        service: Executes the requests about runs.
        batches: Executes the requests about batches and files.
        webhooks: Executes the requests about webhooks.
        teams: Executes the requests about teams.
        threads: Executes the requests about threads.
        settings: Keys and limits.
        checks: The checks of readiness, by the names shown to clients.
        live: Whether notifications of workers reach this process.
        run_metrics: The metrics of the runs of this process.
    """
    api = Api(
        service=service,
        batches=batches,
        webhooks=webhooks,
        teams=teams,
        threads=threads,
        settings=settings,
        keyring=Keyring(settings.api_keys),
        metrics=Metrics(version=VERSION, runs=run_metrics),
        readiness=ReadinessProbe(checks or {}),
        live=live,
    )
    app = _bare(settings.root_path)
    app.state.api = api
    _add_layers(app, api)
    return app


def api_of(app: FastAPI) -> Api:
    """The parts of an application; setting `closing` ends its streams."""
    return cast(Api, app.state.api)


@cache
def described() -> JsonObject:
    """The OpenAPI document, which depends on no part; every caller gets the same object."""
    return document(_bare(), _ROUTES)


def _bare(root_path: str = "") -> FastAPI:
    app = FastAPI(
        title="Teamrun",
        version=VERSION,
        servers=[{"url": root_path or "/"}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # `include_router` would make every route once more, at the first request that looks at it.
        routes=_ROUTES,
    )
    app.openapi = lambda: {**described(), "servers": app.servers}
    app.add_exception_handler(TeamrunError, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(ClientDisconnect, _left)
    return app


def _add_layers(app: FastAPI, api: Api) -> None:
    """Add the middleware, from the innermost to the outermost."""
    origins = api.settings.cors_origins
    app.add_middleware(
        BodyLimit,
        limit=api.settings.body_limit_bytes,
        seconds=api.settings.body_timeout_seconds,
        streamed=frozenset({"/v1/files"}),
    )
    app.add_middleware(Methods, table=_METHODS)
    if not api.keyring:
        app.add_middleware(LoopbackOnly, origins=origins)
    app.add_middleware(Failsafe)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=_METHODS.every(),
            allow_headers=["*"],
            expose_headers=list(_EXPOSED),
        )
    app.add_middleware(
        RequestContextMiddleware, metrics=api.metrics, root_path=api.settings.root_path
    )


def _declared() -> list[tuple[str, str]]:
    found = [("/openapi.json", "GET")]
    for route in _ROUTES:
        assert isinstance(route, APIRoute)
        found += [(route.path, method) for method in route.methods or ()]
    return found


_ROUTES = [route for router in _ROUTERS for route in router.routes]
_METHODS = MethodTable(_declared())


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, StorageError | DeliveryError):
        # The client is not sent the reason: it may name hosts and keys.
        data = {
            "action": "request.unavailable",
            "request_id": request.scope["state"].get("request_id"),
            "code": error.code,
            "error": error.message,
        }
        logger.warning("A request failed because a component does not respond", extra=data)
    return problem_response(error, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found: dict[tuple[str, str], Misfit] = {}
    for detail in error.errors():
        misfit = misfit_of(cast("ErrorDetails", detail))
        kind, *rest = map(str, misfit.path)
        name = rest[0] if rest else kind  # what follows names the branches of a union
        same = found.get((kind, name))
        found[kind, name] = misfit if same is None else either(same, misfit)
    faults = [_parameter_fault(*place, misfit) for place, misfit in found.items()]
    message = " ".join(fault.detail for fault in faults)
    return problem_response(InvalidParameter(message, faults=faults), request.scope)


def _parameter_fault(kind: str, name: str, misfit: Misfit) -> RequestFault:
    text = misfit.sentence(f"`{name}`")
    if kind == "header":
        return RequestFault(text, misfit.kind, header=name)
    return RequestFault(text, misfit.kind, parameter=name)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    if error.status_code == 405:
        allowed = ", ".join(_METHODS.allowed(path))
        refusal = MethodNotAllowed(
            f"{request.method[:32]} is not possible here; possible are {allowed}."
        )
        return problem_response(refusal, request.scope, headers=[("Allow", allowed)])
    if error.status_code == 404:
        return problem_response(missing_route(path), request.scope)
    raise error  # nothing here raises another one: a defect, and Edge answers 500


async def _left(request: Request, error: Exception) -> Response:
    # Nobody reads this; the status is for the metrics.
    return Response(status_code=499)
