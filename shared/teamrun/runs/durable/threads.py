"""How a run continues a thread: the state of the team before it is a call of the journal.

So the log of the run pins what it continues from, a replay finds it there, and a fork shares it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import cast

from teamrun.core.refs import RunRef
from teamrun.errors import ThreadMismatch
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage, HandoffMessage, TextMessage
from teamrun.messages.factory import MessageFactory
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.patience import until_stored
from teamrun.runs.engine.protocol import CallContext, Outcome
from teamrun.runs.log.spec import RunSpec, ThreadPart
from teamrun.teams import BaseGroupChat

__all__ = ["ThreadBefore", "continue_thread", "state_of"]

ThreadBefore = Callable[[str, ThreadPart, str], Awaitable[JsonObject]]
"""Returns `state` and `messages` before a run, from the tenant, its thread and its id."""


async def continue_thread(
    journal: Journal,
    spec: RunSpec,
    team: BaseGroupChat,
    before: ThreadBefore | None,
    *,
    given: list[BaseChatMessage],
) -> list[BaseChatMessage]:
    """Load the state of the thread; returns the task of the team.

    The task has the messages that the team has not received yet, then the input of the run. If the
    conversation has ended with a handoff to a person, the input is the person's answer.

    Args:
        journal: The journal of the run.
        spec: The run.
        team: The team, whose state is loaded.
        before: Reads from what the run continues.
        given: The input of the run.

    Raises:
        ThreadMismatch: The state does not fit the team.
    """
    part = spec.thread
    assert part is not None, "the run continues a thread"

    async def read(_: CallContext) -> Outcome:
        if before is None:
            raise ThreadMismatch("This process has no threads.")
        ref = RunRef(spec.tenant, spec.run_id)
        state_before = partial(before, spec.tenant, part, spec.run_id)
        value = await until_stored(state_before, ref=ref, sleep=asyncio.sleep)
        return Outcome(value=value)

    agent = spec.definition.name
    position = journal.position(agent, "thread")
    record = await journal.call(agent, "thread", "state", position, read)
    if record.error is not None:
        raise ThreadMismatch(f"The state of the thread cannot be read: {record.error.message}")
    state = record.value["state"]
    if isinstance(state, Mapping):
        try:
            with journal.origin.restored():
                await team.load_state(cast("JsonObject", state))
        except (ValueError, TypeError, KeyError) as error:
            raise ThreadMismatch(
                f"The state of the thread {part.thread_id!r} does not fit the team: {error}"
                " Continue it with a team of the same agents, or begin another thread."
            ) from error
    create = MessageFactory().create
    made = [create(message) for message in record.value["messages"]]
    earlier = [message for message in made if isinstance(message, BaseChatMessage)]
    handoff = team.handoff_to_person(earlier)
    if handoff is not None:
        *others, last = given
        answer = HandoffMessage(
            source=handoff.target, target=handoff.source, content=last.to_text()
        )
        given = [*others, answer]
    return [*(_as_heard(message, team) for message in earlier), *given]


def _as_heard(message: BaseChatMessage, team: BaseGroupChat) -> BaseChatMessage:
    """A message of an interrupted run; a handoff to a person would end this run as well."""
    if not isinstance(message, HandoffMessage) or team.has_member(message.target):
        return message
    return TextMessage(
        id=message.id,
        source=message.source,
        content=message.content,
        created_at=message.created_at,
        metadata=message.metadata,
    )


async def state_of(journal: Journal, team: BaseGroupChat) -> JsonObject:
    """The state of the team."""
    with journal.origin.restored():
        return dict(await team.save_state())
