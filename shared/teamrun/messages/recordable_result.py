"""Answers of models in a form that a log can store."""

from typing import Any, cast, get_args

from teamrun.errors import Unrecordable
from teamrun.json_types import JsonObject
from teamrun.messages.llm import CreateResult, FinishReason, FunctionCall, RequestUsage
from teamrun.messages.recordable import MAX_SIZE, encodable, exception_text, recordable

__all__ = ["recordable_result"]

_FINISH_REASONS = frozenset(get_args(FinishReason))

_COUNTS = 2**53
"""Token counts are below this, so that every JSON reader reads them exactly."""


def recordable_result(result: CreateResult) -> CreateResult:
    """A model's answer in a form that the log can store: the same object if it needs no change.

    Token counts that are no natural numbers become 0: an answer is not lost for its statistics.

    Raises:
        Unrecordable: It is too large or too deep, or is no answer at all.
    """
    if _is_sound(result):
        return result
    data = recordable(result)
    try:
        data["usage"] = _counts(data.get("usage"))
        data["cached"] = data.get("cached") or False
        return CreateResult.model_validate(data)
    except Exception as error:  # a custom client may have returned anything
        name = type(result).__name__
        raise Unrecordable(
            f"The model client returned a {name} that is no valid CreateResult: "
            f"{exception_text(error)}"
        ) from error


def _is_sound(result: CreateResult) -> bool:
    """Whether an answer can be recorded as it is; False means: look closer.

    Nothing is taken for granted: `model_construct` checks no types. Written out, because each model
    call of a run has its answer checked.
    """
    if type(result) is not CreateResult:
        return False
    values = result.__dict__
    content, usage, reason = values.get("content"), values.get("usage"), values.get("finish_reason")
    return (
        type(reason) is str
        and reason in _FINISH_REASONS
        and (_is_sound_text(content) or _are_sound_calls(content))
        and type(usage) is RequestUsage
        and _is_sound_usage(usage)
        and type(values["cached"]) is bool
        and values["logprobs"] is None
        and values["provider_data"] is None
        and values["filtered"] is None
        and (values["thought"] is None or _is_sound_text(values["thought"]))
        and (values["model"] is None or _is_sound_text(values["model"]))
    )


def _counts(usage: Any) -> JsonObject:
    known = cast("JsonObject", usage) if isinstance(usage, dict) else {}
    counts = {name: count if _is_count(count) else 0 for name, count in known.items()}
    return {"prompt_tokens": 0, "completion_tokens": 0, **counts}


def _is_sound_text(value: Any) -> bool:
    return (
        type(value) is str
        and len(value) < MAX_SIZE
        and (value.isascii() or encodable(value) is value)
    )


def _are_sound_calls(value: Any) -> bool:
    if type(value) is not list:
        return False
    calls = cast("list[Any]", value)
    return all(type(call) is FunctionCall and _is_sound_call(call) for call in calls)


def _is_sound_call(call: FunctionCall) -> bool:
    texts = (call.id, call.arguments, call.name)
    return call.provider_data is None and all(map(_is_sound_text, texts))


def _is_sound_usage(usage: RequestUsage) -> bool:
    sent, made = usage.prompt_tokens, usage.completion_tokens
    cached, reasoning = usage.cached_tokens, usage.reasoning_tokens
    return (
        type(sent) is type(made) is type(cached) is type(reasoning) is int
        and 0 <= sent < _COUNTS
        and 0 <= made < _COUNTS
        and 0 <= cached < _COUNTS
        and 0 <= reasoning < _COUNTS
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _COUNTS
