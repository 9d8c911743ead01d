"""YAML as plain data: no aliases, no duplicate keys, no tags, each part with its line."""

from importlib.util import find_spec
from typing import Any, NamedTuple

from teamrun.components.reading.problems import Problems, Source, pointer, shown
from teamrun.core.optional import install_command
from teamrun.errors import DefinitionError, MissingPackage
from teamrun.json_types import JsonObject
from teamrun.messages.recordable import encodable

__all__ = ["YamlText", "load_yaml"]

_MAX_CHARS = 1_000_000
_PLAIN = "tag:yaml.org,2002:"
_MAX_BITS = 64
"""Largest whole number that the stores and all clients of the API can represent."""
_UNREADABLE = object()
_SCALARS = frozenset({"str", "int", "float", "bool", "null"})


class YamlText(NamedTuple):
    """A YAML text that has been read."""

    value: Any
    source: Source
    """Its name and lines, for messages."""


def load_yaml(text: str, *, source: str) -> YamlText:
    """Read a YAML text; `source` names it in messages.

    Raises:
        DefinitionError: It is not valid YAML, or uses a refused feature; lists all problems.
        MissingPackage: PyYAML is not installed.
    """
    if find_spec("yaml") is None:
        raise MissingPackage(
            f"Reading a team file needs PyYAML: {install_command('cli')}",
            package="pyyaml",
            extra="cli",
        )
    import yaml

    if len(text) > _MAX_CHARS:
        raise DefinitionError(
            f"{source}:1: /: The file has {len(text)} characters; at most {_MAX_CHARS} are read.",
            code="too_large",
        )
    refused = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if refused is not None:
        raise DefinitionError(_unprintable(text, refused.start(), source))
    # Not the loader in C: a deep nesting ends the process there.
    loader = yaml.SafeLoader(text)
    reader = _Reader(loader)
    try:
        root = loader.get_single_node()
        value = None if root is None else reader.value(root, "")
    except yaml.MarkedYAMLError as error:
        raise DefinitionError(_syntax(error, source)) from error
    except RecursionError as error:
        raise DefinitionError(
            f"{source}:{loader.line + 1}: /: The values are nested too deeply.", code="too_large"
        ) from error
    finally:
        loader.dispose()
    read = YamlText(value, Source(source, reader.lines))
    reader.problems.raise_any(source=read.source)
    return read


def _unprintable(text: str, at: int, source: str) -> str:
    line = text.count("\n", 0, at) + 1
    return (
        f"{source}:{line}: /: The character U+{ord(text[at]):04X} is not allowed in YAML;"
        ' remove it, or write it as an escape such as "\\x1b" in double quotes.'
    )


def _syntax(error: Any, source: str) -> str:
    """A message for a text that is not YAML, on one line."""
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    place = f"{source}:{mark.line + 1}" if mark else source
    column = f" (column {mark.column + 1})" if mark else ""
    return f"{place}: /: This is not valid YAML: {' '.join(what.split())}{column}."


class _Reader:
    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._seen: set[int] = set()
        self.problems = Problems()
        self.lines: dict[str, int] = {}

    def value(self, node: Any, where: str) -> Any:
        self.lines.setdefault(where, node.start_mark.line + 1)
        if id(node) in self._seen:
            return self._refuse(where, "is an alias (`*name`); write the value out")
        self._seen.add(id(node))
        kind = node.tag.removeprefix(_PLAIN)
        match node.id, kind:
            case "mapping", "map":
                return self._mapping(node, where)
            case "sequence", "seq":
                return [
                    self.value(item, pointer(where, index)) for index, item in enumerate(node.value)
                ]
            case "scalar", "timestamp" | "str":
                return encodable(node.value)  # an escape may be half of a surrogate pair
            case "scalar", "int" | "float" if ":" in node.value:
                return node.value  # YAML 1.1 would read 1:30 as ninety
            case "scalar", _ if kind in _SCALARS:
                return self._scalar(node, where)
            case _:
                return self._refuse(where, f"has the tag {node.tag!r}; write plain data")

    def _scalar(self, node: Any, where: str) -> Any:
        try:
            value = self._loader.construct_object(node)
        except (ValueError, KeyError, IndexError):  # `0b_` looks like a number and is none
            value = _UNREADABLE
        is_huge = isinstance(value, int) and value.bit_length() > _MAX_BITS
        if value is not _UNREADABLE and not is_huge:
            return value
        kind = node.tag.removeprefix(_PLAIN)
        why = f"cannot be read as {kind!r}: {shown(node.value)}; write another one, or put it in"
        return self._refuse(where, f"{why} quotes if it is a text")

    def _mapping(self, node: Any, where: str) -> JsonObject:
        result: JsonObject = {}
        for key_node, value_node in node.value:
            key = encodable(str(key_node.value)) if key_node.id == "scalar" else "?"
            place = pointer(where, key)
            first, self.lines[place] = self.lines.get(place), key_node.start_mark.line + 1
            if key in result:
                self._refuse(place, f"occurs twice, first on line {first}; remove one")
                continue
            if key_node.id != "scalar" or key_node.tag == _PLAIN + "merge":
                self._refuse(place, "is not a plain key")
                continue
            result[key] = self.value(value_node, place)
        return result

    def _refuse(self, where: str, why: str) -> None:
        name = where.rpartition("/")[2]
        self.problems.add(where, "invalid_definition", f"{name!r} {why}.")
