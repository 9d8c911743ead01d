"""Packages that only some features need: checked where such a feature is first used."""

import re
from importlib import metadata
from importlib.util import find_spec

from teamrun.errors import MissingPackage

__all__ = ["require"]


def require(package: str, *, extra: str, needed_by: str, lowest: tuple[int, ...] = ()) -> None:
    """Check that `package` is installed, before the caller imports it.

    Args:
        package: The distribution; dashes become underscores or dots in its module's name.
        extra: The extra of this project that brings it.
        needed_by: The class or command that the message names.
        lowest: The lowest version that works, as far as it matters: `(3,)` or `(9, 1)`.

    Raises:
        MissingPackage: It is absent or too old; the message holds the `pip install` line.
    """
    remedy = f'pip install "teamrun[{extra}]"'
    if not _is_importable(package):
        raise MissingPackage(
            f"{needed_by} needs the package {package!r}: {remedy}", package=package, extra=extra
        )
    if lowest and (found := _version(package)) < lowest:
        want = ".".join(map(str, lowest))
        have = ".".join(map(str, found))
        raise MissingPackage(
            f"{needed_by} needs {package!r} {want} or newer, not {have}: {remedy}",
            package=package,
            extra=extra,
        )


def _is_importable(package: str) -> bool:
    try:
        return any(find_spec(package.replace("-", sign)) for sign in ("_", "."))
    except ModuleNotFoundError:  # the parent of a dotted name is absent
        return False


def _version(package: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", metadata.version(package))[:3])
