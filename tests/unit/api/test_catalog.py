"""The API looks up every team in the catalog, with the caller's tenant."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest
from tests.support.api import TEAM, World, key, world

from teamrun.components.catalog import Catalog, RegisteredTeams
from teamrun.components.registry import Registry, Resolved
from teamrun.components.resources import TeamSummary
from teamrun.errors import Unavailable
from teamrun.testing import ScriptedModel

SCOPES = ("runs:read", "runs:write", "teams:read")
OURS = key("our-key", *SCOPES, name="ours", tenant="ours")
THEIRS = key("their-key", *SCOPES, name="theirs", tenant="theirs")

AGENT = {"name": "writer", "model": "default"}
LETTERS = {**TEAM, "participants": [AGENT], "name": "letters"}
SONGS = {**TEAM, "participants": [AGENT], "name": "songs"}


def holding(*names: str) -> Registry:
    teams = {name: team for name, team in (("letters", LETTERS), ("songs", SONGS)) if name in names}
    return Registry.of(teams=teams, models={"default": ScriptedModel(["DONE"] * 9)})


class StoredTeams(Catalog):
    """The teams of each tenant, somewhere that takes its time and may not answer."""

    def __init__(self) -> None:
        self.tenants = {"ours": holding("letters"), "theirs": holding("letters", "songs")}
        self.answers = True

    async def resolve(self, tenant: str, name: str) -> Resolved:
        return (await self._of(tenant)).resolve(team=name)

    async def summaries(self, tenant: str) -> Sequence[TeamSummary]:
        return (await self._of(tenant)).teams()

    async def summary(self, tenant: str, name: str) -> TeamSummary | None:
        return await RegisteredTeams(await self._of(tenant)).summary(tenant, name)

    async def _of(self, tenant: str) -> Registry:
        await asyncio.sleep(0)
        if not self.answers:
            raise Unavailable("The store of teams does not answer.")
        return self.tenants[tenant]


@asynccontextmanager
async def two_tenants(catalog: Catalog) -> AsyncGenerator[World, None]:
    async with world(api_keys=(OURS, THEIRS), registry=holding(), catalog=catalog) as w:
        yield w


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def asked(w: World, token: str) -> list[httpx2.Response]:
    """Each request that looks up the team `songs`."""
    run = {"team": "songs", "input": "Go"}
    return [
        await w.client.get("/v1/teams/songs", headers=by(token)),
        await w.client.post("/v1/teams:validate", json={"team": "songs"}, headers=by(token)),
        await w.client.post("/v1/runs", json=run, headers=by(token)),
    ]


async def test_a_tenant_has_the_teams_of_its_own_catalog() -> None:
    async with two_tenants(StoredTeams()) as w:
        for token, names in (("our-key", ["letters"]), ("their-key", ["letters", "songs"])):
            page = (await w.client.get("/v1/teams", headers=by(token))).json()
            assert [team["name"] for team in page["data"]] == names

        read, validated, run = await asked(w, "their-key")
        assert (read.status_code, validated.json()["valid"], run.status_code) == (200, True, 202)
        assert run.json()["team"]["digest"] == read.json()["digest"]

        read, validated, run = await asked(w, "our-key")
        assert (read.status_code, validated.json()["valid"]) == (404, False)
        assert [fault["code"] for fault in validated.json()["errors"]] == ["unknown_team"]
        [fault] = run.json()["errors"]
        assert (run.status_code, fault["pointer"], fault["code"]) == (422, "/team", "unknown_team")


async def test_a_run_continues_with_its_team_after_its_removal_from_the_catalog() -> None:
    catalog = StoredTeams()
    async with two_tenants(catalog) as w:
        *_, run = await asked(w, "their-key")
        catalog.tenants["theirs"] = holding()

        await w.execute()

        ended = await w.client.get(f"/v1/runs/{run.json()['id']}", headers=by("their-key"))
        assert ended.json()["status"] == "completed"


async def test_a_catalog_that_does_not_answer_is_503_and_accepts_nothing() -> None:
    catalog = StoredTeams()
    async with two_tenants(catalog) as w:
        catalog.answers = False
        answers = [
            *await asked(w, "our-key"),
            await w.client.get("/v1/teams", headers=by("our-key")),
        ]
        assert {answer.status_code for answer in answers} == {503}
        assert w.mailbox.refs == []


async def test_every_fault_of_a_stored_team_is_given() -> None:
    class Damaged(StoredTeams):
        async def resolve(self, tenant: str, name: str) -> Resolved:
            broken = {**SONGS, "participants": [AGENT, AGENT], "max_turns": 0}
            return self.tenants[tenant].resolve(team_spec=broken)

    async with two_tenants(Damaged()) as w:
        _, validated, run = await asked(w, "their-key")

        places = [fault["pointer"] for fault in validated.json()["errors"]]
        assert places == ["/team_spec/participants/1", "/team_spec/max_turns"]
        assert (run.status_code, len(run.json()["errors"])) == (422, 2)


@pytest.mark.parametrize("name", ["letters@latest", "letters@2", "Letters", "@", ""])
async def test_a_team_is_read_by_exactly_its_name(name: str) -> None:
    async with two_tenants(StoredTeams()) as w:
        answer = await w.client.get(f"/v1/teams/{name}", headers=by("our-key"))

        assert answer.status_code == 404
