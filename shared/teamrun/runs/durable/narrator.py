"""Converts what a team does to events of its run.

Run code emits them, so a replay emits them again (`docs/reference/events.md` lists the types).
"""

from typing import Any

from teamrun import messages
from teamrun.messages import (
    BaseChatMessage,
    BaseMessage,
    HandoffMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from teamrun.messages.path import path_of
from teamrun.messages.recordable import recordable
from teamrun.runs.engine.journal import Journal
from teamrun.runs.log.output import counts_as_output

__all__ = ["Narrator"]


class Narrator:
    """Emits an event for each item that a team yields; also the team's observer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._speaking = 0

    def turn_started(self, turn: int, agent: str) -> None:
        """Emit that an agent's turn has started."""
        if not self._speaking:  # members that speak at the same time share a turn
            self._journal.transcript.turn += 1
        self._speaking += 1
        self._journal.emit("turn.started", agent=agent, data={"turn": turn})

    def turn_completed(self, turn: int, agent: str) -> None:
        """Emit that an agent's turn has completed."""
        self._speaking -= 1
        self._journal.emit("turn.completed", agent=agent, data={"turn": turn})

    def speaker_selected(self, speakers: list[str]) -> None:
        """Emit which agents the team has selected."""
        self._journal.emit("speaker.selected", data={"speakers": speakers})

    def emit_item(self, item: object) -> None:
        """Emit the event of one item of a team's stream; other items are ignored."""
        match item:
            case BaseChatMessage():  # first: one in each turn, and these checks take a while
                self._emit_message(item)
                transcript = self._journal.transcript
                # Before the first turn, it is the task.
                if transcript.turn and counts_as_output(item, transcript.output_sources):
                    transcript.latest = item
                if isinstance(item, HandoffMessage):
                    self._emit_from(item, "agent.handed_off", target=item.target)
            case ToolCallRequestEvent():
                for call in item.content:
                    self._emit_from(
                        item,
                        "tool.call.requested",
                        tool_call_id=call.id,
                        tool=call.name,
                        arguments=call.arguments,
                    )
            case ToolCallExecutionEvent():
                self._emit_results(item)
            case ThoughtEvent():
                self._emit_from(item, "thought.created", content=item.content)
            case messages.MemoryQueryEvent():
                self._emit_from(item, "memory.queried", content=item.content)
            case _:
                pass

    def _emit_results(self, item: ToolCallExecutionEvent) -> None:
        """Emit results that have no recorded call: of an unknown tool, or of a nested team."""
        for result in item.content:
            if result.call_id not in self._journal.tools.journaled:
                self._emit_from(
                    item,
                    "tool.call.failed" if result.is_error else "tool.call.completed",
                    tool_call_id=result.call_id,
                    tool=result.name,
                    result=result.content,
                )

    def _emit_message(self, message: BaseChatMessage) -> None:
        # The path is part of the message, so that threads and results have it too. A class of the
        # user's own may have a field of that name, which keeps its value.
        path = path_of(message)
        data = {"path": list(path), **recordable(message)} if path else message
        self._journal.emit("message.created", agent=message.source, data={"message": data})

    def _emit_from(self, item: BaseMessage, type: str, /, **data: Any) -> None:
        if path := path_of(item):
            data["path"] = list(path)
        self._journal.emit(type, agent=item.source, data=data)
