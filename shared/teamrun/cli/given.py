"""What commands take from files and from stdin."""

import sys
from pathlib import Path
from typing import Any

from teamrun.components.reading.json_text import load_json
from teamrun.errors import UsageError

__all__ = ["named_team", "task_text"]


def named_team(name: str) -> dict[str, Any]:
    """The part of a request that names a team, or brings the definition of a `.json` file.

    Raises:
        UsageError: The file cannot be read or is not JSON.
    """
    if not name.endswith(".json"):
        return {"team": name}
    try:
        return {"team_spec": load_json(Path(name).read_text(encoding="utf-8"))}
    except (OSError, ValueError) as error:
        raise UsageError(f"The team file {name!r} cannot be read: {error}") from error


def task_text(given: str) -> str:
    """The text of an argument; `-` stands for the whole of stdin.

    Raises:
        UsageError: Stdin is not UTF-8.
    """
    if given != "-":
        return given
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"Stdin is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}. "
            "Convert it first, for example with iconv."
        ) from error
