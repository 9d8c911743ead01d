"""Answers of the wire suite."""

from tests.contract.models.wires import AnswerCase, Failure, Said, chunk, completion, sse

__all__ = ["ANSWERS"]

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}

ANSWERS = [
    AnswerCase(
        id="text",
        whole=completion({"content": "Three."}, usage=USAGE),
        stream=sse(
            chunk({"content": "Thr"}),
            chunk({"content": "ee."}),
            chunk(finish="stop"),
            chunk(usage=USAGE),
        ),
        right=Said(content="Three.", finish_reason="stop", usage=(5, 3), pieces=["Thr", "ee."]),
    ),
    AnswerCase(
        id="refused",
        status=400,
        whole='{"error": {"message": "too long", "code": "context_length_exceeded"}}',
        right=Failure(retryable=False, status_code=400, words="too long"),
    ),
]
