"""Stores in Azure Blob Storage: credentials, and the faults of its servers."""

from pathlib import Path

import pytest
from tests.support.certificates import Authority
from tests.support.managed_identity import managed_identity
from tests.support.proxies import FaultyProxy, Rates
from tests.support.services import Azurite, azurite

from teamrun.errors import InvalidKey, StorageError, Unavailable, UnusableStore
from teamrun.storage.open import open_store

pytestmark = pytest.mark.integration


async def test_a_shared_access_signature_reaches_the_container(
    azure_server: Azurite, container_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", azure_server.sas())
    store = open_store(container_url)
    await store.check()
    assert await store.put_new("a", b"x")
    assert await store.list("a/") == []
    assert await store.get("a") == b"x"
    # No deletions: Azurite answers 500 to a batch that is authorized by a signature.
    await store.close()


@pytest.mark.parametrize("client_id", [None, "11111111-2222-3333-4444-555555555555"])
async def test_a_managed_identity_reaches_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client_id: str | None
) -> None:
    authority = Authority(tmp_path, "test")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with azurite(authority=authority) as server, managed_identity() as ours:
        server.make_container("runs")
        for name, value in ours.environ().items():
            monkeypatch.setenv(name, value)
        if client_id:
            monkeypatch.setenv("AZURE_CLIENT_ID", client_id)
        store = open_store(server.url("runs", "x"))
        await store.check()
        assert await store.put_new("a", b"x")
        await store.close()
    (asked,) = ours.asked  # one token for all requests
    assert asked["resource"] == "https://storage.azure.com"
    assert asked.get("client_id") == client_id


async def test_a_signature_that_is_refused_is_no_passing_fault(
    azure_server: Azurite, container_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", azure_server.sas().replace("sig=", "sig=canary"))
    store = open_store(container_url)
    with pytest.raises(StorageError) as caught:
        await store.put_new("a", b"x")
    assert caught.value.code == "storage"
    assert "canary" not in caught.value.message
    await store.close()


async def test_a_container_that_does_not_exist_is_refused(container_url: str) -> None:
    store = open_store(container_url.replace("container-", "absent-"))
    for call in (store.check(), store.get("a"), store.put_new("a", b""), store.list("a/")):
        with pytest.raises(UnusableStore) as caught:
            await call
        assert caught.value.code == "unusable_store"
        assert "absent-" in caught.value.message
    await store.close()


@pytest.mark.parametrize("key", ["a\\b", "a./b", "a/b."])
async def test_a_key_that_azure_would_change_is_refused(container_url: str, key: str) -> None:
    store = open_store(container_url)
    for call in (store.put_new(key, b"x"), store.put(key, b"x")):
        with pytest.raises(InvalidKey):
            await call
    assert await store.list("") == []
    await store.close()


async def test_of_lost_and_refused_answers_none_is_an_object_that_exists(
    azure_server: Azurite, container_url: str
) -> None:
    """A retry after a lost answer finds its own object; the log then compares the nonces."""
    server = azure_server.blob_endpoint.removesuffix(f"/{azure_server.account}")
    async with FaultyProxy(server, Rates(error=0.2, lost=0.2)) as proxy:
        store = open_store(container_url.replace(server, proxy.endpoint))
        taken = 0
        for n in range(30):
            try:
                taken += not await store.put_new(f"k/{n}", b"x")
            except Unavailable:
                continue
        assert proxy.counts["lost"] and proxy.counts["error"]
        await store.close()
    direct = open_store(container_url)
    assert taken <= len(await direct.list("k/")) <= 30
    await direct.close()
