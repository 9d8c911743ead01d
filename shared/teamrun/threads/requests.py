"""The bodies of requests about threads."""

from pydantic import BaseModel, ConfigDict

from teamrun.runs.log.metadata import Metadata

__all__ = ["ThreadPatch", "ThreadRequest"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ThreadRequest(_Body):
    """The body of `POST /v1/threads`; all fields are optional."""

    metadata: Metadata = {}


class ThreadPatch(_Body):
    """The body of `PATCH /v1/threads/{thread_id}`."""

    metadata: Metadata
    """Replaces all pairs."""
