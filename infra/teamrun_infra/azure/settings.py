"""Reads the settings of a function, and configures logging as they want it."""

import logging
import os
from typing import TypeVar

from teamrun.dispatch.azure_queue import AzureQueueDispatcher
from teamrun.errors import UsageError
from teamrun.logs import JsonFormatter, TextFormatter, configure_logging
from teamrun.runtime import Runtime
from teamrun.settings import CommonSettings
from teamrun_infra.azure.references import check_references
from teamrun_infra.settings import read_function_settings

__all__ = ["queues_of", "read_settings"]

Settings = TypeVar("Settings", bound=CommonSettings)


def read_settings(kind: type[Settings], **given: object) -> Settings:
    """The settings of a function.

    Raises:
        UsageError: They are invalid, a reference to a secret is not resolved, or there is no queue.
    """
    try:
        check_references(os.environ)
    except UsageError:
        _configure_logging()  # for the error to be logged as JSON
        raise
    return read_function_settings(
        kind, configure=_configure_logging, queue_url="azq://teamrun?account=NAME", **given
    )


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


def _configure_logging(*, level: str = "info", form: str = "json") -> None:
    """Log through the handlers of the Functions worker, which forward records to the host.

    Replacing them, as other hosts do, would cut the logs off from Application Insights.
    """
    root = logging.getLogger()
    theirs = root.handlers[:]
    configure_logging(level=level, form=form)
    # The ASGI adapter of azure-functions logs whole responses at this level.
    root.handlers[0].addFilter(_is_not_a_response)
    if theirs:
        formatter = TextFormatter() if form == "text" else JsonFormatter()
        for handler in theirs:
            handler.setFormatter(formatter)
            handler.addFilter(_is_not_a_response)
        root.handlers[:] = theirs


def _is_not_a_response(record: logging.LogRecord) -> bool:
    return record.module != "_http_asgi" or record.levelno > logging.DEBUG
