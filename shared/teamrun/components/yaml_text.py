"""YAML as plain data: no aliases, no duplicate keys, no tags, each fault with its JSON pointer."""

from importlib.util import find_spec
from typing import Any

from teamrun.components.problems import pointer
from teamrun.errors import DefinitionError, MissingPackage

__all__ = ["load_yaml"]

_MAX_CHARS = 1_000_000
_PLAIN = "tag:yaml.org,2002:"
_SCALARS = frozenset({"str", "int", "float", "bool", "null"})


def load_yaml(text: str, *, source: str) -> Any:
    """The data that a YAML text holds; `source` names it in messages.

    Raises:
        DefinitionError: It is no YAML, or uses what is refused here.
        MissingPackage: PyYAML is not installed.
    """
    if find_spec("yaml") is None:
        raise MissingPackage(
            'Reading a team file needs PyYAML: pip install "teamrun[cli]".',
            package="pyyaml",
            extra="cli",
        )
    import yaml

    if len(text) > _MAX_CHARS:
        raise DefinitionError(
            f"{source} has {len(text)} characters; at most {_MAX_CHARS} are read.", code="too_large"
        )
    # Not the loader in C: a deep nesting ends the process there.
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return None if root is None else _Reader(loader, source).value(root, "")
    except yaml.YAMLError as error:
        raise DefinitionError(f"{source} is not valid YAML: {error}") from error
    except RecursionError as error:
        raise DefinitionError(f"{source} is nested too deeply.", code="too_large") from error
    finally:
        loader.dispose()


class _Reader:
    def __init__(self, loader: Any, source: str) -> None:
        self._loader = loader
        self._source = source
        self._seen: set[int] = set()

    def value(self, node: Any, where: str) -> Any:
        if id(node) in self._seen:
            raise self._refused(node, where, "is an alias (`*name`); write the value out")
        self._seen.add(id(node))
        kind = node.tag.removeprefix(_PLAIN)
        match node.id, kind:
            case "mapping", "map":
                return self._mapping(node, where)
            case "sequence", "seq":
                return [
                    self.value(item, pointer(where, index)) for index, item in enumerate(node.value)
                ]
            case "scalar", "timestamp":
                return node.value
            case "scalar", "int" | "float" if ":" in node.value:
                return node.value  # YAML 1.1 would read 1:30 as ninety
            case "scalar", _ if kind in _SCALARS:
                return self._loader.construct_object(node)
            case _:
                raise self._refused(node, where, f"has the tag {node.tag!r}; write plain data")

    def _mapping(self, node: Any, where: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if key_node.id == "scalar" else "?"
            place = pointer(where, key)
            if key_node.id != "scalar" or key_node.tag == _PLAIN + "merge":
                raise self._refused(key_node, place, "is no plain key")
            if key in result:
                raise self._refused(key_node, place, "is there twice; remove one of the two")
            result[key] = self.value(value_node, place)
        return result

    def _refused(self, node: Any, where: str, why: str) -> DefinitionError:
        line = node.start_mark.line + 1
        return DefinitionError(f"{self._source}, line {line}: {where!r} {why}.", pointer=where)
