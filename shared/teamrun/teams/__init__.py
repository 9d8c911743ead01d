"""Agents that work on a task together."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.teams import state as state
    from teamrun.teams.base import BaseGroupChat, TeamObserver
    from teamrun.teams.round_robin import RoundRobinGroupChat
    from teamrun.teams.selector import SelectorGroupChat
    from teamrun.teams.swarm import Swarm

__all__ = ["BaseGroupChat", "RoundRobinGroupChat", "SelectorGroupChat", "Swarm", "TeamObserver"]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("BaseGroupChat", "TeamObserver"),
        ".round_robin": ("RoundRobinGroupChat",),
        ".selector": ("SelectorGroupChat",),
        ".state": (),
        ".swarm": ("Swarm",),
    },
)
