"""The work folder of code between calls: the artifacts of the run."""

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Final, cast

from teamrun.errors import ArtifactNotFound
from teamrun.json_types import JsonObject
from teamrun.tools.context import ToolContext

__all__ = ["WorkFiles"]

_STATE: Final = "files"
_MOST_FILES: Final = 100
_MOST_BYTES: Final = 32 << 20
"""What a call begins with, at most."""
_ALLOWED: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
"""The names of artifacts."""


class WorkFiles:
    """The files that code finds and leaves.

    An artifact has no folder in its name: `out/plot.png` is the artifact `out_plot.png`. The state
    of the tool has the paths of such files, so that the next call finds them in their places.
    """

    def __init__(self, context: ToolContext) -> None:
        self._context = context

    @property
    def _paths(self) -> dict[str, str]:
        """The names of artifacts by their paths, where the two differ."""
        return cast("dict[str, str]", self._context.state.get(_STATE, {}))

    async def load(self) -> Mapping[str, bytes]:
        """The artifacts of the run by their paths in the work folder."""
        artifacts = self._context.artifacts
        paths = {name: path for path, name in self._paths.items()}
        found: dict[str, bytes] = {}
        left = _MOST_BYTES
        for name in artifacts.names()[:_MOST_FILES]:
            try:
                data = await artifacts.load(name)
            except ArtifactNotFound:  # shared with other tools outside a run
                continue
            if len(data) <= left:
                found[paths.get(name, name)] = data
                left -= len(data)
        return found

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Leave files as artifacts."""
        artifacts, paths = self._context.artifacts, dict(self._paths)
        texts = {path.encode("utf-8", "replace").decode(): data for path, data in files.items()}
        taken = {*artifacts.names(), *texts}
        for path, data in texts.items():
            name = paths.get(path) or _name(path, taken)
            if name != path:
                paths[path] = name
                taken.add(name)
            artifacts.write(name, data)
        if paths:
            self._context.state[_STATE] = cast("JsonObject", paths)


def _name(path: str, taken: Collection[str]) -> str:
    """The name of the artifact: the path itself if it can be one, else one that is not taken."""
    if re.fullmatch(_ALLOWED, path):
        return path
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path).lstrip("._-")
    if re.fullmatch(_ALLOWED, name) and name not in taken:
        return name
    return f"{sha256(path.encode()).hexdigest()[:8]}-{name[-100:]}"
