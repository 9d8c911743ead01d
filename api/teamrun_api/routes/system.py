"""Probes, metrics, and information on the server."""

from fastapi import APIRouter
from starlette.responses import Response

from teamrun.core.exposition import CONTENT_TYPE
from teamrun.resources import Health, Info, Readiness, ServerLimits, ServerState
from teamrun.runs.log.spec import BEHAVIOUR
from teamrun.version import VERSION
from teamrun_api.answers import json_answer
from teamrun_api.declare import answer, content, problems
from teamrun_api.dependencies import AnyKey, NoKey
from teamrun_api.faults import NotReady, RequestFault
from teamrun_api.limits import MAX_DEPTH, MAX_NODES

__all__ = ["router"]

router = APIRouter(tags=["system"], default_response_class=Response)


@router.get(
    "/healthz",
    operation_id="getHealth",
    summary="Whether the process answers",
    responses={
        200: answer("It does.", Health, "Health"),
        **problems(keyed=False),
    },
)
async def get_health(call: NoKey) -> Response:
    """Liveness probe; checks no other component. Needs no key."""
    return json_answer(Health())


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Whether requests can be served",
    responses={
        200: answer(
            "Everything that is needed answers.",
            Readiness,
            "Ready",
        ),
        **problems(NotReady, keyed=False),
    },
)
async def get_readiness(call: NoKey) -> Response:
    """Tell whether to send requests here. `errors` names each component at fault. Needs no key.

    Without Redis, submits are still accepted, and start when it is back.
    """
    readiness = call.api.readiness
    faults = await readiness.faults()
    if not faults:
        return json_answer(Readiness(checks=dict.fromkeys(readiness.names, "ok")))
    reasons = [f"{name} {why}" for name, why in faults.items()]
    raise NotReady(
        f"Not ready: {'; '.join(reasons)}.",
        faults=[RequestFault(f"{name} {why}", name) for name, why in faults.items()],
    )


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Counters of this process",
    responses={
        200: content("Prometheus text.", {"text/plain": ({"type": "string"}, "Metrics")}),
        **problems(),
    },
)
async def get_metrics(call: AnyKey) -> Response:
    """Read the metrics. If keys are configured, any of them is accepted."""
    return Response(call.api.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


@router.get(
    "/v1/info",
    operation_id="getInfo",
    summary="The server and its capabilities",
    responses={200: answer("The server.", Info, "Info"), **problems()},
)
async def get_info(call: AnyKey) -> Response:
    """Read the server's version and limits. If keys are configured, any of them is accepted."""
    api = call.api
    settings = api.settings
    info = Info(
        version=VERSION,
        behaviour=BEHAVIOUR,
        server=ServerState(
            authentication="bearer" if api.keyring else "none",
            live_events=api.live and not settings.buffered,
            streaming=not settings.buffered,
        ),
        limits=ServerLimits(
            body_bytes=settings.body_limit_bytes,
            json_depth=MAX_DEPTH,
            json_values=MAX_NODES,
            wait_seconds=settings.wait_limit.total_seconds(),
        ),
    )
    return json_answer(info)
