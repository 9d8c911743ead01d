"""Secrets of a simulated deployment, and everything that must not contain one (I11)."""

import json
import logging
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["API_KEY", "Canaries"]

API_KEY = "sk-canary-of-the-operator"
"""The key of a model's provider, as the operator's file has it."""

_SIGNING = re.compile(rb"whsec_[A-Za-z0-9+/=]+")
_OWN_DOCUMENTS = re.compile(r"t/[^/]+/webhooks/[^/]+/\d{6}\.json")


class Canaries:
    """Knows the secrets as soon as they are stored, and looks for them elsewhere.

    Args:
        fault: Called with each violation.
    """

    def __init__(self, fault: Callable[[str], None]) -> None:
        self._fault = fault
        self._known: set[bytes] = {API_KEY.encode()}

    def stored(self, key: str, data: bytes) -> None:
        """An object is written: the documents of webhooks have their secrets, and no other has."""
        if _OWN_DOCUMENTS.fullmatch(key):
            self._known.update(_SIGNING.findall(data))
            self._look(f"{key} has the key of a model", data, {API_KEY.encode()})
        else:
            self.seen(key, data)

    def seen(self, place: str, data: bytes) -> None:
        """Something is sent, published, logged or put into the queue."""
        self._look(f"{place} has a secret", data, self._known)

    def _look(self, text: str, data: bytes, secrets: set[bytes]) -> None:
        if any(secret in data for secret in secrets):
            self._fault(f"I11 {text}")

    @contextmanager
    def listening(self) -> Generator[None]:
        """Read all log lines of the library."""
        logger, handler = logging.getLogger("teamrun"), _Reader(self)
        level, propagate = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _Reader(logging.Handler):
    """Looks at each record, with its fields and its exception."""

    def __init__(self, canaries: Canaries) -> None:
        super().__init__()
        self._canaries = canaries

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and repr(record.exc_info[1])
        fields = {**record.__dict__, "exc_info": error}
        text = f"{record.getMessage()} {json.dumps(fields, default=repr)}"
        self._canaries.seen(f"a log line ({record.msg})", text.encode())
