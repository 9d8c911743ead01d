"""Whether all components that the API needs respond."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from teamrun.errors import TeamrunError

__all__ = ["Check", "ReadinessProbe"]

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]
"""Raises if a component does not respond."""

CHECK_S = 3.0
"""How long a component may take; probes usually give up after this time themselves."""

KEEP_S = 1.0
"""How long a result is reused: probes need no key, and must not create load."""


class ReadinessProbe:
    """The components that the API depends on, each with its check."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = CHECK_S,
    ) -> None:
        self._checks = dict(checks)
        self._patience_s = patience_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._until = -1.0
        self._faults: dict[str, str] = {}

    @property
    def names(self) -> list[str]:
        """The components."""
        return sorted(self._checks)

    async def faults(self) -> dict[str, str]:
        """The components that do not respond, each with a reason without secrets."""
        async with self._lock:
            if self._clock() >= self._until:
                found = await asyncio.gather(*(self._ask(name) for name in self.names))
                self._faults = {name: why for name, why in found if why is not None}
                self._until = self._clock() + KEEP_S
            return self._faults

    async def _ask(self, name: str) -> tuple[str, str | None]:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._checks[name]()
        except TimeoutError:
            return name, f"does not respond within {self._patience_s:g} s"
        except TeamrunError as error:
            # The text may name hosts, so it stays in the log.
            data = {"action": "readiness.failed", "component": name, "error": str(error)}
            logger.warning("A component is not ready", extra=data)
            return name, f"does not respond ({error.code})"
        return name, None
