"""The whole service as processes: the API, a worker, and an embedded Valkey if none is given."""

import asyncio
import contextlib
import os
import signal
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Generator
from pathlib import Path

from teamrun.cli.serving import valkey
from teamrun.cli.serving.lock import FolderLock
from teamrun.cli.serving.settings import ServeSettings, check_port
from teamrun.cli.serving.supervisor import Program, Supervisor
from teamrun.errors import UsageError

__all__ = ["serve"]

SLOW_START_S = 20.0
FIRST_START_BYTES = 65_536
"""A new data folder has room for at least this; an empty store and Valkey need less."""
# A proxy of the environment is not for this machine itself.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

CHILD = (sys.executable, "-m", "teamrun.cli.serving.child")


async def serve(
    settings: ServeSettings, *, ready: Callable[[], None], slow: Callable[[], None]
) -> int:
    """Serve until a signal, and leave nothing behind; returns the exit status.

    Args:
        settings: The settings of the service.
        ready: Called once the API and a worker are ready.
        slow: Called once when that takes long.

    Raises:
        UsageError: The data folder or the port is in use, the data folder is new and cannot be
            written to, or there is no Valkey.
    """
    folder = settings.data_dir.absolute()
    with _writable(folder):
        lock = FolderLock(folder)
    lock.acquire()
    check_port(settings)
    with _writable(folder):
        _prepare(folder)
    supervisor = Supervisor(grace_s=settings.grace_seconds + 20)
    _end_on_signals(supervisor)
    users = _Users()
    try:
        redis_url = settings.redis_url or await _start_valkey(supervisor, folder, users)
        if redis_url is not None:
            _start_service(supervisor, settings, folder, redis_url, users.held(lock.descriptor))
            await _announce(supervisor, settings, folder, ready, slow)
        return await supervisor.wait()
    finally:
        await supervisor.stop("api", "worker")
        users.leave()
        await supervisor.ended("valkey")
        lock.close()


@contextlib.contextmanager
def _writable(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The data folder {folder} cannot be written to ({error.strerror}): free space or "
            "change its permissions, or choose another folder with --data-dir or TEAMRUN_DATA_DIR."
        ) from error


def _prepare(folder: Path) -> None:
    """Set up a new folder. One that was set up before is served even if its disk is full."""
    ignore, probe = folder / ".gitignore", folder / "space.probe"
    if ignore.exists() and ignore.stat().st_size:
        return
    try:
        probe.write_bytes(bytes(FIRST_START_BYTES))
    finally:
        probe.unlink(missing_ok=True)
    ignore.write_text("*\n", encoding="utf-8")


class _Users:
    """A pipe that closes when every process that uses Valkey is gone."""

    def __init__(self) -> None:
        self.closes, self._held = os.pipe()

    def held(self, lock: int) -> tuple[int, ...]:
        """The environment of children."""
        return () if sys.platform == "win32" else (self._held, lock)

    def leave(self) -> None:
        """Be no user any more."""
        os.close(self._held)


def _end_on_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()

    def end(*_: object) -> None:
        loop.call_soon_threadsafe(supervisor.end, 0)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)


async def _start_valkey(supervisor: Supervisor, folder: Path, users: _Users) -> str | None:
    """The address of the embedded server, or None if the service was stopped first."""
    valkey.find_program()
    sock = valkey.socket_path(folder)
    module = "teamrun.cli.serving.embedded"
    supervisor.keep(
        Program(
            name="valkey",
            argv=(sys.executable, "-m", module, str(folder / "valkey"), str(sock)),
            environ=os.environ,
            stdin=users.closes,
        )
    )

    def answers() -> bool:
        return (valkey.command(sock, "PING") or b"").startswith(b"+PONG")

    return f"unix://{sock}" if await supervisor.until(answers) else None


def _start_service(
    supervisor: Supervisor,
    settings: ServeSettings,
    folder: Path,
    redis_url: str,
    pass_fds: tuple[int, ...],
) -> None:
    environ = _environ(settings, folder, redis_url)
    _heartbeat(folder).unlink(missing_ok=True)
    for name, module in (("api", "teamrun_api"), ("worker", "teamrun_worker")):
        supervisor.keep(
            Program(name=name, argv=(*CHILD, module), environ=environ, pass_fds=pass_fds)
        )


def _environ(settings: ServeSettings, folder: Path, redis_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "TEAMRUN_DATA_DIR": str(folder),
        "TEAMRUN_STORE_URL": settings.store_url,
        "TEAMRUN_REDIS_URL": redis_url,
        "TEAMRUN_CONFIG": str(settings.config.absolute()),
        "TEAMRUN_FSYNC": str(settings.fsync).lower(),
        "TEAMRUN_LEASE_SECONDS": str(settings.lease_seconds),
        "TEAMRUN_LOG_LEVEL": settings.log_level,
        "TEAMRUN_LOG_FORMAT": settings.log_format,
        "TEAMRUN_GRACE_SECONDS": str(settings.grace_seconds),
        "TEAMRUN_HOST": settings.host,
        "TEAMRUN_PORT": str(settings.port),
        "TEAMRUN_HEARTBEAT": str(_heartbeat(folder)),
        "TEAMRUN_WORKER_NAME": _worker_name(folder),
    }


def _worker_name(folder: Path) -> str:
    """The name of this folder's worker: only one lives at a time, since the folder is locked."""
    path = folder / "worker.name"
    with contextlib.suppress(OSError):
        if (name := path.read_text(encoding="ascii").strip()).startswith("serve-"):
            return name
    name = f"serve-{uuid.uuid4().hex}"
    with contextlib.suppress(OSError):  # a full disk: the next start waits for leases
        path.write_text(f"{name}\n", encoding="ascii")
    return name


def _heartbeat(folder: Path) -> Path:
    return folder / "worker.alive"


async def _announce(
    supervisor: Supervisor,
    settings: ServeSettings,
    folder: Path,
    ready: Callable[[], None],
    slow: Callable[[], None],
) -> None:
    def all_ready() -> bool:
        return _heartbeat(folder).exists() and _is_ready(settings)

    timer = asyncio.get_running_loop().call_later(SLOW_START_S, slow)
    if await supervisor.until(all_ready):
        ready()
    timer.cancel()


def _is_ready(settings: ServeSettings) -> bool:
    try:
        with _direct.open(f"{settings.url}/readyz", timeout=5) as response:
            return response.status == 200
    except (OSError, urllib.error.URLError):
        return False
