"""Selection of the next speaker by a model: the prompt, and the reading of the answer."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from teamrun.messages import AssistantMessage, LLMMessage, UserMessage

__all__ = [
    "DEFAULT_SELECTOR_PROMPT",
    "History",
    "around_history",
    "feedback_on",
    "fill_prompt",
    "mentioned",
    "mentioned_in_behaviour_1",
    "roles_text",
    "spoken",
]

DEFAULT_SELECTOR_PROMPT = """Several roles work on a task together. These are the roles:
{roles}

This is their conversation so far:

{history}

Which role out of {participants} should speak next? Answer with the name of that role alone.
"""
"""The prompt of `SelectorGroupChat`; a custom prompt may contain the same three fields."""

# Thai to Tibetan, Burmese, Khmer, Hangul, kana and Han: written without spaces between words, or
# (Hangul) with endings joined to a name.
_SCRIPTS = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"
)
_NO_LETTER_BEFORE = rf"(?<![^\W{_SCRIPTS}])"
_NO_LETTER_AFTER = rf"(?![^\W{_SCRIPTS}])"
_SPOKEN = (UserMessage, AssistantMessage)
_THINK_TAG = re.compile(r"(</?think(?:ing)?>)", re.IGNORECASE)
_FIELD = re.compile(r"\{\{|\}\}|\{(roles|participants|history)\}")


def roles_text(roles: Iterable[tuple[str, str]]) -> str:
    """The names and descriptions of members, each in a line."""
    return "\n".join(
        re.sub(r"\s+", " ", f"{name}: {description}").strip() for name, description in roles
    )


def fill_prompt(template: str, fields: Mapping[str, str]) -> str:
    """Put texts in place of `{roles}`, `{participants}` and `{history}`; `{{` is a brace.

    `str.format` would also allow gigabytes of padding and access to attributes, which a prompt from
    a client must not have.
    """
    return "".join(
        [fields.get(text, "{") if is_field else text for text, is_field in _parts(template)]
    )


@lru_cache
def _parts(template: str) -> Sequence[tuple[str, bool]]:
    """The texts and the names of fields of a prompt, in order, and which of the two each is."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for found in _FIELD.finditer(template):
        brace = (found[0][0], False)
        parts += [(template[end : found.start()], False), (found[1], True) if found[1] else brace]
        end = found.end()
    return [*parts, (template[end:], False)]


@lru_cache
def around_history(template: str, roles: str, participants: tuple[str, ...]) -> Sequence[str]:
    """The texts around the `{history}` of a prompt, with the other two fields filled in."""
    fields = {"roles": roles, "participants": str(list(participants))}
    texts = [""]
    for text, is_field in _parts(template):
        if is_field and text == "history":
            texts.append("")
        else:
            texts[-1] += fields[text] if is_field else text
    return texts


class History:
    """A conversation as text, which grows: one paragraph for each message of a person or agent."""

    def __init__(self) -> None:
        self._messages: list[LLMMessage] = []
        self._paragraphs: list[str] = []

    def text(self, messages: Sequence[LLMMessage]) -> str:
        """The text of a conversation; messages that the last one began with are not read again."""
        known = len(self._messages)
        if messages[:known] != self._messages:  # identical objects, mostly
            known = 0
            self.__init__()
        new = messages[known:]
        self._messages += new
        self._paragraphs += [
            f"{message.source}: {message.content}".rstrip() + "\n\n"
            for message in new
            if isinstance(message, _SPOKEN)
        ]
        return "\n".join(self._paragraphs)


def spoken(text: str) -> str:
    """The text without the model's thoughts in `<think>` tags, also when one tag is missing."""
    if "<" not in text:
        return text.strip()
    texts: list[str] = []
    is_thinking = False
    for piece in _THINK_TAG.split(text):  # tags and the text between them, in turn
        if not _THINK_TAG.fullmatch(piece):
            texts += [] if is_thinking else [piece]
        elif piece.startswith("</"):
            texts = texts if is_thinking else []
            is_thinking = False
        else:
            is_thinking = True
    return "".join(texts).strip()


def mentioned(text: str, names: Sequence[str]) -> list[str]:
    """Which of the names are words of the text, in the order of `names`.

    Case counts. An underscore of a name may be a space in the text, or escaped as in Markdown. A
    name inside of a longer name is not counted. In scripts without spaces between words, such as
    Chinese, a name may stand directly beside other letters.
    """
    pattern, forms = _reading_of(tuple(names))
    if text in forms:  # as most models answer
        return [forms[text]]
    found = {forms[hit[0]] for hit in pattern.finditer(unicodedata.normalize("NFC", text))}
    return [name for name in names if name in found]


@lru_cache
def _reading_of(names: tuple[str, ...]) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """The pattern of the names in all their forms, and the name of each form."""
    forms = {unicodedata.normalize("NFC", form): name for name in names for form in _forms(name)}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(_bounded(form) for form in longest_first)), forms


def mentioned_in_behaviour_1(text: str, names: Sequence[str]) -> list[str]:
    """`mentioned` as it was before behaviour 2: for the replay of runs that began with it."""
    return [name for name in names if re.search(_pattern(name), text)]


def _pattern(name: str) -> str:
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, _forms(name)))})(?!\w)"


def _forms(name: str) -> tuple[str, str, str]:
    return name, name.replace("_", " "), name.replace("_", r"\_")


def _bounded(form: str) -> str:
    before = "" if _is_unspaced(form[0]) else _NO_LETTER_BEFORE
    after = "" if _is_unspaced(form[-1]) else _NO_LETTER_AFTER
    return f"{before}{re.escape(form)}{after}"


def _is_unspaced(letter: str) -> bool:
    # Not compiled at import: that takes 2 ms, and few teams select their speakers by a model.
    return re.match(f"[{_SCRIPTS}]", letter) is not None


def feedback_on(
    names: Sequence[str], candidates: Sequence[str], *, previous: str | None
) -> str | None:
    """The feedback to a model that mentioned `names`; None if the choice is valid.

    Args:
        names: Participants in the model's answer.
        candidates: The names that it may choose.
        previous: The previous speaker, if it must not speak again.
    """
    if len(names) > 1:
        problem = "Expected exactly one name to be mentioned. Please select only one from"
    elif names and names[0] == previous:
        problem = "Repeated speaker is not allowed, please select a different name from"
    elif not names or names[0] not in candidates:
        problem = "No valid name was mentioned. Please select from"
    else:
        return None
    return f"{problem}: {list(candidates)}."
