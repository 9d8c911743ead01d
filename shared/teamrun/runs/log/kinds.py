"""The table of call kinds, and the rules of each.

A run requests everything from outside as a call of some kind. The records in the log, the usage,
the limits, the events, the metrics and the engine read their rules here. A new kind is one row and
the wrapper in `runs/durable` that requests its calls.
"""

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator

__all__ = ["CALL_KINDS", "CallCounter", "CallKind", "CallLimit", "KindName"]

CallCounter = Literal["model_calls", "tool_calls"]
"""A field of `Usage`; `teamrun_{counter}_total` is its metric, and `max_{counter}` its limit."""

CallLimit = Literal[
    "max_model_calls",
    "max_tool_calls",
    "max_input_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_cost_usd",
]
"""A field of `AgentLimits`; without `max_`, it is the field of `Usage` that the limit bounds."""


class CallKind(NamedTuple):
    """The rules of one kind of call."""

    counter: CallCounter | None = None
    """Counts these calls in the usage of the run and of its agents, and in the metrics."""
    limits: tuple[CallLimit, ...] = ()
    """The limits that can prevent such a call, in the order in which they are checked."""
    is_by_profile: bool = False
    """Whether the name of a call is a model profile, by which usage, metrics and cost are split."""
    is_question: bool = False
    """Whether a person answers. The events are then those of the question, not of the call."""
    is_silent: bool = False
    """Whether a call has no event of its own."""
    has_calls_inside: bool = False
    """Whether a call can contain others. The next one of the agent numbers its calls from there."""


CALL_KINDS: Final[dict[str, CallKind]] = {
    "model": CallKind(
        counter="model_calls",
        limits=(
            "max_cost_usd",
            "max_model_calls",
            "max_input_tokens",
            "max_output_tokens",
            "max_tokens",
        ),
        is_by_profile=True,
    ),
    "tool": CallKind(counter="tool_calls", limits=("max_tool_calls",)),
    "input": CallKind(is_question=True),
    "agent": CallKind(has_calls_inside=True),
    "thread": CallKind(is_silent=True),
    "list": CallKind(is_silent=True),
}
"""By the name that identifies a kind in ids (`{agent path}/{kind}:{k}`), records and events."""


def _known(name: str) -> str:
    if name not in CALL_KINDS:
        raise ValueError(f"there is no kind of call {name!r}")
    return name


KindName = Annotated[str, AfterValidator(_known)]
"""The name of a kind, in a record of the log."""
