"""`${NAME}` and `${NAME:-default}` in the texts of the operator's file.

`$${` produces a literal `${`. As in a shell, a variable that is set but empty counts as absent.
Unlike in a shell, a default is plain text: one that has a `${` in it is malformed.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject

__all__ = ["MissingVariable", "expand", "expand_all", "malformed", "variables"]

_REFERENCE = r"\$(?:(\$)(?=\{)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\})"


class MissingVariable(UsageError):
    """A text needs an environment variable that is not set and has no default."""

    code = "missing_variable"

    def __init__(self, name: str) -> None:
        super().__init__(f"The environment variable {name} is not set.", name=name)
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        """The one argument is the name, not the message."""
        return type(self), (self.name,)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with each reference replaced.

    Raises:
        MissingVariable: A variable has neither a value nor a default.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return "$"
        found = environ.get(name) or default
        if found is None:
            raise MissingVariable(name)
        return found

    return re.sub(_REFERENCE, value, text) if "$" in text else text


def expand_all(value: Any, environ: Mapping[str, str]) -> Any:
    """A JSON value with each of its texts expanded.

    Raises:
        MissingVariable: A variable has neither a value nor a default.
    """
    match value:
        case str():
            return expand(value, environ)
        case dict():
            items = cast("JsonObject", value).items()
            return {key: expand_all(item, environ) for key, item in items}
        case list():
            return [expand_all(item, environ) for item in cast("list[Any]", value)]
        case _:
            return value


def variables(text: str) -> set[str]:
    """The names that a text refers to."""
    return {match[2] for match in re.finditer(_REFERENCE, text) if match[2]}


def malformed(text: str) -> bool:
    """Whether a `${` of the text is neither a reference nor escaped, or is in a default."""
    return "${" in re.sub(_REFERENCE, " ", text)
