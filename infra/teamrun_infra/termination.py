"""SIGTERM: the platform tells a process that it will be ended, and runs in it are handed over.

AWS Lambda sends it to a function with an extension, and kills the process 0.3 to 2 seconds later.
On Azure, a process gets it if its container is stopped; the host itself kills without a signal.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["Termination"]

logger = logging.getLogger(__name__)

_ANSWER_S: Final = 2.0
"""The time in which the results of invocations leave a process that has been told to end."""


class Termination:
    """Receives SIGTERM while invocations are in progress, instead of its usual handler.

    The usual handler gets the signal two seconds after the last of these invocations. Without
    another one it ends the process, if the platform has not done so before.
    """

    def __init__(self) -> None:
        self._invocations = 0
        self._usual: Any = signal.SIG_DFL
        self._is_told = False

    @contextmanager
    def noticed(self, stop: Callable[[], None]) -> Generator[None]:
        """Call `stop` on the event loop if SIGTERM arrives during the context.

        Contexts on the same loop may overlap; the first one of them says what is called. A process
        whose event loop is not in its main thread cannot receive signals, and keeps the usual
        handler.
        """
        loop = asyncio.get_running_loop()
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def receive(*_: object) -> None:
            self._is_told = True
            loop.call_soon_threadsafe(stop)

        if not self._invocations:
            self._usual = signal.signal(signal.SIGTERM, receive)
        self._invocations += 1
        try:
            yield
        finally:
            self._invocations -= 1
            if not self._invocations:
                signal.signal(signal.SIGTERM, self._usual)
                if self._is_told:
                    self._is_told = False
                    _pass_on(loop)


def _pass_on(loop: asyncio.AbstractEventLoop) -> None:
    logger.info(
        "The platform ends this process (SIGTERM); its runs have been handed over",
        extra={"action": "function.terminated"},
    )
    loop.call_later(_ANSWER_S, signal.raise_signal, signal.SIGTERM)
