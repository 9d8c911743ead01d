"""The virtual environment of a checkout: made once from the hash-checked locks, then left alone."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["NO_VALKEY", "ROOT", "Environment", "Failed"]

ROOT = Path(__file__).resolve().parent.parent
SOURCE_ROOTS = ("shared", "api", "worker", "infra")

NO_VALKEY = (
    "No wheel of the embedded Valkey fits this machine (there is none for Windows and musl).\n"
    "Set TEAMRUN_REDIS_URL to a Redis or Valkey server of yours and start again, for example:\n"
    "  TEAMRUN_REDIS_URL=redis://127.0.0.1:6379/0 python3 scripts/dev.py run"
)


class Failed(Exception):
    """Something that the developer has to see to."""


class Environment:
    """`.venv`, or the folder that TEAMRUN_VENV names."""

    def __init__(self) -> None:
        self.folder = ROOT / os.environ.get("TEAMRUN_VENV", ".venv")
        self.bin = self.folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")

    def ensure(self) -> None:
        """Have every package of the lock, and the project itself; at once where that is so already.

        Raises:
            Failed: The packages cannot be installed.
        """
        wanted = self._fingerprint("requirements.lock", "requirements-embedded.lock")
        if self._stamp("packages") == wanted:
            return
        self._make()
        self._install("requirements.lock")
        settled = self._install_valkey()
        self._add_project()
        if settled:
            self._write_stamp("packages", wanted)

    def ensure_checkers(self) -> None:
        """Have ruff, pyright and the type stubs as well.

        Raises:
            Failed: The packages cannot be installed.
        """
        wanted = self._fingerprint("requirements-check.lock")
        if self._stamp("checkers") != wanted:
            self._install("requirements-check.lock")
            self._write_stamp("checkers", wanted)

    def uv(self) -> str | None:
        """The uv program, where there is one."""
        return shutil.which("uv") or shutil.which("uv", path=self.bin)

    def _make(self) -> None:
        if self._works():
            return
        _say(f"Making {self.folder.name} with Python {platform.python_version()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        if _call([sys.executable, "-m", "venv", str(self.folder)]):
            raise Failed(
                f"{sys.executable} cannot make a virtual environment; on Debian and Ubuntu install "
                "it with `apt-get install python3-venv`."
            )

    def _works(self) -> bool:
        version = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            found = subprocess.run(
                [self.python, "-c", version], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return found.stdout.strip() == f"{sys.version_info[0]}.{sys.version_info[1]}"

    def _install(self, lock: str) -> None:
        _say(f"Installing the packages of {lock} (once; this takes a minute or two)")
        if not self._try_install(lock):
            raise Failed(
                f"The packages of {lock} could not be installed; the lines above say why. A first "
                "start needs the network, or a package index that pip is configured for."
            )

    def _try_install(self, lock: str) -> bool:
        required = ["--require-hashes", "-r", str(ROOT / lock)]
        uv = shutil.which("uv")
        if uv is not None:
            command = [uv, "pip", "install", "--quiet", "--compile-bytecode"]
            if not _call([*command, "--python", str(self.python), *required]):
                return True
            _say("uv did not succeed; trying pip")
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return not _call([*pip, *required])

    def _install_valkey(self) -> bool:
        """Whether it is settled: installed, or there is none for this machine."""
        if _has_no_wheel():
            _say(NO_VALKEY)
            return True
        if self._try_install("requirements-embedded.lock"):
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

    def _fingerprint(self, *locks: str) -> str:
        digest = hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode())
        for lock in locks:
            digest.update((ROOT / lock).read_bytes())
        return digest.hexdigest()

    def _stamp(self, name: str) -> str | None:
        try:
            stamps = json.loads((self.folder / "teamrun-dev.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stamps.get(name) if self.python.exists() else None

    def _write_stamp(self, name: str, value: str) -> None:
        path = self.folder / "teamrun-dev.json"
        try:
            stamps = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stamps = {}
        path.write_text(json.dumps({**stamps, name: value}), encoding="utf-8")


def _has_no_wheel() -> bool:
    return os.name == "nt" or (sys.platform == "linux" and platform.libc_ver()[0] != "glibc")


def _call(command: list[str]) -> int:
    return subprocess.call(command, cwd=ROOT)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
