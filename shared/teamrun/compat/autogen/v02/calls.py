"""Conversations of 0.2, as dictionaries; calls of models and functions from synchronous code."""

import asyncio
import inspect
import json
import re
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from teamrun.compat.autogen.v02.configs import Config, unsupported
from teamrun.errors import ModelError
from teamrun.messages import (
    AssistantMessage,
    CodeBlock,
    CreateResult,
    FunctionCall,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from teamrun.models.base import ChatCompletionClient
from teamrun.tools.schema import ToolSchema

if TYPE_CHECKING:
    from teamrun.code import CodeExecutor

__all__ = ["Message", "answer", "called", "conversation", "executed", "wait_for"]

ResultT = TypeVar("ResultT")
_CODE: Final = re.compile(r"```[ \t]*(\w*)[ \t]*\r?\n(.*?)\n?```", re.DOTALL)
Message = dict[str, Any]
"""`role` and `content`; `name` of the speaker; `tool_calls` or `tool_responses`."""


def wait_for(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of a coroutine, also if a loop is running in this thread, as in a notebook."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:  # Ctrl-C too
        future.cancel()
        raise


@cache
def _loop() -> asyncio.AbstractEventLoop:
    # One for the process: the connections of model clients belong to the loop that opened them.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="autogen-02", daemon=True).start()
    return loop


def answer(
    clients: Sequence[ChatCompletionClient],
    messages: Sequence[LLMMessage],
    tools: Sequence[ToolSchema] = (),
) -> CreateResult:
    """The answer of the first client that does not fail.

    Raises:
        ModelError: The last one failed, too.
    """
    for client in clients[:-1]:
        try:
            return wait_for(client.create(messages, tools=tools))
        except ModelError:
            continue
    return wait_for(clients[-1].create(messages, tools=tools))


def conversation(
    messages: Sequence[Message], *, me: str, other: str, system_message: str
) -> list[LLMMessage]:
    """The conversation as a model reads it, from the side of the agent `me`."""
    start = [SystemMessage(content=system_message)] if system_message else []
    return [*start, *_turns(messages, me, other)]


def _turns(messages: Sequence[Message], me: str, other: str) -> Iterator[LLMMessage]:
    names: dict[str, str] = {}  # of the functions, by the ids of calls
    for message in messages:
        text = message.get("content") or ""
        name = message.get("name") or (me if message["role"] == "assistant" else other)
        if calls := message.get("tool_calls"):
            parts = [FunctionCall(call["id"], **call["function"]) for call in calls]
            names |= {part.id: part.name for part in parts}
            yield AssistantMessage(content=parts, thought=text or None, source=name)
        elif results := message.get("tool_responses"):
            yield FunctionExecutionResultMessage(
                content=[
                    FunctionExecutionResult(
                        content=each["content"],
                        call_id=each["tool_call_id"],
                        name=names.get(each["tool_call_id"], ""),
                    )
                    for each in results
                ]
            )
        elif message["role"] == "assistant":
            yield AssistantMessage(content=text, source=name)
        elif message["role"] == "system":
            yield SystemMessage(content=text)
        else:
            yield UserMessage(content=text, source=name)


def called(function: Callable[..., Any] | None, name: str, arguments: str) -> str:
    """The result of a function as text; a failure is the text that the model reads."""
    if function is None:
        return f"Error: Function {name} not found."
    try:
        given = json.loads(arguments or "{}")
    except json.JSONDecodeError as error:
        return f"Error: {error}\n The argument must be in JSON format."
    if not isinstance(given, Mapping):
        return "Error: The arguments must be a JSON object."
    # As AutoGen 0.2.40, also where messages are not printed.
    sys.stdout.write(f"\n>>>>>>>> EXECUTING FUNCTION {name}...\n")
    sys.stdout.flush()
    try:
        value = function(**given)
        return _text(wait_for(value) if inspect.iscoroutine(value) else value)
    except Exception as error:
        return f"Error: {error}"


def executed(text: str, config: Config) -> str | None:
    """The output of the code blocks of a message; None if it has none.

    The executor that is created is kept in `config`, so that all blocks share its folder.

    Raises:
        UsageError: `config` asks for Docker, as it does by default.
    """
    blocks = [CodeBlock(code, language or "python") for language, code in _CODE.findall(text)]
    if not blocks:
        return None
    result = wait_for(_executor(config).execute_code_blocks(blocks))
    outcome = "failed" if result.exit_code else "succeeded"
    return f"exitcode: {result.exit_code} (execution {outcome})\nCode output: {result.output}"


def check_execution(config: Config) -> None:
    """Refuse a `code_execution_config` that asks for Docker.

    Raises:
        UsageError: It has no `executor`, and `use_docker` is not False.
    """
    if config.get("executor") is None and config.get("use_docker") is not False:
        raise unsupported("Execution of code in Docker (code_execution_config)")


def _executor(config: Config) -> "CodeExecutor":
    check_execution(config)
    if config.get("executor") is not None:
        return config["executor"]
    from teamrun.code import LocalCommandLineCodeExecutor  # few scripts execute code

    config["executor"] = LocalCommandLineCodeExecutor(
        timeout=config.get("timeout") or 60, work_dir=config.get("work_dir")
    )
    return config["executor"]


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case BaseModel():
            return value.model_dump_json()
        case _:
            return json.dumps(value, default=str)
