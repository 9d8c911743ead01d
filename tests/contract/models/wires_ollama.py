"""Answers and failures of Ollama's `/api/chat`, whole and as JSON lines.

Source: https://docs.ollama.com/api/chat and https://docs.ollama.com/api/errors
"""

import json
from typing import Any

from tests.contract.models.wires import AnswerCase, Failure, Said

__all__ = ["ANSWERS", "FAILURES"]

Json = dict[str, Any]

FRAME = {"model": "llama3.2", "created_at": "2026-11-30T00:00:00.0Z"}
COUNTS = {"prompt_eval_count": 5, "eval_count": 3}
CUT = {"cut": True}
UNREADABLE = {"unreadable": True}


def line(done: bool = False, reason: str | None = None, **message: Any) -> Json:
    """One line of a stream."""
    end: Json = {"done": done, **({"done_reason": reason} if reason else {})}
    return {**FRAME, "message": {"role": "assistant", "content": "", **message}, **end}


def whole(reason: str | None = "stop", counts: Json = COUNTS, **message: Any) -> str:
    """A whole answer, which is the same as the only line of a stream."""
    return json.dumps({**line(True, reason, **message), **counts})


END = {**line(True, "stop"), **COUNTS}


def stream(*lines: Json | str) -> str:
    """A stream with these lines."""
    return "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)


def call(arguments: Any, name: str = "add", **rest: Any) -> Json:
    return {"function": {"name": name, "arguments": arguments}, **rest}


def case(
    case_id: str, right: Said | Failure, whole: str | None, stream: str | None, **rest: Any
) -> AnswerCase:
    media_type = "application/x-ndjson"
    return AnswerCase(
        id=case_id, right=right, whole=whole, stream=stream, stream_type=media_type, **rest
    )


ANSWERS = [
    case(
        "text",
        Said(content="Three.", finish_reason="stop", usage=(5, 3), pieces=["Thr", "ee."]),
        whole(content="Three."),
        stream(line(content="Thr"), line(content="ee."), END),
    ),
    case(
        "text_in_the_last_line_which_has_no_end",
        Said(content="Zwölf €.", usage=(5, 3), pieces=["Zwölf", " €."]),
        None,
        stream(line(content="Zwölf"), {**END, "message": {"content": " €."}}).rstrip(),
    ),
    case(
        "a_whole_answer_to_a_request_for_a_stream",
        Said(content="Three.", usage=(5, 3), pieces=["Three."]),
        None,
        whole(content="Three."),
    ),
    case("an_empty_answer", Said(content="", pieces=[]), whole(), stream(END)),
    case(
        "an_older_server_without_reason_counts_and_ids",
        Said(calls=[("add", {"a": 2}), ("add", {"a": 2})], usage=(0, 0)),
        whole(None, {}, tool_calls=[call({"a": 2}), call({"a": 2})]),
        stream(line(tool_calls=[call({"a": 2})]), line(tool_calls=[call({"a": 2})]), line(True)),
    ),
    case(
        "calls_with_ids",
        Said(
            calls=[("add", {"a": 2}), ("add", {})],
            call_ids=["call_1", "call_2"],
            finish_reason="function_calls",
            pieces=[],
        ),
        whole(tool_calls=[call({"a": 2}, id="call_1"), call({}, id="call_2")]),
        stream(
            line(tool_calls=[call({"a": 2}, id="call_1"), call({}, id="call_2")]),
            END,
        ),
    ),
    case(
        "calls_with_one_id",
        Said(calls=[("add", {"a": 1}), ("add", {"a": 2})]),
        whole(tool_calls=[call({"a": 1}, id="c"), call({"a": 2}, id="c")]),
        None,
    ),
    case(
        "arguments_as_text_or_missing",
        Said(calls=[("add", {"a": 2}), ("add", {}), ("add", {})]),
        whole(tool_calls=[call('{"a": 2}'), call(""), call(None)]),
        None,
    ),
    case(
        "a_name_with_the_mark_of_a_format_behind_it",
        Said(calls=[("add", {"a": 2})]),
        whole(tool_calls=[call({"a": 2}, "add<|channel|>commentary")]),
        None,
    ),
    case(
        "text_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="I add.", pieces=["I add."]),
        whole(content="I add.", tool_calls=[call({"a": 2})]),
        stream(line(content="I add."), line(tool_calls=[call({"a": 2})]), END),
    ),
    case(
        "thinking_before_text",
        Said(
            content="Three.",
            thought="Hm. So.",
            pieces=["<think>Hm.", " So.", "</think>", "Three."],
        ),
        whole(thinking="Hm. So.", content="Three."),
        stream(line(thinking="Hm."), line(thinking=" So."), line(content="Three."), END),
    ),
    case(
        "thinking_before_a_call",
        Said(calls=[("add", {"a": 2})], thought="Hm.", pieces=["<think>Hm.", "</think>"]),
        whole(thinking="Hm.", tool_calls=[call({"a": 2})]),
        stream(line(thinking="Hm."), line(tool_calls=[call({"a": 2})]), END),
    ),
    case(
        "thinking_alone",
        Said(thought="Hm.", finish_reason="length", pieces=["<think>Hm.", "</think>"]),
        whole("length", thinking="Hm."),
        stream(line(thinking="Hm."), line(True, "length")),
    ),
    case(
        "a_thought_in_the_text",
        Said(content="Three.", thought="Hm."),
        whole(content="<think>Hm.</think>Three."),
        stream(line(content="<think>Hm.</think>"), line(content="Three."), END),
        options={"model": "deepseek-r1:8b"},
    ),
    *(
        case(
            f"done_reason_{reason}",
            Said(content="Thr", finish_reason=finish),
            whole(reason, content="Thr"),
            stream(line(content="Thr"), line(True, reason)),
        )
        for reason, finish in (("length", "length"), ("load", "unknown"), ("new", "unknown"))
    ),
    case(
        "blank_lines",
        Said(content="Three.", usage=(5, 3), pieces=["Three."]),
        None,
        stream("", line(content="Three."), "\r", END, ""),
    ),
    case(
        "what_follows_the_end_is_ignored",
        Said(content="Three.", usage=(5, 3), pieces=["Three."]),
        None,
        stream(line(content="Three."), END, line(content="more"), "<html>"),
    ),
]


def broken(case_id: str, after: str, **right: Any) -> AnswerCase:
    """A stream that breaks off after text."""
    right = {"retryable": True, **right}
    failure = Failure(after_text=True, **right)
    return case(case_id, failure, None, stream(line(content="Half")) + after)


NOT_FOUND = json.dumps({"error": "model 'llama9' not found"})
NO_TOOLS = json.dumps({"error": "registry.ollama.ai/library/x does not support tools"})
BUSY = json.dumps({"error": "server busy, please try again.  maximum pending requests exceeded"})

FAILURES = [
    case(
        "a_model_that_is_not_there",
        Failure(retryable=False, status_code=404, words="run 'ollama pull llama9'"),
        NOT_FOUND,
        NOT_FOUND,
        status=404,
        options={"model": "llama9"},
    ),
    case(
        "a_model_without_tools",
        Failure(retryable=False, status_code=400, words="does not support tools"),
        NO_TOOLS,
        NO_TOOLS,
        status=400,
    ),
    case(
        "a_wrong_key",
        Failure(retryable=False, status_code=401, words="check api_key"),
        json.dumps({"error": "unauthorized"}),
        json.dumps({"error": "unauthorized"}),
        status=401,
    ),
    case(
        "a_server_that_is_busy",
        Failure(retryable=True, status_code=503, words="server busy"),
        BUSY,
        BUSY,
        status=503,
    ),
    case(
        "a_runner_that_crashed",
        Failure(retryable=True, status_code=500, words="terminated"),
        json.dumps({"error": "llama runner process has terminated: exit status 2"}),
        None,
        status=500,
    ),
    case(
        "a_web_page_of_a_proxy",
        Failure(retryable=True, status_code=502, words="502 Bad Gateway"),
        "<html><title>502 Bad Gateway</title></html>",
        "<html><title>502 Bad Gateway</title></html>",
        status=502,
    ),
    case(
        "a_web_page_under_200",
        Failure(retryable=True, words="Log in", data=UNREADABLE),
        "<html><title>Log in</title></html>",
        "<html><title>Log in</title></html>",
    ),
    case(
        "an_error_under_200",
        Failure(retryable=True, words="it broke", data=CUT),
        '{"error": "it broke"}',
        '{"error": "it broke"}\n',
    ),
    case("a_list", Failure(retryable=True, data=UNREADABLE), "[]", "[]\n"),
    case("another_object", Failure(retryable=True, data=UNREADABLE), "{}", "{}\n"),
    case("nothing", Failure(retryable=True, data=CUT), "", ""),
    case("half_an_answer", Failure(retryable=True, data=UNREADABLE), whole()[:60], whole()[:60]),
    case(
        "a_call_without_a_name",
        Failure(retryable=True, data=UNREADABLE),
        whole(tool_calls=[{"function": {"arguments": {}}}]),
        stream(line(tool_calls=[{"function": {"arguments": {}}}]), END),
    ),
    case(
        "calls_of_another_form",
        Failure(retryable=True, data=UNREADABLE),
        whole(tool_calls="add"),
        stream(line(tool_calls="add"), END),
    ),
    case(
        "a_tool_call_cut_in_half",
        Failure(retryable=True, data=UNREADABLE),
        None,
        json.dumps(line(tool_calls=[call({"a": 2})]))[:-40],
    ),
    broken("the_stream_ends_early", "", data=CUT),
    broken("an_error_in_the_middle", '{"error": "it broke"}\n', words="it broke", data=CUT),
    broken(
        "an_error_with_its_status_in_the_middle",
        '{"error": "too long", "status_code": 400}\n',
        retryable=False,
        status_code=400,
        data=CUT,
    ),
    broken("a_line_cut_in_half", '{"model": "m", "mess', data=UNREADABLE),
    broken("a_line_that_is_deep", '{"a": ' * 100_000, data=UNREADABLE),
]
