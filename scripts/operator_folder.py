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

__all__ = ["LOCK", "OperatorFolder", "Pin", "files_of", "pins_of", "say", "sources_of"]

LOCK: Final = "requirements.lock"
"""The file with the packages that the operator's tools need."""

_LOCKING: Final = (
    "uv pip compile --universal --generate-hashes --no-header --no-annotate requirements.in "
    f"-o {LOCK}"
)
_NOT_NEEDED: Final = re.compile(
    r"venv|node_modules|tests?|htmlcov|.+\.egg-info|.+\.ipynb|requirements\.(in|lock)"
    r"|(README|LICENSE|CHANGELOG)(\..+)?"
)
"""Files and folders of development; so are those whose name begins with a dot, and environments."""
_SECRET: Final = re.compile(
    r"(.*\.)?env|\.env\..+|(secrets?|credentials?)\.[^.]+|local\.settings\.json|id_(rsa|dsa|ecdsa|ed25519)"
    r"|.+\.(pem|key|p12|pfx|jks|keystore|kdbx|tfvars|tfstate)",
    re.IGNORECASE,
)
"""Names of files that usually have secrets; a module `credentials.py` is none."""
_PRIVATE_KEY: Final = re.compile(rb"^-----BEGIN [A-Z ]*PRIVATE KEY-----", re.MULTILINE)
_HEAD_BYTES: Final = 4096
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

    def files(self) -> list[Path]:
        """What is copied, in a fixed order: all but what only development needs.

        Raises:
            Failed: A file may have secrets, or a link leads out of the folder.
        """
        return self._listed[0]

    def tell_left_out(self) -> None:
        """Print what is not copied, unless it is hidden."""
        if left_out := self._listed[1]:
            say(f"Left out of {self.path}: {', '.join(left_out)}")

    @cached_property
    def _listed(self) -> tuple[list[Path], list[str]]:
        files: list[Path] = []
        left_out: list[str] = []

        def look(folder: Path) -> None:
            for path in sorted(folder.iterdir()):
                if _is_hidden(path.name):
                    continue
                if _NOT_NEEDED.fullmatch(path.name) or (path / "pyvenv.cfg").is_file():
                    if path != self.path / LOCK:
                        left_out.append(str(path.relative_to(self.path)))
                elif path.is_dir() and not path.is_symlink():
                    look(path)
                else:
                    self._check(path)
                    files.append(path)

        look(self.path)
        return files, left_out

    def _check(self, path: Path) -> None:
        place, target = path.relative_to(self.path), path.resolve()
        if not target.is_file() or not target.is_relative_to(self.path.resolve()):
            raise Failed(
                f"the operator's {place} is a link to something that is not a file of the folder: "
                "put a copy in its place, or remove it"
            )
        if any(_is_secret(each) for each in {path, target}):
            raise Failed(
                f"the operator's {place} may have a key or a password, which whoever can read the "
                "package could read: move it out of the folder, and put its values into the secret "
                "or the settings of the function"
            )

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


def sources_of(folder: Path) -> Iterator[Path]:
    """The files of a package of this project: modules, and the pages of the API.

    What else lies in a checkout is not ours.
    """
    return (
        file for file in files_of(folder) if file.suffix == ".py" or file.parent.name == "pages"
    )


def files_of(folder: Path) -> Iterator[Path]:
    """The files in a fixed order, without bytecode, hidden ones and hidden folders."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(map(_is_hidden, parts)):
            yield path


def _is_secret(file: Path) -> bool:
    if _SECRET.fullmatch(file.name) and file.suffix != ".py":
        return True
    with file.open("rb") as content:
        return _PRIVATE_KEY.search(content.read(_HEAD_BYTES)) is not None


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__pycache__"))


def say(text: str) -> None:
    """Print what goes on now: a package takes a minute or more."""
    print(text, file=sys.stderr, flush=True)
