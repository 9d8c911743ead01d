"""Agents that work on a task together."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.teams import state as state
    from teamrun.teams.base import BaseGroupChat, TeamObserver
    from teamrun.teams.competitive import CompetitiveGroupChat
    from teamrun.teams.concurrent import ConcurrentGroupChat
    from teamrun.teams.debate import DebateGroupChat
    from teamrun.teams.digraph import DiGraph, DiGraphBuilder, DiGraphEdge, DiGraphNode
    from teamrun.teams.graph_flow import GraphFlow
    from teamrun.teams.hierarchical import HierarchicalGroupChat
    from teamrun.teams.magentic_one import MagenticOneGroupChat
    from teamrun.teams.round_robin import RoundRobinGroupChat
    from teamrun.teams.selector import SelectorGroupChat
    from teamrun.teams.sequential import SequentialGroupChat
    from teamrun.teams.swarm import Swarm

__all__ = [
    "BaseGroupChat",
    "CompetitiveGroupChat",
    "ConcurrentGroupChat",
    "DebateGroupChat",
    "DiGraph",
    "DiGraphBuilder",
    "DiGraphEdge",
    "DiGraphNode",
    "GraphFlow",
    "HierarchicalGroupChat",
    "MagenticOneGroupChat",
    "RoundRobinGroupChat",
    "SelectorGroupChat",
    "SequentialGroupChat",
    "Swarm",
    "TeamObserver",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        ".base": ("BaseGroupChat", "TeamObserver"),
        ".competitive": ("CompetitiveGroupChat",),
        ".concurrent": ("ConcurrentGroupChat",),
        ".debate": ("DebateGroupChat",),
        ".digraph": ("DiGraph", "DiGraphBuilder", "DiGraphEdge", "DiGraphNode"),
        ".graph_flow": ("GraphFlow",),
        ".hierarchical": ("HierarchicalGroupChat",),
        ".magentic_one": ("MagenticOneGroupChat",),
        ".round_robin": ("RoundRobinGroupChat",),
        ".selector": ("SelectorGroupChat",),
        ".sequential": ("SequentialGroupChat",),
        ".state": (),
        ".swarm": ("Swarm",),
    },
)
