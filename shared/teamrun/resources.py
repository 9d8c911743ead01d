"""Answers of the HTTP API that belong to no feature: about the server, and its errors."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.core.tolerance import OPEN

__all__ = [
    "FieldError",
    "Health",
    "Info",
    "Problem",
    "Readiness",
    "ServerLimits",
    "ServerState",
]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Health(_Answer):
    """The process responds."""

    status: Annotated[Literal["ok"], OPEN] = "ok"


class Readiness(_Answer):
    """All components that the API needs respond, by name."""

    status: Annotated[Literal["ready"], OPEN] = "ready"
    checks: dict[str, Annotated[Literal["ok"], OPEN]]


class ServerLimits(_Answer):
    """Limits of requests."""

    body_bytes: int
    json_depth: int
    json_values: int
    wait_seconds: float


class ServerState(_Answer):
    """The server's configuration."""

    authentication: Annotated[Literal["none", "bearer"], OPEN]
    live_events: bool
    """Whether streams have token deltas, and receive events at once."""
    streaming: bool = True
    """Whether an event stream stays open to the end of its run. If not, each request for it is
    answered with the events that there are, and clients continue with `Last-Event-ID`."""


class Info(_Answer):
    """The server and its capabilities."""

    name: Annotated[Literal["teamrun"], OPEN] = "teamrun"
    version: str
    api_versions: list[str] = ["v1"]
    behaviour: int
    """The engine's version; a run is continued by an engine of the same."""
    server: ServerState
    limits: ServerLimits


class FieldError(_Answer):
    """One error of a request, and its location."""

    pointer: str | None = Field(default=None, examples=["/input"])
    """JSON pointer (RFC 6901) into the request body."""
    parameter: str | None = None
    """The query parameter or path part."""
    header: str | None = None
    """The request header."""
    line: int | None = None
    """The line of the input file of a batch, from 1."""
    detail: str
    code: str


class Problem(_Answer):
    """An error, as RFC 9457 lays it out; `code` is stable and meant for programs."""

    type: str = Field(examples=["urn:teamrun:problem:run_not_found"])
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    run_id: str | None = None
    batch_id: str | None = None
    errors: list[FieldError] = []
