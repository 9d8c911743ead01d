"""Answering, pausing, resuming a run, and speaking to its team."""

import asyncio
from typing import Any

import pytest
from tests.support.api import World, serve, world

from teamrun.components.registry import Registry
from teamrun.testing import ScriptedModel
from teamrun.tools.function import FunctionTool

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}},
    "required": ["amount"],
}


def asking(**person: Any) -> dict[str, Any]:
    """A team of a person alone."""
    boss = {"type": "user_proxy_agent", "name": "boss", **person}
    return {"type": "round_robin_group_chat", "participants": [boss], "max_turns": 1}


async def question(w: World, **person: Any) -> tuple[str, str]:
    """A run that waits, and the id of its question."""
    body = {"team_spec": asking(**person), "input": "Go"}
    run_id = (await w.client.post("/v1/runs", json=body)).json()["id"]
    await w.execute()
    run = (await w.client.get(f"/v1/runs/{run_id}")).json()
    [action] = run["required_actions"]
    assert (run["status"], action["type"], action["agent"]) == ("input_required", "input", "boss")
    return run_id, action["id"]


def test_an_answer_is_202_with_the_continued_run() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            body = {"action_id": action_id, "decision": "answer", "content": "yes"}
            answer = await w.client.post(f"/v1/runs/{run_id}/input", json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
            run = answer.json()
            assert (run["status"], run["required_actions"]) == ("queued", [])
            assert answer.headers["etag"] == f'"r{run["revision"]}"'
            await w.execute()
            result = (await w.client.get(f"/v1/runs/{run_id}/result")).json()
            assert (result["status"], result["output"]["text"]) == ("completed", "yes")

    serve(scenario())


def test_a_question_with_a_form_shows_it_and_takes_data_that_fits() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w, input_schema=FORM, expires_in_seconds=60)
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            [action] = run["required_actions"]
            assert (action["schema"], action["expires_at"] is None) == (FORM, False)
            url = f"/v1/runs/{run_id}/input"
            wrong = {"action_id": action_id, "data": {"amount": "five"}}
            problem = await w.client.post(url, json=wrong)
            assert (problem.status_code, problem.json()["code"]) == (422, "unfit_answer")
            [fault] = problem.json()["errors"]
            assert (fault["pointer"], fault["code"]) == ("/data/amount", "unfit_answer")
            right = {"action_id": action_id, "data": {"amount": 5}}
            assert (await w.client.post(url, json=right)).status_code == 202
            await w.execute()
            result = (await w.client.get(f"/v1/runs/{run_id}/result")).json()
            assert result["output"]["text"] == '{"amount":5}'

    serve(scenario())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/action_id"),
        ({"action_id": "x", "decision": "maybe"}, "/decision"),
        ({"action_id": "x", "content": 5}, "/content"),
        ({"action_id": "x", "answer": "yes"}, "/answer"),
    ],
)
def test_a_body_that_is_no_answer_is_422(body: dict[str, Any], pointer: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.post(f"/v1/runs/{run_id}/input", json=body)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "invalid_body")
            assert [fault["pointer"] for fault in problem["errors"]] == [pointer]

    serve(scenario())


@pytest.mark.parametrize(
    ("answer", "pointer"),
    [({"decision": "approve"}, "/decision"), ({"decision": "answer"}, "/content")],
)
def test_an_answer_that_does_not_fit_the_question_is_422(
    answer: dict[str, Any], pointer: str
) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            body = {"action_id": action_id, **answer}
            refused = await w.client.post(f"/v1/runs/{run_id}/input", json=body)
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (422, "unfit_answer")
            assert [fault["pointer"] for fault in problem["errors"]] == [pointer]

    serve(scenario())


@pytest.mark.parametrize("content", ["", " ", "\n"])
def test_a_blank_text_is_no_answer_to_a_question(content: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            body = {"action_id": action_id, "content": content}
            refused = await w.client.post(f"/v1/runs/{run_id}/input", json=body)
            assert (refused.status_code, refused.json()["code"]) == (422, "unfit_answer")

    serve(scenario())


@pytest.mark.parametrize(
    "answer", [{"content": "hello"}, {"decision": "answer", "content": "yes"}, {"data": True}]
)
def test_an_approval_takes_approve_or_reject_and_stays_open_after_anything_else(
    answer: dict[str, Any],
) -> None:
    async def scenario() -> None:
        paying = FunctionTool(lambda: "paid", "Pay.", name="pay", needs_approval=True)
        registry = Registry.of(
            models={"m": ScriptedModel({"a": [{"tool_calls": [{"name": "pay"}]}]})},
            tools=[paying],
            teams={
                "payers": {
                    "type": "round_robin_group_chat",
                    "agents": [{"name": "a", "model": "m", "tools": ["pay"]}],
                    "max_turns": 1,
                }
            },
        )
        async with world(registry=registry) as w:
            body = {"team": "payers", "input": "Go"}
            run_id = (await w.client.post("/v1/runs", json=body)).json()["id"]
            await w.execute()
            url = f"/v1/runs/{run_id}"
            [action] = (await w.client.get(url)).json()["required_actions"]
            assert action["decisions"] == ["approve", "reject"]
            refused = await w.client.post(
                f"{url}/input", json={"action_id": action["id"], **answer}
            )
            assert (refused.status_code, refused.json()["code"]) == (422, "unfit_answer")
            assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/decision"]
            assert (await w.client.get(url)).json()["required_actions"] == [action]

    serve(scenario())


def test_a_question_that_is_not_asked_any_more_is_409() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            url, body = f"/v1/runs/{run_id}/input", {"action_id": action_id, "content": "yes"}
            assert (await w.client.post(url, json=body)).status_code == 202
            for stale in (body, {**body, "action_id": "team/nobody/input:7"}):
                answer = await w.client.post(url, json=stale)
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (409, "stale_action")
                assert problem["run_id"] == run_id

    serve(scenario())


@pytest.mark.parametrize(
    ("route", "body", "other"),
    [
        ("input", {"content": "yes"}, {"content": "no"}),
        ("messages", {"content": "be brief"}, {"content": "be long"}),
    ],
)
def test_a_repeated_message_is_delivered_once_and_another_one_with_its_key_is_refused(
    route: str, body: dict[str, Any], other: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            url, headers = f"/v1/runs/{run_id}/{route}", {"Idempotency-Key": "k"}
            more = {"action_id": action_id} if route == "input" else {}
            first = await w.client.post(url, json={**body, **more}, headers=headers)
            again = await w.client.post(url, json={**body, **more}, headers=headers)
            assert (first.status_code, again.status_code) == (202, 202)
            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
            assert again.json() == first.json()
            refused = await w.client.post(url, json={**other, **more}, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_conflict")

    serve(scenario())


def test_one_key_may_be_used_for_an_answer_and_for_a_message() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w)
            headers = {"Idempotency-Key": "k"}
            said = {"input": {"action_id": action_id, "content": "yes"}}
            said["messages"] = {"content": "be brief"}
            for route, body in said.items():
                url = f"/v1/runs/{run_id}/{route}"
                answer = await w.client.post(url, json=body, headers=headers)
                assert answer.status_code == 202
                assert "idempotency-replayed" not in answer.headers

    serve(scenario())


def test_a_message_is_delivered_to_the_team() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            url = f"/v1/runs/{run_id}/messages"
            answer = await w.client.post(url, json={"content": "be brief", "source": "ada"})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")
            await w.execute()
            result = (await w.client.get(f"/v1/runs/{run_id}/result")).json()
            heard = [m["content"] for m in result["messages"] if m["source"] == "ada"]
            assert heard == ["be brief"]

    serve(scenario())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/content"), ({"content": 1}, "/content"), ({"content": "x", "to": "a"}, "/to")],
)
def test_a_body_that_is_no_message_is_422(body: dict[str, Any], pointer: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            answer = await w.client.post(f"/v1/runs/{run_id}/messages", json=body)
            assert answer.status_code == 422
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]

    serve(scenario())


def test_a_paused_run_stands_still_until_it_is_resumed() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            seen: list[tuple[int, str, int]] = []
            for route in ("pause", "pause", "resume", "resume"):
                answer = await w.client.post(f"/v1/runs/{run_id}/{route}")
                run = answer.json()
                seen.append((answer.status_code, run["status"], run["revision"]))
                if run["status"] == "paused":
                    await w.execute()
            assert seen == [(202, "paused", 2)] * 2 + [(202, "queued", 3)] * 2
            await w.execute()
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert run["status"] == "completed"

    serve(scenario())


@pytest.mark.parametrize(
    ("route", "body", "pointer"),
    [
        ("pause", {"limits": {"max_turns": 9}}, "/limits"),
        ("resume", {"limit": {"max_turns": 9}}, "/limit"),
        ("resume", {"limits": {"max_turns": 0}}, "/limits/max_turns"),
        ("resume", {"limits": {"agents": {"writer": {"max_turns": 1}}}}, "/limits/agents/writer"),
        ("resume", {"from": "there"}, "/from"),
    ],
)
def test_an_invalid_body_of_a_pause_or_resume_is_422(
    route: str, body: dict[str, Any], pointer: str
) -> None:
    async def scenario() -> None:
        async with world() as w:
            url = f"/v1/runs/{await w.submit()}/{route}"
            assert (await w.client.post(url, json={})).status_code == 202
            answer = await w.client.post(url, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
            [fault] = answer.json()["errors"]
            assert fault["pointer"].startswith(pointer)

    serve(scenario())


def test_a_run_that_is_paused_at_a_limit_continues_when_the_limit_is_raised() -> None:
    async def scenario() -> None:
        async with world() as w:
            limits = {"max_model_calls": 2, "max_cost_usd": "1.50", "on_limit": "pause"}
            run_id = await w.ended(limits=limits)
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert (run["status"], run["usage"]["model_calls"]) == ("paused", 2)
            assert {name: run["limits"][name] for name in limits} == limits
            body = {"limits": {"max_model_calls": 9}}
            answer = await w.client.post(f"/v1/runs/{run_id}/resume", json=body)
            run = answer.json()
            assert (answer.status_code, run["status"]) == (202, "queued")
            assert (run["limits"]["max_model_calls"], run["limits"]["max_cost_usd"]) == (9, "1.50")
            await w.execute()
            run = (await w.client.get(f"/v1/runs/{run_id}")).json()
            assert (run["status"], run["usage"]["model_calls"]) == ("completed", 4)

    serve(scenario())


def test_only_a_run_that_has_diverged_begins_anew() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.submit()
            await w.client.post(f"/v1/runs/{run_id}/pause")
            answer = await w.client.post(f"/v1/runs/{run_id}/resume", json={"from": "start"})
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (422, "no_such_point")
            assert [fault["pointer"] for fault in problem["errors"]] == ["/from"]
            answer = await w.client.post(f"/v1/runs/{run_id}/resume", json={"from": "here"})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")

    serve(scenario())


def test_a_run_that_waits_is_cancelled_at_once() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, _ = await question(w)
            answer = await w.client.post(f"/v1/runs/{run_id}/cancel")
            run = answer.json()
            assert (answer.status_code, run["status"]) == (200, "cancelled")
            assert run["required_actions"] == []

    serve(scenario())


def test_a_submit_that_waits_is_answered_when_the_run_asks() -> None:
    async def scenario() -> None:
        async with world() as w:
            body = {"team_spec": asking(), "input": "Go"}
            held = asyncio.create_task(
                w.client.post("/v1/runs", json=body, headers={"Prefer": "wait=30"})
            )
            await w.mailbox.arrived.wait()
            await w.execute()
            answer = await held
            assert (answer.status_code, answer.json()["status"]) == (202, "input_required")
            assert answer.headers["preference-applied"] == "wait=30"

    serve(scenario())


def test_an_answer_whose_data_is_written_in_another_order_is_the_same_answer() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id, action_id = await question(w, input_schema=FORM)
            url, headers = f"/v1/runs/{run_id}/input", {"Idempotency-Key": "k"}
            body = {"action_id": action_id, "data": {"amount": 5, "note": "x"}}
            turned = {"data": {"note": "x", "amount": 5}, "action_id": action_id}
            assert (await w.client.post(url, json=body, headers=headers)).status_code == 202
            again = await w.client.post(url, json=turned, headers=headers)
            assert again.headers["idempotency-replayed"] == "true", again.text

    serve(scenario())
