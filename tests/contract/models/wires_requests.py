"""Requests of the wire suite."""

from tests.contract.models.wires import ADD, RequestCase

__all__ = ["REQUESTS"]

REQUESTS = [
    RequestCase(
        id="a_question",
        sent={
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "How many?", "name": "user"}],
            "tools": ...,
            "stream_options": ...,
        },
    ),
    RequestCase(
        id="extra_body_is_part_of_the_body",
        options={"extra_body": {"top_k": 4}},
        call={"tools": [ADD], "tool_choice": "required"},
        sent={"top_k": 4, "extra_body": ..., "tool_choice": "required"},
    ),
]
