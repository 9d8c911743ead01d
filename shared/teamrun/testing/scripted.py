"""A model with scripted answers, for tests, examples and dry runs of a service.

In a run, it answers by the position of the call in the run's log, so that a replay, a second worker
and a thousand concurrent runs all receive the same answers. Outside a run, it counts calls per
agent.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import TracebackType
from typing import Self

from pydantic import BaseModel, TypeAdapter, ValidationError

from teamrun.core.call import current_call
from teamrun.core.cancel_scope import cancelled_by
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import ModelError, UsageError
from teamrun.json_types import JsonMapping, JsonObject
from teamrun.messages.llm import (
    CreateResult,
    FunctionCall,
    LLMMessage,
    RequestUsage,
)
from teamrun.models.base import ChatCompletionClient, ModelInfo, ToolChoice
from teamrun.models.script import ScriptedError, ScriptedToolCall, ScriptStep
from teamrun.tools.schema import ToolSchema
from teamrun.validation import misfits

__all__ = [
    "RecordedCall",
    "Script",
    "ScriptStep",
    "ScriptedError",
    "ScriptedModel",
    "ScriptedToolCall",
    "Step",
]


Step = str | CreateResult | ScriptStep | JsonMapping
"""One answer: its text, the whole result, or a `ScriptStep` as a map."""
Script = Sequence[Step] | Mapping[str, Sequence[Step]]
"""The answers that every agent gives, or those of each agent by its name."""

_Steps = list[CreateResult | ScriptedError]
_STEP: TypeAdapter[ScriptStep] = TypeAdapter(ScriptStep)
_WORD = re.compile(r"\S+\s*|\s+")
_INFO = ModelInfo(
    vision=True,
    function_calling=True,
    json_output=True,
    family="unknown",
    structured_output=True,
    multiple_system_messages=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One request to the model."""

    agent: str | None
    position: int
    messages: tuple[LLMMessage, ...]
    tools: tuple[ToolSchema, ...]
    tool_choice: ToolChoice
    json_output: bool | type[BaseModel] | None
    extra_create_args: JsonMapping


@dataclass(slots=True)
class _Play:
    """The state that all views of one model share."""

    by_agent: dict[str, _Steps] | None
    by_all: _Steps
    latency: timedelta
    record: bool
    counters: dict[str, int] = field(default_factory=dict[str, int])
    heard: dict[str, int] = field(default_factory=dict[str, int])
    """The number of steps that each agent has used."""
    used: RequestUsage = field(default_factory=lambda: RequestUsage(0, 0))
    calls: list[RecordedCall] = field(default_factory=list[RecordedCall])


class ScriptedModel(ChatCompletionClient):
    """Answers with the steps of a script, in order.

    Every agent that `for_agent` or a run names uses a list from its start. Agents that share one
    model object outside a run share its position too. As a context manager, the model raises
    `UsageError` at the end if steps are left over.

    Args:
        script: The answers, or a mapping from the names of agents to their answers.
        model_info: The capabilities to report; by default all.
        latency: How long each answer takes, as a `timedelta` or in seconds.
        record: Record the requests in `calls`.

    Raises:
        UsageError: A step of the script is invalid.
    """

    def __init__(
        self,
        script: Script,
        *,
        model_info: ModelInfo | None = None,
        latency: timedelta | float = 0,
        record: bool = False,
    ) -> None:
        self._agent: str | None = None
        self._views: dict[str, Self] = {}
        self._model_info = _INFO if model_info is None else model_info
        delay = latency if isinstance(latency, timedelta) else timedelta(seconds=latency)
        if isinstance(script, Mapping):
            by_agent = {name: _prepared(steps, name) for name, steps in script.items()}
            self._play = _Play(by_agent, [], delay, record)
        else:
            self._play = _Play(None, _prepared(script, None), delay, record)

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """The next step.

        Raises:
            ModelError: The script has no more steps, or the step is an error.
        """
        if cancellation_token is not None and cancellation_token.is_cancelled():
            raise asyncio.CancelledError
        play = self._play
        agent, position = self._place()
        if play.record:
            play.calls.append(
                RecordedCall(
                    agent=agent,
                    position=position,
                    messages=tuple(messages),
                    tools=tuple(tools),
                    tool_choice=tool_choice,
                    json_output=json_output,
                    extra_create_args=extra_create_args or {},
                )
            )
        step = self._step(agent, position)
        if play.latency:
            with cancelled_by(cancellation_token):
                await asyncio.sleep(play.latency.total_seconds())
        if isinstance(step, ScriptedError):
            raise ModelError(step.message, status_code=step.status_code, retryable=step.retryable)
        play.used += step.usage
        return step

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[ToolSchema] = (),
        tool_choice: ToolChoice = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: JsonMapping | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The next step, its thought between `<think>` and `</think>`, word by word, then whole."""
        result = await self.create(
            messages,
            tools=tools,
            tool_choice=tool_choice,
            json_output=json_output,
            extra_create_args=extra_create_args,
            cancellation_token=cancellation_token,
        )
        if isinstance(result.content, str):
            if result.thought:
                yield f"<think>{result.thought}"
                yield "</think>"
            for word in _WORD.findall(result.content):
                yield word
        yield result

    @property
    def model_info(self) -> ModelInfo:
        """The capabilities that the model reports."""
        return self._model_info

    @property
    def is_scripted(self) -> bool:
        """True: no model is called."""
        return True

    @property
    def steps(self) -> "Sequence[CreateResult | ScriptedError] | None":
        """The answers in order; None if each agent has its own."""
        by_agent = self._play.by_agent
        if by_agent is None:
            return self._play.by_all
        return None if self._agent is None else by_agent.get(self._agent, _NOTHING)

    @property
    def latency(self) -> timedelta:
        """How long each answer takes."""
        return self._play.latency

    @property
    def calls(self) -> list[RecordedCall]:
        """The requests of all agents, in order; empty without `record=True`."""
        return self._play.calls

    def for_agent(self, name: str) -> "ScriptedModel":
        """A view of the script for the agent of that name."""
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = object.__new__(type(self))
            view._agent, view._views = name, self._views
            view._model_info, view._play = self._model_info, self._play
        return view

    def actual_usage(self) -> RequestUsage:
        """Tokens of all steps used."""
        return replace(self._play.used)

    def left_over(self) -> dict[str, int]:
        """The number of unused steps, by agent; `""` if no agent is named."""
        play = self._play
        if play.by_agent is not None:
            rest = {
                name: len(steps) - play.heard.get(name, 0) for name, steps in play.by_agent.items()
            }
        else:
            rest = {
                name: len(play.by_all) - heard for name, heard in (play.heard or {"": 0}).items()
            }
        return {name: count for name, count in rest.items() if count > 0}

    def finish(self) -> None:
        """Check that all steps of the script were used.

        Raises:
            UsageError: Steps are left over.
        """
        if rest := self.left_over():
            told = ", ".join(f"{count} of {name or 'the script'}" for name, count in rest.items())
            raise UsageError(f"Steps of the scripted model are left over: {told}.", left_over=rest)

    def rewind(self) -> None:
        """Start again from the first step, and clear the recorded requests."""
        play = self._play
        play.counters.clear()
        play.heard.clear()
        play.calls.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()

    def _place(self) -> tuple[str | None, int]:
        info = current_call.get()
        if info is not None:
            return info.agent.rpartition("/")[2], info.position
        counters, key = self._play.counters, self._agent or ""
        position = counters.get(key, 0)
        counters[key] = position + 1
        return self._agent, position

    def _step(self, agent: str | None, position: int) -> CreateResult | ScriptedError:
        play = self._play
        steps = play.by_all if play.by_agent is None else play.by_agent.get(agent or "", _NOTHING)
        if position >= len(steps):
            raise self._missing(agent, position, len(steps))
        heard = play.heard
        key = agent or ""
        if heard.get(key, 0) <= position:
            heard[key] = position + 1
        return steps[position]

    def _missing(self, agent: str | None, position: int, length: int) -> ModelError:
        known = self._play.by_agent
        names = "" if known is None else f" It has agents {', '.join(map(repr, known))}."
        return ModelError(
            f"The script has {length} steps for agent {agent or ''!r} and received request number "
            f"{position + 1}.{names}",
            agent=agent,
            position=position,
        )


_NOTHING: _Steps = []


def _prepared(steps: Sequence[Step], agent: str | None) -> _Steps:
    if isinstance(steps, str):
        raise UsageError("A script is a list of steps, not a text; put the text into a list.")
    return [_prepare(step, f"{agent or 'step'}_{k}") for k, step in enumerate(steps)]


def _prepare(step: Step, place: str) -> CreateResult | ScriptedError:
    if isinstance(step, CreateResult):
        return step
    if isinstance(step, str):
        return _result(ScriptStep(content=step), place)
    try:
        parsed = _STEP.validate_python(step)
    except ValidationError as error:
        first = misfits(error, step)[0]
        field = ".".join(map(str, first.path))
        sentence = first.sentence(repr(field) if field else "A step")
        raise UsageError(
            f"Step {place!r} of the script is invalid: {sentence}", step=place, field=field
        ) from error
    return parsed.error or _result(parsed, place)


def _result(step: ScriptStep, place: str) -> CreateResult:
    text = step.content if isinstance(step.content, str) else _json_or_nothing(step.content)
    calls = [
        FunctionCall(
            id=call.id or f"call_{place}_{k}", arguments=json.dumps(call.arguments), name=call.name
        )
        for k, call in enumerate(step.tool_calls)
    ]
    return CreateResult(
        finish_reason=step.finish_reason or ("function_calls" if calls else "stop"),
        content=calls or text,
        usage=step.usage or RequestUsage(0, len(text.split()) + len(calls)),
        thought=step.thought or (text if calls else None) or None,
        model="scripted",
    )


def _json_or_nothing(content: JsonObject | None) -> str:
    return "" if content is None else json.dumps(content)
