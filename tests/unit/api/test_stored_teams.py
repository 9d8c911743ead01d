"""Teams that clients register: versions, aliases, and what runs make of their names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from tests.support.api import TEAM, World, key, world

from teamrun.components.registry import Registry
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel

ALL = ("runs:read", "runs:write", "teams:read", "teams:write")
OURS = key("our-key", *ALL, name="ours", tenant="ours")
THEIRS = key("their-key", *ALL, name="theirs", tenant="theirs")
READER = key("reader", "teams:read", name="reader", tenant="ours")


def solo(text: str = "Write a haiku.", **more: Any) -> dict[str, Any]:
    agent = {"type": "assistant_agent", "name": "poet", "model": "default", "system_message": text}
    return {
        "type": "round_robin_group_chat",
        "participants": [{**agent, **more}],
        "termination": {"type": "max_messages", "max_messages": 2},
    }


COMPONENT = {
    "provider": "autogen_agentchat.teams.RoundRobinGroupChat",
    "component_type": "team",
    "version": 1,
    "config": {
        "participants": [
            {
                "provider": "autogen_agentchat.agents.AssistantAgent",
                "component_type": "agent",
                "config": {
                    "name": "poet",
                    "model_client": {
                        "provider": "autogen_ext.models.openai.OpenAIChatCompletionClient",
                        "component_type": "model",
                        "config": {"model": "default"},
                    },
                },
            }
        ],
        "max_turns": 1,
    },
}
ANY = {"If-Match": "*"}


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def haiku(store: MemoryStore | None = None, **given: Any) -> AsyncGenerator[World, None]:
    """A world with the team `haiku` of two versions."""
    async with world(store, model=ScriptedModel(["Rain."] * 50), **given) as w:
        await ok(w.client.post("/v1/teams?name=haiku", json=solo("One.")), 201)
        await ok(w.client.post("/v1/teams/haiku/versions", json=solo("Two.")), 201)
        yield w


async def ok(answer: Any, status: int = 200) -> Any:
    response: httpx2.Response = await answer
    assert response.status_code == status, response.text
    return response.json() if response.content else None


async def failed(answer: Any, status: int) -> dict[str, Any]:
    response: httpx2.Response = await answer
    assert response.status_code == status, response.text
    return response.json()


@pytest.mark.parametrize("body", [solo(), COMPONENT], ids=["ours", "AutoGen's"])
async def test_a_definition_in_either_form_becomes_a_team_that_a_run_can_name(body: Any) -> None:
    async with world(model=ScriptedModel(["Rain."] * 9)) as w:
        answer = await w.client.post("/v1/teams?name=haiku", json=body)
        team = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, "/v1/teams/haiku")
        assert (team["name"], team["version"], team["source"]) == ("haiku", "1", "stored")
        assert (team["agents"], team["models"][0]["profile"]) == (["poet"], "default")
        assert answer.headers["etag"] == '"v1"'
        assert await ok(w.client.get("/v1/teams/haiku")) == team
        assert await ok(w.client.get(f"/v1/teams/{team['id']}")) == team

        run = await ok(w.client.post("/v1/runs", json={"team": "haiku", "input": "Go"}), 202)
        assert run["team"] == {
            "name": "haiku",
            "id": team["id"],
            "version": "1",
            "digest": team["digest"],
        }
        await w.execute()
        assert (await ok(w.client.get(f"/v1/runs/{run['id']}")))["status"] == "completed"


async def test_name_description_and_metadata_are_sent_beside_the_definition() -> None:
    async with world() as w:
        body = {
            "name": "haiku",
            "description": "One haiku.",
            "metadata": {"owner": "lit"},
            "comment": "First.",
            "team_spec": solo(),
        }
        team = await ok(w.client.post("/v1/teams", json=body), 201)
        assert (team["description"], team["metadata"]) == ("One haiku.", {"owner": "lit"})
        version = await ok(w.client.get("/v1/teams/haiku/versions/1"))
        assert (version["comment"], version["digest"]) == ("First.", team["digest"])
        assert version["definition"]["participants"][0]["name"] == "poet"


async def test_a_later_version_changes_nothing_about_an_accepted_run() -> None:
    async with haiku() as w:
        names = {"haiku": "2", "haiku@latest": "2", "haiku@1": "1", "haiku@2": "2"}
        runs = {
            name: await ok(w.client.post("/v1/runs", json={"team": name, "input": "x"}), 202)
            for name in names
        }
        assert {name: run["team"]["version"] for name, run in runs.items()} == names
        await ok(w.client.post("/v1/teams/haiku/versions", json=solo("Three.")), 201)
        await ok(w.client.delete("/v1/teams/haiku"), 204)

        await w.execute()

        for run in runs.values():
            ended = await ok(w.client.get(f"/v1/runs/{run['id']}"))
            assert (ended["status"], ended["team"]) == ("completed", run["team"])
        body = {"team": "haiku", "input": "x"}
        assert (await failed(w.client.post("/v1/runs", json=body), 422))["code"] == "unknown_team"


async def test_a_batch_takes_a_version_too() -> None:
    async with haiku() as w:
        body = {"team": "haiku@1", "items": [{"input": "a"}]}
        batch = await ok(w.client.post("/v1/batches", json=body), 202)
        digest = (await ok(w.client.get("/v1/teams/haiku/versions/1")))["digest"]
        assert (batch["team"]["version"], batch["team"]["digest"]) == ("1", digest)


async def test_an_equal_definition_adds_no_version() -> None:
    async with haiku() as w:
        again = await ok(w.client.post("/v1/teams/haiku/versions", json=solo("Two.")), 200)
        assert again["version"] == "2"
        back = await ok(w.client.post("/v1/teams/haiku/versions", json=solo("One.")), 201)
        page = await ok(w.client.get("/v1/teams/haiku/versions?limit=2"))
        assert (back["version"], [each["version"] for each in page["data"]]) == ("3", ["3", "2"])
        rest = await ok(w.client.get(f"/v1/teams/haiku/versions?after={page['next_cursor']}"))
        assert ([each["version"] for each in rest["data"]], rest["has_more"]) == (["1"], False)


async def test_an_alias_is_moved_by_who_has_seen_the_team() -> None:
    async with haiku() as w:
        place = "/v1/teams/haiku/aliases/production"
        tag = (await w.client.get("/v1/teams/haiku")).headers["etag"]
        first = await w.client.put(place, json={"version": 1}, headers={"If-Match": tag})
        assert (first.status_code, first.json()["aliases"]) == (200, {"production": 1})
        run = {"team": "haiku@production", "input": "x"}
        assert (await ok(w.client.post("/v1/runs", json=run), 202))["team"]["version"] == "1"

        late = w.client.put(place, json={"version": 2}, headers={"If-Match": tag})
        assert (await failed(late, 412))["code"] == "precondition_failed"
        blind = w.client.put(place, json={"version": 2})
        assert (await failed(blind, 428))["code"] == "precondition_required"
        same = await w.client.put(place, json={"version": 1}, headers=ANY)
        assert same.headers["etag"] == first.headers["etag"]
        await ok(w.client.put(place, json={"version": 2}, headers=ANY))
        listed = (await ok(w.client.get("/v1/teams/haiku/versions")))["data"]
        assert [each["aliases"] for each in listed] == [["production"], []]

        await ok(w.client.delete(place), 204)
        assert (await failed(w.client.post("/v1/runs", json=run), 422))["code"] == "unknown_version"
        assert (await failed(w.client.delete(place), 404))["code"] == "team_version_not_found"


@pytest.mark.parametrize("version", ["0", "01", "1.0", " 1", "production", "1234567", True, None])
async def test_an_alias_points_to_the_version_as_a_response_writes_it(version: Any) -> None:
    async with haiku() as w:
        place = "/v1/teams/haiku/aliases/production"
        shown = (await ok(w.client.get("/v1/teams/haiku/versions/1")))["version"]
        team = await ok(w.client.put(place, json={"version": shown}, headers=ANY))
        assert (shown, team["aliases"]) == ("1", {"production": 1})
        wrong = w.client.put(place, json={"version": version}, headers=ANY)
        assert (await failed(wrong, 422))["errors"][0]["pointer"] == "/version"


@pytest.mark.parametrize("alias", ["latest", "1", "2b", "a.b", "-x", "ä"])
async def test_an_alias_that_could_be_taken_for_a_version_is_refused(alias: str) -> None:
    async with haiku() as w:
        put = w.client.put(f"/v1/teams/haiku/aliases/{alias}", json={"version": 1}, headers=ANY)
        found = await failed(put, 400)
        assert found["errors"][0]["parameter"] == "alias"


async def test_a_rename_keeps_the_id_and_frees_the_name() -> None:
    async with haiku() as w:
        team = await ok(w.client.get("/v1/teams/haiku"))
        patch = {"name": "poem", "metadata": {"a": "b"}}
        renamed = await ok(w.client.patch("/v1/teams/haiku", json=patch, headers=ANY))
        assert (renamed["id"], renamed["name"], renamed["metadata"]) == (
            team["id"],
            "poem",
            {"a": "b"},
        )
        assert (await failed(w.client.get("/v1/teams/haiku"), 404))["code"] == "team_not_found"
        run = {"team": f"{team['id']}@1", "input": "x"}
        assert (await ok(w.client.post("/v1/runs", json=run), 202))["team"]["name"] == "poem"
        await ok(w.client.post("/v1/teams?name=haiku", json=solo()), 201)
        back = w.client.patch("/v1/teams/poem", json={"name": "haiku"}, headers=ANY)
        assert (await failed(back, 409))["code"] == "team_name_taken"


async def test_the_teams_of_the_operator_come_first_and_cannot_be_changed() -> None:
    async with haiku() as w:
        for taken in ("writers", "haiku"):
            found = await failed(w.client.post(f"/v1/teams?name={taken}", json=solo()), 409)
            assert (found["code"], repr(taken) in found["detail"]) == ("team_name_taken", True)
        rename = w.client.patch("/v1/teams/haiku", json={"name": "writers"}, headers=ANY)
        assert (await failed(rename, 409))["code"] == "team_name_taken"
        for request in (
            w.client.patch("/v1/teams/writers", json={"description": "x"}, headers=ANY),
            w.client.delete("/v1/teams/writers"),
            w.client.post("/v1/teams/writers/versions", json=solo()),
            w.client.put("/v1/teams/writers/aliases/a", json={"version": 1}, headers=ANY),
            w.client.delete("/v1/teams/writers/aliases/a"),
        ):
            assert (await failed(request, 409))["code"] == "team_read_only"
        [version] = (await ok(w.client.get("/v1/teams/writers/versions")))["data"]
        whole = await ok(w.client.get(f"/v1/teams/writers/versions/{version['version']}"))
        assert whole["definition"]["participants"][0]["name"] == "writer"
        assert (await ok(w.client.get("/v1/teams/writers/diff?from=latest")))["changes"] == []
        missing = w.client.get("/v1/teams/writers/versions/2")
        assert (await failed(missing, 404))["code"] == "team_version_not_found"


async def test_a_name_that_the_operator_takes_later_leaves_the_stored_team_its_id() -> None:
    store = MemoryStore()
    async with haiku(store) as w:
        team = await ok(w.client.get("/v1/teams/haiku"))
    registry = Registry.of(
        teams={"haiku": TEAM | {"participants": [{"name": "a", "model": "default"}]}},
        models={"default": ScriptedModel([])},
    )
    async with world(store, registry=registry) as w:
        assert (await ok(w.client.get("/v1/teams/haiku")))["source"] == "operator"
        assert (await ok(w.client.get(f"/v1/teams/{team['id']}")))["name"] == "haiku"
        both = (await ok(w.client.get("/v1/teams")))["data"]
        assert [(each["name"], each["source"]) for each in both] == [
            ("haiku", "operator"),
            ("haiku", "stored"),
        ]
        patch = w.client.patch(f"/v1/teams/{team['id']}", json={"name": "poem"}, headers=ANY)
        assert (await ok(patch))["name"] == "poem"


async def test_lists_have_pages() -> None:
    async with haiku() as w:
        await ok(w.client.post("/v1/teams?name=a", json=solo()), 201)
        page = await ok(w.client.get("/v1/teams?limit=2"))
        assert ([each["name"] for each in page["data"]], page["has_more"]) == (["a", "haiku"], True)
        rest = await ok(w.client.get(f"/v1/teams?limit=2&after={page['next_cursor']}"))
        assert ([each["name"] for each in rest["data"]], rest["next_cursor"]) == (["writers"], None)
        for path in ("/v1/teams?after=x", "/v1/teams/haiku/versions?after=x"):
            assert (await failed(w.client.get(path), 400))["errors"][0]["code"] == "invalid_cursor"


async def test_what_is_sent_is_checked_as_a_definition_of_a_run() -> None:
    async with world() as w:
        bad = solo(model="nope", tools=["os:system"])
        bare = await failed(w.client.post("/v1/teams?name=x", json=bad), 422)
        wrapped = await failed(
            w.client.post("/v1/teams", json={"name": "x", "team_spec": bad}), 422
        )
        run = await failed(w.client.post("/v1/runs", json={"input": "x", "team_spec": bad}), 422)
        assert wrapped["errors"] == run["errors"]
        codes = {each["pointer"]: each["code"] for each in bare["errors"]}
        assert codes["/participants/0/model"] == "unknown_model"
        assert codes["/participants/0/tools/0"] == "source_not_allowed"
        secret = w.client.post("/v1/teams?name=x", json=solo(description="${HOME}"))
        assert (await failed(secret, 422))["errors"][0]["code"] == "environment_not_allowed"
        for name in ("", "a b", "../x", "team_" + 32 * "0"):
            found = await failed(w.client.post(f"/v1/teams?name={name}", json=solo()), 400)
            assert found["errors"][0]["parameter"] == "name"
        nameless = await failed(w.client.post("/v1/teams", json=solo()), 422)
        assert nameless["errors"][0]["pointer"] == "/name"
        assert (await ok(w.client.post("/v1/teams", json={**solo(), "name": "own"}), 201))[
            "name"
        ] == "own"
        assert (await failed(w.client.get("/v1/teams/x"), 404))["code"] == "team_not_found"


async def test_a_version_whose_tool_the_operator_has_removed_is_refused_and_still_shown() -> None:
    store = MemoryStore()
    async with world(store) as w:
        await ok(w.client.post("/v1/teams?name=noter", json=solo(tools=["note"])), 201)
    bare = Registry.of(teams={}, models={"other": ScriptedModel([])})
    async with world(store, registry=bare) as w:
        run = await failed(w.client.post("/v1/runs", json={"team": "noter", "input": "x"}), 422)
        assert [each["code"] for each in run["errors"]] == ["unknown_model", "unknown_tool"]
        assert "Version 1 of the team 'noter'" in run["errors"][0]["detail"]
        assert (await ok(w.client.get("/v1/teams/noter")))["tools"] == ["note"]


async def test_tenants_and_scopes_are_kept_apart() -> None:
    async with world(api_keys=(OURS, THEIRS, READER)) as w:
        post = w.client.post("/v1/teams?name=haiku", json=solo(), headers=by("our-key"))
        team = await ok(post, 201)
        for name in ("haiku", team["id"]):
            read = w.client.get(f"/v1/teams/{name}", headers=by("their-key"))
            assert (await failed(read, 404))["code"] == "team_not_found"
        run = {"team": "haiku", "input": "x"}
        theirs = w.client.post("/v1/runs", json=run, headers=by("their-key"))
        assert (await failed(theirs, 422))["code"] == "unknown_team"
        own = w.client.post("/v1/teams?name=haiku", json=solo("Other."), headers=by("their-key"))
        assert (await ok(own, 201))["id"] != team["id"]
        await ok(w.client.get("/v1/teams/haiku", headers=by("reader")))
        for request in (
            w.client.post("/v1/teams?name=x", json=solo(), headers=by("reader")),
            w.client.delete("/v1/teams/haiku", headers=by("reader")),
        ):
            assert (await failed(request, 403))["code"] == "missing_scope"


async def test_another_process_sees_a_change_at_once() -> None:
    store = MemoryStore()
    async with haiku(store) as one, haiku_of(store) as other:
        assert (await ok(other.client.get("/v1/teams/haiku")))["version"] == "2"
        await ok(one.client.post("/v1/teams/haiku/versions", json=solo("Three.")), 201)
        assert (await ok(other.client.get("/v1/teams/haiku")))["version"] == "3"
        await ok(other.client.delete("/v1/teams/haiku"), 204)
        assert (await failed(one.client.get("/v1/teams/haiku"), 404))["code"] == "team_not_found"


@asynccontextmanager
async def haiku_of(store: MemoryStore) -> AsyncGenerator[World, None]:
    async with world(store, model=ScriptedModel(["Rain."])) as w:
        yield w


async def test_a_diff_compares_members_by_name() -> None:
    async with world() as w:
        first, second = solo()["participants"][0], {"name": "critic", "model": "default"}
        before = {**solo(), "participants": [first, second]}
        changed = {**first, "system_message": "Rhyme."}
        after = {**solo(), "participants": [{**second, "name": "judge"}, changed], "max_turns": 3}
        await ok(w.client.post("/v1/teams?name=t", json=before), 201)
        await ok(w.client.post("/v1/teams/t/versions", json=after), 201)
        diff = await ok(w.client.get("/v1/teams/t/diff?from=1&to=2"))
        found = {(each["kind"], each["pointer"]): each for each in diff["changes"]}
        assert set(found) == {
            ("added", "/participants/0"),
            ("changed", "/participants/1/system_message"),
            ("removed", "/participants/1"),
            ("added", "/max_turns"),
        }
        message = found["changed", "/participants/1/system_message"]
        assert (message["before"], message["after"]) == ("Write a haiku.", "Rhyme.")
        missing = w.client.get("/v1/teams/t/diff?from=1&to=9")
        assert (await failed(missing, 404))["code"] == "team_version_not_found"


async def test_the_graph_has_members_and_who_may_follow_whom() -> None:
    flow = {
        "type": "graph_flow",
        "name": "flow",
        "participants": [{"name": name, "model": "default"} for name in ("a", "b")],
        "graph": {"nodes": {"a": {"edges": [{"target": "b", "condition": 'say "go"'}]}, "b": {}}},
    }
    async with world() as w:
        await ok(w.client.post("/v1/teams", json=flow), 201)
        graph = await ok(w.client.get("/v1/teams/flow/graph"))
        assert [(node["id"], node["parent"]) for node in graph["nodes"]] == [
            ("flow", None),
            ("flow/a", "flow"),
            ("flow/b", "flow"),
        ]
        [edge] = graph["edges"]
        assert (edge["source"], edge["target"], edge["kind"]) == ("flow/a", "flow/b", "flow")
        assert '-->|"say #quot;go#quot;"|' in graph["mermaid"]
        writers = await ok(w.client.get("/v1/teams/writers/graph?version=latest"))
        assert writers["nodes"][1]["tools"] == ["note"]


async def test_the_schema_has_input_output_and_the_answers_of_people() -> None:
    person = {
        "type": "user_proxy_agent",
        "name": "boss",
        "input_schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
    }
    team = {**solo(), "name": "asked", "participants": [*solo()["participants"], person]}
    async with world() as w:
        await ok(w.client.post("/v1/teams", json=team), 201)
        schema = await ok(w.client.get("/v1/teams/asked/schema"))
        assert schema["answers"] == {"boss": person["input_schema"]}
        assert {"type": "string"} in schema["input"]["anyOf"]
        assert set(schema["output"]["properties"]) == {"text", "json", "problems"}
