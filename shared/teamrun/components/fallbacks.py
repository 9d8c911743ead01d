"""A script that answers because a key is not set: reported when a process starts, or refused."""

import logging

from teamrun.components.registry import Registry
from teamrun.errors import UsageError

__all__ = ["check_fallbacks", "refuse_fallbacks"]

logger = logging.getLogger(__name__)


def check_fallbacks(registry: Registry, *, reachable_by: str | None, allowed: bool) -> None:
    """Log each profile that a script replaces because a variable is not set, or refuse to start.

    A misspelt variable would otherwise give completed runs whose text no model has written.

    Args:
        registry: Of the process that starts.
        reachable_by: The setting by which other machines can reach the process; None if it serves
            this machine only.
        allowed: The setting `allow_scripted`.

    Raises:
        UsageError: Other machines can reach the process, and this is not allowed.
    """
    refuse_fallbacks(registry, reachable_by=reachable_by, allowed=allowed)
    for use in registry.scripted_fallbacks():
        data = {"action": "model.scripted", "profile": use.profile, "variable": use.unset}
        logger.warning("A script replaces a model because a variable is not set", extra=data)


def refuse_fallbacks(registry: Registry, *, reachable_by: str | None, allowed: bool) -> None:
    """The check alone, for a process that reports in another way.

    Raises:
        UsageError: As for `check_fallbacks`.
    """
    uses = registry.scripted_fallbacks()
    if not uses or reachable_by is None or allowed:
        return
    notes = " ".join(use.note for use in uses)
    variables = ", ".join(sorted({str(use.unset) for use in uses}))
    raise UsageError(
        f"{notes} This is refused because other machines can reach this process through"
        f" {reachable_by}. Set {variables}, or set TEAMRUN_ALLOW_SCRIPTED=true to start with"
        " scripted answers.",
        setting="allow_scripted",
        variables=sorted({str(use.unset) for use in uses}),
    )
