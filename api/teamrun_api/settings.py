"""Settings of the API process, from `TEAMRUN_*` variables."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from teamrun.settings import CommonSettings, FromJson

__all__ = ["BUFFERED_WAIT", "ApiKey", "ApiSettings", "Scope"]

BUFFERED_WAIT = timedelta(seconds=20)
"""How long a request may wait if `buffered`. An HTTP API of Amazon ends each request after 30
seconds; what is read and written besides takes a part of them.
Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""

Scope = Literal[
    "runs:read",
    "runs:write",
    "teams:read",
    "teams:write",
    "webhooks:read",
    "webhooks:write",
]
"""The scopes of keys."""


class ApiKey(BaseModel):
    """A key as the operator configures it: its digest, never the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64)
    """The owner of the key, for logs."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
    """sha256 of the key, in hexadecimal: `printf %s "$KEY" | sha256sum`."""

    scopes: frozenset[Scope] = Field(min_length=1)

    tenant: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "default"
    """The tenant whose runs the key gives access to."""


class ApiSettings(CommonSettings):
    """Settings of `python -m teamrun_api`."""

    host: str = "127.0.0.1"
    """The address to listen on; without `api_keys` a loopback one."""

    port: int = Field(default=8080, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""

    api_keys: Annotated[tuple[ApiKey, ...], FromJson] = Field(default=(), repr=False)
    """A JSON list of `{"name", "sha256", "scopes", "tenant"}`. With any, every request but the
    probes needs `Authorization: Bearer`."""

    cors_origins: Annotated[tuple[str, ...], FromJson] = ()
    """A JSON list of the origins whose pages may call the API, such as `https://app.example`."""

    body_limit_bytes: int = Field(default=1024 * 1024, ge=1024)
    """The largest request body."""

    file_limit_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024)
    """The largest file that can be uploaded, and the largest object that `input_url` can name."""

    batch_inputs: Annotated[tuple[str, ...], FromJson] = ()
    """A JSON list of prefixes below which a batch may name its input as `input_url`, for all
    tenants alike: `"s3://my-bucket/tasks/"`, `"az://container/tasks/"` or `"file:///srv/tasks/"`,
    with the options of `TEAMRUN_STORE_URL`. Credentials come from the environment, as those of the
    store. A prefix and the store may not contain each other."""

    head_timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    """Time for a client to send the head of a request; then its connection is closed."""

    body_timeout_seconds: float = Field(default=30.0, gt=0, le=3600)
    """Time for a client to send the body of a request; then the response is 408. For an uploaded
    file, the time for each piece of it."""

    root_path: Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    """The path under which a proxy serves the API, such as `/teamrun`. All URLs in answers begin
    with it; requests may come with it or without."""

    wait_limit_seconds: float = Field(default=60.0, ge=0, le=600)
    """The longest time that a request waits with `Prefer: wait`, or if `buffered` for events."""

    buffered: bool = False
    """Whether responses reach clients only when they are complete, as those of functions in a
    cloud do; the functions set it. A request for an event stream is then answered with the events
    that there are, or that come first, and the client continues the stream with `Last-Event-ID`. No
    request waits for more than 20 seconds."""

    ping_seconds: float = Field(default=15.0, gt=0, le=60)
    """Interval at which an idle event stream sends a comment."""

    grace_seconds: float = Field(default=10.0, ge=0, le=3600)
    """Time for runs that this process executes itself, without Redis, to suspend when it stops."""

    @property
    def grace(self) -> timedelta:
        """`grace_seconds` as a duration."""
        return timedelta(seconds=self.grace_seconds)

    @property
    def wait_limit(self) -> timedelta:
        """`wait_limit_seconds` as a duration, or less if answers are buffered."""
        limit = timedelta(seconds=self.wait_limit_seconds)
        return min(limit, BUFFERED_WAIT) if self.buffered else limit

    @model_validator(mode="after")
    def _each_key_once(self) -> Self:
        for what in ("name", "sha256"):
            values = [key.name if what == "name" else key.sha256 for key in self.api_keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two of the keys have the same {what}")
        return self
