"""The code of a run: build the team, give it the task, tell what it says."""

from collections.abc import Sequence
from typing import Any

from teamrun.components.build import build_team
from teamrun.components.registry import Registry
from teamrun.core.protocols import TaskResult
from teamrun.messages import BaseChatMessage, StructuredMessage, TextMessage
from teamrun.runs.entries import End
from teamrun.runs.journal import Journal
from teamrun.runs.narration import Narrator
from teamrun.runs.spec import RunInput, RunSpec
from teamrun.runs.wiring import JournalWiring

__all__ = ["run_team"]


async def run_team(journal: Journal, spec: RunSpec, registry: Registry) -> End:
    """Drive the team of a run from its start to its end."""
    team = build_team(spec.definition, registry, JournalWiring(journal))
    narrator = Narrator(journal)
    team.observer = narrator
    result: TaskResult | None = None
    async for item in team.run_stream(task=_task(spec.input)):
        if isinstance(item, TaskResult):
            result = item
        else:
            narrator.tell(item)
    assert result is not None, "a team's stream ends with its result"
    return End(
        status="completed",
        stop_reason=result.stop_reason,
        stop_code=team.stop_code,
        output=_output(result.messages),
    )


def _task(given: str | RunInput) -> str | Sequence[BaseChatMessage]:
    if isinstance(given, str):
        return given
    return [TextMessage(content=item.content, source=item.source) for item in given.messages]


def _output(messages: Sequence[Any]) -> dict[str, Any]:
    last = next(m for m in reversed(messages) if isinstance(m, BaseChatMessage))
    content = last.dump()["content"] if isinstance(last, StructuredMessage) else None
    return {"text": last.to_text(), "json": content}
