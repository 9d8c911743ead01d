"""The operator's folder as a part of a package of functions, and the pins of its lock.

The folder is unpacked beside the packages of this project, so no name in it may hide one of them.
"""

import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from dev_environment import Failed
from packaging.utils import canonicalize_name

__all__ = ["LOCK", "OperatorFolder", "Pin", "files_of", "pins_of", "say"]

LOCK: Final = "requirements.lock"
"""The file with the packages that the operator's tools need."""

_LOCKING: Final = (
    "uv pip compile --universal --generate-hashes --no-header --no-annotate requirements.in "
    f"-o {LOCK}"
)
_PIN: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;]+)\s*(?:;(?P<marker>.*?))?"
    r"(?P<hashes>(?:\s+--hash=\S+)+)"
)


@dataclass(frozen=True)
class Pin:
    """One distribution of a lock."""

    name: str
    """Normalized."""
    version: str
    marker: str
    """Where it is needed, such as `python_version < "3.13"`; empty for everywhere."""
    hashes: tuple[str, ...]

    def line(self, *, marker: bool = True) -> str:
        """The lines of a lock for pip."""
        where = f" ; {self.marker}" if marker and self.marker else ""
        hashes = "".join(f" \\\n    --hash={value}" for value in self.hashes)
        return f"{self.name}=={self.version}{where}{hashes}\n"


def pins_of(lock: Path) -> list[Pin]:
    """The distributions of a lock; one may have several versions, with markers that exclude others.

    Raises:
        Failed: A line is no exact version with hashes.
    """
    found: list[Pin] = []
    text = re.sub(r"\\\r?\n", " ", lock.read_text(encoding="utf-8"))
    for line in text.splitlines():
        content = re.sub(r"(^|\s)#.*", "", line).strip()
        if not content:
            continue
        parts = _PIN.fullmatch(content)
        if parts is None:
            raise Failed(
                f"{lock}: {content[:60]!r} has no exact version with hashes. Make the file with: "
                f"{_LOCKING}"
            )
        hashes = tuple(re.findall(r"--hash=(\S+)", parts["hashes"]))
        marker = (parts["marker"] or "").strip()
        found.append(Pin(canonicalize_name(parts["name"]), parts["version"], marker, hashes))
    return found


@dataclass(frozen=True)
class OperatorFolder:
    """The folder of `teamrun.yaml` and the modules of its tools.

    Raises:
        Failed: It has no `teamrun.yaml`.
    """

    path: Path

    def __post_init__(self) -> None:
        if not (self.path / "teamrun.yaml").is_file():
            raise Failed(f"{self.path} has no teamrun.yaml: name the operator's folder with --team")

    def files(self) -> Iterator[Path]:
        """What is copied."""
        for file in files_of(self.path):
            if file != self.path / LOCK:
                yield file

    @cached_property
    def _names(self) -> dict[str, Path]:
        """The first part of each path."""
        return {(path := file.relative_to(self.path)).parts[0]: path for file in self.files()}

    def check_names(self, taken: Collection[str]) -> None:
        """Refuse names that hide something.

        Args:
            taken: The names of files and folders that the package has already.

        Raises:
            Failed: A file has one of these names, or hides a module.
        """
        modules = {name.removesuffix(".py") for name in taken} | sys.stdlib_module_names
        for name, path in self._names.items():
            if name == "requirements.txt":
                raise Failed(
                    f"the operator's folder has a {name}, which would not be installed: make "
                    f"{LOCK} of it with: {_LOCKING}"
                )
            is_module = name.endswith(".py") or (self.path / name / "__init__.py").is_file()
            if name in taken or (is_module and name.removesuffix(".py") in modules):
                raise Failed(
                    f"the operator's {path} has the name of something that is needed here: rename "
                    f"{name}"
                )

    def added_to(self, ours: Collection[Pin]) -> list[Pin]:
        """The pins of the operator's lock for distributions that are not among ours.

        Raises:
            Failed: One has another version than ours, or the lock has another form.
        """
        theirs = pins_of(self.path / LOCK) if (self.path / LOCK).is_file() else []
        versions: dict[str, set[str]] = {}
        for pin in ours:
            versions.setdefault(pin.name, set()).add(pin.version)
        for pin in theirs:
            if pin.version not in versions.get(pin.name, {pin.version}):
                raise Failed(
                    f"{LOCK} of the operator has {pin.name} {pin.version}, and Teamrun is locked "
                    f"with {' and '.join(sorted(versions[pin.name]))}: pin that version in "
                    "requirements.in, and lock again"
                )
        return [pin for pin in theirs if pin.name not in versions]


def files_of(folder: Path) -> Iterator[Path]:
    """The files in a fixed order, without bytecode, hidden ones and hidden folders."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


def say(text: str) -> None:
    """Print what goes on now: a package takes a minute or more."""
    print(text, file=sys.stderr, flush=True)
