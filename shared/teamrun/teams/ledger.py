"""The prompts of Magentic-One's orchestrator, and the reading of its progress ledger.

Users see `LEDGER` as a message and write answers in the fields of `Progress`, so both are
AutoGen's. The questions to the model are worded here.
"""

import re
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from teamrun.json_types import JsonMapping
from teamrun.teams.selection import spoken

__all__ = [
    "FACTS",
    "FACTS_AGAIN",
    "FINAL_ANSWER",
    "LEDGER",
    "PLAN",
    "PLAN_AGAIN",
    "PROGRESS",
    "Progress",
    "feedback_on_ledger",
    "read_progress",
]

FACTS: Final = """A team will work on a request. Before it begins, collect what is known about it, \
from the request, from your own knowledge and by reasoning.

The request:

{task}

Answer under these four headings, and no others:

1. GIVEN OR VERIFIED FACTS: facts and figures in the request itself, if there are any.
2. FACTS TO LOOK UP: what has to be looked up, and where exactly, such as in sources that the \
request names.
3. FACTS TO DERIVE: what can be calculated, concluded or simulated.
4. EDUCATED GUESSES: what you remember or assume, and how certain it is.

Facts are mostly names, dates, numbers and the like. Do not write steps or a plan yet.
"""

PLAN: Final = """These are the members of the team:

{team}

Write a short plan for the request as a list, based on the members and on the facts that are known \
and unknown. Not every member has to take part."""

LEDGER: Final = """
We are working to address the following user request:

{task}


To answer this request we have assembled the following team:

{team}


Here is an initial fact sheet to consider:

{facts}


Here is the plan to follow as best as possible:

{plan}
"""

PROGRESS: Final = """The request is still this one:

{task}

The members of the team:

{team}

Decide how to continue. Answer these questions, each with a reason:

- is_request_satisfied: Has the whole request been fulfilled, successfully?
- is_in_loop: Does the team repeat requests or get the same answers again? A loop may span several \
turns.
- is_progress_being_made: Is the team just beginning, or did the latest messages add something? \
It is false if they show a loop, or an obstacle such as a file that cannot be read.
- next_speaker: Which member speaks next? One of: {names}
- instruction_or_question: What do you say to that member? Address the member, with all that the \
member needs to know.

Answer with one JSON object of this form, and with nothing else:

{{
  "is_request_satisfied": {{"reason": string, "answer": boolean}},
  "is_in_loop": {{"reason": string, "answer": boolean}},
  "is_progress_being_made": {{"reason": string, "answer": boolean}},
  "next_speaker": {{"reason": string, "answer": string, one of: {names}}},
  "instruction_or_question": {{"reason": string, "answer": string}}
}}
"""

FACTS_AGAIN: Final = """The team makes too little progress on this request:

{task}

Something may have been learned, though. Write the list of facts again, under the same headings: \
add what is new, move guesses that were confirmed to the verified facts, and correct what was \
wrong. Add or change at least one educated guess, and explain it.

The list so far:

{facts}
"""

PLAN_AGAIN: Final = """Explain in short why the last attempt failed. Then write a new plan as a \
list, which overcomes these obstacles and does not repeat the mistakes. Only these members can \
take part, and no one else can be asked:

{team}
"""

FINAL_ANSWER: Final = """The work on the request has ended. The messages above are what the team \
has done. Write the final answer to the request from them, addressed to the person who made it.
"""


class _YesOrNo(BaseModel, defer_build=True):
    reason: str
    answer: bool


class _Text(BaseModel, defer_build=True):
    reason: str
    answer: str


class Progress(BaseModel, defer_build=True):
    """The progress ledger: the orchestrator's assessment after each turn."""

    is_request_satisfied: _YesOrNo
    is_in_loop: _YesOrNo
    is_progress_being_made: _YesOrNo
    next_speaker: _Text
    instruction_or_question: _Text

    @property
    def is_stalled(self) -> bool:
        """Whether the team repeats itself, or gets nowhere."""
        return self.is_in_loop.answer or not self.is_progress_being_made.answer


_FENCED: Final = r"```(?:json)?\s*\n(.*?)```"


def read_progress(text: str, names: tuple[str, ...]) -> Progress:
    """The ledger in a model's answer, also in a Markdown block.

    Args:
        text: The answer.
        names: The members that it may name.

    Raises:
        ValueError: It is not one JSON object of the form, or its next speaker is no member.
    """
    text = spoken(text)
    blocks: list[str] = re.findall(_FENCED, text, re.DOTALL | re.IGNORECASE) or [text]
    if len(blocks) > 1:
        raise ValueError("There is more than one JSON object.")
    data: JsonMapping | object = from_json(blocks[0].strip())
    if not isinstance(data, dict):
        raise ValueError("The answer is no JSON object.")
    only = {"next_speaker": _only(names[0])} if len(names) == 1 else {}
    progress = Progress.model_validate({**data, **only})
    speaker = progress.next_speaker.answer
    if not progress.is_request_satisfied.answer and speaker not in names:
        raise ValueError(f"next_speaker {speaker!r} is none of {', '.join(names)}.")
    return progress


def feedback_on_ledger(error: ValueError) -> str:
    """What the model is told about an answer that cannot be read."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return f"The JSON object is invalid at {where}: {first['msg']}. Write it again."
    return f"The answer cannot be read as the JSON object: {error} Write it again."


def _only(name: str) -> JsonMapping:
    return {"reason": "The team has one member.", "answer": name}
