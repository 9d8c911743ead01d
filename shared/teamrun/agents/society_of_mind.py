"""An agent that is a team inside: a model answers with what the team said."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from teamrun.agents.assistant_checks import checked_model
from teamrun.agents.base import BaseChatAgent, last_response
from teamrun.context.base import ChatCompletionContext
from teamrun.context.unbounded import UnboundedChatCompletionContext
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.protocols import AnyMessage, Response, TaskResult, Team
from teamrun.core.saved import Loading, check_version, damaged, load_all
from teamrun.errors import ModelError
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage, HandoffMessage, TextMessage
from teamrun.messages.events import ModelClientStreamingChunkEvent
from teamrun.messages.llm import LLMMessage, UserMessage
from teamrun.messages.made import checked_answer, instructions
from teamrun.messages.path import mark_inside
from teamrun.models.base import ChatCompletionClient

__all__ = ["SocietyOfMindAgent"]

_NOTHING: Final[JsonMapping] = {}


class SocietyOfMindAgent(BaseChatAgent):
    """An agent that lets a team work and answers for it.

    In each turn the team works on the new messages. Then the model reads the messages of the team
    and writes the answer. The team is reset after each turn; earlier messages to the agent are
    repeated to it in the next one.

    Other participants receive the answer alone. The messages of the team are streamed.

    A turn that is interrupted is undone: the team has the state that it had before.

    Args:
        name: A Python identifier, unique in a team.
        team: The team inside.
        model_client: The model that writes the answer.
        description: The agent's purpose.
        instruction: Told to the model before the messages of the team.
        response_prompt: Told to the model after them.
        model_context: The messages to the agent; by default all of them are kept.

    Raises:
        TypeError: `model_client` is no model client.
    """

    DEFAULT_INSTRUCTION = (
        "Earlier you were asked to fulfill a request. You and your team worked diligently to "
        "address that request. Here is a transcript of that conversation:"
    )
    DEFAULT_RESPONSE_PROMPT = (
        "Output a standalone response to the original request, without mentioning any of the "
        "intermediate discussion."
    )
    DEFAULT_DESCRIPTION = "An agent that uses an inner team of agents to generate responses."

    def __init__(
        self,
        name: str,
        team: Team,
        model_client: ChatCompletionClient,
        *,
        description: str = DEFAULT_DESCRIPTION,
        instruction: str = DEFAULT_INSTRUCTION,
        response_prompt: str = DEFAULT_RESPONSE_PROMPT,
        model_context: ChatCompletionContext | None = None,
    ) -> None:
        super().__init__(name, description)
        self._team = team
        self._model_client = checked_model(model_client, parameter="model_client")
        self._instruction = instruction
        self._response_prompt = response_prompt
        self._model_context = model_context or UnboundedChatCompletionContext()
        self._before: JsonMapping | None = None

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        return (TextMessage,)

    @property
    def model_context(self) -> ChatCompletionContext:
        """The messages to the agent."""
        return self._model_context

    @property
    def team(self) -> Team:
        """The team inside."""
        return self._team

    @property
    def model_client(self) -> ChatCompletionClient:
        """The model that writes the answer."""
        return self._model_client

    def copy_with(self, team: Team, model_client: ChatCompletionClient) -> "SocietyOfMindAgent":
        """A copy around another team; it starts with the same conversation."""
        return SocietyOfMindAgent(
            self._name,
            team,
            model_client,
            description=self._description,
            instruction=self._instruction,
            response_prompt=self._response_prompt,
            model_context=self._model_context.copied(),
        )

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Let the team work, and answer."""
        return await last_response(self.on_messages_stream(messages, cancellation_token))

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Let the team work, and answer; yields the messages of the team, the `Response` last.

        Raises:
            ModelError: The model failed, or requested tools.
            asyncio.CancelledError: The token was cancelled.
        """
        before = self._before = await self._team.save_state()
        said: list[BaseChatMessage] = []
        is_silent, is_over = True, False
        try:
            task = [*await self._earlier(), *messages]
            stream = self._team.run_stream(
                task or None, cancellation_token=cancellation_token, output_task_messages=False
            )
            async with aclosing(stream) as items:
                async for item in items:
                    if isinstance(item, TaskResult):
                        continue
                    mark_inside(item, self._name, self._team.name)
                    yield item
                    if isinstance(item, ModelClientStreamingChunkEvent):
                        continue
                    is_silent = False
                    said += [item] if isinstance(item, BaseChatMessage) else []
            answer = (
                TextMessage(content="No response.", source=self._name)
                if is_silent
                else await self._answer(said, cancellation_token)
            )
            is_over = True
        finally:
            self._before = None
            await self._team.reset()
            if not is_over:
                await self._team.load_state(before)
        await self._remember(messages)
        yield Response(chat_message=answer, inner_messages=[])

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Forget everything; the team does as well."""
        await self._team.reset()
        await self._model_context.clear()

    async def save_state(self) -> JsonMapping:
        """The state of the team and the messages to the agent, as JSON data.

        During a turn it is the state as of the turn's beginning.
        """
        team = await self._team.save_state() if self._before is None else self._before
        context = await self._model_context.save_state()
        state = {
            "type": "SocietyOfMindAgentState",
            "version": "1.0.0",
            "inner_team_state": dict(team),
        }
        return {**state, "llm_context": context} if context.get("messages") else state

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`; AutoGen's states have no messages."""
        check_version(state)
        team, context = self._team, self._model_context
        if "inner_team_state" not in state:
            raise damaged("inner_team_state", "is missing")
        earlier = state.get("llm_context", {"messages": []})
        await load_all(
            [
                Loading(context.save_state, context.load_state, earlier),
                Loading(team.save_state, team.load_state, state["inner_team_state"] or _NOTHING),
            ]
        )

    async def close(self) -> None:
        """Release the resources of its model."""
        await self._model_client.close()

    async def _earlier(self) -> list[BaseChatMessage]:
        """The earlier messages to the agent, in a message that carries a conversation."""
        known = await self._model_context.get_messages()
        if not known:
            return []
        content = "relevant previous messages"
        return [HandoffMessage(content=content, source=self._name, target="", context=list(known))]

    async def _answer(
        self, said: Sequence[BaseChatMessage], token: CancellationToken | None
    ) -> TextMessage:
        messages = [
            self._told(self._instruction),
            *(message.to_model_message() for message in said),
            self._told(self._response_prompt),
        ]
        with cancelled_by(token, "The model call"):
            result = checked_answer(
                await self._model_client.create(messages, cancellation_token=token)
            )
        if not isinstance(result.content, str):
            names = [call.name for call in result.content]
            raise ModelError(
                f"The model of agent {self._name!r} requested tools, {names}, but it has none; "
                "it writes the answer of the team.",
                retryable=True,
            )
        return TextMessage(content=result.content, source=self._name, models_usage=result.usage)

    def _told(self, text: str) -> LLMMessage:
        if self._model_client.model_info.get("multiple_system_messages", False):
            return instructions(text)
        return UserMessage(content=text, source="user")

    async def _remember(self, messages: Sequence[BaseChatMessage]) -> None:
        add = self._model_context.add_message
        for message in messages:
            if isinstance(message, HandoffMessage):
                for earlier in message.context:
                    await add(earlier)
            await add(message.to_model_message())
