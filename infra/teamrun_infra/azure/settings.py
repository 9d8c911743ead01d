"""Reads the settings of a function, and configures logging as they want it."""

import logging
import os
from typing import TypeVar

from teamrun.dispatch.azure_queue import AzureQueueDispatcher
from teamrun.errors import UsageError
from teamrun.logs import JsonFormatter, TextFormatter, configure_logging
from teamrun.runtime import Runtime
from teamrun.settings import CommonSettings, load_settings, unknown_variables

__all__ = ["queues_of", "read_settings"]

logger = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=CommonSettings)


def read_settings(kind: type[Settings], **given: object) -> Settings:
    """The settings of a function.

    Raises:
        UsageError: They are invalid, or there is no queue.
    """
    settings = load_settings(kind, **given)
    _configure_logging(settings)
    for fault in unknown_variables(os.environ):
        logger.warning(
            "An environment variable is unknown",
            extra={"action": "settings.variable_unknown", "error": fault},
        )
    if settings.queue is None:
        raise UsageError(
            "TEAMRUN_QUEUE_URL is not set: a function needs the queues of its deployment, such as "
            "azq://teamrun?account=NAME.",
            setting="queue_url",
        )
    return settings


def queues_of(runtime: Runtime) -> AzureQueueDispatcher:
    """The queues of a runtime.

    Raises:
        UsageError: They are not in Azure.
    """
    if not isinstance(runtime.dispatcher, AzureQueueDispatcher):
        raise UsageError(
            "TEAMRUN_QUEUE_URL must be azq://PREFIX for functions on Azure that execute runs.",
            setting="queue_url",
        )
    return runtime.dispatcher


def _configure_logging(settings: CommonSettings) -> None:
    """Log through the handlers of the Functions worker, which forward records to the host.

    Replacing them, as other hosts do, would cut the logs off from Application Insights.
    """
    root = logging.getLogger()
    theirs = root.handlers[:]
    configure_logging(level=settings.log_level, form=settings.log_format)
    # The ASGI adapter of azure-functions logs whole responses at this level.
    root.handlers[0].addFilter(_is_not_a_response)
    if theirs:
        formatter = TextFormatter() if settings.log_format == "text" else JsonFormatter()
        for handler in theirs:
            handler.setFormatter(formatter)
            handler.addFilter(_is_not_a_response)
        root.handlers[:] = theirs


def _is_not_a_response(record: logging.LogRecord) -> bool:
    return record.module != "_http_asgi" or record.levelno > logging.DEBUG
