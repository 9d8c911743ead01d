"""How processes write their logs: a constant message, its data in `extra`, one line each.

Message content and secrets are never logged; identifiers (`run_id`, `tenant`, `call_id`) are.
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from teamrun.json_types import JsonObject

__all__ = ["JsonFormatter", "RepetitionFilter", "TextFormatter", "configure_logging"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "taskName"),
    "color_message",  # uvicorn's copy of the message
}

_KEY_LENGTH = 200
_MOST_KEYS = 1_000

_NOISY = (
    *("amqp", "asyncio", "azure", "botocore", "httpcore2", "httpx2", "kombu", "msal", "openai"),
    "urllib3",
)


_REPEATING = ("azure.identity", "client", "mcp")
"""Their warnings repeat what a server wrote, secrets included; our errors have it without them."""


def _data_of(record: logging.LogRecord) -> JsonObject:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class RepetitionFilter(logging.Filter):
    """Drops a library's record that was just logged often; reports how many were dropped.

    asyncio logs some failures, such as a lack of file descriptors, thousands of times a second.

    Args:
        most: Equal records that pass within `window_s`.
        window_s: Seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        most: int = 10,
        window_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._most = most
        self._window_s = window_s
        self._clock = clock
        self._seen: dict[tuple[str, int, str], _Repetition] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.name.startswith("teamrun"):
            return True
        key = (record.name, record.levelno, str(record.msg)[:_KEY_LENGTH])
        now, seen = self._clock(), self._seen.get(key)
        if seen is None or now - seen.since >= self._window_s:
            if len(self._seen) >= _MOST_KEYS:
                self._seen.clear()
            if seen is not None and seen.count > self._most:
                record.dropped = seen.count - self._most
            self._seen[key] = _Repetition(now)
            return True
        seen.count += 1
        return seen.count <= self._most


@dataclass(slots=True)
class _Repetition:
    since: float
    count: int = 1


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: JsonObject = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_data_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A line for people: time, level, message, then the data as `key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, followed by the traceback if there is one."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        data = "".join(f" {key}={value}" for key, value in _data_of(record).items())
        line = f"{at} {record.levelname.lower():7} {record.name}: {record.getMessage()}{data}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def configure_logging(*, level: str = "info", form: str = "json") -> None:
    """Send every log record of this process to stderr; replaces the previous configuration.

    Args:
        level: The lowest level of our loggers; verbose libraries stay at `warning`.
        form: `json` or `text`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepetitionFilter())
    handler.setFormatter(TextFormatter() if form == "text" else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in _REPEATING:
        logging.getLogger(name).setLevel(max(logging.ERROR, root.level))
