"""The optional fields of a run, which every call that creates one takes by name."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypedDict

from teamrun.json_types import JsonMapping
from teamrun.runs.log.limits import Limits
from teamrun.runs.log.spec import BusyPolicy, InputMessage, Retry, RunInput
from teamrun.runs.log.webhook import RunWebhook
from teamrun.runs.service.requests import Overrides

__all__ = ["RunOptions", "Task", "Team", "task_of", "team_of"]

Team: TypeAlias = str | JsonMapping
"""The name of a team that the operator registered, or the definition of a team."""

Task: TypeAlias = str | RunInput | Sequence[str | InputMessage]
"""A task: a text, or several messages to the team; a text among them is a message of `user`."""


class RunOptions(TypedDict, total=False):
    """Fields of a new run that have a default; None is the same as leaving the field out."""

    overrides: Overrides | JsonMapping | None
    """Settings of the team that this run overrides."""
    output_schema: JsonMapping | None
    """JSON Schema of an object that the output has to fit; `Output.data` is then the object."""
    metadata: Mapping[str, str] | None
    """Up to 16 key-value pairs, by which lists can be filtered."""
    tags: Sequence[str] | None
    """Up to 16 labels, by which lists can be filtered."""
    limits: Limits | JsonMapping | None
    """The limits of the run, such as `{"max_cost_usd": "1.50"}`."""
    retry: Retry | JsonMapping | None
    """How the run is retried after a transient failure."""
    delay_seconds: float | None
    """Delay before the run starts."""
    run_at: datetime | None
    """When the run starts; with a time zone."""
    expires_in_seconds: float | None
    """The run expires if it has not started after this time."""
    deadline: datetime | None
    """When the run must end at the latest; with a time zone."""
    thread_id: str | None
    """The thread whose conversation the run continues."""
    on_busy_thread: BusyPolicy | None
    """What happens if the thread has a run that has not ended; by default it waits for its end."""
    webhook: RunWebhook | JsonMapping | None
    """Where the events of the run are sent, such as `{"url": "https://example.com/hook"}`."""


def team_of(team: Team) -> JsonMapping:
    """The field of a request that names or contains the team."""
    return {"team": team} if isinstance(team, str) else {"team_spec": team}


def task_of(task: Task) -> str | JsonMapping:
    """The `input` of a request."""
    if isinstance(task, str):
        return task
    messages = task.messages if isinstance(task, RunInput) else task
    return {
        "messages": [
            {"content": each, "source": "user"}
            if isinstance(each, str)
            else {"content": each.content, "source": each.source}
            for each in messages
        ]
    }
