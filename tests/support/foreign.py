"""Foreign code: a model client and an agent with answers of a test."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from teamrun.agents import BaseChatAgent
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import Response
from teamrun.messages import BaseChatMessage, TextMessage
from teamrun.messages.events import ThoughtEvent
from teamrun.messages.llm import CreateResult, LLMMessage, RequestUsage, UserMessage
from teamrun.models.base import ChatCompletionClient, ModelInfo

__all__ = ["FreeModel", "Speaker", "answer", "halves"]

_INFO = ModelInfo(
    vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True
)

Answer = Callable[[Sequence[LLMMessage]], CreateResult]


def answer(content: Any, **fields: Any) -> CreateResult:
    """An answer that nothing has checked, as a client of one's own may make it."""
    usage = RequestUsage(prompt_tokens=1, completion_tokens=1)
    given: dict[str, Any] = {"finish_reason": "stop", "usage": usage, **fields}
    return CreateResult.model_construct(content=content, **given)


def halves(text: str) -> list[str]:
    """The UTF-16 units of a text, each as a piece: pairs are split over two."""
    units = text.encode("utf-16-le", "surrogatepass")
    return [chr(int.from_bytes(units[n : n + 2], "little")) for n in range(0, len(units), 2)]


class FreeModel(ChatCompletionClient):
    """Answers with the value of a function; streams its text unit by unit."""

    def __init__(self, answers: Answer) -> None:
        self._answers = answers
        self.asked = 0

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        self.asked += 1
        return self._answers(messages)

    async def create_stream(
        self, messages: Sequence[LLMMessage], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.asked += 1
        result = self._answers(messages)
        if isinstance(result.content, str):
            for piece in halves(result.content):
                yield piece
        yield result

    @property
    def model_info(self) -> ModelInfo:
        return _INFO


class Speaker(BaseChatAgent):
    """Calls its model, answers with its text, and keeps it."""

    def __init__(
        self, name: str, model_client: ChatCompletionClient, description: str = "Speaks."
    ) -> None:
        super().__init__(name, description)
        self._model = model_client
        self._said: list[str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        result = await self._model.create([UserMessage(content="?", source=self.name)])
        text = str(result.content)
        self._said.append(text)
        said = TextMessage(source=self.name, content=text, metadata={text: text})
        thought = ThoughtEvent(source=self.name, content=text)
        return Response(chat_message=said, inner_messages=[thought])

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self._said.clear()

    async def save_state(self) -> Mapping[str, Any]:
        return {"said": self._said}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self._said = list(state["said"])
