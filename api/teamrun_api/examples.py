"""Example bodies of the OpenAPI document: one run of one team, seen from every route."""

from teamrun.json_types import JsonObject
from teamrun_api.batch_examples import BATCH_EXAMPLES
from teamrun_api.team_examples import TEAM_EXAMPLES
from teamrun_api.thread_examples import THREAD_EXAMPLES

__all__ = ["EXAMPLES"]

_ID = "run_01jd8v3m7q"
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_TEXT = "North sold most in March: 41,207.00. APPROVE"

_URLS = {
    "self": f"/v1/runs/{_ID}",
    "events": f"/v1/runs/{_ID}/events",
    "result": f"/v1/runs/{_ID}/result",
    "artifacts": f"/v1/runs/{_ID}/artifacts",
    **{
        part: f"/v1/runs/{_ID}/{part}"
        for part in ("cancel", "input", "pause", "resume", "messages", "retry", "fork")
    },
}

_USAGE: JsonObject = {
    "input_tokens": 812,
    "output_tokens": 140,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "model_calls": 3,
    "tool_calls": 4,
}

_SUBMIT: JsonObject = {
    "team": "analysts",
    "input": "Which region sold most in March?",
    "metadata": {"customer": "42"},
    "tags": ["nightly"],
}

_SUBMIT_WITHIN: JsonObject = {
    "team": "analysts",
    "input": "Which region sold most in March?",
    "limits": {
        "max_cost_usd": "1.50",
        "max_turns": 30,
        "timeout_seconds": 1800,
        "on_limit": "pause",
        "agents": {"analyst": {"max_tool_calls": 20}},
    },
    "retry": {"max_attempts": 3, "backoff_seconds": 10, "max_backoff_seconds": 600},
    "delay_seconds": 60,
    "expires_in_seconds": 3600,
    "deadline": "2036-03-31T18:00:00Z",
}

_SUBMIT_WITH_WEBHOOK: JsonObject = {
    **_SUBMIT,
    "webhook": {
        "url": "https://example.com/hooks/teamrun",
        "events": ["run.completed", "run.failed", "run.input_required"],
        "metadata": {"order": "4711"},
    },
}

_DELIVERIES: JsonObject = {
    "data": [
        {
            "event_id": f"{_ID}-14",
            "event_type": "run.completed",
            "webhook_id": "own",
            "status": "delivered",
            "tries": [
                {
                    "type": "run.completed",
                    "at": "2026-03-31T08:00:04.110000Z",
                    "duration_ms": 23,
                    "status": 503,
                    "error": "http_status",
                    "next_at": "2026-03-31T08:00:09.400000Z",
                },
                {
                    "type": "run.completed",
                    "at": "2026-03-31T08:00:09.420000Z",
                    "duration_ms": 18,
                    "status": 200,
                    "error": None,
                    "next_at": None,
                },
            ],
            "next_try_at": None,
        }
    ],
    "next_cursor": None,
    "has_more": False,
}

_WEBHOOK: JsonObject = {
    "id": "whe_5f0c9a51d2b84e6f90a1b2c3d4e5f607",
    "object": "webhook",
    "url": "https://example.com/hooks/teamrun",
    "events": ["run.completed", "run.failed", "run.input_required"],
    "payload": "full",
    "format": "standard",
    "description": "Orders",
    "metadata": {"service": "orders"},
    "enabled": True,
    "disabled_because": None,
    "disabled_at": None,
    "failing_since": None,
    "old_secret_until": None,
    "version": 1,
    "created_at": "2026-03-31T08:00:00.000000Z",
    "updated_at": "2026-03-31T08:00:00.000000Z",
}

_SECRET: JsonObject = {
    "object": "webhook_secret",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "old_secret_until": None,
}

_RUN_QUEUED: JsonObject = {
    "id": _ID,
    "object": "run",
    "status": "queued",
    "stop_reason": None,
    "stop_code": None,
    "revision": 1,
    "team": {"id": "analysts", "name": "analysts", "version": _SHA[:12], "digest": _SHA},
    "input": _SUBMIT["input"],
    "output": None,
    "error": None,
    "attempt": 1,
    "epoch": 0,
    "progress": {"turn": 0, "max_turns": 6, "current_agent": None},
    "usage": dict.fromkeys(_USAGE, 0),
    "created_at": "2026-03-31T08:00:00.000000Z",
    "started_at": None,
    "finished_at": None,
    "artifacts_count": 0,
    "urls": _URLS,
    "metadata": _SUBMIT["metadata"],
    "tags": _SUBMIT["tags"],
}

_RUN_ENDED: JsonObject = {
    **_RUN_QUEUED,
    "status": "completed",
    "stop_reason": "Text 'APPROVE' mentioned",
    "stop_code": "text_mention",
    "revision": 7,
    "output": {"text": _TEXT, "json": None},
    "epoch": 1,
    "progress": {"turn": 2, "max_turns": 6, "current_agent": None},
    "usage": _USAGE,
    "started_at": "2026-03-31T08:00:00.020000Z",
    "finished_at": "2026-03-31T08:00:04.100000Z",
    "artifacts_count": 1,
}

_RUNS: JsonObject = {"data": [_RUN_ENDED], "next_cursor": None, "has_more": False}

_ARTIFACT: JsonObject = {
    "name": "chart.png",
    "version": 1,
    "media_type": "image/png",
    "size": 18_412,
    "sha256": _SHA,
}

_ARTIFACTS: JsonObject = {
    "data": [{**_ARTIFACT, "url": f"/v1/runs/{_ID}/artifacts/chart.png/versions/1"}],
    "next_cursor": None,
    "has_more": False,
}

_RESULT: JsonObject = {
    "run_id": _ID,
    "status": "completed",
    "stop_reason": "Text 'APPROVE' mentioned",
    "stop_code": "text_mention",
    "output": {"text": _TEXT, "json": None},
    "error": None,
    "usage": _USAGE,
    "finished_at": "2026-03-31T08:00:04.100000Z",
    "artifacts": [{**_ARTIFACT, "agent": "analyst"}],
    "messages": [{"type": "TextMessage", "source": "reviewer", "content": _TEXT}],
}

_STARTED: JsonObject = {
    "id": f"{_ID}-2",
    "seq": 2,
    "type": "run.started",
    "time": "2026-03-31T08:00:00.020000Z",
    "run_id": _ID,
    "agent": None,
    "data": {"team": "analysts"},
}

_EVENTS: JsonObject = {"data": [_STARTED], "next_cursor": f"{_ID}-2", "has_more": True}

_LINE = (
    f'{{"id":"{_ID}-2","seq":2,"type":"run.started","time":"2026-03-31T08:00:00.020000Z",'
    f'"run_id":"{_ID}","agent":null,"data":{{"team":"analysts"}}}}'
)

_EVENT_LINES = _LINE + "\n"

_EVENT_STREAM = (
    f"retry: 2000\n\nid: {_ID}-2\nevent: run.started\ndata: {_LINE}\n\n"
    "event: message.delta\n"
    f'data: {{"type":"message.delta","run_id":"{_ID}","agent":"analyst","data":{{"text":"No"}}}}'
    "\n\n: ping\n\n"
    f'event: end\ndata: {{"run_id":"{_ID}","status":"completed"}}\n\n'
)

_CANCEL: JsonObject = {"reason": "No longer needed."}

_RUN_RUNNING: JsonObject = {
    **_RUN_QUEUED,
    "status": "running",
    "revision": 5,
    "epoch": 1,
    "progress": {"turn": 1, "max_turns": 6, "current_agent": "analyst"},
    "started_at": "2026-03-31T08:00:00.020000Z",
}

_ACTION: JsonObject = {
    "id": "analysts/manager/input:0",
    "type": "input",
    "agent": "manager",
    "prompt": "Enter your response: ",
    "schema": {"type": "object", "properties": {"approved": {"type": "boolean"}}},
    "expires_at": "2026-04-01T08:00:00.020000Z",
}

_RUN_ASKING: JsonObject = {
    **_RUN_RUNNING,
    "status": "input_required",
    "required_actions": [_ACTION],
}

_ANSWER: JsonObject = {
    "action_id": _ACTION["id"],
    "decision": "answer",
    "data": {"approved": True},
}

_CHILD_ID = "run_01jd8v9k2c"

_RUN_CHILD: JsonObject = {
    **_RUN_QUEUED,
    "id": _CHILD_ID,
    "parent_run_id": _ID,
    "urls": {name: url.replace(_ID, _CHILD_ID) for name, url in _URLS.items()},
}

_TEAM: JsonObject = {
    "name": "analysts",
    "id": "analysts",
    "version": _SHA[:12],
    "digest": _SHA,
    "type": "round_robin_group_chat",
    "description": "An analyst with tools over a CSV file, and a reviewer.",
    "agents": ["analyst", "reviewer"],
    "models": [{"profile": "default", "active": "scripted", "type": "scripted", "missing": None}],
    "tools": ["aggregate", "draw_chart", "filter_rows", "load"],
}

_TEAMS: JsonObject = {"data": [_TEAM], "next_cursor": None, "has_more": False}

_VALIDATE: JsonObject = {"team_spec": {"type": "round_robin_group_chat", "participants": []}}

_VALIDATION: JsonObject = {
    "valid": False,
    "errors": [
        {
            "pointer": "/team_spec/participants",
            "code": "invalid_definition",
            "detail": "A team has at least one participant.",
        }
    ],
    "warnings": [],
}

_INFO: JsonObject = {
    "name": "teamrun",
    "version": "0.1.0",
    "api_versions": ["v1"],
    "behaviour": 1,
    "server": {"authentication": "none", "live_events": True, "streaming": True},
    "limits": {
        "body_bytes": 1_048_576,
        "json_depth": 64,
        "json_values": 10_000,
        "wait_seconds": 60.0,
    },
}

_METRICS = """\
# HELP teamrun_http_streams Event streams that are open.
# TYPE teamrun_http_streams gauge
teamrun_http_streams 0
"""

EXAMPLES: JsonObject = {
    **BATCH_EXAMPLES,
    **TEAM_EXAMPLES,
    **THREAD_EXAMPLES,
    "Answer": _ANSWER,
    "Artifacts": _ARTIFACTS,
    "Cancel": _CANCEL,
    "CreateWebhook": {
        "url": _WEBHOOK["url"],
        "events": _WEBHOOK["events"],
        "description": "Orders",
        "metadata": {"service": "orders"},
    },
    "Deliveries": _DELIVERIES,
    "Delivery": _DELIVERIES["data"][0],
    "EventLines": _EVENT_LINES,
    "EventTypes": {
        "data": [{"type": "run.completed", "description": "The team of a run has stopped."}],
        "next_cursor": None,
        "has_more": False,
    },
    "EventStream": _EVENT_STREAM,
    "Events": _EVENTS,
    "File": "(the bytes of the file)",
    "Fork": {
        "after_seq": 12,
        "input": {"content": "Take April instead.", "source": "user"},
        "limits": {"max_cost_usd": "0.50"},
    },
    "Health": {"status": "ok"},
    "Info": _INFO,
    "Message": {"content": "Leave out the returns.", "source": "user"},
    "Metrics": _METRICS,
    "Nothing": {},
    "Ready": {"status": "ready", "checks": {"redis": "ok", "storage": "ok"}},
    "Result": _RESULT,
    "BatchRetry": {"limits": {"max_cost_usd": "3.00"}},
    "Resume": {"limits": {"max_cost_usd": "3.00"}},
    "Retry": {"from": "here"},
    "RunAnswered": {**_RUN_RUNNING, "status": "queued", "revision": 7},
    "RunAsking": _RUN_ASKING,
    "RunCancelled": {
        **_RUN_QUEUED,
        "status": "cancelled",
        "stop_reason": "No longer needed.",
        "stop_code": "cancelled",
        "revision": 2,
        "finished_at": "2026-03-31T08:00:01.000000Z",
    },
    "RunCancelling": {**_RUN_QUEUED, "status": "cancelling", "revision": 4, "epoch": 1},
    "RunEnded": _RUN_ENDED,
    "RunForked": {**_RUN_CHILD, "forked_from": {"run_id": _ID, "after_seq": 12}},
    "RunPaused": {**_RUN_RUNNING, "status": "paused", "revision": 7},
    "RunQueued": _RUN_QUEUED,
    "RunResumed": {**_RUN_RUNNING, "status": "queued", "revision": 8},
    "RunRetried": _RUN_CHILD,
    "RunRunning": _RUN_RUNNING,
    "Runs": _RUNS,
    "Redeliver": {"since": "2026-03-31T08:00:00Z", "which": "undelivered"},
    "Redelivered": {"redelivered": 17, "next_cursor": None, "has_more": False},
    "RotateSecret": {"overlap_seconds": 86_400},
    "Secret": _SECRET,
    "SecretRotated": {**_SECRET, "old_secret_until": "2026-04-01T08:00:00.000000Z"},
    "Submit": _SUBMIT,
    "SubmitWithWebhook": _SUBMIT_WITH_WEBHOOK,
    "SubmitWithin": _SUBMIT_WITHIN,
    "Team": _TEAM,
    "Test": {"type": "run.completed"},
    "Tested": {
        "event_id": f"{_WEBHOOK['id']}-test_1f0c9a51d2b84e6f90a1b2c3d4e5f607",
        "is_accepted": True,
        "request": {
            "type": "run.completed",
            "at": "2026-03-31T08:00:09.420000Z",
            "duration_ms": 18,
            "status": 200,
            "error": None,
            "next_at": None,
        },
    },
    "UpdateWebhook": {"events": ["run.*"], "enabled": True},
    "Teams": _TEAMS,
    "Validate": _VALIDATE,
    "Validation": _VALIDATION,
    "Webhook": _WEBHOOK,
    "WebhookCreated": {**_WEBHOOK, "secret": _SECRET["secret"]},
    "WebhookRotated": {
        **_WEBHOOK,
        "version": 2,
        "old_secret_until": "2026-04-01T08:00:00.000000Z",
        "secret": _SECRET["secret"],
    },
    "Webhooks": {"data": [_WEBHOOK], "next_cursor": None, "has_more": False},
}
"""By their names in the document."""
