import pytest
from tests.support.api import Exchange, World, key, serve, world

from teamrun.storage.memory import MemoryStore
from teamrun_api.app import described

READ = key("reader-key", "runs:read", name="reader")
WRITE = key("writer-key", "runs:read", "runs:write", "teams:read", name="writer")
OTHER = key("other-key", "runs:read", "runs:write", name="other", tenant="acme")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        _bearer("guess"),
        {"Authorization": "Bearer"},
        {"Authorization": "Basic cmVhZGVyLWtleQ=="},
    ],
    ids=["none", "unknown", "empty", "another scheme"],
)
def test_without_a_key_that_is_known_the_answer_is_401(headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with world(api_keys=(READ,)) as w:
            for path in ("/v1/runs", "/v1/runs/run_1/events", "/v1/teams", "/v1/info", "/metrics"):
                answer = await w.client.get(path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
                assert answer.headers["www-authenticate"].startswith("Bearer")
            answer = await w.client.post("/v1/runs", content=b"{", headers=headers | _json())
            assert answer.status_code == 401

    serve(scenario())


def _json() -> dict[str, str]:
    return {"Content-Type": "application/json"}


def test_probes_need_no_key() -> None:
    async def scenario() -> None:
        async with world(api_keys=(READ,)) as w:
            for path in ("/healthz", "/readyz", "/openapi.json"):
                assert (await w.client.get(path)).status_code == 200

    serve(scenario())


def test_a_key_allows_what_its_scopes_say_and_nothing_else() -> None:
    async def scenario() -> None:
        async with world(api_keys=(READ, WRITE)) as w:
            assert (
                await w.client.get("/v1/runs", headers=_bearer("reader-key"))
            ).status_code == 200
            for method, path in (
                ("POST", "/v1/runs"),
                ("POST", "/v1/runs/run_1/cancel"),
                ("GET", "/v1/teams"),
                ("GET", "/v1/teams/writers"),
                ("POST", "/v1/teams:validate"),
            ):
                headers = _bearer("reader-key") | _json()
                answer = await w.client.request(method, path, headers=headers, content=b"{")
                assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), path
                assert "insufficient_scope" in answer.headers["www-authenticate"]
            submit = {"team": "writers", "input": "x"}
            accepted = await w.client.post("/v1/runs", json=submit, headers=_bearer("writer-key"))
            assert accepted.status_code == 202

    serve(scenario())


async def _submit(w: World, token: str) -> str:
    submit = {"team": "writers", "input": "x"}
    answer = await w.client.post("/v1/runs", json=submit, headers=_bearer(token))
    return answer.json()["id"]


def test_a_tenant_sees_its_own_runs_only() -> None:
    async def scenario() -> None:
        async with world(api_keys=(WRITE, OTHER)) as w:
            ours, theirs = await _submit(w, "writer-key"), await _submit(w, "other-key")
            for token, own, foreign in (
                ("writer-key", ours, theirs),
                ("other-key", theirs, ours),
            ):
                headers = _bearer(token)
                page = (await w.client.get("/v1/runs", headers=headers)).json()
                assert [run["id"] for run in page["data"]] == [own]
                for part in ("", "/events", "/result", "/artifacts"):
                    answer = await w.client.get(f"/v1/runs/{foreign}{part}", headers=headers)
                    assert answer.status_code == 404
                cancel = await w.client.post(f"/v1/runs/{foreign}/cancel", headers=headers)
                assert cancel.status_code == 404

    serve(scenario())


def test_with_keys_any_host_may_be_asked_for() -> None:
    async def scenario() -> None:
        async with world(api_keys=(READ,)) as w:
            headers = {"Host": "teamrun.example", **_bearer("reader-key")}
            assert (await w.client.get("/v1/runs", headers=headers)).status_code == 200
            info = await w.client.get("/v1/info", headers=headers)
            assert info.json()["server"]["authentication"] == "bearer"

    serve(scenario())


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1:8080", ""])
def test_without_keys_a_host_that_is_not_this_machine_is_403(host: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            for path in ("/v1/runs", "/healthz", "/openapi.json"):
                exchange = Exchange(w.app, path, headers={"host": host})
                assert await exchange.start() == 403
                assert b"host_not_allowed" in await exchange.rest()

    serve(scenario())


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "api.localhost"])
def test_without_keys_this_machine_is_served_under_its_names(host: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/runs", headers={"Host": host})
            assert answer.status_code == 200

    serve(scenario())


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://localhost:3000"}, False),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "http://127.0.0.1.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({}, True),
    ],
)
@pytest.mark.parametrize("verb", ["submit", "cancel", "pause", "retry"])
def test_without_keys_pages_of_other_origins_change_nothing(
    headers: dict[str, str], is_taken: bool, verb: str
) -> None:
    async def scenario() -> None:
        async with world(cors_origins=("https://app.example",)) as w:
            run_id = await (w.ended() if verb == "retry" else w.submit())
            path = "/v1/runs" if verb == "submit" else f"/v1/runs/{run_id}/{verb}"
            body = {"team": "writers", "input": "x"} if verb == "submit" else None
            answer = await w.client.post(path, json=body, headers=headers)
            assert answer.is_success == is_taken, answer.text
            if not is_taken:
                assert answer.json()["code"] == "origin_not_allowed"
                assert (await w.client.get(f"/v1/runs/{run_id}")).json()["status"] != "cancelled"

    serve(scenario())


def test_cors_headers_are_there_only_where_they_are_configured() -> None:
    origin = {"Origin": "https://app.example"}
    preflight = origin | {"Access-Control-Request-Method": "POST"}

    async def scenario() -> None:
        async with world() as w:
            answer = await w.client.get("/v1/runs", headers=origin)
            assert not [name for name in answer.headers if name.startswith("access-control")]
        async with world(cors_origins=("https://app.example",), api_keys=(READ,)) as w:
            answer = await w.client.options("/v1/runs", headers=preflight)
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            refused = await w.client.get("/v1/runs", headers=origin)
            assert refused.status_code == 401
            assert refused.headers["access-control-allow-origin"] == "https://app.example"
            assert "ETag" in refused.headers["access-control-expose-headers"]

    serve(scenario())


def test_a_page_of_an_allowed_origin_can_read_that_the_server_failed() -> None:
    class Broken(MemoryStore):
        async def get(self, key: str) -> bytes:
            raise RuntimeError("a defect")

        async def get_many(self, keys: list[str]) -> list[bytes | None]:
            raise RuntimeError("a defect")

    async def scenario() -> None:
        async with world(Broken(), cors_origins=("https://app.example",)) as w:
            headers = {"Origin": "https://app.example", "X-Request-Id": "mine"}
            answer = await w.client.get("/v1/runs/run_1", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (500, "internal")
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine"
            assert "X-Request-Id" in answer.headers["access-control-expose-headers"]

    serve(scenario())


def test_a_preflight_allows_every_method_that_some_path_takes() -> None:
    async def scenario() -> None:
        async with world(cors_origins=("https://app.example",)) as w:
            taken = {m.upper() for item in described()["paths"].values() for m in item}
            for method in taken:
                asked = {"Access-Control-Request-Method": method, "Origin": "https://app.example"}
                answer = await w.client.options("/v1/runs", headers=asked)
                assert answer.status_code == 200, method

    serve(scenario())
