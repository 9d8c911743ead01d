"""The tables of requests and objects in `docs/reference/http.md`, from the OpenAPI document."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

from teamrun_api.app import described

__all__ = ["BEGIN", "END", "with_tables"]

BEGIN = "<!-- Generated from the OpenAPI document by scripts/reference_pages.py: begin -->"
END = "<!-- end -->"

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/"


def with_tables(page: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{_tables(described())}\n{END}{after}"


def _tables(document: dict[str, Any]) -> str:
    schemas: dict[str, Schema] = document["components"]["schemas"]
    lines: list[str] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            lines += _operation(f"{method.upper()} {path}", operation, schemas)
    lines += ["### Objects", ""]
    for name, schema in schemas.items():
        if "properties" in schema and not _is_body(name, document):
            lines += [f"#### {name}", "", schema.get("description", ""), ""]
            lines += _table(("field", "type", "meaning"), _fields(schema, schemas))
    return "\n".join(line for n, line in enumerate(lines) if line or (n and lines[n - 1]))


def _operation(title: str, operation: dict[str, Any], schemas: dict[str, Schema]) -> Iterator[str]:
    yield from (f"### `{title}`", "", f"{operation['summary']}.", "")
    rows = [*_parameters(operation, schemas), *_body(operation, schemas)]
    if rows:
        yield from _table(("name", "in", "type", "meaning"), rows)
    yield from (_answers(operation), "")


def _parameters(operation: dict[str, Any], schemas: dict[str, Schema]) -> Iterator[list[str]]:
    for parameter in operation.get("parameters", ()):
        meaning = [parameter.get("description", ""), *_bounds(parameter["schema"])]
        default = parameter["schema"].get("default")
        meaning += [] if default is None else [f"Default: `{default}`."]
        where = f"{parameter['in']}{', needed' if parameter.get('required') else ''}"
        kind = _type(parameter["schema"], schemas)
        yield [f"`{parameter['name']}`", where, kind, " ".join(filter(None, meaning))]


def _body(operation: dict[str, Any], schemas: dict[str, Schema]) -> Iterator[list[str]]:
    if "requestBody" not in operation:
        return
    bodies = operation["requestBody"]["content"]
    if "application/json" not in bodies:
        yield ["", "body, needed", "bytes", "The file."]
        return
    content = bodies["application/json"]["schema"]
    schema = schemas[content["$ref"].removeprefix(_REFERENCE)]
    branches = [schemas[_name(branch)] for branch in schema.get("oneOf", ())] or [schema]
    required: list[set[str]] = [set(branch.get("required", ())) for branch in branches]
    needed = required[0].intersection(*required)
    one_of = required[0].union(*required) - needed
    fields = {key: field for branch in branches for key, field in branch["properties"].items()}
    for key, field in fields.items():
        where = (
            "body, needed" if key in needed else "body, one of both" if key in one_of else "body"
        )
        yield [f"`{key}`", where, _type(field, schemas), _meaning(field)]


def _fields(schema: Schema, schemas: dict[str, Schema]) -> Iterator[list[str]]:
    for key, field in schema["properties"].items():
        yield [f"`{key}`", _type(field, schemas), _meaning(field)]


def _meaning(field: Schema) -> str:
    return " ".join(filter(None, [field.get("description", ""), *_bounds(field)]))


def _bounds(field: Schema) -> Iterator[str]:
    """The constraints of a value, in words; if it may be null, of the other branch."""
    for branch in field.get("anyOf", [field]):
        low, high = branch.get("minimum"), branch.get("maximum")
        if low is not None and high is not None:
            yield f"From {low:g} to {high:g}." if high < 10**7 else f"At least {low:g}."
        if (most := branch.get("maxLength")) is not None:
            yield f"At most {most} characters."
        for key, what in (("maxItems", "items"), ("maxProperties", "pairs")):
            if key in branch:
                yield f"At most {branch[key]} {what}."


def _type(schema: Schema, schemas: dict[str, Schema]) -> str:
    match schema:
        case {"$ref": _}:
            name = _name(schema)
            target = schemas[name]
            return _enum(target["enum"]) if "enum" in target else f"[{name}](#{name.lower()})"
        case {"anyOf": [*branches]} | {"oneOf": [*branches]}:
            found = [_type(branch, schemas) for branch in cast("list[Schema]", branches)]
            return " or ".join(dict.fromkeys(found))
        case {"enum": [*values]}:
            return _enum(cast("list[str]", values))
        case {"const": value}:
            return f"`{value}`"
        case {"type": "array", "items": dict()}:
            return f"list of {_type(schema['items'], schemas)}"
        case {"type": "object", "additionalProperties": dict()}:
            return f"object of {_type(schema['additionalProperties'], schemas)}"
        case {"format": "date-time"}:
            return "time (RFC 3339)"
        case {"type": str(kind)}:
            return kind
        case _:
            return "any JSON"


def _enum(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _answers(operation: dict[str, Any]) -> str:
    told: list[str] = []
    for status, response in operation["responses"].items():
        if status < "400":
            schemas = [media["schema"] for media in response.get("content", {}).values()]
            names = {_name(schema) for schema in schemas if "$ref" in schema}
            told += [f"{status} {f'[{name}](#{name.lower()})'}" for name in sorted(names)]
            told += [] if names else [status]
    errors = [status for status in operation["responses"] if status >= "400"]
    return f"Answers {', '.join(told)}; errors {', '.join(errors)}."


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).removeprefix(_REFERENCE)


def _is_body(name: str, document: dict[str, Any]) -> bool:
    """Whether the fields of a schema are in the table of a request already."""
    schemas: dict[str, Schema] = document["components"]["schemas"]
    if f'"{_REFERENCE}{name}"' in json.dumps([*map(_members, schemas.values())]):
        return False  # other objects have it as a field
    for item in document["paths"].values():
        for operation in item.values():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                body = _name(content["application/json"]["schema"])
                branches = [_name(branch) for branch in schemas[body].get("oneOf", ())]
                if name in (body, *branches):
                    return True
    return False


def _members(schema: Schema) -> Schema:
    return schema.get("properties", {})


def _table(head: Sequence[str], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = [" ".join(cell.replace("|", "\\|").split()) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]
