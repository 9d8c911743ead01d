"""Answers of people: validation against the question's schema, and input on a terminal.

Used by the service, which validates answers sent over HTTP, and by teams outside of a run.
"""

import asyncio
import importlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic_core import to_json

from teamrun.components.definitions.agents import UserProxyDefinition
from teamrun.components.reading.bounds import is_within
from teamrun.components.reading.json_text import load_json
from teamrun.components.reading.problems import pointer
from teamrun.core.cancellation import CancellationToken
from teamrun.errors import Unanswered, UnfitAnswer
from teamrun.json_types import JsonObject
from teamrun.tools.threads import run_in_thread

__all__ = ["check_data", "input_with_form"]

_MAX_VALUES: Final = 1_000
_MAX_DEPTH: Final = 32


def check_data(data: Any, schema: JsonObject) -> None:
    """Refuse data that does not fit a schema.

    Raises:
        UnfitAnswer: It does not fit; `pointer` names the place, below `/data`.
    """
    if not is_within(data, values=_MAX_VALUES, levels=_MAX_DEPTH):
        raise UnfitAnswer(
            f"`data` has more than {_MAX_VALUES} values or {_MAX_DEPTH} levels.", pointer="/data"
        )
    validators: Any = importlib.import_module("jsonschema.validators")
    draft: Any = validators.validator_for(schema, default=validators.Draft202012Validator)
    for error in draft(schema).iter_errors(data):
        where = pointer("/data", *error.absolute_path)
        raise UnfitAnswer(str(error.message)[:500], pointer=where)


def input_with_form(
    person: UserProxyDefinition, read_line: Callable[[str], str]
) -> Callable[[str, CancellationToken | None], Awaitable[str]]:
    """An input function that applies the schema, the timeout and the default answer of a person.

    Args:
        person: The definition with the schema of an answer.
        read_line: Shows a prompt and reads a line; called in a thread.
    """

    async def ask(prompt: str, token: CancellationToken | None = None) -> str:
        try:
            async with asyncio.timeout(person.expires_in_seconds):
                return await _asked(prompt, person, read_line)
        except (TimeoutError, EOFError) as error:  # or there is no terminal, or it was closed
            if person.default_answer is None:
                raise Unanswered(f"{person.name} did not answer in time.") from error
            return _as_text(person.default_answer, person)

    return ask


async def _asked(prompt: str, person: UserProxyDefinition, read_line: Callable[[str], str]) -> str:
    schema = person.input_schema
    if schema is not None:
        prompt = f"{prompt}\nThe answer is JSON that fits {json.dumps(schema)}\n"
    while True:
        line = await run_in_thread(lambda text=prompt: read_line(text))
        if schema is None:
            return line
        try:
            data = load_json(line)
            check_data(data, schema)
            return _as_text(data, person)
        except (ValueError, UnfitAnswer) as error:
            prompt = f"That does not fit: {error}\n"


def _as_text(answer: Any, person: UserProxyDefinition) -> str:
    return str(answer) if person.input_schema is None else to_json(answer).decode()
