import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2
import pytest
from tests.support.api import Exchange, World, serve, world

from teamrun.errors import Unavailable
from teamrun.storage.memory import MemoryStore

SUBMIT = {"team": "writers", "input": "Go", "metadata": {"customer": "42"}, "tags": ["nightly"]}

BODY = b'{"team": "writers", "input": "Go"}'


async def _executed_soon(w: World) -> None:
    await w.mailbox.arrived.wait()
    await w.execute()


def test_a_submit_is_accepted_with_where_the_run_is_and_when_to_look() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/runs", json=SUBMIT)

            run = answer.json()
            assert answer.status_code == 202
            assert answer.headers["location"] == f"/v1/runs/{run['id']}"
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["etag"] == f'"r{run["revision"]}"'
            assert "preference-applied" not in answer.headers
            assert "idempotency-replayed" not in answer.headers
            assert (run["status"], run["metadata"], run["tags"]) == (
                "queued",
                {"customer": "42"},
                ["nightly"],
            )
            assert (await w.client.get(answer.headers["location"])).json() == run
            assert [ref.run_id for ref in w.mailbox.refs] == [run["id"]]

    serve(scenario())


@pytest.mark.parametrize(
    "asked",
    [{"headers": {"Prefer": "wait=20"}}, {"params": {"wait": "20"}}],
    ids=["header", "query"],
)
def test_a_submit_that_waits_answers_200_with_the_ended_run(asked: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer, _ = await asyncio.gather(
                w.client.post("/v1/runs", json=SUBMIT, **asked), _executed_soon(w)
            )

            assert answer.status_code == 200
            assert answer.headers["preference-applied"] == "wait=20"
            assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
            assert "retry-after" not in answer.headers
            assert answer.json()["output"]["text"] == "It is noted again. DONE"

    serve(scenario())


def test_a_submit_whose_time_runs_out_answers_202_and_at_most_the_limit_is_applied() -> None:
    async def scenario() -> None:
        async with world(wait_limit_seconds=0) as w:
            answer = await w.client.post("/v1/runs", json=SUBMIT, headers={"Prefer": "wait=9999"})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")
            assert answer.headers["preference-applied"] == "wait=0"

    serve(scenario())


def test_a_preference_that_cannot_be_read_is_ignored() -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/runs", json=SUBMIT, headers={"Prefer": "wait=soon"})
            assert answer.status_code == 202
            assert "preference-applied" not in answer.headers

    serve(scenario())


def test_the_same_key_and_body_are_the_same_run() -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"Idempotency-Key": "order 4711"}
            first = await w.client.post("/v1/runs", json=SUBMIT, headers=headers)
            again = await w.client.post("/v1/runs", json=SUBMIT, headers=headers)

            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
            assert (again.status_code, again.json()) == (202, first.json())

    serve(scenario())


def test_the_same_key_with_another_body_is_422() -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"Idempotency-Key": "order 4711"}
            await w.client.post("/v1/runs", json=SUBMIT, headers=headers)
            other = await w.client.post(
                "/v1/runs", json=SUBMIT | {"input": "Stop"}, headers=headers
            )
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
            assert len(w.mailbox.refs) == 1

    serve(scenario())


def _turned(value: Any) -> Any:
    """The same JSON with the members of each object in the opposite order."""
    match value:
        case dict():
            found = cast("dict[str, Any]", value)
            return {name: _turned(found[name]) for name in reversed(found)}
        case list():
            return [_turned(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _with_defaults(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "retry": {"max_attempts": 1}, "overrides": {}, "delay_seconds": None}


@pytest.mark.parametrize("again", [_turned, _with_defaults])
def test_a_repeated_request_is_the_same_however_it_is_written(
    again: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    body = {
        "team_spec": SPEC,
        "input": {"messages": [{"content": "Go", "source": "user"}]},
        "metadata": {"customer": "42", "order": "7"},
        "limits": {"max_turns": 2, "max_tokens": 100},
    }

    async def scenario() -> None:
        async with world() as w:
            headers = {"Idempotency-Key": "k"}
            first = await w.client.post("/v1/runs", json=body, headers=headers)
            other = await w.client.post("/v1/runs", json=again(body), headers=headers)
            assert other.headers["idempotency-replayed"] == "true", other.text
            assert other.json()["id"] == first.json()["id"]

    serve(scenario())


@pytest.mark.parametrize(
    "body",
    [
        b'{"team": "writers", "input": "Go", "input": "Stop"}',
        b'{"team": "writers", "input": "Go", "inp\\u0075t": "Stop"}',
        b'{"team": "writers", "input": "Go", "metadata": {"a": "1", "a": "1"}}',
        b'{"team_spec": {"type": "x", "deep": [{"a": 1, "b": 2, "a": 3}]}, "input": "Go"}',
    ],
)
def test_a_body_with_a_name_twice_is_400_and_nothing_is_accepted(body: bytes) -> None:
    async def scenario() -> None:
        async with world() as w:
            headers = {"Content-Type": "application/json"}
            answer = await w.client.post("/v1/runs", content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
            assert "twice" in answer.json()["detail"]
            assert not w.mailbox.refs

    serve(scenario())


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_a_key_that_may_not_be_is_400_and_nothing_is_accepted(key: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            exchange = Exchange(
                w.app,
                "/v1/runs",
                method="POST",
                headers={"content-type": "application/json", "content-length": str(len(BODY))},
                body=BODY,
            )
            exchange.scope["headers"].append((b"idempotency-key", key.encode("latin-1")))
            assert await exchange.start() == 400
            problem = httpx2.Response(200, content=await exchange.rest()).json()
            assert problem["code"] == "invalid_idempotency_key"
            assert problem["errors"][0]["header"] == "Idempotency-Key"
            assert (await w.client.get("/v1/runs")).json()["data"] == []

    serve(scenario())


@pytest.mark.parametrize("key", ["!", "~" * 255])
def test_a_key_of_the_shortest_and_longest_form_is_taken(key: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/runs", json=SUBMIT, headers={"Idempotency-Key": key})
            assert answer.status_code == 202

    serve(scenario())


@dataclass(frozen=True)
class Bad:
    id: str
    body: dict[str, Any]
    pointer: str
    code: str
    says: str = field(default="")


SPEC: dict[str, Any] = {
    "type": "round_robin_group_chat",
    "participants": [{"type": "assistant_agent", "name": "a", "model": "default"}],
    "termination": {"type": "max_messages", "max_messages": 2},
}


def _spec(**changes: Any) -> dict[str, Any]:
    agent = {**SPEC["participants"][0], **changes}
    return {"team_spec": {**SPEC, "participants": [agent]}, "input": "Go"}


BAD = [
    Bad("unknown team", {"team": "writer", "input": "x"}, "/team", "unknown_team", "'writers'"),
    Bad("neither team", {"input": "x"}, "/team", "invalid_definition", "team_spec"),
    Bad(
        "both teams",
        {"team": "writers", "team_spec": SPEC, "input": "x"},
        "/team_spec",
        "invalid_definition",
    ),
    Bad("no input", {"team": "writers"}, "/input", "missing"),
    Bad(
        "a delay and a time",
        {"team": "writers", "input": "x", "delay_seconds": 1, "run_at": "2101-01-01T00:00:00Z"},
        "",
        "value_error",
        "run_at",
    ),
    Bad(
        "wrong field",
        {"team": "writers", "imput": "x", "input": "x"},
        "/imput",
        "extra_forbidden",
        "Did you mean 'input'",
    ),
    Bad("wrong type", {"team": 7, "input": "x"}, "/team", "string_type"),
    Bad(
        "no messages",
        {"team": "writers", "input": {"messages": []}},
        "/input/messages",
        "too_short",
    ),
    Bad(
        "a message without content",
        {"team": "writers", "input": {"messages": [{"source": "user"}]}},
        "/input/messages/0/content",
        "missing",
    ),
    Bad(
        "long metadata",
        {"team": "writers", "input": "x", "metadata": {"k": "v" * 513}},
        "/metadata/k",
        "string_too_long",
    ),
    Bad(
        "too many tags",
        {"team": "writers", "input": "x", "tags": ["t"] * 17},
        "/tags",
        "too_long",
    ),
    Bad("unknown model", _spec(model="nope"), "/team_spec/participants/0/model", "unknown_model"),
    Bad("missing tool", _spec(tools=["nope"]), "/team_spec/participants/0/tools/0", "unknown_tool"),
    Bad(
        "unknown agent type",
        _spec(type="os.system"),
        "/team_spec/participants/0/type",
        "invalid_definition",
        "'os.system'",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_an_invalid_body_is_422_with_the_field_and_the_remedy(case: Bad) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/runs", json=case.body)
            problem = answer.json()
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
            fault = next(item for item in problem["errors"] if item["pointer"] == case.pointer)
            assert fault["code"] == case.code
            assert case.says in problem["detail"]
            if problem["code"] == "invalid_body":
                first = problem["errors"][0]
                location = f"{first['pointer']}: " if first["pointer"] else ""
                assert problem["detail"].startswith(location + first["detail"])
            assert w.mailbox.refs == []

    serve(scenario())


class Broken(MemoryStore):
    """A store that cannot be reached while `down`."""

    down = True

    async def put_new(self, key: str, data: bytes) -> bool:
        self._reach()
        return await super().put_new(key, data)

    async def put(self, key: str, data: bytes) -> None:
        self._reach()
        await super().put(key, data)

    def _reach(self) -> None:
        if self.down:
            raise Unavailable("connect to https://inner.host.example failed")


def test_a_store_that_does_not_respond_is_503_without_internal_details() -> None:
    async def scenario() -> None:
        store = Broken()
        async with world(store) as w:
            answer = await w.client.post("/v1/runs", json=SUBMIT)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.headers["retry-after"] == "1"
            assert "inner.host" not in answer.text
            store.down = False
            assert (await w.client.get("/v1/runs")).json()["data"] == []

    serve(scenario())


def test_a_wait_that_fails_after_the_acceptance_still_returns_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with world() as w:

            async def failing(*_: Any, **__: Any) -> None:
                raise Unavailable("gone")

            monkeypatch.setattr(w.service, "wait", failing)
            answer = await w.client.post("/v1/runs", json=SUBMIT, headers={"Prefer": "wait=5"})
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")

    serve(scenario())


def test_a_client_that_leaves_a_held_submit_leaves_the_run_behind_and_nothing_else() -> None:
    async def scenario() -> None:
        async with world() as w:
            exchange = Exchange(
                w.app,
                "/v1/runs",
                method="POST",
                query="wait=60",
                headers={"content-type": "application/json", "content-length": str(len(BODY))},
                body=BODY,
            )
            await w.mailbox.arrived.wait()
            await exchange.leave()
            assert exchange.task.done()
            runs = (await w.client.get("/v1/runs")).json()["data"]
            assert [run["status"] for run in runs] == ["queued"]

    serve(scenario())


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"deadline": "2001-01-01T00:00:00Z"}, "/deadline"),
    ({"deadline": "2001-01-01T00:00:00Z", "delay_seconds": 5}, "/deadline"),
    ({"deadline": "2101-01-01T00:00:00Z", "run_at": "2101-01-01T00:00:00Z"}, "/deadline"),
    ({"deadline": "2101-01-01T00:00:00Z", "run_at": "2101-01-01T00:00:01Z"}, "/deadline"),
    ({"expires_in_seconds": 59, "delay_seconds": 60}, "/expires_in_seconds"),
    ({"expires_in_seconds": 59, "run_at": "2101-01-01T00:00:00Z"}, "/expires_in_seconds"),
]


@pytest.mark.parametrize(("times", "pointer"), IMPOSSIBLE)
async def test_times_at_which_a_run_could_not_begin_are_refused(
    times: dict[str, Any], pointer: str
) -> None:
    async with world() as w:
        answer = await w.client.post("/v1/runs", json={**SUBMIT, **times})

        assert (answer.status_code, answer.json()["code"]) == (422, "impossible_time")
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
        assert (await w.client.get("/v1/runs")).json()["data"] == []


@pytest.mark.parametrize(
    "times",
    [
        {"deadline": "2101-01-01T00:00:00Z", "run_at": "2001-01-01T00:00:00Z"},
        {"expires_in_seconds": 60, "delay_seconds": 60},
        {"expires_in_seconds": 1, "run_at": "2001-01-01T00:00:00Z"},
    ],
)
async def test_times_at_which_a_run_can_begin_are_accepted(times: dict[str, Any]) -> None:
    async with world() as w:
        assert (await w.client.post("/v1/runs", json={**SUBMIT, **times})).status_code == 202


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736", False),
        (None, False),
    ],
)
async def test_the_trace_of_a_run_is_that_of_the_request(
    header: str | None, trace_id: bool
) -> None:
    async with world() as w:
        headers = {"Idempotency-Key": "k"} | ({} if header is None else {"traceparent": header})
        run = (await w.client.post("/v1/runs", json=SUBMIT, headers=headers)).json()
        assert (run["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736") is trace_id
        assert len(bytes.fromhex(run["trace_id"])) == 16
        # A repeated request is the same run, whatever its span.
        other = headers | {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
        again = (await w.client.post("/v1/runs", json=SUBMIT, headers=other)).json()
        assert (again["id"], again["trace_id"]) == (run["id"], run["trace_id"])


def test_an_override_of_the_model_stands_for_models_that_have_no_profile() -> None:
    agent = {"name": "writer", "model": "gpt-99"}
    spec = {"type": "round_robin_group_chat", "participants": [agent], "max_turns": 1}
    body = {"team_spec": spec, "input": "Go", "overrides": {"model": "default"}}

    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.post("/v1/runs", json=body)
            assert answer.status_code == 202
            await w.execute()
            run = (await w.client.get(answer.headers["location"])).json()
            assert run["status"] == "completed"

    serve(scenario())
