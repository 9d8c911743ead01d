"""Input of commands from files and stdin."""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from teamrun.client.calls.run_options import Team
from teamrun.client.errors import InvalidDefinitionError
from teamrun.components.reading.file_text import read_text
from teamrun.components.reading.json_text import load_json
from teamrun.components.reading.problems import Problem, Source, pointer
from teamrun.components.reading.yaml_text import load_yaml
from teamrun.errors import DefinitionError, TeamrunError, UsageError
from teamrun.json_types import JsonObject
from teamrun.validation import misfits

__all__ = ["as_read", "checked", "in_file", "json_value", "named_team", "task_text"]

Body = TypeVar("Body", bound=BaseModel)


def json_value(text: str) -> Any:
    """The value of a JSON text that a request can carry.

    Raises:
        ValueError: The text is not JSON, or has a number beyond all floats or half of a surrogate
            pair.
    """
    value = load_json(text)
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("a text contains half of a surrogate pair; write the character") from None
    return value


def checked(kind: type[Body], body: JsonObject) -> Body:
    """A request that is executed in this process, checked as a server checks it.

    Raises:
        UsageError: A field is invalid; `errors` of its data lists each.
    """
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        faults = [
            {
                "pointer": pointer("", *each.path),
                "detail": each.sentence(f"`{each.path[-1]}`" if each.path else ""),
                "code": each.kind,
            }
            for each in misfits(error, body)
        ]
        raise UsageError("\n".join(each["detail"] for each in faults), errors=faults) from None


def named_team(name: str) -> Team:
    """The name of a team, or the definition in a `.json` file.

    Raises:
        UsageError: The file cannot be read or is not JSON.
    """
    if not name.endswith(".json"):
        return name
    try:
        return json_value(read_text(Path(name)))
    except (OSError, ValueError) as error:
        raise UsageError(f"The team file {name!r} cannot be read: {error}") from error


def as_read(error: InvalidDefinitionError) -> DefinitionError:
    """The error as the reader of the definition raised it, with all faults."""
    problems = [
        {name: each.get(name, "") for name in ("pointer", "code", "detail")}
        for each in error.errors
    ]
    return DefinitionError(error.detail, pointer=error.pointer, code=error.code, problems=problems)


def in_file(error: DefinitionError, name: str, *, root: str = "/team_spec") -> DefinitionError:
    """The faults of a `.json` file, each with its line and place; other errors as they are.

    Args:
        error: The refusal of a request.
        name: The file.
        root: The pointer to its content in the request.
    """
    found = [Problem(**problem) for problem in error.data.get("problems", [])]
    # The faults of `teamrun.yaml`, which is read before, name that file already.
    if not name.endswith(".json") or not any(each.pointer.startswith(root) for each in found):
        return error
    path = Path(name)
    lines: Mapping[str, int] = {}
    with suppress(TeamrunError, OSError):  # JSON is YAML, with few exceptions
        lines = load_yaml(read_text(path), source=path.name).source.lines
    inside = [each._replace(pointer=each.pointer.removeprefix(root)) for each in found]
    return DefinitionError(
        Source(path.name, lines).message(inside),
        pointer=error.pointer,
        code=error.code,
        problems=error.data["problems"],
    )


def task_text(given: str) -> str:
    """The text of an argument; `-` reads all of stdin.

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
