"""How a server is reached: by a process of this machine, or by an address."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from teamrun.models.scalars import LONGEST_S

__all__ = [
    "McpServerParams",
    "SseServerParams",
    "StdioServerParams",
    "StreamableHttpServerParams",
    "call_seconds",
    "secrets_of",
]

_Seconds = Annotated[float, Field(gt=0, le=LONGEST_S)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StdioServerParams(_Params):
    """A server that is a process; messages go through its standard input and output."""

    type: Literal["StdioServerParams"] = "StdioServerParams"
    command: str = Field(min_length=1)
    """The program."""
    args: tuple[str, ...] = ()
    env: dict[str, str] | None = None
    """Variables in addition to `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL` and `TERM`. Nothing else
    of this process's environment is passed on."""
    cwd: str | None = None
    """The working directory; by default that of this process."""
    encoding: str = "utf-8"
    encoding_error_handler: Literal["strict", "ignore", "replace"] = "strict"
    read_timeout_seconds: _Seconds = 60.0
    """The time for the answer to a request. AutoGen's default, 5 s, is too short for many."""


class SseServerParams(_Params):
    """A server behind an address, with the older of the two HTTP transports."""

    type: Literal["SseServerParams"] = "SseServerParams"
    url: str = Field(min_length=1)
    headers: dict[str, str] | None = None
    """Sent with every request, and to this address only."""
    timeout: _Seconds = 5.0
    """The time for a connection and for sending, in seconds."""
    sse_read_timeout: _Seconds = 300.0
    """The time for the answer to a request, in seconds."""


class StreamableHttpServerParams(_Params):
    """A server behind an address, with the streamable HTTP transport."""

    type: Literal["StreamableHttpServerParams"] = "StreamableHttpServerParams"
    url: str = Field(min_length=1)
    headers: dict[str, str] | None = None
    """Sent with every request, and to this address only."""
    timeout: _Seconds = 30.0
    """The time for a connection and for sending, in seconds."""
    sse_read_timeout: _Seconds = 300.0
    """The time for the answer to a request, in seconds."""
    terminate_on_close: bool = True
    """Whether the server is told that a session has ended."""


McpServerParams = Annotated[
    StdioServerParams | SseServerParams | StreamableHttpServerParams, Field(discriminator="type")
]
"""One of the three."""


def call_seconds(params: McpServerParams) -> float:
    """The time for the answer to a request, in seconds."""
    if isinstance(params, StdioServerParams):
        return params.read_timeout_seconds
    return params.sse_read_timeout


def secrets_of(params: McpServerParams) -> frozenset[str]:
    """The values that no log and no error may contain."""
    given: Mapping[str, str] | None
    given = params.env if isinstance(params, StdioServerParams) else params.headers
    values = set((given or {}).values())
    # The key in `Authorization: Bearer KEY`, which a server may repeat without the word.
    values |= {part for value in values for part in value.split()}
    return frozenset(value for value in values if len(value) >= _SHORTEST_SECRET)


_SHORTEST_SECRET = 6
"""Characters. Shorter values, such as `1` or `true`, are in many texts by chance."""
