"""Behaviour put around a model client."""

from typing import Any

from teamrun.messages.llm import CreateResult, UserMessage
from teamrun.models import ModelWrapper
from teamrun.testing import ScriptedModel

ASK = [UserMessage(content="Hi", source="user")]


class Shouting(ModelWrapper):
    """Counts its calls in a list that all views share."""

    def __init__(self, wrapped: Any) -> None:
        super().__init__(wrapped)
        self.seen: list[object] = []

    async def create(self, messages: Any, **options: Any) -> CreateResult:
        result = await super().create(messages, **options)
        self.seen.append(result.content)
        return result.model_copy(update={"content": str(result.content).upper()})


async def test_a_wrapper_hands_everything_on() -> None:
    model = ScriptedModel(["a", "b c"], record=True)
    wrapper = ModelWrapper(model)
    result = await wrapper.create(ASK, tool_choice="none", extra_create_args={"seed": 1})
    *words, last = [piece async for piece in wrapper.create_stream(ASK)]
    assert result.content == "a"
    assert words == ["b ", "c"] and isinstance(last, CreateResult)
    assert model.calls[0].tool_choice == "none"
    assert model.calls[0].extra_create_args == {"seed": 1}
    assert wrapper.model_info is model.model_info
    assert wrapper.actual_usage() == wrapper.total_usage() == model.actual_usage()
    assert wrapper.count_tokens(ASK) == model.count_tokens(ASK)
    assert wrapper.remaining_tokens(ASK) == model.remaining_tokens(ASK)
    await wrapper.close()


async def test_the_view_of_an_agent_is_wrapped_alike_and_shares_what_the_wrapper_keeps() -> None:
    wrapper = Shouting(ScriptedModel({"ann": ["a"], "bob": ["b"]}))
    bob = wrapper.for_agent("bob")
    assert (await bob.create(ASK)).content == "B"
    assert (await wrapper.for_agent("ann").create(ASK)).content == "A"
    assert wrapper.seen == ["b", "a"]


def test_a_client_that_is_the_same_for_all_agents_is_not_wrapped_again() -> None:
    class Plain(ScriptedModel):
        def for_agent(self, name: str) -> "Plain":
            return self

    wrapper = ModelWrapper(Plain(["a"]))
    assert wrapper.for_agent("ann") is wrapper
