"""What a team does, as events of its run.

They come from run code, so a replay makes them again (`docs/reference/events.md` lists the types).
"""

from typing import Any

from teamrun.messages import (
    BaseChatMessage,
    HandoffMessage,
    MemoryQueryEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from teamrun.runs.engine.journal import Journal
from teamrun.runs.log.output import counts_as_output

__all__ = ["Narrator"]


class Narrator:
    """Turns what a team yields into events of its run; also the team's observer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def turn_started(self, turn: int, agent: str) -> None:
        """An agent's turn begins."""
        self._journal.turn += 1
        self._journal.emit("turn.started", agent=agent, data={"turn": turn})

    def turn_completed(self, turn: int, agent: str) -> None:
        """An agent's turn is over."""
        self._journal.emit("turn.completed", agent=agent, data={"turn": turn})

    def speaker_selected(self, speakers: list[str]) -> None:
        """The team decided who is next."""
        self._journal.emit("speaker.selected", data={"speakers": speakers})

    def tell(self, item: object) -> None:
        """One item of the stream of a team; what is no event of a run is passed over."""
        match item:
            case BaseChatMessage():  # first: one in each turn, and these checks take a while
                self._say("message.created", item.source, message=item)
                journal = self._journal
                if journal.turn and counts_as_output(item, journal.output_sources):  # not the task
                    journal.latest = item
                if isinstance(item, HandoffMessage):
                    self._say("agent.handed_off", item.source, target=item.target)
            case ToolCallRequestEvent():
                for call in item.content:
                    self._say(
                        "tool.call.requested",
                        item.source,
                        tool_call_id=call.id,
                        tool=call.name,
                        arguments=call.arguments,
                    )
            case ToolCallExecutionEvent():
                self._tell_results(item)
            case ThoughtEvent():
                self._say("thought.created", item.source, content=item.content)
            case MemoryQueryEvent():
                self._say("memory.queried", item.source, content=item.content)
            case _:
                pass

    def _tell_results(self, item: ToolCallExecutionEvent) -> None:
        """Results that no call of the journal stands behind: an unknown tool, a nested team."""
        for result in item.content:
            if result.call_id not in self._journal.journaled_tools:
                self._say(
                    "tool.call.failed" if result.is_error else "tool.call.completed",
                    item.source,
                    tool_call_id=result.call_id,
                    tool=result.name,
                    result=result.content,
                )

    def _say(self, type: str, agent: str, /, **data: Any) -> None:
        self._journal.emit(type, agent=agent, data=data)
