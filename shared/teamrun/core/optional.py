"""Optional packages, which are checked when a feature that needs one is first used."""

import json
import re
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from teamrun.errors import MissingPackage

__all__ = ["install_command", "require"]

_ROOT = Path(__file__).resolve().parents[3]
"""The clone, if this module was imported from one."""


def require(package: str, *, extra: str, needed_by: str, lowest: tuple[int, ...] = ()) -> None:
    """Check that `package` is installed, before the caller imports it.

    Args:
        package: The distribution; dashes become underscores or dots in its module's name.
        extra: The extra of this project that installs it.
        needed_by: The class or command to name in the message.
        lowest: The lowest version that works, with the digits that matter: `(3,)` or `(9, 1)`.

    Raises:
        MissingPackage: The package is missing or too old; the message has the `pip install` line.
    """
    remedy = install_command(extra)
    if not _is_importable(package):
        raise MissingPackage(
            f"{needed_by} needs the package {package!r}: {remedy}", package=package, extra=extra
        )
    if lowest and (found := _version(package)) and found < lowest:
        want = ".".join(map(str, lowest))
        have = ".".join(map(str, found))
        raise MissingPackage(
            f"{needed_by} needs {package!r} {want} or newer, not {have}: {remedy}",
            package=package,
            extra=extra,
            needed=want,
        )


def install_command(extra: str) -> str:
    """The command that installs an extra from the same source as this package.

    It names the interpreter, because the virtual environment may not be active.
    """
    import shlex  # here and below: half a handler's import of the standard library

    pip = f"{shlex.quote(sys.executable)} -m pip install"
    if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "shared").is_dir():
        return f"{pip} -e {shlex.quote(f'{_ROOT}[{extra}]')}"
    return f"{pip} {shlex.quote(f'{_source()}[{extra}]')}"


def _source() -> str:
    """The folder that the package was installed from (PEP 610), or its name."""
    from importlib import metadata
    from urllib.request import url2pathname

    try:
        record = metadata.distribution("teamrun").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return "teamrun"
    origin: Any = json.loads(record) if record else {}
    url = urlsplit(str(origin.get("url", "")))
    folder = url2pathname(url.path)
    is_folder = url.scheme == "file" and "dir_info" in origin and Path(folder).is_dir()
    return folder if is_folder else "teamrun"


def _is_importable(package: str) -> bool:
    try:
        return any(find_spec(package.replace("-", sign)) for sign in ("_", "."))
    except ModuleNotFoundError:  # the parent of a dotted name is absent
        return False


@cache
def _version(package: str) -> tuple[int, ...]:
    """The version; empty if it is unknown. Read once: it takes some milliseconds.

    The packages of a platform's own, such as boto3 on AWS Lambda, may have no metadata.
    """
    from importlib import metadata

    try:
        text = metadata.version(package)
    except metadata.PackageNotFoundError:
        text = str(getattr(import_module(package.replace("-", "_")), "__version__", ""))
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
