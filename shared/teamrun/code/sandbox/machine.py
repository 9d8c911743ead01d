"""What a sandbox needs of the machine, and the command that starts one."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from teamrun.code.sandbox.limits import SandboxLimits
from teamrun.code.sandbox.seccomp import MACHINES, seccomp_filter
from teamrun.errors import SandboxUnavailable

__all__ = [
    "NOBODY",
    "bubblewrap",
    "check_machine",
    "command",
    "identity",
    "interpreter",
    "seccomp_file",
    "unavailable",
]

NOBODY: Final = 65534
"""The user and the group inside, and outside too if this process is root, whom no limit on the
number of processes binds."""
_LOWEST_BUBBLEWRAP: Final = (0, 7)
"""The first with `--size`."""
_LOWEST_KERNEL: Final = (5, 14)
"""The first that counts processes per user namespace, so that sandboxes have a limit each."""
_SYSTEM_PYTHON: Final = "/usr/bin/python3"
_ABOUT: Final = "import json, sys; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix]))"
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_SHARED_MEMORY: Final = 16 << 20
"""Bytes of `/dev/shm`, where semaphores are."""
_ENTRIES: Final = 10_000
"""How many files and folders there may be at once: each takes about 1 KiB of the kernel's memory,
which no other limit counts."""


class Interpreter(NamedTuple):
    """A Python, and the folders that it needs."""

    executable: str
    folders: tuple[str, ...]


def interpreter(python: str | None) -> Interpreter:
    """The Python that code runs on.

    Args:
        python: Its path; by default the system's, or the one of this process.

    Raises:
        SandboxUnavailable: It does not start as the user of the sandbox.
    """
    usual = _SYSTEM_PYTHON if Path(_SYSTEM_PYTHON).exists() else sys.executable
    return _interpreter(python or usual)


@cache
def _interpreter(python: str) -> Interpreter:
    who = identity()
    try:
        done = subprocess.run(
            [python, "-I", "-c", _ABOUT],
            capture_output=True,
            check=True,
            timeout=60,
            cwd="/",
            env={},
            user=who.user,
            group=who.group,
            extra_groups=who.extra_groups,
        )
        executable, *prefixes = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(
            f"The Python of the sandbox, {python!r}, does not start ({_shown(error)}). Name another"
            " one with 'python'; the user of the sandbox must be able to read it and the folders"
            f" around it{f' (user id {NOBODY})' if who.user else ''}."
        ) from error
    parts = ("bin", "lib", "lib64", "pyvenv.cfg")
    return Interpreter(executable, tuple(f"{each}/{part}" for each in prefixes for part in parts))


class Identity(NamedTuple):
    """The user of a process, as the arguments of `subprocess`; None: the present one."""

    user: int | None = None
    group: int | None = None
    extra_groups: Sequence[int] | None = None


def identity() -> Identity:
    """The user of the sandbox outside."""
    return Identity(NOBODY, NOBODY, ()) if os.geteuid() == 0 else Identity()


def _shown(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr, "utf-8", "replace").strip()[-300:] or str(error)
    return str(error)


@cache
def bubblewrap() -> str:
    """The path of the program.

    Raises:
        SandboxUnavailable: It is missing or too old, or this is not a machine for it.
    """
    system, machine, kernel = platform.system(), platform.machine(), platform.release()
    if system != "Linux" or machine not in MACHINES:
        raise SandboxUnavailable(
            f"The sandbox for code needs Linux on {' or '.join(MACHINES)}, not {system} on"
            f" {machine}. Execute code on such a machine, or remove the tool."
        )
    if _version(kernel) < _LOWEST_KERNEL:
        raise SandboxUnavailable(
            f"The sandbox for code needs Linux {_dotted(_LOWEST_KERNEL)} or newer, not {kernel}."
        )
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxUnavailable(
            "The sandbox for code needs bubblewrap, and there is no 'bwrap' on PATH. Install it:"
            " 'apt-get install bubblewrap', 'dnf install bubblewrap' or 'apk add bubblewrap'."
        )
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60).stdout
    if _version(shown) < _LOWEST_BUBBLEWRAP:
        raise SandboxUnavailable(
            f"The sandbox for code needs bubblewrap {_dotted(_LOWEST_BUBBLEWRAP)} or newer;"
            f" {path!r} is {shown.strip() or 'of an unknown version'}. Install a newer one."
        )
    return path


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0,)


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def command(
    python: Interpreter, limits: SandboxLimits, *, seccomp: int, stateful: bool = False
) -> list[str]:
    """The command that starts a sandbox, whose process 1 is the driver.

    Args:
        python: The interpreter of the driver and of the code.
        limits: The limits of the code.
        seccomp: The descriptor of a file with the filter of system calls.
        stateful: Whether Python code keeps what it leaves in memory.

    Raises:
        SandboxUnavailable: There is no bubblewrap.
    """
    size = str(limits.work_mb << 20)
    return [
        bubblewrap(),
        *("--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--as-pid-1"),
        *("--cap-drop", "ALL", "--uid", str(NOBODY), "--gid", str(NOBODY)),
        *("--hostname", "sandbox", "--seccomp", str(seccomp), "--clearenv"),
        *_variables(python.executable),
        *_system(python.folders),
        *_devices(),
        *("--size", size, "--perms", "0700", "--tmpfs", "/work"),
        *("--size", size, "--perms", "1777", "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/work", "--"),
        *(python.executable, "-I", "-S", "-c", _text("driver.py")),
        json.dumps(_settings(python.executable, limits, stateful=stateful)),
    ]


def _variables(executable: str) -> list[str]:
    folder = str(Path(executable).parent)
    values = {
        "PATH": ":".join(dict.fromkeys((folder, "/usr/bin", "/bin"))),
        "HOME": "/work",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Numerical libraries reserve memory for each thread, and the limit counts it.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    return [word for name, value in values.items() for word in ("--setenv", name, value)]


def _system(folders: Sequence[str]) -> list[str]:
    """Read-only: programs and libraries, without the machine's data and settings."""
    words: list[str] = []
    for name in ("bin", "lib", "lib64"):
        top = Path("/", name)
        if top.is_symlink():
            words += ["--symlink", str(top.readlink()), str(top)]
        elif top.is_dir():
            words += ["--ro-bind", str(top), str(top)]
    of_system = ("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
    settings = ("/etc/alternatives", "/etc/ld.so.cache")
    for path in dict.fromkeys((*of_system, *settings, *folders)):
        if Path(path).exists() and not Path(path).is_symlink():
            words += ["--ro-bind", path, path]
        elif Path(path).is_symlink():
            words += ["--ro-bind", os.path.realpath(path), path]
    return words


def _devices() -> list[str]:
    words = ["--perms", "0755", "--tmpfs", "/dev"]
    for name in _DEVICES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    return [*words, "--size", str(_SHARED_MEMORY), "--perms", "1777", "--tmpfs", "/dev/shm"]


@cache
def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _settings(executable: str, limits: SandboxLimits, *, stateful: bool) -> dict[str, object]:
    """The argument of the driver."""
    return {
        "python": executable,
        "kernel": _text("kernel.py") if stateful else "",
        "timeout": limits.timeout,
        "cpu_seconds": limits.cpu_seconds,
        "output_bytes": limits.output_bytes,
        "max_files": limits.max_files,
        "max_file_bytes": limits.max_file_mb << 20,
        "entries": _ENTRIES,
        "depth": 16,
        "limits": {
            "AS": limits.memory_mb << 20,
            "NPROC": limits.processes + 1,  # the driver
            "NOFILE": limits.open_files,
            "FSIZE": limits.work_mb << 20,
            "CORE": 0,
            "MSGQUEUE": 0,
            "MEMLOCK": 0,
        },
    }


def seccomp_file() -> int:
    """A descriptor from which the filter can be read once; the caller closes it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(seccomp_filter(platform.machine()))  # far less than a pipe takes
    return reading


@cache
def check_machine(limits: SandboxLimits, *, python: str | None = None) -> None:
    """Start a sandbox that does nothing.

    Raises:
        SandboxUnavailable: This machine has none; the message names what is missing.
    """
    who, seccomp = identity(), seccomp_file()
    try:
        done = subprocess.run(
            command(interpreter(python), limits, seccomp=seccomp),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            cwd="/",
            env={},
            pass_fds=(seccomp,),
            user=who.user,
            group=who.group,
            extra_groups=who.extra_groups,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unavailable(str(error)) from error
    finally:
        os.close(seccomp)
    if done.returncode:
        raise unavailable(done.stderr[:2000].decode("utf-8", "replace").strip())


def unavailable(said: str) -> SandboxUnavailable:
    """The error of a sandbox that did not start.

    Args:
        said: What it has written.
    """
    return SandboxUnavailable(
        f"The sandbox for code did not start: {said or 'bubblewrap gives no reason.'} It needs user"
        " namespaces: 'user.max_user_namespaces' must not be 0, and on Ubuntu"
        " 'kernel.apparmor_restrict_unprivileged_userns' must be 0. In Docker, start the container"
        " with '--security-opt seccomp=unconfined --security-opt apparmor=unconfined'."
    )
