"""Asking a model who speaks next: the prompt, and what is made of the answer."""

import re
from collections.abc import Mapping, Sequence

from teamrun.messages import AssistantMessage, LLMMessage, UserMessage

__all__ = ["DEFAULT_SELECTOR_PROMPT", "feedback_on", "fill_prompt", "history_text", "mentioned"]

DEFAULT_SELECTOR_PROMPT = """Several roles work on a task together. These are the roles:
{roles}

This is their conversation so far:

{history}

Which role out of {participants} should speak next? Answer with the name of that role alone.
"""
"""The prompt of `SelectorGroupChat`; a prompt of your own may hold the same three fields."""

_FIELD = re.compile(r"\{\{|\}\}|\{(roles|participants|history)\}")


def fill_prompt(template: str, fields: Mapping[str, str]) -> str:
    """Put texts in place of `{roles}`, `{participants}` and `{history}`; `{{` is a brace.

    `str.format` would do the same, and let a prompt of unknown origin ask for a gigabyte of
    padding or for attributes.
    """
    return _FIELD.sub(lambda found: fields.get(found[1], found[0][0]), template)


def history_text(messages: Sequence[LLMMessage]) -> str:
    """What was said, one paragraph for each message of a person or agent."""
    said = (
        f"{message.source}: {message.content}".rstrip() + "\n\n"
        for message in messages
        if isinstance(message, UserMessage | AssistantMessage)
    )
    return "\n".join(said)


def mentioned(text: str, names: Sequence[str]) -> list[str]:
    """Which of the names are words of the text, in the order of `names`.

    Case counts. An underscore of a name may be a space in the text, or escaped as in Markdown.
    """
    return [name for name in names if re.search(_pattern(name), text)]


def _pattern(name: str) -> str:
    forms = (name, name.replace("_", " "), name.replace("_", r"\_"))
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, forms))})(?!\w)"


def feedback_on(
    names: Sequence[str], candidates: Sequence[str], *, previous: str | None
) -> str | None:
    """What to tell a model that has mentioned `names`; None when it has made a choice.

    Args:
        names: Participants in the model's answer.
        candidates: Those that it may choose.
        previous: The speaker who may not speak again, where there is such a rule.
    """
    listed = str(list(candidates))
    if len(names) > 1:
        return f"Expected exactly one name to be mentioned. Please select only one from: {listed}."
    if names and names[0] == previous:
        return f"Repeated speaker is not allowed, please select a different name from: {listed}."
    if not names or names[0] not in candidates:
        return f"No valid name was mentioned. Please select from: {listed}."
    return None
