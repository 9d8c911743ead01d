"""Keeps a few processes alive and takes them down together.

Each child has a pipe as its stdin, which it is to end on: so none outlives this process, not even
after kill -9. A child that ends by itself is started again, later each time; too many deaths, or
one with status 2 (its settings are invalid), end the whole.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Program", "Supervisor"]

logger = logging.getLogger(__name__)

MAX_DEATHS = 5
WINDOW_S = 60.0
PROBE_S = 0.05
BACKOFF_S = (0.2, 0.5, 1.0, 2.0)
USAGE_STATUS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One process to keep alive."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    """Descriptors that it inherits."""
    stdin: int | None = None
    """A descriptor in place of the lifeline."""


class Supervisor:
    """Starts programs, starts them again, and stops them.

    Args:
        grace_s: How long a child may take to end after SIGTERM.
        clock: Monotonic seconds.
    """

    def __init__(self, *, grace_s: float, clock: Callable[[], float] | None = None) -> None:
        self._grace_s = grace_s
        self._clock = clock or asyncio.get_running_loop().time
        self._deaths: list[float] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stopping: set[str] = set()

    def end(self, status: int) -> None:
        """Have `wait` return; the first status counts."""
        if not self._status.done():
            self._status.set_result(status)

    async def wait(self) -> int:
        """The exit status, once a signal or too many deaths have decided it."""
        return await asyncio.shield(self._status)

    async def until(self, probe: Callable[[], bool]) -> bool:
        """Wait until `probe`, called repeatedly in a thread, succeeds; False if stopped first."""
        while not self._status.done():
            if await asyncio.to_thread(probe):
                return True
            await asyncio.wait({self._status}, timeout=PROBE_S)
        return False

    def keep(self, program: Program) -> None:
        """Start the program and keep it alive until `stop`."""
        self._stopping.discard(program.name)
        keeper = asyncio.create_task(self._keep(program), name=program.name)
        self._keepers[program.name] = keeper

    async def stop(self, *names: str) -> None:
        """SIGTERM to the programs, SIGKILL to those that outlast the grace time."""
        self._stopping.update(names)
        for name in names:
            self._signal(name, signal.SIGTERM)
        await self.ended(*names)

    async def ended(self, *names: str) -> None:
        """Return when the programs have ended; SIGKILL to those that outlast the grace time."""
        self._stopping.update(names)
        keepers = [self._keepers[name] for name in names if name in self._keepers]
        if not keepers:
            return
        _, late = await asyncio.wait(keepers, timeout=self._grace_s)
        for keeper in late:
            logger.warning(
                "A process did not end in time and was killed",
                extra={"action": "serve.child_killed", "child": keeper.get_name()},
            )
            self._signal(keeper.get_name(), getattr(signal, "SIGKILL", signal.SIGTERM))
        if late:
            await asyncio.wait(late)

    def _signal(self, name: str, number: int) -> None:
        process = self._processes.get(name)
        if process is not None and process.returncode is None:
            process.send_signal(number)

    async def _keep(self, program: Program) -> None:
        try:
            status = await self._run_once(program)
            while program.name not in self._stopping and await self._start_again(program, status):
                status = await self._run_once(program)
        except Exception:
            extra = {"action": "serve.child_failed", "child": program.name}
            logger.exception("A process cannot be supervised", extra=extra)
            self.end(1)

    async def _run_once(self, program: Program) -> int:
        process = await asyncio.create_subprocess_exec(
            *program.argv,
            env=dict(program.environ),
            stdin=asyncio.subprocess.PIPE if program.stdin is None else program.stdin,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=program.pass_fds,
            # Ctrl-C reaches this process alone, which then ends the others in their order.
            start_new_session=True,
        )
        self._processes[program.name] = process
        if program.name in self._stopping:
            process.send_signal(signal.SIGTERM)
        return await process.wait()

    async def _start_again(self, program: Program, status: int) -> bool:
        extra = {"child": program.name, "status": status}
        if status == USAGE_STATUS:
            self.end(USAGE_STATUS)
            return False
        now = self._clock()
        self._deaths = [at for at in self._deaths if now - at < WINDOW_S] + [now]
        if len(self._deaths) >= MAX_DEATHS:
            logger.error(
                "Too many processes have ended within a minute; the service stops",
                extra={"action": "serve.restarts_exceeded", **extra},
            )
            self.end(1)
            return False
        logger.warning(
            "A process has ended and is restarted",
            extra={"action": "serve.child_restarted", **extra},
        )
        await asyncio.wait({self._status}, timeout=BACKOFF_S[len(self._deaths) - 1])
        return program.name not in self._stopping
