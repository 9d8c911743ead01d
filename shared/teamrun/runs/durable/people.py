"""Questions from a run to people."""

from typing import Any

from pydantic_core import to_json

from teamrun.errors import Unanswered
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import Question

__all__ = ["ask_person"]


async def ask_person(journal: Journal, question: Question, *, default: Any = None) -> str:
    """The text of a person's answer, or its data as JSON if the question has a schema.

    Args:
        journal: The journal of the run.
        question: The question.
        default: The answer to use if the question expires.

    Raises:
        Unanswered: The question expired and has no default.
    """
    record = await journal.ask(question)
    if record.error is None:
        given = record.value["content" if question.schema is None else "data"]
    elif default is not None:
        given = default
    else:
        raise Unanswered(record.error.message)
    return str(given or "") if question.schema is None else to_json(given).decode()
