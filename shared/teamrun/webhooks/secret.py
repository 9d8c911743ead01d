"""Signing secrets, and the time for which a replaced one is still used."""

import secrets as random
from base64 import b64encode
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["OVERLAP", "Retired", "Secret", "new_secret"]

OVERLAP = timedelta(hours=24)
"""How long requests are signed with the old secret, too, unless a rotation asks otherwise."""

_MOST_RETIRED = 4


def new_secret() -> str:
    """A new secret of 32 bytes, in the form of Standard Webhooks."""
    return f"whsec_{b64encode(random.token_bytes(32)).decode()}"


class Retired(BaseModel):
    """A replaced secret."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    secret: str = Field(repr=False)
    until: datetime


class Secret(BaseModel):
    """A secret and those that it has replaced."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    secret: str = Field(default_factory=new_secret, repr=False)
    retired: list[Retired] = []

    def at(self, now: datetime) -> list[str]:
        """The secrets that sign at that time, the newest first."""
        return [self.secret, *(old.secret for old in self.retired if now < old.until)]

    def old_until(self, now: datetime) -> datetime | None:
        """Until when a replaced secret is in use; None if none is."""
        until = [old.until for old in self.retired if now < old.until]
        return max(until, default=None)

    def rotated(self, now: datetime, *, overlap: timedelta) -> "Secret":
        """A new secret, with this one in use until the overlap is over.

        Without an overlap no replaced secret is in use any more, so that one which leaked is
        revoked at once.
        """
        if not overlap:
            return Secret()
        kept = [old for old in self.retired if now < old.until][: _MOST_RETIRED - 1]
        return Secret(retired=[Retired(secret=self.secret, until=now + overlap), *kept])
