"""What the tools of a run remember from call to call."""

from dataclasses import dataclass, field

from teamrun.json_types import JsonObject
from teamrun.runs.log.entries import CallRecord

__all__ = ["ToolMemory"]


@dataclass(slots=True)
class ToolMemory:
    """States, sessions and journaled calls of the tools of one execution."""

    states: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    """The recorded state of each tool and custom agent, by `{agent path}/{name}`."""
    sessions: dict[str, bool] = field(default_factory=dict[str, bool])
    """Agents whose tools keep a session, and whether that session is in this process."""
    journaled: set[str] = field(default_factory=set[str])
    """Tool call ids, assigned by the model, of the calls that went through the journal."""

    def record(self, call: CallRecord) -> None:
        """Remember the state that a call has left."""
        if call.state is not None:
            self.states[f"{call.call_id.rpartition('/')[0]}/{call.name}"] = call.state
