"""Questions of a run to people."""

from typing import Any

from pydantic_core import to_json

from teamrun.errors import Unanswered
from teamrun.runs.engine.journal import Journal
from teamrun.runs.engine.protocol import Question

__all__ = ["ask_person"]


async def ask_person(journal: Journal, question: Question, *, default: Any = None) -> str:
    """The text of a person's answer; where the question has a schema, the answer's data as JSON.

    Args:
        journal: Of the run.
        question: What is asked.
        default: The answer where nobody gave one in time.

    Raises:
        Unanswered: Nobody answered in time, and there is no default.
    """
    record = await journal.ask(question)
    if record.error is None:
        given = record.value["content" if question.schema is None else "data"]
    elif default is not None:
        given = default
    else:
        raise Unanswered(record.error.message)
    return str(given or "") if question.schema is None else to_json(given).decode()
