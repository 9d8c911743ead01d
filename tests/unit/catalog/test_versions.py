"""How a version of a team is named."""

import pytest
from tests.unit.catalog.test_crashes import FIRST, REGISTRY, SECOND, TENANT, THIRD, service_over

from teamrun.catalog.lookup import TeamLookup
from teamrun.catalog.requests import AliasRequest
from teamrun.catalog.stored import StoredTeams
from teamrun.components.catalog import RegisteredTeams
from teamrun.components.registry import Registry
from teamrun.errors import DefinitionError, IdempotencyConflict, TeamVersionNotFound
from teamrun.storage.memory import MemoryStore
from teamrun.testing import ScriptedModel

MISWRITTEN = ["", "0", "02", "00", "2 ", "+2", "-1", "٢", "3", "1000000", "live@1"]


@pytest.mark.parametrize("version", MISWRITTEN)
async def test_what_is_no_version_is_refused_wherever_it_is_written(version: str) -> None:
    store = MemoryStore()
    teams = service_over(store)
    await teams.create(TENANT, FIRST)
    await teams.add_version(TENANT, "haiku", SECOND)
    await teams.put_alias(TENANT, "haiku", "live", AliasRequest(version=1))
    lookup = TeamLookup(REGISTRY, StoredTeams(store))
    for name, number in {
        "haiku": "2",
        "haiku@latest": "2",
        "haiku@2": "2",
        "haiku@live": "1",
    }.items():
        assert (await lookup.resolve(TENANT, name)).version == number
    with pytest.raises(DefinitionError, match="no version or alias") as refused:
        await lookup.resolve(TENANT, f"haiku@{version}")
    assert refused.value.code == "unknown_version"
    with pytest.raises(TeamVersionNotFound):
        await teams.version(TENANT, "haiku", version)


async def test_an_operators_team_has_no_empty_version_either() -> None:
    agent = {"name": "poet", "model": "default"}
    team = {"type": "round_robin_group_chat", "participants": [agent], "max_turns": 1}
    registry = Registry.of(teams={"own": team}, models={"default": ScriptedModel([])})
    teams = RegisteredTeams(registry)
    assert (await teams.resolve(TENANT, "own@latest")).name == "own"
    with pytest.raises(DefinitionError, match="has no version"):
        await teams.resolve(TENANT, "own@")


async def test_a_repeated_push_that_added_nothing_adds_nothing_later_either() -> None:
    store = MemoryStore()
    await service_over(store).create(TENANT, FIRST)
    await service_over(store).add_version(TENANT, "haiku", SECOND)
    equal = await service_over(store).add_version(TENANT, "haiku", SECOND, key="deploy")
    assert (equal.version.version, equal.is_new, equal.replayed) == ("2", False, False)
    await service_over(store).add_version(TENANT, "haiku", THIRD)

    repeated = await service_over(store).add_version(TENANT, "haiku", SECOND, key="deploy")

    assert (repeated.version.version, repeated.is_new, repeated.replayed) == ("2", False, True)
    assert repeated.version.definition == equal.version.definition
    assert (await service_over(store).get(TENANT, "haiku")).version == "3"
    with pytest.raises(IdempotencyConflict):
        await service_over(store).add_version(TENANT, "haiku", THIRD, key="deploy")
