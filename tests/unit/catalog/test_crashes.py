"""A process may end at each write of an operation; another one repeats the request."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teamrun.catalog.lookup import TeamLookup
from teamrun.catalog.requests import AliasRequest, TeamPatch, TeamRequest, VersionRequest
from teamrun.catalog.service import TeamService
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import Teams
from teamrun.components.registry import Registry
from teamrun.core.clock import SystemClock
from teamrun.errors import IdempotencyConflict, TeamDeleted, TeamNotFound, Unavailable
from teamrun.storage.base import ObjectStore
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel

TENANT = "default"
REGISTRY = Registry.of(teams={}, models={"default": ScriptedModel([])})


def spec(text: str) -> dict[str, Any]:
    agent = {"name": "poet", "model": "default", "system_message": text}
    return {"type": "round_robin_group_chat", "participants": [agent]}


class Dying(MemoryStore):
    """A store whose process ends before or after its write number `at`."""

    def __init__(self) -> None:
        super().__init__()
        self.at: float | None = None
        self.writes = 0

    async def _write(self, write: Callable[[], Awaitable[Any]]) -> Any:
        self.writes += 1
        if self.at is not None and self.writes > self.at:
            raise Unavailable("ended")
        done = await write()
        if self.at is not None and self.writes > self.at - 0.5:
            raise Unavailable("ended, after the write")
        return done

    async def put_new(self, key: str, data: bytes) -> bool:
        return await self._write(lambda: super(Dying, self).put_new(key, data))

    async def put(self, key: str, data: bytes) -> None:
        await self._write(lambda: super(Dying, self).put(key, data))

    async def delete(self, key: str) -> None:
        await self._write(lambda: super(Dying, self).delete(key))


def service_over(store: ObjectStore) -> TeamService:
    stored = StoredTeams(store)
    teams = Teams(REGISTRY, TeamLookup(REGISTRY, stored))
    return TeamService(
        registry=REGISTRY, teams=teams, stored=stored, store=store, clock=SystemClock()
    )


FIRST = TeamRequest(name="haiku", team_spec=spec("One."))
SECOND = VersionRequest(team_spec=spec("Two."))
THIRD = VersionRequest(team_spec=spec("Three."))


async def create(teams: TeamService) -> None:
    await teams.create(TENANT, FIRST, key="k")


async def add(teams: TeamService) -> None:
    assert (await teams.add_version(TENANT, "haiku", SECOND, key="k")).version.version == "2"


async def alias(teams: TeamService) -> None:
    await teams.put_alias(TENANT, "haiku", "live", AliasRequest(version=1))


async def rename(teams: TeamService) -> None:
    team = (await teams.list(TENANT, limit=9)).data[0]
    await teams.update(TENANT, team.id, TeamPatch(name="poem"))


async def delete(teams: TeamService) -> None:
    try:
        await teams.delete(TENANT, "haiku")
    except TeamNotFound:
        assert (await teams.list(TENANT, limit=9)).data == []


OPERATIONS = {each.__name__: each for each in (create, add, alias, rename, delete)}


async def shown(store: ObjectStore) -> list[Any]:
    """What a new process shows, without ids and times."""
    teams = service_over(store)
    found: list[Any] = []
    for team in (await teams.list(TENANT, limit=9)).data:
        versions = (await teams.versions(TENANT, team.id, limit=9)).data
        summaries = [(each.version, each.digest) for each in versions]
        found.append((team.name, team.version, team.aliases, team.revision, summaries))
    return found


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_repeated_request_completes_what_a_crash_has_left(name: str) -> None:
    operation = OPERATIONS[name]

    async def begun() -> Dying:
        store = Dying()
        if operation is not create:
            await create(service_over(store))
        store.writes = 0
        return store

    whole = await begun()
    await operation(service_over(whole))
    expected, writes = await shown(whole), whole.writes
    assert writes > 0
    for half in range(2 * writes):
        store = await begun()
        store.at = half / 2
        with pytest.raises(Unavailable):
            await operation(service_over(store))
        store.at = None
        await operation(service_over(store))
        assert await shown(store) == expected, f"after {half / 2} writes"


async def test_a_version_that_a_crash_has_left_is_not_taken_by_the_next_one() -> None:
    store = Dying()
    await create(service_over(store))
    store.writes, store.at = 0, 2.0  # the record of the key and the object, not the index
    with pytest.raises(Unavailable):
        await add(service_over(store))
    store.at = None

    third = await service_over(store).add_version(TENANT, "haiku", THIRD)
    repeated = await service_over(store).add_version(TENANT, "haiku", SECOND, key="k")

    assert (third.version.version, repeated.version.version, repeated.replayed) == ("3", "2", True)
    [(_, latest, _, _, versions)] = await shown(store)
    assert (latest, [number for number, _ in versions]) == ("3", ["3", "2", "1"])


async def test_a_key_names_one_request_and_does_not_bring_a_deleted_team_back() -> None:
    teams = service_over(MemoryStore())
    first = await teams.create(TENANT, FIRST, key="k")
    again = await teams.create(TENANT, FIRST, key="k")
    assert (again.replayed, again.team) == (True, first.team)
    other = FIRST.model_copy(update={"name": "other"})
    with pytest.raises(IdempotencyConflict, match="another request"):
        await teams.create(TENANT, other, key="k")
    await teams.add_version(TENANT, "haiku", SECOND, key="v")
    with pytest.raises(IdempotencyConflict):
        await teams.add_version(TENANT, "haiku", THIRD, key="v")
    await teams.delete(TENANT, "haiku")
    with pytest.raises(TeamDeleted, match="has been deleted"):
        await teams.create(TENANT, FIRST, key="k")
    await teams.create(TENANT, FIRST, key="k2")
