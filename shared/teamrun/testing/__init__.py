"""Test doubles that ship with the library, for tests of your teams without any service."""

from typing import TYPE_CHECKING

from teamrun.forwarding import forwarding

if TYPE_CHECKING:
    from teamrun.dispatch.local import LocalDispatcher
    from teamrun.live.memory import MemoryLive
    from teamrun.storage.memory import MemoryStore
    from teamrun.testing.clock import FakeClock
    from teamrun.testing.faults import Fault, FaultStore, Outcome, StoreCall
    from teamrun.testing.queue import MemoryQueue
    from teamrun.testing.replay import ReplayChatCompletionClient
    from teamrun.testing.scripted import RecordedCall, ScriptedModel, ScriptStep

__all__ = [
    "FakeClock",
    "Fault",
    "FaultStore",
    "LocalDispatcher",
    "MemoryLive",
    "MemoryQueue",
    "MemoryStore",
    "Outcome",
    "RecordedCall",
    "ReplayChatCompletionClient",
    "ScriptStep",
    "ScriptedModel",
    "StoreCall",
]

__getattr__, __dir__ = forwarding(
    __name__,
    {
        "teamrun.dispatch.local": ("LocalDispatcher",),
        "teamrun.live.memory": ("MemoryLive",),
        "teamrun.storage.memory": ("MemoryStore",),
        ".clock": ("FakeClock",),
        ".faults": ("Fault", "FaultStore", "Outcome", "StoreCall"),
        ".queue": ("MemoryQueue",),
        ".replay": ("ReplayChatCompletionClient",),
        ".scripted": ("RecordedCall", "ScriptedModel", "ScriptStep"),
    },
)
