"""Where a download is written to."""

from os import PathLike
from pathlib import Path

__all__ = ["target_of"]


def target_of(to: str | PathLike[str], name: str) -> Path:
    """The path itself, or in it the file of that name if it is a folder."""
    path = Path(to)
    # A name that was sent by a server must not lead out of the folder.
    return path / Path(name).name if path.is_dir() else path
