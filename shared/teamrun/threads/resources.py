"""The resources of `/v1/threads`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict

from teamrun.core.tolerance import OPEN
from teamrun.json_types import JsonObject
from teamrun.runs.log.metadata import Metadata

__all__ = ["Thread", "ThreadMessage", "ThreadMessages", "ThreadPage", "ThreadSnapshot"]


class _Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Thread(_Resource):
    """A conversation that runs continue, one after the other."""

    id: str
    object: Annotated[Literal["thread"], OPEN] = "thread"
    status: Annotated[Literal["idle", "busy"], OPEN]
    active_run_id: str | None = None
    """The run that has its turn."""
    queued_run_ids: list[str] = []
    """The runs that wait for it, in their order."""
    runs_count: int
    revision: int
    """Increases with each change and each run; the `ETag` is `"v{revision}"`."""
    metadata: Metadata = {}
    created_at: datetime
    updated_at: datetime


class ThreadPage(_Resource):
    """A page of threads, the newest first."""

    data: list[Thread]
    next_cursor: str | None = None
    has_more: bool = False


class ThreadMessage(_Resource):
    """A message of the conversation."""

    run_id: str
    message: JsonObject
    """As `message.created` has it; with a `path` if it comes from the inside of a member."""


class ThreadMessages(_Resource):
    """A page of messages, the oldest first."""

    data: list[ThreadMessage]
    next_cursor: str | None = None
    has_more: bool = False
    unreadable_run_ids: list[str] = []
    """Runs between the messages of this page whose own are missing, because their logs are damaged
    or of a newer release."""


class ThreadSnapshot(_Resource):
    """The state from which the next run continues."""

    thread_id: str
    run_id: str | None = None
    """The run that has left it; null if no run has completed."""
    state: JsonObject | None = None
    """What `save_state` of the team returns."""
