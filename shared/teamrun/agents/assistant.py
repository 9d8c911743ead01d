"""An agent that answers with a model and tools.

One turn: add new messages, query the memories, call the model; execute the tools that it requests
and call it again, up to `max_tool_iterations` times; then answer with the model's text, with
a handover, with a reflection on the results, or with the results themselves.
"""

import copy
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import BaseModel

from teamrun import messages
from teamrun.agents.assistant_checks import (
    DEFAULT_REPAIRS,
    ImagelessView,
    checked_content_type,
    checked_iterations,
    checked_memory,
    checked_model,
    checked_workbenches,
)
from teamrun.agents.assistant_turn import TurnUnderWay
from teamrun.agents.base import BaseChatAgent
from teamrun.agents.copies import Leaves
from teamrun.agents.handoff import Handoff, handoffs_by_name
from teamrun.agents.tool_list import ToolList
from teamrun.agents.tool_results import SummaryFormatter, handoff_message, summary_message
from teamrun.agents.toolset import AnyTool, Toolset, as_tools
from teamrun.context.base import ChatCompletionContext, added
from teamrun.context.unbounded import UnboundedChatCompletionContext, known_messages
from teamrun.core.agent_state import AgentState
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_count
from teamrun.core.cooperation import yield_to_loop
from teamrun.core.emission import Emit, ignore, streamed
from teamrun.core.overriding import is_replaced
from teamrun.core.protocols import AnyMessage, Response
from teamrun.core.readable import readable
from teamrun.core.saved import Loading, check_version, load_all, saved_value
from teamrun.errors import UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.chat import (
    BaseChatMessage,
    HandoffMessage,
    StructuredMessage,
    TextMessage,
    ToolCallSummaryMessage,
)
from teamrun.messages.events import (
    ModelClientStreamingChunkEvent,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from teamrun.messages.llm import (
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    LLMMessage,
)
from teamrun.messages.made import (
    checked_answer,
    extended,
    instructions,
    made_answer,
    made_message,
    made_results,
)
from teamrun.messages.origin import new_id
from teamrun.messages.path import mark_inside
from teamrun.models.base import ChatCompletionClient, ToolChoice
from teamrun.tools.approval import without_terminal
from teamrun.tools.base import Tool
from teamrun.tools.workbench import Workbench

if TYPE_CHECKING:
    from teamrun.memory.base import Memory, UpdateContextResult

__all__ = ["AssistantAgent"]

# A yield in each round would add 6 us to 35 (scripted model, instant tool).
_ROUNDS_BETWEEN_YIELDS = 16

_RUNNING, _COMPLETED, _ERROR = AgentState.RUNNING, AgentState.COMPLETED, AgentState.ERROR


class AssistantAgent(BaseChatAgent):
    """An agent that answers with a model and tools.

    Args:
        name: A Python identifier, unique in a team.
        model_client: The model.
        tools: Tools and functions; a function's docstring describes it to the model.
        workbench: One or more sets of tools, in place of `tools`.
        handoffs: Agents that the model may hand over to, by name or as `Handoff`.
        model_context: The conversation, and the part of it that the model sees;
            by default all of it.
        description: The agent's purpose, as other agents and selecting models read it.
        system_message: Instructions for the model; None omits them.
        model_client_stream: Yield the model's text in chunks as they arrive.
        reflect_on_tool_use: After the last tool calls, let the model answer with their results
            visible, without tools. By default, only if `output_content_type` is set.
            Otherwise, or if the model requests tools again, the answer is a summary of the results.
        max_tool_iterations: Maximum number of rounds of tool calls in one turn.
        tool_call_summary_format: Writes one result in the summary, with `{tool_name}`,
            `{arguments}`, `{result}` and `{is_error}`.
        tool_call_summary_formatter: A function that does it in place of the format.
        output_content_type: A pydantic class; the model answers in JSON that fits it, and the
            agent with a `StructuredMessage` of it.
        output_content_type_format: How such a message is written as text, with its fields as
            `{names}`.
        output_repairs: How often the model may correct an answer that does not fit the class.
        memory: Asked on every turn.
        metadata: The user's annotations.
        tool_choice: `required` and a tool's schema apply to the first model call of a turn.
        max_tool_use_attempts: Another name for `max_tool_iterations`.

    Raises:
        ValueError: The arguments contradict each other.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        name: str,
        model_client: ChatCompletionClient,
        *,
        tools: Sequence[AnyTool] | None = None,
        workbench: Workbench | Sequence[Workbench] | None = None,
        handoffs: Sequence[Handoff | str] | None = None,
        model_context: ChatCompletionContext | None = None,
        description: str = ("An agent that provides assistance with ability to use tools."),
        system_message: str | None = (
            "You are a helpful AI assistant. Solve tasks using your tools. "
            "Reply with TERMINATE when the task has been completed."
        ),
        model_client_stream: bool = False,
        reflect_on_tool_use: bool | None = None,
        max_tool_iterations: int = 1,
        tool_call_summary_format: str = "{result}",
        tool_call_summary_formatter: SummaryFormatter | None = None,
        output_content_type: type[BaseModel] | None = None,
        output_content_type_format: str | None = None,
        memory: "Sequence[Memory] | None" = None,
        metadata: Mapping[str, str] | None = None,
        tool_choice: ToolChoice = "auto",
        max_tool_use_attempts: int | None = None,
        output_repairs: int = DEFAULT_REPAIRS,
    ) -> None:
        super().__init__(name, description)
        self._model_client = checked_model(model_client, parameter="model_client")
        self._turn_began: int | None = None
        self._imageless = None if model_client.model_info["vision"] else ImagelessView()
        self._model_client_stream = model_client_stream
        self._model_context = model_context or UnboundedChatCompletionContext()
        self._system_messages: list[LLMMessage] = (
            [] if system_message is None else [instructions(system_message)]
        )
        self._memory = checked_memory(memory)
        self._metadata = dict(metadata or {})
        self._tools = as_tools(tools) if tools else []
        self._handoffs = handoffs_by_name(handoffs) if handoffs else {}
        self._workbenches = checked_workbenches(self._tools, workbench)
        self._toolset = Toolset(self._tools, self._workbenches, self._handoffs)
        self._check_tools(has_workbench=workbench is not None)
        self._tool_choice: ToolChoice = tool_choice
        self._max_tool_iterations = checked_iterations(max_tool_iterations, max_tool_use_attempts)
        self._reflect = (
            output_content_type is not None if reflect_on_tool_use is None else reflect_on_tool_use
        )
        self._summary_template = tool_call_summary_format
        self._summary_formatter = tool_call_summary_formatter
        self._output_content_type = checked_content_type(output_content_type)
        self._output_format = output_content_type_format
        self._output_repairs = checked_count(output_repairs, parameter="output_repairs", at_least=0)
        self._structured_message = (
            None if output_content_type is None else StructuredMessage[output_content_type]
        )

    def _replace_tools(self, tools: Sequence[AnyTool]) -> Sequence[Tool]:
        checked_workbenches(tools, self._workbenches or None)
        before, self._tools = self._tools, as_tools(tools)
        try:
            self._check_tools(has_workbench=bool(self._workbenches))
        except ValueError:
            self._tools = before
            raise
        self._toolset.replace(self._tools)
        return self._tools

    @readable
    def tools(self) -> ToolList:
        """The agent's own tools: a list that may be changed; its model sees it from the next call.

        The tools of a workbench are not in it.
        """
        return ToolList(self._tools, self._replace_tools)

    @readable
    def model_client(self) -> ChatCompletionClient:
        """The model."""
        return self._model_client

    @readable
    def system_message(self) -> str | None:
        """The instructions for the model."""
        return str(self._system_messages[0].content) if self._system_messages else None

    def add_instructions(self, text: str) -> bool:
        """Add a text to the system message."""
        self._system_messages = extended(self._system_messages, text)
        return True

    def _check_tools(self, *, has_workbench: bool) -> None:
        self._has_tools = bool(self._tools) or has_workbench
        if not self._tools and not self._handoffs:
            return
        callable_tools = self._model_client.model_info["function_calling"]
        if self._tools and not callable_tools:
            raise ValueError("The model does not support function calling.")
        if self._handoffs and not callable_tools:
            raise ValueError(
                "The model does not support function calling, which is needed for handoffs."
            )
        names = {tool.name for tool in self._tools}
        if not names.isdisjoint(self._handoffs):
            raise ValueError(
                "Handoff names must be unique from tool names. "
                f"Handoff names: {sorted(self._handoffs)}; tool names: {sorted(names)}"
            )
        targets = {handoff.target for handoff in self._handoffs.values()}
        if taken := sorted(names & targets):
            raise ValueError(
                "Handoff names must be unique from tool names. The handoff to "
                f"{taken[0]!r} has the name of a tool; give one of them another name."
            )

    @property
    def model_context(self) -> ChatCompletionContext:
        """The agent's conversation."""
        return self._model_context

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        types: list[type[BaseChatMessage]] = [self._structured_message or TextMessage]
        if self._has_tools:
            types.append(ToolCallSummaryMessage)
        if self._handoffs:
            types.append(HandoffMessage)
        return types

    def copy_for(self, path: str, leaves: Leaves) -> "AssistantAgent":
        """A copy with other leaves; it starts with the same conversation and is then independent.

        Raises:
            UsageError: The agent has memories or workbenches, of which there can be no copy.
        """
        if self._memory or self._workbenches:
            raise UsageError(f"Agent {self._name!r} has a memory or a workbench.")
        made = copy.copy(self)
        made._model_client = leaves.model(path, self._model_client.for_agent(self._name))
        made._model_context = self._model_context.copied()
        made._tools = as_tools([leaves.tool(path, without_terminal(each)) for each in self._tools])
        made._toolset = Toolset(made._tools, (), self._handoffs)
        return made

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Respond to the messages since the last call."""
        response = await self.on_messages_emit(messages, cancellation_token, ignore)
        assert response is not None  # a turn ends with one
        return response

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Respond to the messages since the last call; yields inner messages, the `Response` last.

        A turn that is interrupted, by an error, a cancellation or a caller that leaves, is undone:
        the model context is as before, and so are agents and teams among the tools. The same
        messages may be sent again.

        Raises:
            ModelError: The model failed permanently.
            RuntimeError: A stream ended without its result.
            asyncio.CancelledError: The token was cancelled.
        """
        work = partial(self._take_turn, messages, cancellation_token)
        async with aclosing(streamed(work)) as items:
            async for item in items:
                yield item

    def on_messages_emit(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None,
        emit: Emit[AnyMessage],
    ) -> "CoroutineType[Any, Any, Response | None]":
        """Do the same as `on_messages_stream` for a caller that awaits the response."""
        if is_replaced(self, "on_messages_stream", _STREAM):
            return super().on_messages_emit(messages, cancellation_token, emit)
        return self._take_turn(messages, cancellation_token, emit)

    async def _take_turn(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None,
        emit: Emit[AnyMessage],
    ) -> Response:
        turn = TurnUnderWay(cancellation_token, emit, [])
        mark = self._turn_began = self._model_context.mark()
        self._lifecycle = _RUNNING
        try:
            await self._receive(messages)
            for event in await self._recall(turn) if self._memory else ():
                await emit(event)
            while turn.response is None:
                if turn.rounds % _ROUNDS_BETWEEN_YIELDS == _ROUNDS_BETWEEN_YIELDS - 1:
                    await yield_to_loop()
                result = turn.result = checked_answer(await self._ask(turn))
                content = result.content
                if self._used_up(turn) and isinstance(content, list):
                    turn.response = await self._close(turn, result)
                    break
                if result.thought:
                    await turn.show(made_message(ThoughtEvent, result.thought, self._name))
                if isinstance(content, str):
                    turn.response = await self._answer(turn, result, content)
                else:
                    await self._use_tools(turn, result, content)
            self._lifecycle = _COMPLETED
        except Exception:
            self._lifecycle = _ERROR
            raise
        finally:
            self._turn_began = None
            self._toolset.end_turn() if turn.response else await self._undo_turn(mark)
        assert turn.response is not None  # the loop ends with one
        return turn.response

    async def _undo_turn(self, mark: int) -> None:
        self._model_context.rewind(mark)
        await self._toolset.undo_turn()

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Forget everything; agents and teams among the tools do as well."""
        await self._model_context.clear()
        await self._toolset.reset()

    async def save_state(self) -> JsonMapping:
        """The model context, and agents and teams among the tools, as JSON data.

        During a turn it is the state as of the turn's beginning.
        """
        mark = self._turn_began
        context = await (
            self._model_context.save_state()
            if mark is None
            else self._model_context.save_state_before(mark)
        )
        state = {"type": "AssistantAgentState", "version": "1.0.0", "llm_context": context}
        tools = await self._toolset.save_state()
        return {**state, "tools": tools} if tools else state

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`; AutoGen's states have no tools."""
        check_version(state)
        context, toolset = self._model_context, self._toolset
        conversation = saved_value(state, "llm_context", Mapping, "an object")
        await load_all(
            [
                Loading(context.save_state, context.load_state, conversation),
                Loading(toolset.save_state, toolset.load_state, state.get("tools", {})),
            ]
        )

    async def _receive(self, messages: Sequence[BaseChatMessage]) -> None:
        context = self._model_context
        for message in messages:
            if isinstance(message, HandoffMessage):
                for each in message.context:
                    await context.add_message(each)
            heard = message.to_model_message()
            if not added(context, heard):
                await context.add_message(heard)

    async def _recall(self, turn: TurnUnderWay) -> "Sequence[messages.MemoryQueryEvent]":
        events: list[messages.MemoryQueryEvent] = []
        for memory in self._memory:
            with cancelled_by(turn.token, "The query of a memory"):
                update = await memory.update_context(self._model_context)
            # A Memory of the user's own may return nothing.
            if found := cast("UpdateContextResult | None", update) and update.memories.results:
                events.append(messages.MemoryQueryEvent(content=found, source=self._name))
        turn.inner.extend(events)
        return events

    async def _ask(self, turn: TurnUnderWay) -> CreateResult:
        messages, arguments = await self._prompt(turn)
        if self._output_content_type is not None:
            return await self._ask_in_form(turn, messages, arguments)
        return await self._create(turn, messages, arguments)

    async def _create(
        self, turn: TurnUnderWay, messages: list[LLMMessage], arguments: JsonObject
    ) -> CreateResult:
        if self._model_client_stream and not turn.repairs:
            return await self._ask_in_chunks(turn, messages, arguments)
        with cancelled_by(turn.token, "The model call"):
            return await self._model_client.create(messages, **arguments)

    async def _ask_in_form(
        self, turn: TurnUnderWay, messages: list[LLMMessage], arguments: JsonObject
    ) -> CreateResult:
        # Imported late, here and below: few agents answer in a form.
        from teamrun.models.structured_call import structured_call

        assert self._output_content_type is not None, "the answer has a form"
        info = self._model_client.model_info
        call = structured_call(self._output_content_type, info, messages, arguments)
        return call.read(await self._create(turn, call.messages, call.arguments))

    async def _ask_again(self, turn: TurnUnderWay, more: list[LLMMessage]) -> CreateResult:
        """Let the model correct its answer, without tools; what it corrects is not remembered."""
        turn.repairs += 1
        turn.message_id = ""  # the chunks were those of another text
        messages, arguments = await self._prompt(turn)
        arguments["tool_choice"] = "none"
        return checked_answer(await self._ask_in_form(turn, [*messages, *more], arguments))

    async def _ask_in_chunks(
        self, turn: TurnUnderWay, messages: list[LLMMessage], arguments: JsonObject
    ) -> CreateResult:
        turn.message_id = new_id()
        result: CreateResult | None = None
        async with aclosing(self._model_client.create_stream(messages, **arguments)) as stream:
            while True:
                with cancelled_by(turn.token, "The model call"):
                    item = await anext(stream, None)
                if item is None:
                    break
                if isinstance(item, CreateResult):
                    result = item
                else:
                    chunk = ModelClientStreamingChunkEvent(
                        content=item, source=self._name, full_message_id=turn.message_id
                    )
                    await turn.emit(chunk)
        if result is None:
            raise RuntimeError("No final model result in streaming mode.")
        return result

    async def _prompt(self, turn: TurnUnderWay) -> tuple[list[LLMMessage], JsonObject]:
        said = known_messages(self._model_context)
        if said is None:
            said = await self._model_context.get_messages()
        messages = [*self._system_messages, *said]
        if self._imageless is not None:
            messages = self._imageless.of(messages)
        arguments: JsonObject = {"cancellation_token": turn.token}
        tools = self._toolset.known_schemas
        arguments["tools"] = tools = await self._toolset.schemas() if tools is None else tools
        if self._used_up(turn):  # with the tools: servers refuse calls in the history without them
            arguments["tool_choice"] = "none"
            return messages, arguments
        choice = self._tool_choice
        if tools and choice != "auto" and (choice == "none" or not turn.rounds):
            arguments["tool_choice"] = choice
        return messages, arguments

    def _used_up(self, turn: TurnUnderWay) -> bool:
        """Whether no more tool calls are allowed: the next call is the reflection."""
        return turn.rounds == self._max_tool_iterations

    async def _answer(self, turn: TurnUnderWay, result: CreateResult, text: str) -> Response:
        message: BaseChatMessage
        if self._output_content_type is None or self._structured_message is None:
            answer = made_answer(result, self._name)
            if not added(self._model_context, answer):
                await self._model_context.add_message(answer)
            message = made_message(
                TextMessage, text, self._name, result.usage, message_id=turn.message_id
            )
        else:
            from teamrun.agents.structured_answers import fitting_answer

            fitting = await fitting_answer(
                self._output_content_type,
                result,
                partial(self._ask_again, turn),
                agent=self._name,
                repairs=self._output_repairs,
            )
            await self._model_context.add_message(made_answer(fitting.result, self._name))
            message = self._structured_message(
                id=turn.message_id or new_id(),
                content=fitting.content,
                source=self._name,
                models_usage=fitting.result.usage,
                format_string=self._output_format,
            )
        return Response(chat_message=message, inner_messages=turn.inner)

    async def _use_tools(
        self, turn: TurnUnderWay, result: CreateResult, calls: list[FunctionCall]
    ) -> None:
        context, answer = self._model_context, made_answer(result, self._name)
        if not added(context, answer):
            await context.add_message(answer)
        await turn.show(made_message(ToolCallRequestEvent, calls, self._name, result.usage))
        results: list[FunctionExecutionResult] = []
        if self._toolset.reports(calls):
            reports = self._toolset.execute_reporting(calls, turn.token, results)
            async with aclosing(reports) as events:
                async for event in events:
                    mark_inside(event, self._name)
                    await turn.show(event)
        else:
            results = await self._toolset.execute(calls, turn.token)
        execution = made_message(ToolCallExecutionEvent, results, self._name)
        returned = made_results(results)
        if not added(context, returned):
            await context.add_message(returned)
        await turn.show(execution)
        turn.rounds += 1
        turn.calls, turn.results = calls, results
        turn.response = self._conclude(turn, result.thought)

    def _conclude(self, turn: TurnUnderWay, thought: str | None) -> Response | None:
        """The end of the turn after tool results, or None if the model is called again."""
        message: BaseChatMessage | None = None
        if self._handoffs:
            message = handoff_message(
                turn.calls,
                turn.results,
                handoffs=self._handoffs,
                source=self._name,
                thought=thought,
                provider_data=turn.result.provider_data,
            )
        if message is None and self._used_up(turn):
            if self._reflect:
                return None
            message = self._summary(turn)
        return (
            None if message is None else Response(chat_message=message, inner_messages=turn.inner)
        )

    async def _close(self, turn: TurnUnderWay, result: CreateResult) -> Response:
        """End a turn whose reflection requested more tools, which are not executed.

        The tools before it have had their effects: so the answer is the text beside the request,
        or the summary of the results when there is none that fits the output type.
        """
        text = result.thought or ""
        if text and self._fits_output_type(text):
            said = result.model_copy(update={"content": text, "thought": None})
            return await self._answer(turn, said, text)
        summary = self._summary(turn)
        summary.models_usage = result.usage
        return Response(chat_message=summary, inner_messages=turn.inner)

    def _fits_output_type(self, text: str) -> bool:
        if self._output_content_type is None:
            return True
        from teamrun.agents.structured_answers import fits

        return fits(self._output_content_type, text)

    def _summary(self, turn: TurnUnderWay) -> ToolCallSummaryMessage:
        return summary_message(
            turn.calls,
            turn.results,
            formatter=self._summary_formatter,
            template=self._summary_template,
            source=self._name,
        )


_STREAM: Final = AssistantAgent.on_messages_stream
