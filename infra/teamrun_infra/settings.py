"""Reads the settings of a function, and logs what is wrong with them, on every platform."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from teamrun.errors import TeamrunError, UsageError
from teamrun.settings import CommonSettings, load_settings, unknown_variables

__all__ = ["Configure", "logged_failures", "read_function_settings"]

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=CommonSettings)


class Configure(Protocol):
    """Configures logging, as `teamrun.logs.configure_logging`."""

    def __call__(self, *, level: str = "info", form: str = "json") -> None:
        """Take effect at once."""
        ...


def read_function_settings(
    kind: type[Settings], *, configure: Configure, queue_url: str, **given: object
) -> Settings:
    """The settings of a function, with logging as they want it.

    Args:
        kind: The class of the settings.
        configure: Configures logging on the platform.
        queue_url: An example of `TEAMRUN_QUEUE_URL` there, for the error if there is none.
        given: Settings that the function gives itself.

    Raises:
        UsageError: They are invalid, or there is no queue.
    """
    try:
        settings = load_settings(kind, **given)
    except UsageError:
        configure()  # for the error to be logged as JSON
        raise
    configure(level=settings.log_level, form=settings.log_format)
    for fault in unknown_variables(os.environ):
        logger.warning(
            "An environment variable is unknown",
            extra={"action": "settings.variable_unknown", "error": fault},
        )
    if settings.queue is None:
        raise UsageError(
            "TEAMRUN_QUEUE_URL is not set: a function needs the queues of its deployment, such as "
            f"{queue_url}.",
            setting="queue_url",
        )
    return settings


@contextmanager
def logged_failures() -> Generator[None]:
    """Log why an invocation fails, and what to do about it; the error is raised again."""
    try:
        yield
    except UsageError as error:
        logger.error(
            "The configuration of the function is invalid",
            extra={"action": "function.misconfigured", "error": str(error)},
        )
        raise
    except TeamrunError as error:
        logger.error(
            "An invocation failed because a component does not respond",
            extra={"action": "function.failed", "error": str(error)},
        )
        raise
