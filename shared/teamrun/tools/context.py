"""The context of a tool call: state, files, and progress reports."""

import logging
import math
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from teamrun.errors import ArtifactNotFound, Unrecordable, UsageError
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import encodable, recordable

__all__ = [
    "Artifacts",
    "MemoryArtifacts",
    "ToolContext",
    "artifact_bytes",
    "check_artifact_name",
    "check_media_type",
    "checked_state",
    "current_artifacts",
    "use_artifacts",
]

logger = logging.getLogger(__name__)

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_MEDIA_TYPE = r"(?a:[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+[ ]*(;[ -~]*)?)"


def check_artifact_name(name: str) -> str:
    """Return the name if an artifact may have it.

    Raises:
        UsageError: It has characters or a length that file systems and URLs may not take.
    """
    if re.fullmatch(_NAME, name) is None:
        raise UsageError(
            f"Artifact name {name!r} is not allowed; use letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, at most 128 characters.",
            name=name,
        )
    return name


def check_media_type(media_type: str) -> str:
    """Return the media type if an HTTP header can carry it (RFC 9110, 8.3.1).

    Raises:
        UsageError: It cannot, or has more than 255 characters.
    """
    if re.fullmatch(_MEDIA_TYPE, media_type) is None or len(media_type) > 255:
        raise UsageError(
            f"Media type {media_type[:300]!r} is not valid; write it as in 'text/csv' or "
            "'text/plain; charset=utf-8'."
        )
    return media_type


def artifact_bytes(data: bytes | str) -> bytes:
    """The bytes of a file: text in UTF-8, with lone surrogates replaced by U+FFFD."""
    return encodable(data).encode() if isinstance(data, str) else bytes(memoryview(data))


class Artifacts(Protocol):
    """The files of a run. Writing a name again makes a new version of it."""

    def write(self, name: str, data: bytes | str, media_type: str | None = None) -> None:
        """Leave a file; from any thread. It is kept when the tool call has completed.

        Args:
            name: Letters, digits, `.`, `_`, `-`; at most 128 characters.
            data: The content; text is stored as UTF-8.
            media_type: By default guessed from the name.

        Raises:
            UsageError: The name or the media type is not allowed.
        """
        ...

    def read(self, name: str) -> bytes:
        """The newest version of a file, this call's own included. For tools that run in a thread.

        Raises:
            ArtifactNotFound: No tool of the run has left a file of this name.
        """
        ...

    async def load(self, name: str) -> bytes:
        """The same as `read`, for async tools.

        Raises:
            ArtifactNotFound: No tool of the run has left a file of this name.
        """
        ...

    def names(self) -> list[str]:
        """The files that can be read, sorted."""
        ...


class MemoryArtifacts:
    """Files in memory: what tools get outside a run, and in tests."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self.media_types: dict[str, str | None] = {}
        """The media type that each file was written with."""

    def write(self, name: str, data: bytes | str, media_type: str | None = None) -> None:
        """Keep a file; a file of the same name is replaced."""
        self._files[check_artifact_name(name)] = artifact_bytes(data)
        self.media_types[name] = media_type and check_media_type(media_type)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            ArtifactNotFound: There is none of this name.
        """
        try:
            return self._files[name]
        except KeyError:
            raise ArtifactNotFound(
                f"There is no artifact {name!r}; there are {self.names()}."
            ) from None

    async def load(self, name: str) -> bytes:
        """The same as `read`."""
        return self.read(name)

    def names(self) -> list[str]:
        """The files, sorted."""
        return sorted(self._files)


current_artifacts: ContextVar[Artifacts | None] = ContextVar("teamrun_artifacts", default=None)
"""The files that tools share outside a run; None uses one store per process, in memory."""

_PROCESS = MemoryArtifacts()


@contextmanager
def use_artifacts(artifacts: Artifacts) -> Generator[Artifacts]:
    """Let the tools that are called inside the `with` block share these files."""
    token = current_artifacts.set(artifacts)
    try:
        yield artifacts
    finally:
        current_artifacts.reset(token)


def _shared_artifacts() -> Artifacts:
    artifacts = current_artifacts.get()
    return _PROCESS if artifacts is None else artifacts


@dataclass(slots=True, kw_only=True)
class ToolContext:
    """The surroundings of one tool call.

    A function tool gets one in the parameter that is annotated `ToolContext`; models do not
    see that parameter. Keep data in `state` or in `artifacts`: when a run continues on another
    worker, everything else is lost.
    """

    state: JsonObject = field(default_factory=JsonObject)
    """JSON data, kept between the calls of this tool in this run."""
    artifacts: Artifacts = field(default_factory=_shared_artifacts)
    """The files of the run."""
    call_id: str = ""
    """Unique in the run."""
    run_id: str = ""
    """Empty outside a run."""
    agent: str = ""
    """The path of the agent that calls."""
    tenant: str = ""
    """The tenant of the run; empty outside a run."""
    on_progress: Callable[[str, float | None], None] | None = None
    """Takes the reports of `progress`; called in whatever thread the tool runs."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this call, for services that accept idempotency keys."""
        return f"{self.run_id}:{self.call_id}"

    def progress(self, note: str, percent: float | None = None) -> None:
        """Report how far the call has come.

        Args:
            note: One line for people.
            percent: 0 to 100, if it is known. A `Decimal` or a text with a number is also accepted.
                Any other value is omitted and logged: a report must not fail a call that may
                have had its effect.
        """
        if self.on_progress is not None:
            self.on_progress(note, _finite(percent))


def _finite(percent: Any) -> float | None:
    try:
        number = None if percent is None else float(percent)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if number is None or math.isfinite(number):
        return number
    data = {"action": "tool.progress_invalid", "type": type(percent).__name__}
    logger.warning("A tool reported a percentage that is not a finite number", extra=data)
    return None


def checked_state(state: object, *, tool: str) -> JsonObject:
    """A copy of the data in `ToolContext.state`.

    Raises:
        UsageError: It is not a dict, or it contains something that is not JSON data.
    """
    try:
        kept = recordable(state, exact=True)
    except Unrecordable as error:
        raise UsageError(
            f"Tool {tool!r} stored a value in ToolContext.state that is not JSON: {error} "
            "Keep JSON data there, and files in ToolContext.artifacts."
        ) from error
    if not isinstance(kept, dict):
        raise UsageError(
            f"Tool {tool!r} replaced ToolContext.state by a {type(state).__name__}; it is a dict."
        )
    return cast("JsonObject", kept)
