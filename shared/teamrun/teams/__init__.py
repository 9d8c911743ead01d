"""Agents that work on a task together."""

from teamrun.teams.base import BaseGroupChat, TeamObserver
from teamrun.teams.round_robin import RoundRobinGroupChat
from teamrun.teams.selector import SelectorGroupChat

__all__ = ["BaseGroupChat", "RoundRobinGroupChat", "SelectorGroupChat", "TeamObserver"]
