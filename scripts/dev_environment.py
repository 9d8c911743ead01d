"""The virtual environment of a checkout: made once from the hash-checked locks, then left alone.

A new environment is built beside its final place and renamed when it is complete, under a lock. An
interrupted call therefore leaves nothing that a later call could mistake for an environment.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterable
from pathlib import Path

if os.name != "nt":
    import fcntl

__all__ = ["NO_VALKEY", "ROOT", "Environment", "Failed"]

ROOT = Path(__file__).resolve().parent.parent
SOURCE_ROOTS = ("shared", "api", "worker", "infra")
SERVICE, TESTS, CHECKERS = "requirements.lock", "requirements-test.lock", "requirements-check.lock"
CLOUDS = "requirements-clouds.lock"
"""What the image needs besides for the models, queues and identities of the clouds."""
GENERATORS, DEPLOY = "requirements-generators.lock", "requirements-deploy.lock"
INTEROP = "requirements-interop.lock"
"""The packages that tests install in separate environments."""
VALKEY = "requirements-embedded.lock"
AZURE = "infra/azure/app/requirements.txt"
"""Read by the build of Azure Functions, which needs this name."""

NO_VALKEY = (
    "No wheel of the embedded Valkey fits this machine (there is none for Windows and musl).\n"
    "Set TEAMRUN_REDIS_URL to a Redis or Valkey server of yours and start again, for example:\n"
    "  TEAMRUN_REDIS_URL=redis://127.0.0.1:6379/0 python3 scripts/dev.py run"
)


class Failed(Exception):
    """The command cannot continue; its message names the remedy."""


class Environment:
    """`.venv`, or the folder that TEAMRUN_VENV names."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or ROOT / os.environ.get("TEAMRUN_VENV", ".venv")
        self.bin = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")

    def ensure(self, *more: str) -> None:
        """Install the service's packages and the project itself; return at once if that is done.

        Args:
            more: Further lock files to install, `TESTS` or `CHECKERS`.

        Raises:
            Failed: The packages cannot be installed.
        """
        if not self._missing(SERVICE, *more):
            return
        with self._locked():
            if self._missing(SERVICE):
                if self._is_usable():
                    self._fill()
                else:
                    self._build()
            for lock in self._missing(*more):
                self._install(lock)
                self._write_stamp(lock)

    def uv(self) -> str | None:
        """The uv program, or None if it is not installed."""
        return shutil.which("uv") or shutil.which("uv", path=self.bin)

    def _missing(self, *locks: str) -> list[str]:
        return [lock for lock in locks if self._stamps().get(lock) != self._fingerprint(lock)]

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        """Exclude other calls that install into this folder. Windows has no such lock."""
        if os.name == "nt":
            yield
            return
        with self._beside("installing").open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _say(f"Waiting for another dev.py that is installing into {self.folder.name}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _beside(self, what: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{what}")

    def _build(self) -> None:
        """Make a complete environment beside the final place, then rename it."""
        new = Environment(self._beside("new"))
        shutil.rmtree(new.folder, ignore_errors=True)
        _say(f"Making {self.folder.name} with Python {platform.python_version()}")
        try:
            prompt = ("--prompt", self.folder.name)
            command = [sys.executable, "-m", "venv", *prompt, str(new.folder)]
            # Captured: Ctrl-C also reaches this process, and its traceback is not helpful.
            done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
            if done.returncode:
                sys.stderr.write(done.stderr)
                raise Failed(
                    f"{sys.executable} cannot make a virtual environment; on Debian and Ubuntu "
                    "install it with `apt-get install python3-venv`."
                )
            new._fill()
            new._move_to(self)
        finally:
            shutil.rmtree(new.folder, ignore_errors=True)

    def _move_to(self, final: "Environment") -> None:
        """Rename this environment; scripts in `bin` start with the path of their interpreter."""
        old, new = os.fsencode(self.folder), os.fsencode(final.folder)
        for path in [*self.bin.iterdir(), self.folder / "pyvenv.cfg"]:
            if path.is_file() and not path.is_symlink() and old in (text := path.read_bytes()):
                path.write_bytes(text.replace(old, new))
        replaced = final._beside("old")
        shutil.rmtree(replaced, ignore_errors=True)
        if final.folder.exists():
            final.folder.rename(replaced)
        self.folder.rename(final.folder)
        shutil.rmtree(replaced, ignore_errors=True)

    def _fill(self) -> None:
        """Install the service's packages. After an interruption, the next call starts again."""
        self._stamp_file.unlink(missing_ok=True)
        self._install(SERVICE)
        settled = self._install_valkey()
        self._add_project()
        if settled:
            self._write_stamp(SERVICE)

    def _is_usable(self) -> bool:
        """Whether this is a finished installation of our version of Python, with a working pip."""
        version = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
        try:
            found = subprocess.run(
                [self.python, "-c", version], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return found.stdout.strip() == ours and bool(self._stamps())

    def _install(self, lock: str) -> None:
        if not self._try_install(lock):
            raise Failed(
                f"The packages of {lock} could not be installed; see the lines above. The "
                "first call needs the network, or a package index that pip is configured for."
            )

    def _try_install(self, lock: str) -> bool:
        required = ["--require-hashes", "-r", str(ROOT / lock)]
        uv = shutil.which("uv")
        if uv is not None:
            _say(f"Installing the packages of {lock}")
            command = [uv, "pip", "install", "--compile-bytecode", "--python", str(self.python)]
            if not _call([*command, *required]):
                return True
            _say("uv failed; trying pip")
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        return _watch_pip([*pip, "--progress-bar", "off", *required], lock)

    def _install_valkey(self) -> bool:
        """Whether the matter is settled: installed, or there is no wheel for this machine."""
        if _has_no_wheel():
            _say(NO_VALKEY)
            return True
        if self._try_install(VALKEY):
            return True
        _say(NO_VALKEY)
        return False

    def _add_project(self) -> None:
        """Put the source roots on the path and the command beside the interpreter; no build."""
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        found = subprocess.run(
            [self.python, "-c", where], capture_output=True, text=True, check=True
        )
        lines = "".join(f"{ROOT / root}\n" for root in SOURCE_ROOTS)
        Path(found.stdout.strip(), "teamrun-dev.pth").write_text(lines, encoding="utf-8")
        if os.name != "nt":
            script = self.bin / "teamrun"
            script.write_text(
                f'#!/bin/sh\nexec "{self.python}" -m teamrun "$@"\n', encoding="utf-8"
            )
            script.chmod(0o755)

    def _fingerprint(self, lock: str) -> str:
        digest = hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode())
        for name in (lock, VALKEY) if lock == SERVICE else (lock,):
            digest.update((ROOT / name).read_bytes())
        return digest.hexdigest()

    @property
    def _stamp_file(self) -> Path:
        return self.folder / "teamrun-dev.json"

    def _stamps(self) -> dict[str, str]:
        """Which locks are installed here, each with its fingerprint."""
        try:
            stamps = json.loads(self._stamp_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamps if self.python.exists() else {}

    def _write_stamp(self, lock: str) -> None:
        stamps = {**self._stamps(), lock: self._fingerprint(lock)}
        self._stamp_file.write_text(json.dumps(stamps), encoding="utf-8")


_PACKAGE = re.compile(
    r"(?:Collecting |Requirement already satisfied: |Processing \S*[/\\])"
    r"([A-Za-z0-9._]+(?:-[A-Za-z]\w*)*)"
)
"""The line with which pip begins a package: from an index, installed already, or from a file."""


def _watch_pip(command: list[str], lock: str) -> bool:
    """Run pip and show which package it is at; its whole output only if it fails."""
    total = len(re.findall(r"^\S+==", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
    _say(f"Installing the packages of {lock}")
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    )
    assert process.stdout is not None
    with process:
        output = list(_show_progress(process.stdout, total))
    if process.returncode:
        _say("".join(output[-20:]))
    return process.returncode == 0


def _show_progress(lines: Iterable[str], total: int) -> Generator[str]:
    done = 0
    for line in lines:
        yield line
        if line.startswith("Ignoring "):
            total -= 1  # another platform's package
        elif package := _PACKAGE.match(line):
            done += 1
            _show(f"  {done} of {total}: {package[1]}", is_last=False)
        elif line.startswith("Installing collected "):
            _show(f"  unpacking {done} packages", is_last=True)


def _show(text: str, *, is_last: bool) -> None:
    """A line of progress: overwritten on a terminal, otherwise printed."""
    if not sys.stderr.isatty():
        _say(text)
        return
    print(f"\r\x1b[K{text}", end="\n" if is_last else "", file=sys.stderr, flush=True)


def _has_no_wheel() -> bool:
    return os.name == "nt" or (sys.platform == "linux" and platform.libc_ver()[0] != "glibc")


def _call(command: list[str]) -> int:
    return subprocess.call(command, cwd=ROOT)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
