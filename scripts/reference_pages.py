"""Writes the reference pages that are generated from the code, such as those of settings.

    python scripts/reference_pages.py           writes them
    python scripts/reference_pages.py --check   lists those that are not up to date, with status 1

Run it with the Python of `.venv`. A test does the same check.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard, cast, get_args

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from reference_client import client_page
from reference_requests import with_tables
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from teamrun import errors
from teamrun.cli.app import app
from teamrun.cli.serving.service import ServeSettings
from teamrun.settings import PREFIX, CommonSettings
from teamrun_api import faults
from teamrun_api.settings import ApiKey, ApiSettings, Scope
from teamrun_infra.aws.settings import FunctionSettings
from teamrun_worker.settings import WorkerSettings

__all__ = ["PAGES", "cli_page", "settings_page"]

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"

_SETTINGS_HEAD = """\
# Settings

Generated from the code by `scripts/reference_pages.py`.

Every process reads its settings from the environment when it starts, and nowhere else. A variable
that is empty counts as not set. Options of the [command line](cli.md) take precedence over
variables. An invalid value ends the process with status 2 and a message that names the variable.

Set secrets in the environment: `TEAMRUN_REDIS_URL` if it has a password, the keys of model
providers under the names that `teamrun.yaml` uses (`${OPENAI_API_KEY}`), and the credentials of S3
and Azure under their own names (`AWS_ACCESS_KEY_ID`, `AZURE_STORAGE_ACCOUNT_KEY` and so on). The
variables of OpenTelemetry (`OTEL_...`) configure [traces](../how-to/operate.md#traces).
"""

_CLI_HEAD = """\
# Command line

Generated from the code by `scripts/reference_pages.py`.

`teamrun` and `python -m teamrun` are the same. Results go to stdout, everything else to stderr. The
status is 0; 1 if the run failed or a service did not respond; 2 for wrong use; 130 after Ctrl-C.
Every option has an environment variable; the option takes precedence.

With `--json` (or `TEAMRUN_JSON=1`, for every command), an error is the last line of stderr: a
problem (RFC 9457) with `code` and `detail`, and what the server's problem has: `status`,
`request_id`, and `errors` with the `pointer` of each invalid field, and its `option`. Exit statuses
stay the same.

`serve`, `api`, `worker`, `run`, `check` and `replay` work on this machine. The other commands send
requests to a server: set its URL with `--url` or `TEAMRUN_URL`, and a key, if the server requires
one, with `--api-key` or `TEAMRUN_API_KEY`.
"""


def settings_page() -> str:
    """The settings of every process, from the classes that read them."""
    shared = _own_fields(CommonSettings)
    return "\n".join(
        [
            _SETTINGS_HEAD,
            _settings_of("All processes", CommonSettings, ()),
            _settings_of("The API", ApiSettings, shared),
            "`TEAMRUN_API_KEYS` is a list of objects:\n",
            *_rows(("field", "default", "meaning"), _key_rows()),
            "",
            _settings_of("A worker", WorkerSettings, shared),
            _settings_of("A function of AWS Lambda", FunctionSettings, shared),
            _settings_of("`teamrun serve`", ServeSettings, shared, note=_SERVE),
        ]
    )


_SERVE = """\
`serve` passes all variables on to the API and the worker that it starts. The table lists its own
defaults, which it passes to both. The default of `TEAMRUN_LOG_LEVEL` is `warning`, and that of
`TEAMRUN_LOG_FORMAT` is `text` if stderr is a terminal.
"""


def cli_page() -> str:
    """Every command with its arguments, options and example, as in `--help`."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    parts = [_CLI_HEAD]
    for name, command in _leaves(root):
        parts += [f"## `teamrun {name}`\n", inspect.cleandoc(command.help or "") + "\n"]
        arguments = [p for p in command.params if isinstance(p, TyperArgument)]
        options = [p for p in command.params if isinstance(p, TyperOption)]
        if arguments:
            parts += [*_rows(("argument", "meaning", "variable"), map(_argument, arguments)), ""]
        if options:
            parts += [*_rows(("option", "meaning", "variable"), map(_option, options)), ""]
        example = (command.epilog or "").removeprefix("Example: ")
        parts += [f"```sh\n{example}\n```\n"]
    return "\n".join(parts).rstrip() + "\n"


def _leaves(root: TyperGroup) -> Iterator[tuple[str, TyperCommand]]:
    """The commands by name, those of groups with two words."""
    for name, command in root.commands.items():
        if isinstance(command, TyperGroup):
            yield from ((f"{name} {second}", leaf) for second, leaf in _leaves(command))
        elif isinstance(command, TyperCommand):
            yield name, command


_ERRORS_HEAD = """\
# Errors

Generated from the code by `scripts/reference_pages.py`.

Every error has a stable `code`. Problems of the [HTTP API](http.md#errors), the `error` of runs and
events, and the exceptions of the library use the same codes. An error about a definition lists at
most 100 problems; if there are more, a last entry with the code `too_large` says how many.
"""


def errors_page() -> str:
    """The errors of the library and of the HTTP API, with their codes."""
    parts = [_ERRORS_HEAD]
    for title, module in (("Library", errors), ("HTTP", faults)):
        kinds = sorted(
            (kind for kind in vars(module).values() if _is_error_of(module, kind)),
            key=lambda kind: kind.code,
        )
        rows = ((f"`{kind.code}`", f"`{kind.__name__}`", _meaning(kind)) for kind in kinds)
        parts += [f"## {title}\n", *_rows(("code", "class", "meaning"), rows), ""]
    return "\n".join(parts)


def _is_error_of(module: ModuleType, kind: object) -> TypeGuard[type[errors.TeamrunError]]:
    return (
        isinstance(kind, type)
        and issubclass(kind, errors.TeamrunError)
        and kind.__module__ == module.__name__
        and not kind.__name__.startswith("_")
    )


def _meaning(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def http_page() -> str:
    """The page on HTTP, with the tables of requests generated from the code."""
    return with_tables((FOLDER / "http.md").read_text(encoding="utf-8"))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "http.md": http_page,
    "python-client.md": client_page,
}
"""The pages by the names of their files."""


def _settings_of(
    title: str, kind: type[CommonSettings], without: tuple[str, ...], *, note: str = ""
) -> str:
    texts = _texts(kind)
    rows = [
        (_name(name), _default(kind.model_fields[name]), _with_names(texts[name], kind))
        for name in _own_fields(kind)
        if name not in without
    ]
    head = ("variable", "default", "meaning")
    lines = [f"## {title}\n", *([note] if note else []), *_rows(head, rows), ""]
    return "\n".join(lines)


def _name(field: str) -> str:
    return f"`{PREFIX}{field.upper()}`"


def _with_names(text: str, kind: type[CommonSettings]) -> str:
    """The text with variables in place of fields."""

    def named(found: re.Match[str]) -> str:
        return _name(found[1]) if found[1] in kind.model_fields else found[0]

    return re.sub(r"`(\w+)`", named, text)


def _key_rows() -> Iterator[tuple[str, str, str]]:
    texts = _texts(ApiKey)
    texts["scopes"] = f"Any of {', '.join(f'`{scope}`' for scope in get_args(Scope))}."
    for name, field in ApiKey.model_fields.items():
        yield f"`{name}`", _default(field), texts[name]


def _own_fields(kind: type[CommonSettings]) -> tuple[str, ...]:
    return tuple(kind.model_fields)


def _texts(kind: type[Any]) -> dict[str, str]:
    """The strings under the fields of a class."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            texts[field.target.id] = " ".join(str(below.value.value).split())
    return texts


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is PydanticUndefined:
        return "see the meaning"
    value = field.default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in cast("tuple[object, ...]", value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _argument(argument: TyperArgument) -> tuple[str, str, str]:
    name = str(argument.name).upper()
    shown = f"`{name}`" if argument.required else f"`[{name}]`"
    return shown, argument.help or "", _variable(argument.envvar)


def _option(option: TyperOption) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    return names, option.help or "", _variable(option.envvar)


def _variable(envvar: object) -> str:
    return f"`{envvar}`" if envvar else ""


def _rows(head: tuple[str, ...], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows]


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def main() -> int:
    """Write the pages, or check them."""
    stale = [
        name
        for name, made in PAGES.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != made()
    ]
    if "--check" in sys.argv[1:]:
        print("\n".join(stale))
        return int(bool(stale))
    for name in stale:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
