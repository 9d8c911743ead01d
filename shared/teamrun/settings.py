"""Settings that the API, the worker and the command line share, from `TEAMRUN_*` variables.

Each process kind derives its own class and builds it once, at its entry point; nothing else reads
the environment.
"""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.validation import Misfit, misfit_of

__all__ = [
    "PREFIX",
    "VARIABLES",
    "CommonSettings",
    "FromJson",
    "load_settings",
    "unknown_variables",
]

PREFIX = "TEAMRUN_"
"""The prefix of all environment variables."""

_NAMES = """
    action after alias all allow_scripted allowed_hosts api_key api_keys approve archive_events
    batch_id batch_inputs body_limit_bytes body_timeout_seconds buffered comment config content
    cors_origins csv custom_id data data_dir delay_seconds escape_formulas event events file
    file_limit_bytes file_version force forward from fsync grace_seconds graceful handover_seconds
    head_timeout_seconds heartbeat host idempotency_key ids input_format input_template json
    lease_seconds limit local log_format log_level max_concurrency max_cost_usd max_failure_rate
    max_runs max_tokens max_turns mcp_store metadata metrics_host metrics_port model namespace
    on_busy_thread on_invalid output output_schema ping_seconds port queue_url queues reason
    redis_url retention_days root_path run_id say secret_env source status store_url tag team
    team_revision team_version tenant thread thread_revision threads timeout_seconds to url venv
    wait_limit_seconds warm_mb warm_seconds watch webhook webhook_events webhook_id worker_name yes
"""

VARIABLES = frozenset(f"{PREFIX}{name.upper()}" for name in _NAMES.split())
"""Every variable that a process or a command reads; a test compares it with the reference."""

Settings = TypeVar("Settings", bound="CommonSettings")


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("the home folder (~) is unknown: write an absolute path") from None


HomePath = Annotated[Path, AfterValidator(_expanded)]
"""A path in which `~` is the home folder: a shell does not replace it in a file of variables."""


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # it contains the value, which may be a secret
        raise ValueError("JSON is needed") from None


FromJson = BeforeValidator(_parsed)
"""Annotates a setting with a list: its variable is JSON."""


def _store_in(data: JsonObject) -> str:
    folder: Path = data.get("data_dir", Path(".teamrun"))
    return (folder.absolute() / "store").as_uri()


class CommonSettings(BaseModel):
    """Settings that must be equal in all processes of a deployment."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        defer_build=True,  # each process reads one of the classes
    )

    data_dir: HomePath = Path(".teamrun")
    """The folder of all data of `teamrun serve`."""

    store_url: str = Field(default_factory=_store_in)
    """Storage of runs: `file:///folder`, `s3://bucket/prefix` or `az://container/prefix`; by
    default the folder `store` in `data_dir`."""

    redis_url: str | None = Field(default=None, repr=False)
    """Redis or Valkey: `redis://host:6379/0`, `rediss://` or `unix:///path/to.sock`; may contain a
    password, percent-encoded. Options: `db`, `username`, `password`, `protocol`, and for `rediss://`
    `ssl_ca_certs`, `ssl_ca_path`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`,
    `ssl_cert_reqs`. Certificates are verified unless `ssl_cert_reqs=none`."""

    queue_url: str | None = Field(default=None, repr=False)
    """The queue of runs; by default `redis_url`. A URL of Redis, in the same form, or the queues of
    functions in a cloud: `sqs://prefix` or `azq://prefix`. If only this one is set, the live state
    is not shared: leases and notices stay in one process. Ownership of a run then ends at a time
    that its log states, and changes by other processes are found by reading the log at intervals.
    With neither, the API executes the runs itself, and must be the only process that uses the
    store."""

    namespace: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    """The name of this deployment among others in the same Redis database; by default derived
    from `store_url`. Set it, equally for all processes, if two deployments have the same store URL
    on different machines, or one store has different URLs."""

    config: HomePath = Path("teamrun.yaml")
    """The operator's file: models, tools, agents and teams."""

    fsync: bool = False
    """Whether writes to a `file://` store survive a power failure; they are slower."""

    lease_seconds: float = Field(default=60.0, ge=0.5, le=3600)
    """Time after which the runs of a silent worker are taken over by another one."""

    handover_seconds: float = Field(default=30.0, ge=1, le=3600)
    """Time before a cloud ends a function in which it hands its runs over: no more calls start, and
    in the last third those in flight are cancelled. At most half of the time limit of the
    function. With calls of minutes, make it longer than the usual one, so that few are cancelled
    and paid again."""

    retention_days: float | None = Field(default=None, gt=0, le=36_500)
    """Days after their end for which runs are kept; then they are deleted. By default they are kept
    until `DELETE /v1/runs/{run_id}`."""

    archive_events: bool = False
    """Whether `events.jsonl` is written next to the log of each run that ends: all its events, for
    programs that read the store. Clients read the events from the log."""

    max_runs: int = Field(default=200, ge=1, le=10_000)
    """Maximum number of runs that a process executes at once; a full worker stops consuming."""

    # At most an hour: as long, at least, the log of a deleted run has tombstones.
    warm_seconds: float = Field(default=300.0, ge=0, le=3_600)
    """Time for which a run that waits for a person stays in the memory of its worker, so that an
    answer need not read and replay its whole log; 0 keeps none."""

    warm_mb: int = Field(default=64, ge=0, le=65_536)
    """Maximum memory of the runs that are kept for `TEAMRUN_WARM_SECONDS`, in MB, estimated from
    the size of their logs; the oldest ones are dropped first."""

    allow_scripted: bool = False
    """Whether a process that other machines can reach may start although a script answers for a
    model profile whose environment variable is not set."""

    allowed_hosts: Annotated[tuple[str, ...], FromJson] = ()
    """A JSON list of hosts that webhooks may be sent to besides public ones by `https://` on port
    443: a host (`"hooks.internal"`), an address or host with a port (`"127.0.0.1:3000"`), a network
    (`"10.1.0.0/16"`), or all names below one (`"*.corp.example"`). With such a host, `http://` is
    allowed too."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""

    log_format: Literal["json", "text"] = "json"
    """One JSON object per line, or lines for people."""

    @property
    def queue(self) -> str | None:
        """The URL of the queue; None if there is none."""
        return self.queue_url or self.redis_url

    @property
    def queue_setting(self) -> Literal["queue_url", "redis_url"]:
        """The setting that `queue` comes from."""
        return "queue_url" if self.queue_url else "redis_url"

    @property
    def lease(self) -> timedelta:
        """`lease_seconds` as a duration."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def handover(self) -> timedelta:
        """`handover_seconds` as a duration."""
        return timedelta(seconds=self.handover_seconds)

    @property
    def warm(self) -> timedelta:
        """`warm_seconds` as a duration."""
        return timedelta(seconds=self.warm_seconds)

    @property
    def retention(self) -> timedelta | None:
        """`retention_days` as a duration."""
        return None if self.retention_days is None else timedelta(days=self.retention_days)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that begins like a setting and is none."""
    names = sorted(VARIABLES)
    sentences: list[str] = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in names:
            close = get_close_matches(name, names, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            sentences.append(f"{name} is set, and no setting has that name.{hint}")
    return sentences


def load_settings(kind: type[Settings], **given: Any) -> Settings:
    """The settings from the environment; values that are `given` (and not None) take precedence.

    A variable without a text counts as not set.

    Raises:
        UsageError: Variables are invalid; the message names each.
    """
    variables = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in kind.model_fields}
    found = {name: text for name, text in variables.items() if text}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return kind.model_validate(found | chosen)
    except ValidationError as error:
        misfits = [misfit_of(each) for each in error.errors(include_input=False, include_url=False)]
        names = [f"{PREFIX}{'.'.join(map(str, misfit.path)).upper()}" for misfit in misfits]
        faults = " ".join(map(Misfit.sentence, misfits, names))
        raise UsageError(f"The settings are invalid: {faults}", settings=names) from None
