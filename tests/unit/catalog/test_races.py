"""Several processes change the teams of one tenant at the same time."""

import asyncio
import random
from pathlib import Path

import pytest
from tests.unit.catalog.test_crashes import FIRST, TENANT, service_over, spec

from teamrun.catalog import service as limits
from teamrun.catalog.requests import AliasRequest, TeamPatch, VersionRequest
from teamrun.catalog.stored import StoredTeams
from teamrun.errors import (
    PreconditionFailed,
    StorageError,
    TeamNameTaken,
    TooManyTeams,
    UsageError,
)
from teamrun.storage.file import FileStore
from teamrun.storage.memory import MemoryStore


class Slow(MemoryStore):
    """Lets others go first, in a random order, before each request."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)

    async def _turns(self) -> None:
        for _ in range(self.random.randrange(6)):
            await asyncio.sleep(0)

    async def put_new(self, key: str, data: bytes) -> bool:
        await self._turns()
        made = await super().put_new(key, data)
        await self._turns()
        return made

    async def get(self, key: str) -> bytes:
        await self._turns()
        return await super().get(key)


@pytest.mark.parametrize("seed", range(20))
async def test_versions_are_numbered_without_gaps_and_each_is_the_one_acknowledged(
    seed: int,
) -> None:
    store = Slow(seed)
    await service_over(store).create(TENANT, FIRST)

    async def push(text: str) -> tuple[str, str]:
        request = VersionRequest(team_spec=spec(text))
        added = await service_over(store).add_version(TENANT, "haiku", request, key=text)
        return added.version.version, added.version.digest

    pushed = await asyncio.gather(*(push(f"Text {number}.") for number in range(5)))

    page = await service_over(store).versions(TENANT, "haiku", limit=9)
    assert [each.version for each in page.data] == ["6", "5", "4", "3", "2", "1"]
    assert {(each.version, each.digest) for each in page.data} >= set(pushed)
    assert len(set(pushed)) == 5


@pytest.mark.parametrize("seed", range(20))
async def test_a_name_belongs_to_one_team_and_no_change_is_lost(seed: int) -> None:
    store = Slow(seed)
    made = await service_over(store).create(TENANT, FIRST)

    async def taken(work: object) -> str:
        try:
            await work  # type: ignore[misc]
        except TeamNameTaken:
            return "taken"
        return "done"

    other = FIRST.model_copy(update={"name": "poem"})
    outcomes = await asyncio.gather(
        taken(service_over(store).create(TENANT, other)),
        taken(service_over(store).create(TENANT, other)),
        taken(service_over(store).update(TENANT, made.team.id, TeamPatch(name="poem"))),
        service_over(store).put_alias(TENANT, made.team.id, "a", AliasRequest(version=1)),
        service_over(store).put_alias(TENANT, made.team.id, "b", AliasRequest(version=1)),
    )

    assert sorted(outcomes[:3]) == ["done", "taken", "taken"]
    names = [team.name for team in (await service_over(store).list(TENANT, limit=9)).data]
    assert len(set(names)) == len(names)
    team = await service_over(store).get(TENANT, made.team.id)
    assert team.aliases == {"a": 1, "b": 1}


async def test_one_of_two_changes_with_the_same_revision_is_refused() -> None:
    store = Slow(1)
    made = await service_over(store).create(TENANT, FIRST)

    async def describe(text: str) -> str:
        try:
            patch = TeamPatch(description=text)
            await service_over(store).update(TENANT, "haiku", patch, revision=made.team.revision)
        except PreconditionFailed:
            return "refused"
        return text

    outcomes = await asyncio.gather(describe("x"), describe("y"))

    [kept] = set(outcomes) - {"refused"}
    assert (await service_over(store).get(TENANT, "haiku")).description == kept


async def test_teams_are_kept_in_a_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    await service_over(store).create(TENANT, FIRST)
    await service_over(store).add_version(TENANT, "haiku", VersionRequest(team_spec=spec("Two.")))
    again = FileStore(tmp_path)
    assert (await service_over(again).get(TENANT, "haiku")).version == "2"
    await store.close()
    await again.close()


async def test_limits_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    teams = service_over(MemoryStore())
    await teams.create(TENANT, FIRST)
    for name in ("MOST_TEAMS", "MOST_VERSIONS", "MOST_ALIASES"):
        monkeypatch.setattr(limits, name, 1)
    with pytest.raises(TooManyTeams, match="delete one"):
        await teams.create(TENANT, FIRST.model_copy(update={"name": "b"}))
    with pytest.raises(TooManyTeams, match="another team"):
        await teams.add_version(TENANT, "haiku", VersionRequest(team_spec=spec("Two.")))
    await teams.put_alias(TENANT, "haiku", "a", AliasRequest(version=1))
    with pytest.raises(TooManyTeams, match="delete one"):
        await teams.put_alias(TENANT, "haiku", "b", AliasRequest(version=1))
    with pytest.raises(UsageError, match="valid alias"):
        await teams.put_alias(TENANT, "haiku", "1", AliasRequest(version=1))


async def test_a_damaged_index_is_an_error_and_nothing_is_written_over_it() -> None:
    store = MemoryStore()
    await service_over(store).create(TENANT, FIRST)
    await store.put("t/default/teams/index/000001.json", b"{")
    with pytest.raises(StorageError, match=r"000001\.json is damaged"):
        await service_over(store).create(TENANT, FIRST.model_copy(update={"name": "b"}))
    assert await StoredTeams(store).index("other") is not None


@pytest.mark.parametrize("seed", range(5))
async def test_one_of_two_versions_based_on_the_same_revision_is_refused(seed: int) -> None:
    store = Slow(seed)
    made = await service_over(store).create(TENANT, FIRST)

    async def push(text: str) -> str:
        request = VersionRequest(team_spec=spec(text))
        try:
            added = await service_over(store).add_version(
                TENANT, "haiku", request, revision=made.team.revision
            )
        except PreconditionFailed:
            return "refused"
        return added.version.version

    assert sorted(await asyncio.gather(push("x"), push("y"))) == ["2", "refused"]
    assert (await service_over(store).get(TENANT, "haiku")).version == "2"
