"""The `output_schema` of a run: the team works as usual, then its answer is made to fit.

The answer of the team is validated first; if it fits, no call is made. Otherwise a model writes the
answer again, from the conversation and in the form. Each of these calls is a call of the journal,
and so it is recorded, counted by the limits and replayed. `docs/design/structured-output.md` says
why it is done after the team and not inside of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from teamrun.agents.assistant_checks import DEFAULT_REPAIRS
from teamrun.components.definitions.names import first_model, models_by_agent
from teamrun.components.reading.output_schema import OutputForm, Unfit
from teamrun.json_types import JsonObject
from teamrun.messages import BaseChatMessage
from teamrun.messages.llm import LLMMessage, SystemMessage, UserMessage
from teamrun.messages.recordable import recordable
from teamrun.models.base import ChatCompletionClient
from teamrun.models.structured_call import repair_messages, structured_call
from teamrun.runs.log.entries import End
from teamrun.runs.log.spec import RunSpec

__all__ = ["FORMATTER", "in_form"]

FORMATTER: Final = "output-schema"
"""The name under which these calls are recorded. No agent has it: it is no identifier."""

_MAX_CHARS: Final = 100_000
"""Of the conversation that the model is shown, the newest of it."""
_INSTRUCTIONS: Final = (
    "A team of agents has worked on a task. Write its answer as JSON in the form that you are"
    " given. Take everything from the conversation; add nothing that it does not say."
)


async def in_form(
    end: End,
    spec: RunSpec,
    conversation: Sequence[BaseChatMessage],
    client: Callable[[str], ChatCompletionClient],
) -> End:
    """The end of a run whose team has stopped, with an output that fits the `output_schema`.

    Args:
        end: The end without regard to the schema.
        spec: The run.
        conversation: The messages of the team.
        client: Returns the client of a model profile, whose calls are recorded.

    Returns:
        An end with the parsed output; an `incomplete` one, with the last text and the problems, if
        no answer fits.
    """
    assert spec.output_schema is not None, "the run has a schema"
    form = OutputForm.of(spec.output_schema)
    data, unfit = _given(end.output, form)
    text = str((end.output or {}).get("text", ""))
    profile = _profile(spec, conversation)
    if unfit and profile is not None:
        text, data, unfit = await _formatted(form, client(profile), spec, conversation)
    if not unfit:
        return end.model_copy(update={"output": {"text": text, "json": recordable(data)}})
    return end.model_copy(
        update={
            "status": "incomplete",
            "stop_code": "output_schema",
            "stop_reason": _reason(unfit),
            "output": {
                "text": text,
                "json": None,
                "problems": [each._asdict() for each in unfit],
            },
        }
    )


def _given(output: JsonObject | None, form: OutputForm) -> tuple[Any, list[Unfit]]:
    """The data of the team's own answer, and where they do not fit."""
    if output is None:
        return None, [Unfit("", "There is no answer.")]
    if output["json"] is not None:
        return output["json"], form.unfit(output["json"])
    return form.read(output["text"])


async def _formatted(
    form: OutputForm,
    client: ChatCompletionClient,
    spec: RunSpec,
    conversation: Sequence[BaseChatMessage],
) -> tuple[str, Any, list[Unfit]]:
    """The text of the model's last answer, its data, and where they do not fit."""
    messages: list[LLMMessage] = [
        SystemMessage(content=_INSTRUCTIONS),
        UserMessage(content=_shown(conversation), source="user"),
    ]
    repairs = spec.definition.output_repairs
    attempts = 1 + (DEFAULT_REPAIRS if repairs is None else repairs)
    while True:
        asked = structured_call(form.type, client.model_info, messages, {})
        result = asked.read(await client.create(asked.messages, **asked.arguments))
        text = result.content if isinstance(result.content, str) else ""
        data, unfit = form.read(text)
        attempts -= 1
        if not unfit or not attempts:
            return text, data, unfit
        found = [each.sentence for each in unfit]
        messages = [*messages, *repair_messages(text, found, source=FORMATTER)]


def _profile(spec: RunSpec, conversation: Sequence[BaseChatMessage]) -> str | None:
    """The definition's own choice, or the model of the agent with a model that spoke last."""
    if spec.definition.output_model is not None:
        return spec.definition.output_model
    known = models_by_agent(spec.definition)
    spoke = (known[each.source] for each in reversed(conversation) if each.source in known)
    return next(spoke, first_model(spec.definition))


def _shown(conversation: Sequence[BaseChatMessage]) -> str:
    """The newest part of the conversation as text, for the model."""
    parts: list[str] = []
    left = _MAX_CHARS
    for message in reversed(conversation):
        text = f"{message.source}: {message.to_model_text()}"[:left]
        parts.append(text)
        left -= len(text)
        if left <= 0:
            break
    return "\n\n".join(["The conversation:", *reversed(parts), "Write the team's answer now."])


def _reason(unfit: Sequence[Unfit]) -> str:
    more = f" ({len(unfit) - 1} more)" if len(unfit) > 1 else ""
    return f"The output does not fit output_schema: {unfit[0].sentence}{more}"
