"""The size of the index, and a team whose version is damaged."""

import logging

import pytest
from pydantic import ValidationError
from tests.unit.catalog.test_crashes import FIRST, SECOND, TENANT, service_over, spec

from teamrun.catalog import bounds
from teamrun.catalog import service as limits
from teamrun.catalog.requests import AliasRequest, TeamPatch, TeamRequest
from teamrun.errors import StorageError, TooManyTeams, Unavailable
from teamrun.storage.memory import MemoryStore


async def test_the_index_is_bounded_and_can_always_become_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teams = service_over(MemoryStore())
    await teams.create(TENANT, FIRST.model_copy(update={"description": "d" * 512}))
    await teams.put_alias(TENANT, "haiku", "live", AliasRequest(version=1))
    monkeypatch.setattr(bounds, "MOST_INDEX_BYTES", 800)
    other = TeamRequest(name="other", metadata={"k": "v" * 100}, team_spec=spec("x"))
    with pytest.raises(TooManyTeams, match=r"at most 800 .* Delete teams .* shorten"):
        await teams.create(TENANT, other)
    monkeypatch.setattr(bounds, "MOST_INDEX_BYTES", 100)
    for grows in (
        teams.put_alias(TENANT, "haiku", "more", AliasRequest(version=1)),
        teams.update(TENANT, "haiku", TeamPatch(metadata={"k": "v"})),
    ):
        with pytest.raises(TooManyTeams, match="shorten"):
            await grows
    added = await teams.add_version(TENANT, "haiku", SECOND)  # no version is lost for the bound
    assert (added.version.version, added.is_new) == ("2", True)
    await teams.delete_alias(TENANT, "haiku", "live")
    await teams.update(TENANT, "haiku", TeamPatch(description="Short."))
    assert (await teams.get(TENANT, "haiku")).description == "Short."
    await teams.delete(TENANT, "haiku")


@pytest.mark.parametrize("body", [TeamPatch, TeamRequest])
def test_a_description_is_bounded(body: type[TeamPatch | TeamRequest]) -> None:
    more = {"team_spec": spec("x")} if body is TeamRequest else {}
    assert body.model_validate({"description": "d" * 512, **more}).description
    with pytest.raises(ValidationError, match="at most 512"):
        body.model_validate({"description": "d" * 513, **more})


async def test_an_alias_can_be_moved_if_the_team_has_more_than_the_maximum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teams = service_over(MemoryStore())
    await teams.create(TENANT, FIRST)
    await teams.add_version(TENANT, "haiku", SECOND)
    for alias in ("a", "b"):
        await teams.put_alias(TENANT, "haiku", alias, AliasRequest(version=1))
    monkeypatch.setattr(limits, "MOST_ALIASES", 1)  # as if a release had lowered it
    moved = await teams.put_alias(TENANT, "haiku", "a", AliasRequest(version=2))
    assert moved.aliases == {"a": 2, "b": 1}
    with pytest.raises(TooManyTeams, match="delete one"):
        await teams.put_alias(TENANT, "haiku", "c", AliasRequest(version=1))


class Silent(MemoryStore):
    """A store that does not answer requests about one key."""

    key = ""

    async def get(self, key: str) -> bytes:
        if key == self.key:
            raise Unavailable("no answer")
        return await super().get(key)


async def test_a_damaged_team_hides_no_other_and_can_be_deleted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Silent()
    made = await service_over(store).create(TENANT, FIRST)
    await service_over(store).create(TENANT, FIRST.model_copy(update={"name": "other"}))
    key = f"t/default/teams/{made.team.id}/000001.json"
    await store.put(key, b"{")

    with caplog.at_level(logging.ERROR):
        page = await service_over(store).list(TENANT, limit=9)

    assert [team.name for team in page.data] == ["other"]
    [record] = [each for each in caplog.records if getattr(each, "action", "") == "team.unreadable"]
    assert vars(record)["team_id"] == made.team.id
    assert "000001.json is damaged" in vars(record)["error"]
    with pytest.raises(StorageError, match="damaged"):
        await service_over(store).get(TENANT, "haiku")
    store.key = key  # no answer is an error of the whole list: the team may be well
    with pytest.raises(Unavailable):
        await service_over(store).list(TENANT, limit=9)
    await service_over(store).delete(TENANT, "haiku")
