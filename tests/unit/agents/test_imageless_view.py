"""The conversation as a model without vision sees it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from teamrun.agents.assistant_checks import ImagelessView
from teamrun.messages import Image, LLMMessage, UserMessage

PICTURE = Image.from_bytes(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
)


class Watched(UserMessage):
    """Counts how often its content is read."""

    reads: int = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "content":
            self.reads += 1
        return super().__getattribute__(name)


def test_of_a_conversation_that_grows_each_message_is_examined_once() -> None:
    view, messages = ImagelessView(), list[LLMMessage]()
    watched = Watched(content="a", source="u")
    messages.append(watched)
    view.of(messages)
    once = watched.reads
    for _ in range(20):
        messages.append(UserMessage(content="b", source="u"))
        assert view.of([*messages]) == messages
    assert watched.reads == once


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text", "image", "drop first", "drop last", "replace"]),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_what_is_shown_depends_on_the_messages_alone(steps: list[tuple[str, int]]) -> None:
    view, messages = ImagelessView(), list[LLMMessage]()
    for step, place in steps:
        match step:
            case "text":
                messages.append(UserMessage(content=str(len(messages)), source="u"))
            case "image":
                messages.append(UserMessage(content=["see", PICTURE], source="u"))
            case "drop first":
                del messages[:1]
            case "drop last":
                del messages[-1:]
            case _:
                messages[place : place + 1] = [UserMessage(content=["new", PICTURE], source="u")]
        shown = view.of(messages)
        assert shown == ImagelessView().of(messages)
        assert all(isinstance(message.content, str) for message in shown)
