"""A team whose `run_stream` is not the original: `run` and durable runs read it."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
from tests.support.talkers import Talker, texts

from teamrun.core import AnyMessage, TaskResult
from teamrun.teams import RoundRobinGroupChat

_original = RoundRobinGroupChat.run_stream


async def _logged(
    self: RoundRobinGroupChat, *args: Any, **options: Any
) -> AsyncGenerator[AnyMessage | TaskResult, None]:
    async for item in _original(self, *args, **options):
        if isinstance(item, TaskResult):
            item = TaskResult(messages=item.messages, stop_reason="logged")
        yield item


class Logged(RoundRobinGroupChat):
    """A team whose stream is its own."""

    run_stream = _logged


class Subclass(Logged):
    """A subclass of a subclass."""


def logged(how: str, monkeypatch: pytest.MonkeyPatch) -> RoundRobinGroupChat:
    cls = {"overridden": Logged, "inherited": Subclass}.get(how, RoundRobinGroupChat)
    team = cls([Talker("a")], max_turns=1)
    if how == "in the object":
        monkeypatch.setattr(team, "run_stream", partial(_logged, team))
    elif how == "in the class":
        monkeypatch.setattr(RoundRobinGroupChat, "run_stream", _logged)
    return team


@pytest.mark.parametrize("how", ["overridden", "inherited", "in the object", "in the class"])
async def test_a_run_reads_a_stream_that_is_not_the_original(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = await logged(how, monkeypatch).run("go", output_task_messages=False)
    assert (texts(result.messages), result.stop_reason) == (["a: a 0"], "logged")

    observed = list[AnyMessage]()
    result = await logged(how, monkeypatch).run_observed("go", observed.append)
    assert (texts(observed), result.stop_reason) == (["user: go", "a: a 0"], "logged")


async def test_a_stream_without_a_result_is_an_error_of_the_run() -> None:
    class Cut(RoundRobinGroupChat):
        async def run_stream(
            self, *args: Any, **options: Any
        ) -> AsyncGenerator[AnyMessage | TaskResult, None]:
            async for item in super().run_stream(*args, **options):
                if not isinstance(item, TaskResult):
                    yield item

    with pytest.raises(RuntimeError):
        await Cut([Talker("a")], max_turns=1).run("go")
