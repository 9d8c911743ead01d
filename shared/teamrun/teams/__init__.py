"""Agents that work on a task together."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.teams import state as state
    from teamrun.teams.base import BaseGroupChat, TeamObserver
    from teamrun.teams.digraph import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode
    from teamrun.teams.graph_flow import GraphFlow
    from teamrun.teams.magentic_one import MagenticOneGroupChat
    from teamrun.teams.round_robin import RoundRobinGroupChat
    from teamrun.teams.selector import SelectorGroupChat
    from teamrun.teams.swarm import Swarm

__all__ = [
    "BaseGroupChat",
    "DiGraph",
    "DiGraphBuilder",
    "DiGraphEdge",
    "DiGraphNode",
    "GraphFlow",
    "MagenticOneGroupChat",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "Swarm",
    "TeamObserver",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("BaseGroupChat", "TeamObserver"),
        ".digraph": ("DiGraph", "DiGraphBuilder", "DiGraphEdge", "DiGraphNode"),
        ".graph_flow": ("GraphFlow",),
        ".magentic_one": ("MagenticOneGroupChat",),
        ".round_robin": ("RoundRobinGroupChat",),
        ".selector": ("SelectorGroupChat",),
        ".state": (),
        ".swarm": ("Swarm",),
    },
)
