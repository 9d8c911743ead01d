"""An agent that executes code: that of others, or that of its own model."""

import inspect
import re
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from types import CoroutineType
from typing import Any, ClassVar, Final, TypeAlias, cast

from pydantic import BaseModel

from teamrun.agents.assistant_checks import ImagelessView, checked_model
from teamrun.agents.base import BaseChatAgent, last_response
from teamrun.code.base import CodeExecutor
from teamrun.context.base import ChatCompletionContext
from teamrun.context.unbounded import UnboundedChatCompletionContext
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.core.checks import checked_count, checked_instance
from teamrun.core.emission import Emit, streamed
from teamrun.core.overriding import is_replaced
from teamrun.core.protocols import AnyMessage, Response
from teamrun.core.saved import check_version
from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping
from teamrun.messages.chat import BaseChatMessage, HandoffMessage, TextMessage
from teamrun.messages.code import CodeBlock, CodeExecutionEvent, CodeGenerationEvent, CodeResult
from teamrun.messages.events import ModelClientStreamingChunkEvent, ThoughtEvent
from teamrun.messages.llm import CreateResult, LLMMessage, UserMessage
from teamrun.messages.made import checked_answer, extended, instructions, made_answer, made_message
from teamrun.messages.origin import new_id
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.threads import run_in_thread

__all__ = ["ApprovalFuncType", "ApprovalRequest", "ApprovalResponse", "CodeExecutorAgent"]


class ApprovalRequest(BaseModel, defer_build=True):
    """The question whether code may be executed."""

    code: str
    """All blocks, in Markdown."""
    context: list[LLMMessage]
    """The conversation before it."""


class ApprovalResponse(BaseModel, defer_build=True):
    """The answer to it."""

    approved: bool
    reason: str


class RetryDecision(BaseModel, defer_build=True):
    """The model's answer to the question whether to correct its code."""

    reason: str
    retry: bool


ApprovalFuncType: TypeAlias = (
    Callable[[ApprovalRequest], ApprovalResponse]
    | Callable[[ApprovalRequest], Awaitable[ApprovalResponse]]
)
"""Decides whether code may be executed. A function that is not async is called in a thread."""

_NO_OUTPUT: Final = (
    "The script ran but produced no output to console. The POSIX exit code was: {}. If you were "
    "expecting output, consider revising the script to ensure content is printed to stdout."
)
_FAILED: Final = (
    "The script ran, then exited with an error (POSIX exit code: {})\nIts output was:\n{}"
)
_RETRY: Final = (
    "The most recent code execution resulted in an error:\n{}\n\n"
    "Should we attempt to resolve it? Please respond with:\n"
    "- A boolean value for 'retry' indicating whether it should be retried.\n"
    "- A detailed explanation in 'reason' that identifies the issue, justifies your decision to "
    "retry or not, and outlines how you would resolve the error if a retry is attempted."
)


class CodeExecutorAgent(BaseChatAgent):
    """An agent that executes code.

    Without a model it executes the Markdown code blocks of the messages to it and answers with
    their output. With a model, the model writes the code, the agent executes it, and the model
    answers with the output visible.

    A turn that is interrupted is undone in the agent's conversation; what its code has done is not.

    Args:
        name: A Python identifier, unique in a team.
        code_executor: Executes the code.
        model_client: Writes the code.
        model_context: The conversation of the model; by default all of it.
        model_client_stream: Yield the model's text in chunks as they arrive.
        max_retries_on_error: How many times the model may correct code that fails.
        description: The agent's purpose.
        system_message: Instructions for the model; None omits them.
        sources: Whose messages are searched for code; by default everyone's.
        supported_languages: The languages of blocks that are executed; by default Python and sh.
        approval_func: Asked before each execution.
        code_execution_config: In place of `code_executor`: `work_dir` and `timeout` (seconds) of a
            `LocalCommandLineCodeExecutor`.

    Raises:
        UsageError: `code_execution_config` asks for Docker, or has another key.
        ValueError: Retries need a model with structured output.
        TypeError: An argument is of the wrong type.
    """

    DEFAULT_TERMINAL_DESCRIPTION = (
        "A computer terminal that performs no other action than running Python scripts (provided "
        "to it quoted in ```python code blocks), or sh shell scripts (provided to it quoted in "
        "```sh code blocks)."
    )
    DEFAULT_AGENT_DESCRIPTION = (
        "A Code Execution Agent that generates and executes Python and shell scripts based on user "
        "instructions. It ensures correctness, efficiency, and minimal errors while gracefully "
        "handling edge cases."
    )
    DEFAULT_SYSTEM_MESSAGE = (
        "You are a Code Execution Agent. Your role is to generate and execute Python code and "
        "shell scripts based on user instructions, ensuring correctness, efficiency, and minimal "
        "errors. Handle edge cases gracefully. Python code should be provided in ```python code "
        "blocks, and sh shell scripts should be provided in ```sh code blocks for execution."
    )
    NO_CODE_BLOCKS_FOUND_MESSAGE = (
        "No code blocks found in the thread. Please provide at least one markdown-encoded code "
        "block to execute (i.e., quoting code in ```python or ```sh code blocks)."
    )
    DEFAULT_SUPPORTED_LANGUAGES: ClassVar[Sequence[str]] = ["python", "sh"]

    def __init__(
        self,
        name: str,
        code_executor: CodeExecutor | None = None,
        *,
        model_client: ChatCompletionClient | None = None,
        model_context: ChatCompletionContext | None = None,
        model_client_stream: bool = False,
        max_retries_on_error: int = 0,
        description: str | None = None,
        system_message: str | None = DEFAULT_SYSTEM_MESSAGE,
        sources: Sequence[str] | None = None,
        supported_languages: Sequence[str] | None = None,
        approval_func: ApprovalFuncType | None = None,
        code_execution_config: JsonMapping | None = None,
    ) -> None:
        if code_executor is None and code_execution_config is not None:
            code_executor = _configured(code_execution_config)
        usual = (
            self.DEFAULT_TERMINAL_DESCRIPTION
            if model_client is None
            else self.DEFAULT_AGENT_DESCRIPTION
        )
        super().__init__(name, usual if description is None else description)
        expected = "a CodeExecutor, such as LocalCommandLineCodeExecutor()"
        self._code_executor: CodeExecutor = checked_instance(
            code_executor, CodeExecutor, parameter="code_executor", expected=expected
        )
        if approval_func is None and not self._code_executor.asks:
            warnings.warn(
                "No approval function set for CodeExecutorAgent. This means code will be executed "
                "automatically without human oversight. For security, consider setting an "
                "approval_func to review and approve code before execution. See the "
                "CodeExecutorAgent documentation for examples of approval functions.",
                UserWarning,
                stacklevel=2,
            )
        self._approval_func = approval_func
        self._model_client = (
            None if model_client is None else checked_model(model_client, parameter="model_client")
        )
        self._imageless = (
            None if model_client is None or model_client.model_info["vision"] else ImagelessView()
        )
        self._model_context = model_context or UnboundedChatCompletionContext()
        self._model_client_stream = model_client_stream
        self._max_retries_on_error = checked_count(
            max_retries_on_error, parameter="max_retries_on_error", at_least=0
        )
        self._check_retries()
        self._system_messages: list[LLMMessage] = (
            [] if system_message is None else [instructions(system_message)]
        )
        self._sources = None if sources is None else list(sources)
        languages = supported_languages or self.DEFAULT_SUPPORTED_LANGUAGES
        self._supported_languages = list(languages)
        known = "|".join(map(re.escape, languages))
        self._opening = re.compile(rf"```\s*({known})\n", re.IGNORECASE)
        self._turn_began: int | None = None

    def _check_retries(self) -> None:
        if self._max_retries_on_error == 0:
            return
        if self._model_client is None:
            raise ValueError(
                "model_client.model_info must be provided when max_retries_on_error > 0"
            )
        if not self._model_client.model_info["structured_output"]:
            raise ValueError("Specified model_client doesn't support structured output mode.")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The classes that its chat messages may have."""
        return (TextMessage,)

    @property
    def model_context(self) -> ChatCompletionContext:
        """The conversation of the model."""
        return self._model_context

    def add_instructions(self, text: str) -> bool:
        """Add a text to the system message, if there is a model."""
        if self._model_client is not None:
            self._system_messages = extended(self._system_messages, text)
        return self._model_client is not None

    async def on_messages(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> Response:
        """Execute code, and answer."""
        return await last_response(self.on_messages_stream(messages, cancellation_token))

    async def on_messages_stream(
        self,
        messages: Sequence[BaseChatMessage],
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[AnyMessage | Response, None]:
        """Execute code, and answer; yields code and its results as events, the `Response` last.

        Raises:
            ModelError: The model failed, requested tools, or gave no decision on a retry.
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

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Forget the conversation; AutoGen keeps it."""
        await self._model_context.clear()

    async def save_state(self) -> JsonMapping:
        """The conversation of the model; during a turn, as of its beginning. AutoGen saves none."""
        mark, context = self._turn_began, self._model_context
        saved = await (context.save_state() if mark is None else context.save_state_before(mark))
        return {"type": "CodeExecutorAgentState", "version": "1.0.0", "llm_context": saved}

    async def load_state(self, state: JsonMapping) -> None:
        """Continue from the result of `save_state`."""
        check_version(state)
        if (context := state.get("llm_context")) is not None:
            await self._model_context.load_state(context)

    async def extract_code_blocks_from_messages(
        self, messages: Sequence[BaseChatMessage]
    ) -> list[CodeBlock]:
        """The code blocks in the texts of the sources."""
        return [
            block
            for message in messages
            if isinstance(message, TextMessage)
            and (self._sources is None or message.source in self._sources)
            for block in self._blocks(message.content)
        ]

    async def execute_code_block(
        self, code_blocks: Sequence[CodeBlock], cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        """Execute blocks, if that is approved; the output says what a model needs to know."""
        if self._approval_func is not None:
            answer = await self._ask(code_blocks, cancellation_token)
            if not answer.approved:
                said = f"Code execution was not approved. Reason: {answer.reason}"
                return CodeResult(exit_code=1, output=said)
        with cancelled_by(cancellation_token, "The execution of code"):
            result = await self._code_executor.execute_code_blocks(code_blocks, cancellation_token)
        output = result.output
        if not output.strip():
            output = _NO_OUTPUT.format(result.exit_code)
        elif result.exit_code != 0:
            output = _FAILED.format(result.exit_code, output)
        return CodeResult(exit_code=result.exit_code, output=output)

    async def _executed(
        self, messages: Sequence[BaseChatMessage], token: CancellationToken | None
    ) -> Response:
        blocks = await self.extract_code_blocks_from_messages(messages)
        text = self.NO_CODE_BLOCKS_FOUND_MESSAGE
        if blocks:
            text = (await self.execute_code_block(blocks, token)).output
        return Response(chat_message=TextMessage(content=text, source=self._name))

    async def _take_turn(
        self,
        messages: Sequence[BaseChatMessage],
        token: CancellationToken | None,
        emit: Emit[AnyMessage],
    ) -> Response:
        if self._model_client is None:
            return await self._executed(messages, token)
        mark = self._turn_began = self._model_context.mark()
        try:
            await self._receive(messages)
            return await self._write_and_execute(self._model_client, token, emit)
        except BaseException:  # also of a caller that leaves
            self._model_context.rewind(mark)
            raise
        finally:
            self._turn_began = None

    async def _write_and_execute(
        self, model: ChatCompletionClient, token: CancellationToken | None, emit: Emit[AnyMessage]
    ) -> Response:
        name, thoughts = self._name, list[AnyMessage]()
        for attempt in range(self._max_retries_on_error + 1):
            answer = await self._called(model, token, emit, thoughts)
            blocks = self._blocks(answer.content)
            if not blocks:
                return Response(chat_message=answer, inner_messages=thoughts)
            code = CodeGenerationEvent(
                retry_attempt=attempt,
                content=answer.content,
                code_blocks=blocks,
                source=name,
                models_usage=answer.models_usage,
            )
            await emit(code)
            executed = await self.execute_code_block(blocks, token)
            await self._model_context.add_message(UserMessage(content=executed.output, source=name))
            await emit(CodeExecutionEvent(retry_attempt=attempt, result=executed, source=name))
            if executed.exit_code == 0 or attempt == self._max_retries_on_error:
                break
            decision = await self._decide(model, executed.output, token)
            if not decision.retry:
                break
            said = f"Attempt number: {attempt + 1}\nProposed correction: {decision.reason}"
            await emit(
                CodeGenerationEvent(
                    retry_attempt=attempt, content=said, code_blocks=[], source=name
                )
            )
        answer = await self._called(model, token, emit, thoughts)
        return Response(chat_message=answer, inner_messages=thoughts)

    async def _called(
        self,
        model: ChatCompletionClient,
        token: CancellationToken | None,
        emit: Emit[AnyMessage],
        thoughts: list[AnyMessage],
    ) -> TextMessage:
        """The model's next text; it is in the conversation, and its thought in `thoughts`."""
        messages, message_id = await self._prompt(), new_id()
        if self._model_client_stream:
            result = await self._streamed(model, messages, token, emit, message_id)
        else:
            with cancelled_by(token, "The model call"):
                result = await model.create(messages, cancellation_token=token)
        result = checked_answer(result)
        text = _text_of(result, self._name)
        if result.thought:
            thoughts.append(ThoughtEvent(content=result.thought, source=self._name))
            await emit(thoughts[-1])
        await self._model_context.add_message(made_answer(result, self._name))
        return made_message(TextMessage, text, self._name, result.usage, message_id=message_id)

    async def _streamed(
        self,
        model: ChatCompletionClient,
        messages: list[LLMMessage],
        token: CancellationToken | None,
        emit: Emit[AnyMessage],
        message_id: str,
    ) -> CreateResult:
        async with aclosing(model.create_stream(messages, cancellation_token=token)) as stream:
            while True:
                with cancelled_by(token, "The model call"):
                    item = await anext(stream, None)
                if isinstance(item, CreateResult):
                    return item
                if item is None:
                    raise RuntimeError("No final model result in streaming mode.")
                chunk = ModelClientStreamingChunkEvent(
                    content=item, source=self._name, full_message_id=message_id
                )
                await emit(chunk)

    async def _decide(
        self, model: ChatCompletionClient, output: str, token: CancellationToken | None
    ) -> RetryDecision:
        question = UserMessage(content=_RETRY.format(output), source=self._name)
        # AutoGen leaves out the system message here.
        messages = [*(await self._prompt())[len(self._system_messages) :], question]
        with cancelled_by(token, "The model call"):
            result = await model.create(
                messages, json_output=RetryDecision, cancellation_token=token
            )
        # Imported late: few coders try again.
        from teamrun.agents.structured_answers import read_content

        return read_content(RetryDecision, _text_of(result, self._name), agent=self._name)

    async def _prompt(self) -> list[LLMMessage]:
        messages = [*self._system_messages, *await self._model_context.get_messages()]
        return messages if self._imageless is None else self._imageless.of(messages)

    async def _ask(
        self, blocks: Sequence[CodeBlock], token: CancellationToken | None
    ) -> ApprovalResponse:
        code = "\n\n".join(f"```{block.language}\n{block.code}\n```" for block in blocks)
        context = await self._model_context.get_messages()
        request = ApprovalRequest.model_construct(code=code, context=list(context))
        approve: Callable[..., Any] = cast("Any", self._approval_func)
        with cancelled_by(token, "The approval of code"):
            if inspect.iscoroutinefunction(approve):
                return await approve(request)
            answer = await run_in_thread(partial(approve, request))
            return await answer if inspect.isawaitable(answer) else answer

    async def _receive(self, messages: Sequence[BaseChatMessage]) -> None:
        add = self._model_context.add_message
        for message in messages:
            if isinstance(message, HandoffMessage):
                for earlier in message.context:
                    await add(earlier)
            await add(message.to_model_message())

    def _blocks(self, text: str) -> list[CodeBlock]:
        blocks: list[CodeBlock] = []
        end = 0
        while (opening := self._opening.search(text, end)) is not None:
            end = text.find("```", opening.end())
            if end < 0:
                break
            blocks.append(CodeBlock(text[opening.end() : end], opening[1]))
            end += len("```")
        return blocks


def _configured(config: JsonMapping) -> CodeExecutor:
    """The executor that `code_execution_config` describes.

    Raises:
        UsageError: It asks for Docker, or has another key.
    """
    if unknown := sorted(config.keys() - {"work_dir", "timeout", "use_docker"}):
        raise UsageError(
            f"`code_execution_config` has no key {unknown[0]!r}; the keys are 'work_dir', "
            "'timeout' and 'use_docker'. Pass `code_executor` for anything else.",
            argument="code_execution_config",
        )
    if config.get("use_docker"):
        raise UsageError(
            "`use_docker` of `code_execution_config`: there is no executor in Docker. Pass False "
            "to execute code on this machine, or a CodeExecutor of your own as `code_executor`.",
            argument="code_execution_config",
        )
    from teamrun.code.local import LocalCommandLineCodeExecutor  # few agents are made so

    return LocalCommandLineCodeExecutor(
        timeout=config.get("timeout") or 60, work_dir=config.get("work_dir")
    )


def _text_of(result: CreateResult, agent: str) -> str:
    if not isinstance(result.content, str):
        names = [call.name for call in result.content]
        raise ModelError(
            f"The model of agent {agent!r} requested tools, {names}, but it has none; code is "
            "executed from its text.",
            retryable=True,
        )
    return result.content


_STREAM: Final = CodeExecutorAgent.on_messages_stream
