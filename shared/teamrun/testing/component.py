"""Scripted models as components: AutoGen's `ReplayChatCompletionClient`."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from teamrun.errors import UsageError
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult
from teamrun.models.base import ModelInfo
from teamrun.testing.scripted import ScriptedModel

__all__ = ["make_scripted", "write_scripted"]

_NOTHING = ModelInfo(
    vision=False,
    function_calling=False,
    json_output=False,
    family="unknown",
    structured_output=False,
)
"""What AutoGen's client is able to do by default."""


def write_scripted(model: ScriptedModel) -> JsonObject:
    """The answers of one list.

    Raises:
        UsageError: The script has a list for each agent, a failure, or a latency.
    """
    steps = model.steps
    if steps is None:
        raise UsageError(
            "A component cannot express a script with a list for each agent; give each agent "
            "the view model.for_agent(name)."
        )
    if model.latency:
        raise UsageError("A component cannot express the latency of a scripted model.")
    if not all(isinstance(step, CreateResult) for step in steps):
        raise UsageError("A component cannot express a scripted failure.")
    adapter = TypeAdapter(CreateResult)
    answers = [adapter.dump_python(step, mode="json", exclude_none=True) for step in steps]  # pyright: ignore[reportArgumentType] - checked above
    return {"chat_completions": answers, "model_info": dict(model.model_info)}


def make_scripted(cls: type[ScriptedModel], arguments: JsonObject) -> ScriptedModel:
    """A model that gives the answers."""
    answers: Sequence[Any] = arguments.get("chat_completions", ())
    script = [
        each if isinstance(each, str) else CreateResult.model_validate(each) for each in answers
    ]
    return cls(script, model_info=arguments.get("model_info", _NOTHING))
