"""Example bodies about threads, for the OpenAPI document."""

from teamrun.json_types import JsonObject

__all__ = ["THREAD_EXAMPLES"]

_THREAD: JsonObject = {
    "id": "thr_01jd8v3m7q",
    "object": "thread",
    "status": "busy",
    "active_run_id": "run_01jd8v3m7q",
    "queued_run_ids": [],
    "runs_count": 1,
    "revision": 2,
    "metadata": {"customer": "42"},
    "created_at": "2026-03-31T08:00:00.000000Z",
    "updated_at": "2026-03-31T08:00:01.000000Z",
}

THREAD_EXAMPLES: JsonObject = {
    "CreateThread": {"metadata": {"customer": "42"}},
    "Thread": _THREAD,
    "ThreadMessages": {
        "data": [
            {
                "run_id": "run_01jd8v3m7q",
                "message": {
                    "type": "TextMessage",
                    "source": "user",
                    "content": "Which region sold most in March?",
                },
            }
        ],
        "next_cursor": None,
        "has_more": False,
    },
    "ThreadState": {
        "thread_id": "thr_01jd8v3m7q",
        "run_id": "run_01jd8v3m7q",
        "state": {"type": "TeamState", "version": "1.0.0", "agent_states": {}},
    },
    "Threads": {"data": [_THREAD], "next_cursor": None, "has_more": False},
    "UpdateThread": {"metadata": {"customer": "43"}},
}
"""By their names in the document."""
