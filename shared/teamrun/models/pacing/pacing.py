"""The pace of all model profiles of a process."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from teamrun.core.exposition import head, sample
from teamrun.models.base import ChatCompletionClient

if TYPE_CHECKING:
    from teamrun.models.pacing.base import CallLimits, Shares
    from teamrun.models.pacing.pacer import Pacer

__all__ = ["Pacing"]


class Pacing:
    """One pacer for each profile whose client has been made."""

    def __init__(self) -> None:
        self._pacers: dict[str, Pacer] = {}
        self._shares: Shares | None = None

    def paced(
        self,
        client: ChatCompletionClient,
        profile: str,
        limits: "CallLimits",
        patience: timedelta | None,
    ) -> ChatCompletionClient:
        """The client, with calls that wait for their turn.

        Args:
            client: Of the profile; calls wait inside its retries, if it has any.
            profile: The name of the profile.
            limits: Of its server.
            patience: How long a call that the server rejects is made again; None: 15 minutes.
        """
        # Imported here: a process that only accepts runs makes no client.
        from teamrun.models.pacing.model import PATIENCE, PacedModel
        from teamrun.models.pacing.pacer import Pacer
        from teamrun.models.retry import RetryingModel

        if client.is_scripted and not limits.has_any:
            return client
        pacer = self._pacers.get(profile)
        if pacer is None:
            pacer = self._pacers[profile] = Pacer(profile, limits)
            if self._shares is not None:
                pacer.shares = self._shares
        waits = PATIENCE if patience is None else patience
        if isinstance(client, RetryingModel):
            client.wrapped = PacedModel(client.wrapped, pacer, patience=waits)
            return client
        return PacedModel(client, pacer, patience=waits)

    def share(self, shares: "Shares") -> None:
        """Divide the limits with other processes from now on."""
        self._shares = shares
        for pacer in self._pacers.values():
            pacer.shares = shares

    def engage(self, profile: str) -> None:
        """Note that the server of a profile has rejected a call of another process."""
        if (pacer := self._pacers.get(profile)) is not None:
            pacer.engage()

    def metric_lines(self) -> Iterator[str]:
        """The metrics of all profiles, in the Prometheus text format."""
        for name, kind, text, of in _METRICS:
            yield from head(name, kind, text)
            for profile, pacer in sorted(self._pacers.items()):
                yield sample(name, of(pacer), {"profile": profile})

    async def close(self) -> None:
        """End the background tasks."""
        for pacer in self._pacers.values():
            await pacer.close()


def _active(pacer: "Pacer") -> int:
    return pacer.active


def _waiting(pacer: "Pacer") -> int:
    return pacer.waiting


def _rejected(pacer: "Pacer") -> int:
    return pacer.rejected


_METRICS = (
    ("teamrun_model_calls_in_flight", "gauge", "Model calls in flight.", _active),
    ("teamrun_model_calls_waiting", "gauge", "Model calls that wait for their turn.", _waiting),
    (
        "teamrun_model_calls_rejected_total",
        "counter",
        "Model calls that the server rejected (429) and that are made again.",
        _rejected,
    ),
)
