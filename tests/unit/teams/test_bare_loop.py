"""Teams run without timers, threads and sockets: on the loop of a durable run."""

import asyncio
from typing import Any, NoReturn

from tests.support.talkers import Talker

from teamrun.conditions import MaxMessageTermination, TextMentionTermination, TimeoutTermination
from teamrun.core import CancellationToken, TaskResult
from teamrun.teams import RoundRobinGroupChat, SelectorGroupChat
from teamrun.testing import ScriptedModel


class BareLoop(asyncio.SelectorEventLoop):
    """An event loop with a ready queue and nothing else; it counts the tasks that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks = 0

    def create_task(self, *args: Any, **options: Any) -> asyncio.Task[Any]:
        self.tasks += 1
        return super().create_task(*args, **options)

    def call_at(self, *args: Any, **options: Any) -> NoReturn:
        raise AssertionError("a timer on the path of a team")

    def call_later(self, *args: Any, **options: Any) -> NoReturn:
        raise AssertionError("a timer on the path of a team")

    def run_in_executor(self, *args: Any, **options: Any) -> NoReturn:
        raise AssertionError("a thread on the path of a team")


def test_a_nested_team_runs_in_one_task_without_timers_and_threads() -> None:
    inner = RoundRobinGroupChat([Talker("a"), Talker("b")], name="inner", max_turns=2)
    team = SelectorGroupChat(
        [inner, Talker("c"), Talker("d")],
        ScriptedModel(["inner", "c", "d", "inner"]),
        termination_condition=MaxMessageTermination(7)
        | TextMentionTermination("never") & TimeoutTermination(60),
    )

    async def main() -> tuple[TaskResult, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, BareLoop)
        before = loop.tasks
        result = await team.run("go", cancellation_token=CancellationToken())
        await team.reset()
        return result, loop.tasks - before

    loop = BareLoop()
    try:
        result, tasks = loop.run_until_complete(main())
    finally:
        loop.close()

    assert len(result.messages) == 7
    assert tasks == 0
