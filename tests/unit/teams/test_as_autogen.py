"""Small things that AutoGen's teams accept or refuse."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from tests.support.talkers import Talker, texts

from teamrun.errors import TeamBusy
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat


class Memo(TextMessage):
    type: Literal["Memo"] = "Memo"  # type: ignore[assignment]


class Clerk(Talker):
    """Sends a message of a class that it does not announce."""

    def message(self, line: str) -> BaseChatMessage:
        return Memo(content=line, source=self.name)

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)


@pytest.mark.behaviour("team.unannounced_messages")
async def test_a_message_of_a_type_that_nobody_announces_is_accepted() -> None:
    team = RoundRobinGroupChat([Clerk("a"), b := Talker("b")], max_turns=2)

    result = await team.run(task=Memo(content="go", source="user"))

    assert texts(result.messages) == ["user: go", "a: a 0", "b: b 0"]
    assert [type(message) for message in b.received] == [Memo, Memo]


@pytest.mark.behaviour("team.busy")
@pytest.mark.parametrize("error", [ValueError, RuntimeError])
async def test_the_error_of_a_busy_team_is_of_the_types_that_programs_catch(error: Any) -> None:
    team = RoundRobinGroupChat([Talker("a")], max_turns=2)
    stream = team.run_stream(task="go")
    await anext(stream)

    with pytest.raises(error) as caught:
        await team.run(task="again")

    assert isinstance(caught.value, TeamBusy)
    await stream.aclose()


@pytest.mark.behaviour("team.graph.activation")
async def test_the_activation_of_a_node_has_no_effect() -> None:
    a, b, c, d = (Talker(name) for name in "abcd")
    builder = DiGraphBuilder().add_node(a).add_node(b).add_node(c).add_node(d, activation="any")
    for source, target in ((a, b), (a, c), (b, d), (c, d)):
        builder.add_edge(source, target)

    result = await GraphFlow(builder.get_participants(), builder.build()).run(task="go")

    assert [message.source for message in result.messages] == ["user", "a", "b", "c", "d"]
