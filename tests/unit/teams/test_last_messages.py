"""Members who speak at the same time: the last message of each finished turn is in the result."""

from collections.abc import Sequence

import pytest

from teamrun import Response, TextMessage
from teamrun.agents import BaseChatAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.cooperation import yield_to_loop
from teamrun.messages import BaseChatMessage
from teamrun.teams import CompetitiveGroupChat, ConcurrentGroupChat


class Slow(BaseChatAgent):
    """Answers after some steps of the event loop."""

    def __init__(self, name: str, steps: int) -> None:
        super().__init__(name, "Answers.")
        self._steps = steps

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        for _ in range(self._steps):
            await yield_to_loop()
        return Response(chat_message=TextMessage(content="Mine", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        pass


@pytest.mark.parametrize("steps", range(12))
async def test_a_member_that_ends_just_after_another_is_heard(steps: int) -> None:
    team = ConcurrentGroupChat([Slow("a", 0), Slow("b", steps)])

    result = await team.run(task="Go")

    assert sorted(message.source for message in result.messages) == ["a", "b", "user"]


@pytest.mark.parametrize("steps", range(12))
async def test_the_last_of_those_who_are_enough_is_heard(steps: int) -> None:
    team = CompetitiveGroupChat(
        [Slow("a", 0), Slow("b", steps), Slow("c", 40), Slow("j", 0)], judge="j", enough=2
    )

    result = await team.run(task="Go")

    heard = {message.source for message in result.messages}
    assert {"a", "b", "j"} <= heard
    assert "c" not in heard
