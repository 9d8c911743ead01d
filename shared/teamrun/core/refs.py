"""References: the name of a run in queue messages, markers and log lines."""

import re
from typing import NamedTuple, Self

__all__ = ["RunRef", "is_delivery_id", "is_run_id", "is_tenant"]

_RUN_ID = re.compile(r"[A-Za-z0-9_]{1,64}")
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_]{1,64}-[0-9]{1,18}")
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_run_id(text: str) -> bool:
    """Whether the text has the form of a run's id."""
    return _RUN_ID.fullmatch(text) is not None


def is_delivery_id(text: str) -> bool:
    """Whether the text has the form `{id}-{n}`, which names a delivery of a run or a batch."""
    return _DELIVERY_ID.fullmatch(text) is not None


def is_tenant(text: str) -> bool:
    """Whether the text has the form of a tenant's name."""
    return _TENANT.fullmatch(text) is not None


class RunRef(NamedTuple):
    """Names one run; `str(ref)` is the queue message, `{tenant}.{run_id}`."""

    tenant: str
    run_id: str

    def __str__(self) -> str:
        """The form on the wire."""
        return f"{self.tenant}.{self.run_id}"

    def log_fields(self) -> dict[str, str]:
        """The fields that identify the run on a log line."""
        return {"tenant": self.tenant, "run_id": self.run_id}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the form on the wire; neither part may contain `.` or `/`.

        Raises:
            ValueError: The text does not have that form.
        """
        tenant, dot, run_id = text.partition(".")
        if not (tenant and dot and run_id) or "/" in text or "." in run_id:
            raise ValueError(f"{text!r} is not of the form tenant.run_id")
        return cls(tenant, run_id)
