"""Test doubles that ship with the library, for tests of your teams without any service."""

from teamrun.dispatch.local import LocalDispatcher
from teamrun.live.memory import MemoryLive
from teamrun.storage.memory import MemoryStore
from teamrun.testing.clock import FakeClock
from teamrun.testing.faults import Fault, FaultStore, Outcome, StoreCall
from teamrun.testing.queue import MemoryQueue
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
    "ScriptStep",
    "ScriptedModel",
    "StoreCall",
]
