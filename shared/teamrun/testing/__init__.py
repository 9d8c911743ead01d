"""Doubles that ship with the library: for tests of your teams, without any service."""

from teamrun.testing.clock import FakeClock
from teamrun.testing.scripted import RecordedCall, ScriptedModel, ScriptStep

__all__ = ["FakeClock", "RecordedCall", "ScriptStep", "ScriptedModel"]
