"""What the tools of a run remember from call to call."""

from teamrun.json_types import JsonObject

__all__ = ["ToolMemory"]


class ToolMemory:
    """States, sessions and journaled calls of the tools of one execution."""

    __slots__ = ("journaled", "sessions", "states")

    def __init__(self) -> None:
        self.states: dict[str, JsonObject] = {}
        """The recorded state of each tool and custom agent, by `{agent path}/{name}`."""
        self.sessions: dict[str, bool] = {}
        """Agents whose tools keep a session, and whether that session is in this process."""
        self.journaled: set[str] = set()
        """Tool call ids, assigned by the model, of the calls that went through the journal."""
