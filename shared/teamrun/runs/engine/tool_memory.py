"""What the tools of a run remember from call to call."""

from collections.abc import Callable

from teamrun.json_types import JsonObject

__all__ = ["ToolMemory"]


class ToolMemory:
    """States, sessions and journaled calls of the tools of one execution."""

    __slots__ = ("at_close", "journaled", "sessions", "states")

    def __init__(self) -> None:
        self.states: dict[str, JsonObject] = {}
        """The recorded state of each tool and custom agent, by `{agent path}/{name}`."""
        self.sessions: dict[str, bool] = {}
        """Agents whose tools keep a session, and whether that session is in this process; of an MCP
        server, `mcp:` and its name."""
        self.journaled: set[str] = set()
        """Tool call ids, assigned by the model, of the calls that went through the journal."""
        self.at_close: dict[str, Callable[[], None]] = {}
        """Ends the sessions that belong to this execution, by what they are sessions of."""

    def close(self) -> None:
        """End the sessions of this execution."""
        at_close, self.at_close = self.at_close, {}
        for end in at_close.values():
            end()
