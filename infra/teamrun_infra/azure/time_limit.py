"""The time limit of invocations, from the configuration of the Functions host."""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

from teamrun.errors import UsageError

__all__ = ["TimeLimit"]

logger = logging.getLogger(__name__)

_VARIABLE: Final = "AzureFunctionsJobHost__functionTimeout"
"""Overrides host.json.
Source: https://learn.microsoft.com/en-us/azure/azure-functions/functions-host-json#override-hostjson-values"""

_SHORTEST: Final = timedelta(minutes=5)
"""What every plan allows, for a host.json without a limit."""
_SPAN: Final = re.compile(r"(?:(\d+)\.)?(\d+):(\d{2}):(\d{2})")
_START: Final = timedelta(seconds=5)
"""Time that can have passed since the host began to count."""


class TimeLimit:
    """How long the host lets an invocation run.

    Args:
        environ: The variables of the process.
        folder: Of host.json; by default that of `AzureWebJobsScriptRoot`, or the current one.

    Raises:
        UsageError: `functionTimeout` has another form, or is -1, for no limit.
    """

    def __init__(self, environ: Mapping[str, str], *, folder: Path | None = None) -> None:
        folder = folder or Path(environ.get("AzureWebJobsScriptRoot", "."))
        file = folder / "host.json"
        self.source = _VARIABLE
        """Where it was found."""
        text: object = environ.get(_VARIABLE)
        if not text:
            text, self.source = _in_file(file), str(file)
        self.is_given = text is not None
        """Whether it is the host's; otherwise it is the shortest one of all plans."""
        self.limit = _span(text)
        self._usable = self.limit - min(_START, self.limit / 10)

    def log(self) -> None:
        """Log which limit is used; the log has been configured."""
        logger.log(
            logging.INFO if self.is_given else logging.WARNING,
            "The time limit of functions is known"
            if self.is_given
            else "The time limit of functions is not known, so the shortest one is used",
            extra={
                "action": "function.time_limit",
                "limit_s": self.limit.total_seconds(),
                "source": self.source,
            },
        )

    def deadline(self) -> datetime:
        """When an invocation that begins now is ended."""
        return datetime.now(UTC) + self._usable


def _in_file(path: Path) -> object:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UsageError(f"{path} is not JSON: correct it.", setting="functionTimeout") from None
    if not isinstance(document, dict):
        return None
    return cast("dict[str, object]", document).get("functionTimeout")


def _span(text: object) -> timedelta:
    if text is None:
        return _SHORTEST
    parts = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if parts is None:
        raise UsageError(
            f"functionTimeout is {text!r}: set it in host.json (or {_VARIABLE}) to a time such as "
            '"00:30:00". Without a limit, a run could not be handed over before the platform ends '
            "its function.",
            setting="functionTimeout",
        )
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not span:
        raise UsageError(
            'functionTimeout is zero: set it in host.json to a time such as "00:30:00".',
            setting="functionTimeout",
        )
    return span
