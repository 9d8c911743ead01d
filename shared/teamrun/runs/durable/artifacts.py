"""Artifacts: the files that the tools of a run store and read, beside its log."""

import asyncio
import mimetypes
from hashlib import sha256

from teamrun.errors import ArtifactNotFound, UsageError
from teamrun.runs.engine.protocol import CallContext
from teamrun.runs.log.entries import ArtifactRecord
from teamrun.tools.context import artifact_bytes, check_artifact_name, check_media_type

__all__ = ["RunArtifacts"]


class RunArtifacts:
    """The artifacts of a run, as one tool call sees them."""

    def __init__(self, call_context: CallContext) -> None:
        self._call = call_context
        self._real = asyncio.get_running_loop()
        self._written: dict[str, list[tuple[bytes, str]]] = {}
        """By name, the versions in the order in which they were written."""

    def write(self, name: str, data: bytes | str, media_type: str | None = None) -> None:
        """Store an artifact; it is kept once the call has completed."""
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        version = (artifact_bytes(data), check_media_type(kind))
        self._written.setdefault(check_artifact_name(name), []).append(version)

    def read(self, name: str) -> bytes:
        """The newest version of an artifact; for tools that run in a thread.

        Raises:
            ArtifactNotFound: The run has no artifact with this name.
            UsageError: Called on the event loop, which it would block; use `load`.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            future = asyncio.run_coroutine_threadsafe(self.load(name), self._real)
            return future.result()
        raise UsageError("Artifacts.read would block the worker: use `await artifacts.load(...)`.")

    async def load(self, name: str) -> bytes:
        """The newest version of an artifact, including those of this call.

        Raises:
            ArtifactNotFound: The run has no artifact with this name.
        """
        if name in self._written:
            return self._written[name][-1][0]
        record = self._call.artifact(name)
        if record is None:
            raise ArtifactNotFound(f"There is no artifact {name!r}; there are {self.names()}.")
        return await self._call.get_blob(record.sha256)

    def names(self) -> list[str]:
        """The names of the artifacts that can be read, sorted."""
        return sorted({*self._call.artifact_names(), *self._written})

    async def store(self) -> tuple[ArtifactRecord, ...]:
        """Make the written artifacts durable; returns the records for the log."""
        records: list[ArtifactRecord] = []
        versions = [(name, *each) for name, all_ in self._written.items() for each in all_]
        for name, content, media_type in versions:
            await self._call.put_blob(content)
            records.append(
                ArtifactRecord(
                    name=name,
                    version=0,
                    media_type=media_type,
                    size=len(content),
                    sha256=sha256(content).hexdigest(),
                    agent=self._call.info.agent.rpartition("/")[2],
                )
            )
        return tuple(records)
