"""The packages of the functions on AWS Lambda: a zip file for each, from the lock.

`package_functions.py` calls this. A package has the distributions that its function imports, the
parts of this project that it needs, and the operator's folder. boto3 is a part of Lambda's runtime.
The same input makes the same bytes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from dev_environment import ROOT, SERVICE, Failed
from operator_folder import LOCK, OperatorFolder, Pin, files_of, pins_of, say, sources_of
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = [
    "ARCHITECTURES",
    "FUNCTIONS",
    "RUNTIMES",
    "Target",
    "build",
    "closure",
    "install",
    "pinned",
    "sizes",
]

ARCHITECTURES: Final = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Lambda's names of processors, with those of wheels."""

RUNTIMES: Final = ("3.12", "3.13", "3.14")
"""The versions of Python for which functions can be created.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

_GLIBC: Final = range(34, 16, -1)
"""The minor versions of glibc 2 for which Amazon Linux 2023 (2.34) can load wheels."""

_MOST_BYTES: Final = 250 * 1024 * 1024
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

_TASK: Final = "/var/task"
"""Where Lambda unpacks a package; it is the folder of the traceback's files."""

_SETTLING = ("httpx2", "jsonschema", "obstore", "pydantic", "pyyaml", "standardwebhooks")


@dataclass(frozen=True)
class Function:
    """What a package contains."""

    distributions: tuple[str, ...]
    """Those that it imports; what they need comes with them."""
    parts: tuple[str, ...]
    """Folders and packages of this repository."""
    runs_tools: bool = True
    """Whether it imports the tools of the operator's folder; if not, it gets no modules of it."""


_LIBRARY: Final = ("shared/teamrun", "infra/teamrun_infra")

FUNCTIONS: Final = {
    "api": Function(("fastapi", *_SETTLING), (*_LIBRARY, "api/teamrun_api"), runs_tools=False),
    "worker": Function(("openai", *_SETTLING), _LIBRARY),
    "upkeep": Function(_SETTLING, _LIBRARY),
    "dead_letters": Function(_SETTLING, _LIBRARY),
}
"""The functions of `serverless.yml`."""

_NOT_NEEDED: Final = ("teamrun/cli/", "teamrun/client/", "teamrun_infra/azure/")
"""Parts of the library that no function imports."""

_DROPPED: Final = re.compile(
    r"(^|/)(__pycache__|tests?|benchmarks)/|(^|/)\.|\.(pyc|pyi|pyx|pxd|c|h)$|(^|/)py\.typed$"
    r"|\.dist-info/(RECORD|WHEEL|INSTALLER|REQUESTED|direct_url\.json|uv_\w+\.json|sboms/.*)$"
)
"""Files of distributions that nothing reads at run time."""


@dataclass(frozen=True)
class Target:
    """Where the packages run."""

    architecture: str
    python: str
    """The version: `3.13`."""

    def __str__(self) -> str:
        return f"Python {self.python} on {self.architecture}"

    def markers(self) -> dict[str, str]:
        """The environment for the markers of requirements."""
        return {
            **{name: str(value) for name, value in default_environment().items()},
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": ARCHITECTURES[self.architecture],
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }

    def pip_options(self) -> list[str]:
        """The options that make pip choose the wheels of the target."""
        machine = ARCHITECTURES[self.architecture]
        tags = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC]
        tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
        abi = f"cp{self.python.replace('.', '')}"
        return [
            *(word for tag in tags for word in ("--platform", tag)),
            *("--python-version", self.python, "--implementation", "cp"),
            *("--abi", abi, "--abi", "abi3", "--abi", "none"),
        ]


def closure(names: Iterable[str], target: Target) -> set[str]:
    """The distributions with all that they need, as installed here.

    Raises:
        Failed: One is not installed.
    """
    markers = target.markers()
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        found.add(name)
        try:
            needed = metadata.distribution(name).requires or ()
        except metadata.PackageNotFoundError:
            raise Failed(f"{name} is not installed here: {SERVICE} does not contain it") from None
        for text in needed:
            each = Requirement(text)
            if each.marker is None or any(
                each.marker.evaluate({**markers, "extra": extra}) for extra in (*extras, "")
            ):
                waiting.append(each)
    return found


def build(target: Target, *, team: Path, output: Path) -> dict[str, Path]:
    """Make all packages; returns their files by function.

    Args:
        target: Where they run.
        team: The operator's folder, with `teamrun.yaml`. Distributions of a `requirements.lock`
            in it are added, with everything that it names.
        output: The folder to write to.

    Raises:
        Failed: A package cannot be made.
    """
    folder = OperatorFolder(team)
    output.mkdir(parents=True, exist_ok=True)
    prefix = "teamrun-package-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as scratch,
        tempfile.TemporaryDirectory(prefix=prefix, dir=output) as fresh,
    ):
        files = {name: Path(fresh, f"{name}.zip") for name in FUNCTIONS}
        sources = _gather(target, folder, Path(scratch))
        made: dict[Function, Path] = {}
        for name, function in FUNCTIONS.items():
            if function in made:
                shutil.copyfile(made[function], files[name])
                continue
            say(f"Making {name}.zip")
            content = Path(scratch, name)
            sources.copy(function, content, target)
            made[function] = files[name]
            _zip(content, files[name])
        built = {"architecture": target.architecture, "python": target.python}
        description = Path(fresh, "built.json")
        description.write_text(json.dumps(built) + "\n", encoding="utf-8")
        return _put_in_place(files, description, output)


def _put_in_place(files: Mapping[str, Path], description: Path, output: Path) -> dict[str, Path]:
    """Replace the packages of an earlier call.

    Whenever this is interrupted, a package is missing, and osls deploys nothing: neither packages
    of two builds, nor some that are described by the other build.
    """
    places = {name: output / file.name for name, file in files.items()}
    for place in places.values():
        place.unlink(missing_ok=True)
    description.replace(output / description.name)
    for name, file in files.items():
        file.replace(places[name])
    return places


@dataclass(frozen=True)
class _Sources:
    """Folders with everything that the packages are made of, compiled."""

    wheels: Path
    ours: Path
    team: Path
    added: Path
    """What the tools need; may not exist."""

    def copy(self, function: Function, content: Path, target: Target) -> None:
        """Copy what a function needs."""
        _copy_distributions(self.wheels, content, closure(function.distributions, target))
        if function.runs_tools and self.added.is_dir():
            _copy_distributions(self.added, content, None)
        for part in function.parts:
            name = Path(part).name
            for file in files_of(self.ours / name):
                _copy(file, content / file.relative_to(self.ours))
        OperatorFolder(self.team).check_names({path.name for path in content.iterdir()})
        for file in files_of(self.team):
            if file.suffix == ".py" and not function.runs_tools:
                continue
            _copy(file, content / file.relative_to(self.team))


def _gather(target: Target, team: OperatorFolder, scratch: Path) -> _Sources:
    """Download, copy and compile everything once."""
    sources = _Sources(*(scratch / name for name in ("wheels", "ours", "team", "added")))
    wanted = {name for function in FUNCTIONS.values() for name in function.distributions}
    ours = pinned(wanted, target)
    added = _for_target(team.added_to(ours), target)
    say(f"Downloading {len(ours) + len(added)} packages for {target}")
    install(ours, target, sources.wheels)
    if added:
        install(added, target, sources.added)
    for part in sorted({part for function in FUNCTIONS.values() for part in function.parts}):
        source = ROOT / part
        for file in sources_of(source):
            path = f"{source.name}/{file.relative_to(source).as_posix()}"
            if not path.startswith(_NOT_NEEDED) and not _DROPPED.search(path):
                _copy(file, sources.ours / path)
    team.tell_left_out()
    for file in team.files():
        _copy(file, sources.team / file.relative_to(team.path))
    if (python := _interpreter(target.python)) is not None:
        say(f"Compiling with {python}")
        for folder in (sources.wheels, sources.ours, sources.team, sources.added):
            _compile(folder, python)
    return sources


def pinned(names: Iterable[str], target: Target) -> list[Pin]:
    """The pins of distributions, with all that they need.

    Raises:
        Failed: The lock does not contain one.
    """
    needed = closure(names, target)
    found = [pin for pin in _for_target(pins_of(ROOT / SERVICE), target) if pin.name in needed]
    if lacking := needed - {pin.name for pin in found}:
        raise Failed(f"{SERVICE} does not contain {', '.join(sorted(lacking))} for {target}")
    return found


def _for_target(pins: Iterable[Pin], target: Target) -> list[Pin]:
    markers = target.markers()
    return [pin for pin in pins if not pin.marker or Marker(pin.marker).evaluate(markers)]


def install(pins: Collection[Pin], target: Target, folder: Path) -> None:
    """Download the wheels of the target, check their hashes, and unpack them.

    Args:
        pins: The distributions, those for this target only.
        target: Where they run.
        folder: Where to unpack them.

    Raises:
        Failed: One has no wheel for the target.
    """
    file = folder.with_suffix(".txt")
    # Without markers, which pip would evaluate for this machine.
    file.write_text("".join(pin.line(marker=False) for pin in pins), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"),
        *("--root-user-action=ignore", "--target", folder, "--requirement", file),
        *target.pip_options(),
    ]
    if subprocess.run([str(word) for word in command], check=False).returncode:
        raise Failed(
            "The packages could not be installed; see the lines above. Each needs a wheel for "
            f"{target}."
        )


def _copy_distributions(site: Path, content: Path, names: set[str] | None) -> None:
    for distribution in metadata.distributions(path=[str(site)]):
        if names is not None and canonicalize_name(distribution.metadata["Name"]) not in names:
            continue
        for file in distribution.files or ():
            if ".." not in file.parts and file.parts[0] != "bin" and not _DROPPED.search(str(file)):
                _copy(site / file, content / file)


def _copy(source: Path, destination: Path) -> None:
    """Copy a file, and its bytecode, if it has any."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, destination)
    if source.suffix == ".py":
        for compiled in source.parent.glob(f"__pycache__/{source.stem}.*.pyc"):
            (destination.parent / "__pycache__").mkdir(exist_ok=True)
            shutil.copyfile(compiled, destination.parent / "__pycache__" / compiled.name)


def _interpreter(version: str) -> str | None:
    """A Python of that version; None if there is none."""
    for candidate in (sys.executable, f"python{version}"):
        show = (candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        with suppress(OSError):
            done = subprocess.run(show, capture_output=True, encoding="utf-8", check=False)
            if done.stdout.strip() == version:
                return candidate
    print(
        f"python{version} is not on PATH, so the packages have no bytecode: functions start slower",
        file=sys.stderr,
    )
    return None


def _compile(folder: Path, python: str) -> None:
    """Add bytecode: an instance cannot write it, and would compile everything at each start."""
    command = [
        *(python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", _TASK, str(folder)),
    ]
    # The order of sets is a part of the bytecode.
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    if folder.is_dir() and subprocess.run(command, env=environ, check=False).returncode:
        raise Failed("Python files could not be compiled; see the lines above")


def _zip(content: Path, file: Path) -> None:
    total = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(content.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(content).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                total += path.stat().st_size
                archive.writestr(entry, path.read_bytes())
    if total > _MOST_BYTES:
        raise Failed(
            f"{file.name} would have {total / 1e6:.0f} MB when unpacked, and Lambda admits "
            f"{_MOST_BYTES / 1e6:.0f} MB: remove packages from the operator's {LOCK}."
        )


def sizes(files: Mapping[str, Path]) -> str:
    """A table of the packages."""
    lines = [f"{'function':14}{'zip':>10}{'unpacked':>12}"]
    for name, file in files.items():
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        lines.append(f"{name:14}{file.stat().st_size / 1e6:>7.2f} MB{unpacked / 1e6:>9.2f} MB")
    return "\n".join(lines)
