"""An agent that executes code; the texts and the order are those of AutoGen 0.7.5."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from teamrun.agents import ApprovalRequest, ApprovalResponse, CodeExecutorAgent
from teamrun.code import CodeExecutionTool, CodeExecutor, ToolExecutor
from teamrun.core import CancellationToken
from teamrun.errors import ModelError, NotApproved, ToolError
from teamrun.messages import (
    CodeBlock,
    CodeExecutionEvent,
    CodeGenerationEvent,
    CodeResult,
    HandoffMessage,
    SystemMessage,
    TextMessage,
    UserMessage,
)
from teamrun.models import ModelInfo
from teamrun.teams import RoundRobinGroupChat
from teamrun.testing import ScriptedModel

pytestmark = pytest.mark.filterwarnings("ignore:No approval function")

CODE = "Look:\n```python\nprint(1)\n```\nand\n```SH\nls\n```"
FIRST = CodeBlock("print(1)\n", "python")


class Recorder(CodeExecutor):
    """Answers with the results it was given, the last one again and again."""

    def __init__(self, *results: tuple[int, str]) -> None:
        self._results = list(results or [(0, "1\n")])
        self.executed: list[CodeBlock] = []

    async def execute_code_blocks(
        self, code_blocks: Sequence[CodeBlock], cancellation_token: CancellationToken | None = None
    ) -> CodeResult:
        self.executed += code_blocks
        results = self._results
        return CodeResult(*(results.pop(0) if len(results) > 1 else results[0]))


def said(text: str = CODE, source: str = "user") -> TextMessage:
    return TextMessage(content=text, source=source)


def coder(
    *steps: Any, executor: CodeExecutor | None = None, **options: Any
) -> tuple[CodeExecutorAgent, ScriptedModel]:
    model = ScriptedModel(list(steps), record=True)
    agent = CodeExecutorAgent("coder", executor or Recorder(), model_client=model, **options)
    return agent, model


async def turn(agent: CodeExecutorAgent, *messages: Any) -> list[Any]:
    return [item async for item in agent.on_messages_stream(messages or [said("go")])]


@pytest.mark.behaviour("code_executor.without_model")
async def test_code_of_others_is_executed() -> None:
    executor = Recorder()
    agent = CodeExecutorAgent("terminal", executor)

    result = await RoundRobinGroupChat([agent], max_turns=1).run(task=CODE)

    assert executor.executed == [FIRST, CodeBlock("ls\n", "SH")]
    assert [m.to_text() for m in result.messages] == [CODE, "1\n"]
    assert agent.description.startswith("A computer terminal")
    assert agent.produced_message_types == (TextMessage,)


@pytest.mark.behaviour("code_executor.without_model")
@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no code", []),
        ("```\nprint(1)\n```", []),
        ("```ruby\nputs 1\n```", []),
        ("```python\nprint(1)", []),
        ("``` python\nprint(1)\n```", [FIRST]),
        ("```python\n```", [CodeBlock("", "python")]),
        ("```python\nprint(1)\n``````python\nprint(1)\n```", [FIRST, FIRST]),
    ],
)
async def test_blocks_are_found_in_markdown(text: str, blocks: list[CodeBlock]) -> None:
    agent = CodeExecutorAgent("terminal", Recorder())

    assert await agent.extract_code_blocks_from_messages([said(text)]) == blocks


@pytest.mark.behaviour("code_executor.without_model")
async def test_sources_and_languages_select_the_code() -> None:
    executor = Recorder()
    agent = CodeExecutorAgent(
        "terminal", executor, sources=["writer"], supported_languages=["ruby"]
    )

    response = await agent.on_messages([said("```ruby\n1\n```", "critic")])
    await agent.on_messages([said("```ruby\n2\n```", "writer"), said(source="writer")])

    assert response.chat_message.to_text() == CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE
    assert executor.executed == [CodeBlock("2\n", "ruby")]


@pytest.mark.behaviour("code_executor.texts")
@pytest.mark.parametrize(
    ("result", "output"),
    [
        (
            (0, " \n"),
            "The script ran but produced no output to console. The POSIX exit code was: 0. If you "
            "were expecting output, consider revising the script to ensure content is printed to "
            "stdout.",
        ),
        (
            (2, "bad"),
            "The script ran, then exited with an error (POSIX exit code: 2)\nIts output was:\nbad",
        ),
    ],
)
async def test_results_that_need_words_get_them(result: tuple[int, str], output: str) -> None:
    agent = CodeExecutorAgent("terminal", Recorder(result))

    response = await agent.on_messages([said()])

    assert response.chat_message.to_text() == output


@pytest.mark.behaviour("code_executor.with_model")
async def test_with_a_model_it_writes_executes_and_reflects() -> None:
    agent, model = coder({"content": CODE, "thought": "Hm"}, "It is one.")

    thought, written, executed, response = await turn(agent)

    assert thought.content == "Hm"
    assert isinstance(written, CodeGenerationEvent)
    assert (written.content, written.code_blocks[0], written.retry_attempt) == (CODE, FIRST, 0)
    assert isinstance(executed, CodeExecutionEvent)
    assert executed.result == CodeResult(0, "1\n")
    assert response.chat_message.to_text() == "It is one."
    assert response.inner_messages == [thought]
    assert [m.content for m in model.calls[1].messages] == [
        CodeExecutorAgent.DEFAULT_SYSTEM_MESSAGE,
        "go",
        CODE,
        "1\n",
    ]
    assert agent.description.startswith("A Code Execution Agent")


async def test_an_answer_without_code_is_the_answer() -> None:
    agent, _ = coder("Just words.", system_message=None)

    (response,) = await turn(agent)

    assert response.chat_message.to_text() == "Just words."


@pytest.mark.behaviour("code_executor.retries")
async def test_a_failure_is_corrected_as_the_model_decides() -> None:
    decisions: list[Any] = [
        {"content": {"reason": "a typo", "retry": True}},
        {"content": {"reason": "hopeless", "retry": False}},
    ]
    agent, model = coder(
        CODE, decisions[0], CODE, decisions[1], "Sorry.",
        executor=Recorder((1, "bad")), max_retries_on_error=5,
    )  # fmt: skip

    items = await turn(agent)

    assert [type(item).__name__ for item in items] == [
        "CodeGenerationEvent",
        "CodeExecutionEvent",
        "CodeGenerationEvent",
        "CodeGenerationEvent",
        "CodeExecutionEvent",
        "Response",
    ]
    assert items[2].content == "Attempt number: 1\nProposed correction: a typo"
    assert items[3].retry_attempt == 1
    asked = model.calls[1].messages
    assert not any(isinstance(m, SystemMessage) for m in asked)
    assert str(asked[-1].content).startswith("The most recent code execution resulted in an error")
    assert [m.content for m in model.calls[2].messages].count("go") == 1


@pytest.mark.behaviour("code_executor.retries")
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_attempts_are_bounded(retries: int) -> None:
    correction = [{"content": {"reason": "a typo", "retry": True}}, CODE] * retries
    agent, model = coder(
        CODE, *correction, "Sorry.", executor=Recorder((1, "bad")), max_retries_on_error=retries
    )

    items = await turn(agent)

    assert [type(item).__name__ for item in items[:-1]].count("CodeExecutionEvent") == retries + 1
    assert str(items[-1]) == "Sorry."
    model.finish()


async def test_its_text_is_streamed() -> None:
    agent, _ = coder("Just words.", model_client_stream=True)

    *chunks, response = await turn(agent)

    assert "".join(chunk.content for chunk in chunks) == "Just words."
    assert {chunk.full_message_id for chunk in chunks} == {response.chat_message.id}


@pytest.mark.behaviour("code_executor.approval")
@pytest.mark.parametrize("is_async", [True, False])
async def test_code_that_is_not_approved_is_not_executed(is_async: bool) -> None:
    asked: list[ApprovalRequest] = []

    def decide(request: ApprovalRequest) -> ApprovalResponse:
        asked.append(request)
        return ApprovalResponse(approved=False, reason="too risky")

    async def decide_later(request: ApprovalRequest) -> ApprovalResponse:
        return decide(request)

    executor = Recorder()
    agent, _ = coder(
        CODE, "Sorry.", executor=executor, approval_func=decide_later if is_async else decide
    )

    _, executed, _ = await turn(agent)

    assert executor.executed == []
    assert executed.result.output == "Code execution was not approved. Reason: too risky"
    assert asked[0].code == "```python\nprint(1)\n\n```\n\n```SH\nls\n\n```"
    assert [m.content for m in asked[0].context] == ["go", CODE]


async def test_a_turn_that_fails_is_undone() -> None:
    agent, _ = coder(CODE, {"error": {"message": "down"}})

    with pytest.raises(ModelError):
        await turn(agent)

    assert await agent.model_context.get_messages() == []


async def test_a_model_that_requests_tools_is_an_error_that_names_them() -> None:
    agent, _ = coder({"tool_calls": [{"name": "look", "arguments": {}}]})

    with pytest.raises(ModelError, match=r"agent 'coder' requested tools, \['look'\]"):
        await turn(agent)


async def test_a_cancel_ends_the_execution() -> None:
    class Endless(Recorder):
        async def execute_code_blocks(self, *args: Any, **options: Any) -> CodeResult:
            asyncio.get_running_loop().call_soon(token.cancel)
            await asyncio.Event().wait()
            raise AssertionError

    token = CancellationToken()
    agent, _ = coder(CODE, executor=Endless())
    with pytest.raises(asyncio.CancelledError):
        await agent.run(task="go", cancellation_token=token)


@pytest.mark.behaviour("code_executor.state")
async def test_its_conversation_is_its_state() -> None:
    agent, _ = coder("Words.")
    context = [UserMessage(content="of old", source="x")]
    await turn(agent, HandoffMessage(content="go", source="x", target="coder", context=[*context]))
    state = json.loads(json.dumps(await agent.save_state()))

    again, _ = coder()
    await again.load_state(state)
    assert [m.content for m in await again.model_context.get_messages()] == [
        "of old",
        "go",
        "Words.",
    ]

    await again.load_state({"type": "BaseState", "version": "1.0.0"})  # AutoGen's
    await again.on_reset()
    assert await again.model_context.get_messages() == []


PLAIN = ModelInfo(
    vision=False, function_calling=False, json_output=False, family="x", structured_output=False
)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_retries_on_error": 1}, ValueError, "model_info must be provided"),
        (
            {"max_retries_on_error": 1, "model_client": ScriptedModel([], model_info=PLAIN)},
            ValueError,
            "doesn't support structured output",
        ),
        ({"max_retries_on_error": -1}, ValueError, "at least 0"),
        ({"code_executor": "local"}, TypeError, "code_executor must be a CodeExecutor"),
        ({"model_client": "gpt"}, TypeError, "model_client must be a model client"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(
    options: Any, error: type[Exception], text: str
) -> None:
    given: Any = {"code_executor": Recorder(), **options}
    with pytest.raises(error, match=text):
        CodeExecutorAgent("coder", **given)


@pytest.mark.behaviour("code_executor.approval")
@pytest.mark.filterwarnings("error")
def test_code_without_approval_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="No approval function set"):
        CodeExecutorAgent("coder", Recorder())
    CodeExecutorAgent("coder", ToolExecutor(CodeExecutionTool(Recorder())))


async def test_a_tool_is_an_executor() -> None:
    recorder = Recorder((3, "bad"))
    tool = CodeExecutionTool(recorder)

    result = await ToolExecutor(tool).execute_code_blocks([FIRST])

    assert (result, recorder.executed) == (CodeResult(3, "bad"), [FIRST])
    assert (tool.effects, tool.name) == ("write", "run_code")


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (
            NotApproved("The call was not approved. No!"),
            "Code execution was not approved. Reason: No!",
        ),
        (ToolError("out of order"), "out of order"),
    ],
)
async def test_the_failure_of_a_tool_is_a_result(error: ToolError, output: str) -> None:
    class Broken(CodeExecutionTool):
        async def run_json(self, *args: Any, **options: Any) -> Any:
            raise error

    result = await ToolExecutor(Broken(Recorder())).execute_code_blocks([FIRST])

    assert (result.exit_code, result.output) == (1, output)
