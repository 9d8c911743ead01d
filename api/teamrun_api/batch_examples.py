"""The examples of the OpenAPI document that are about batches and files."""

from teamrun.json_types import JsonObject

__all__ = ["BATCH_EXAMPLES"]

_ID = "bat_01jd8v3m7q"
_FILE_ID = "file_01jd8v3m7q"
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TEXT = "North sold most: 5,120 units. APPROVE"

_FILE: JsonObject = {
    "id": _FILE_ID,
    "name": "tasks.jsonl",
    "size": 81_920,
    "sha256": _SHA,
    "created_at": "2026-03-31T08:00:00.000000Z",
}

_COUNTS: JsonObject = {
    "total": 500,
    "queued": 500,
    "running": 0,
    "completed": 0,
    "failed": 0,
    "cancelled": 0,
    "incomplete": 0,
    "expired": 0,
}

_ACCEPTED: JsonObject = {
    "id": _ID,
    "status": "in_progress",
    "revision": 1,
    "team": {"id": "analysts", "name": "analysts", "version": _SHA[:12], "digest": _SHA},
    "counts": _COUNTS,
    "usage": {"input_tokens": 0, "output_tokens": 0},
    "max_concurrency": 50,
    "limits": {"max_cost_usd": "20.00"},
    "item_limits": {"max_turns": 12},
    "input_file_id": _FILE_ID,
    "created_at": "2026-03-31T08:00:00.000000Z",
    "urls": {
        "self": f"/v1/batches/{_ID}",
        **{
            part: f"/v1/batches/{_ID}/{part}"
            for part in ("items", "results", "errors", "cancel", "pause", "resume", "retry-failed")
        },
    },
    "metadata": {"customer": "42"},
    "tags": ["nightly"],
}

_RUNNING: JsonObject = {
    **_ACCEPTED,
    "revision": 131,
    "counts": {**_COUNTS, "queued": 330, "running": 50, "completed": 118, "failed": 2},
    "usage": {"input_tokens": 97_440, "output_tokens": 16_800, "cost_usd": "1.32"},
    "expected_cost_usd": "5.50",
    "seconds_left": 95.0,
}

_RESULT: JsonObject = {
    "custom_id": "march",
    "index": 0,
    "status": "completed",
    "stop_reason": "Text 'APPROVE' mentioned",
    "stop_code": "text_mention",
    "output": {"text": _TEXT, "json": None},
    "error": None,
    "usage": {"input_tokens": 812, "output_tokens": 140, "model_calls": 3, "tool_calls": 4},
    "run_id": "run_01jd8v3m7q",
    "finished_at": "2026-03-31T08:00:04.100000Z",
    "metadata": {},
}

_ITEM: JsonObject = {
    "custom_id": "march",
    "index": 0,
    "status": "completed",
    "run_id": "run_01jd8v3m7q",
    "input": "Which region sold most in March?",
    "metadata": {},
    "result": _RESULT,
}

_STARTED: JsonObject = {
    "id": f"{_ID}-1",
    "seq": 1,
    "type": "batch.started",
    "time": "2026-03-31T08:00:00.000000Z",
    "batch_id": _ID,
    "data": {"total": 500, "skipped": 0},
}

_LINE = (
    f'{{"id":"{_ID}-1","seq":1,"type":"batch.started","time":"2026-03-31T08:00:00.000000Z",'
    f'"batch_id":"{_ID}","data":{{"total":500,"skipped":0}}}}'
)

_DELIVERIES: JsonObject = {
    "data": [
        {
            "event_id": f"{_ID}-31",
            "event_type": "batch.completed",
            "webhook_id": "own",
            "status": "pending",
            "tries": [],
            "next_try_at": "2026-03-31T08:30:04.110000Z",
        }
    ],
    "next_cursor": None,
    "has_more": False,
}

BATCH_EXAMPLES: JsonObject = {
    "BatchAccepted": _ACCEPTED,
    "BatchCancelling": {
        **_RUNNING,
        "status": "cancelling",
        "stop_reason": "No longer needed.",
        "seconds_left": None,
    },
    "BatchErrorLines": '{"line":7,"code":"invalid_json","detail":"The line is not JSON in UTF-8.",'
    '"custom_id":null,"last_line":null}\n',
    "BatchEventStream": f"retry: 2000\n\nid: {_ID}-1\nevent: batch.started\ndata: {_LINE}\n\n"
    f'event: end\nid: {_ID}-9\ndata: {{"batch_id":"{_ID}","status":"completed"}}\n\n',
    "BatchEvents": {"data": [_STARTED], "next_cursor": None, "has_more": False},
    "BatchItems": {"data": [_ITEM], "next_cursor": "0", "has_more": True},
    "BatchPaused": {**_RUNNING, "status": "paused", "seconds_left": None},
    "BatchResultLines": '{"custom_id":"march","index":0,"status":"completed",'
    f'"output":{{"text":"{_TEXT}","json":null}},"run_id":"run_01jd8v3m7q"}}\n',
    "BatchResultTable": "custom_id,status,output,error_code,error,input_tokens,output_tokens,"
    f'cost_usd,run_id\r\nmarch,completed,"{_TEXT}",,,812,140,,run_01jd8v3m7q\r\n',
    "BatchRetried": {**_RUNNING, "round": 2},
    "BatchDeliveries": _DELIVERIES,
    "BatchRunning": _RUNNING,
    "Batches": {"data": [_RUNNING], "next_cursor": None, "has_more": False},
    "File.uploaded": _FILE,
    "FileLines": '{"custom_id":"march","input":"Which region sold most in March?"}\n',
    "Files": {"data": [_FILE], "next_cursor": None, "has_more": False},
    "SubmitBatch": {
        "team": "analysts",
        "items": [
            {"custom_id": "march", "input": "Which region sold most in March?"},
            {
                "custom_id": "april",
                "input": "Which region sold most in April?",
                "overrides": {"temperature": 0},
            },
        ],
        "max_concurrency": 50,
    },
    "SubmitBatchOfFile": {
        "team": "analysts",
        "input_file_id": _FILE_ID,
        "input_format": "csv",
        "input_template": "Summarise {title}: {body}",
        "on_invalid": "skip",
        "limits": {"max_cost_usd": "20.00"},
        "item_limits": {"max_turns": 12},
        "max_failure_rate": 0.2,
    },
}
"""By their names in the document."""
