import hashlib

import pytest
from tests.support.api import serve, world

from teamrun.core.refs import RunRef
from teamrun.errors import DamagedBlob
from teamrun.runs.log.keys import artifact_blob


def test_every_version_of_a_file_is_listed_with_where_to_get_it() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            page = (await w.client.get(f"/v1/runs/{run_id}/artifacts")).json()
            assert (page["next_cursor"], page["has_more"]) == (None, False)
            listed = [(item["name"], item["version"], item["size"]) for item in page["data"]]
            assert listed == [("note.txt", 1, 5), ("note.txt", 2, 6)]
            bodies = [(await w.client.get(item["url"])).text for item in page["data"]]
            assert bodies == ["first", "second"]

    serve(scenario())


def test_a_file_is_a_download_of_its_own_type_that_browsers_do_not_run() -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            answer = await w.client.get(f"/v1/runs/{run_id}/artifacts/note.txt")
            assert answer.text == "second"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["content-disposition"] == 'attachment; filename="note.txt"'
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("sandbox")

    serve(scenario())


@pytest.mark.parametrize("path", ["note.txt", "note.txt/versions/2"])
def test_a_file_that_the_client_has_is_304(path: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/artifacts/{path}"
            tag = (await w.client.get(url)).headers["etag"]
            same = await w.client.get(url, headers={"If-None-Match": tag})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
            other = await w.client.get(url, headers={"If-None-Match": '"other"'})
            assert (other.status_code, other.text) == (200, "second")

    serve(scenario())


@pytest.mark.parametrize(
    "path", ["none.txt", "none.txt/versions/1", "note.txt/versions/3", "%2e%2e"]
)
@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}], ids=["plain", "conditional"])
def test_a_file_that_there_is_not_is_404(path: str, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            answer = await w.client.get(f"/v1/runs/{run_id}/artifacts/{path}", headers=headers)
            assert answer.status_code == 404

    serve(scenario())


@pytest.mark.parametrize("version", ["0", "x", "1.5", "9999999"])
def test_a_version_that_cannot_be_is_400(version: str) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/artifacts/note.txt/versions/{version}"
            answer = await w.client.get(url)
            (fault,) = answer.json()["errors"]
            assert (answer.status_code, fault["parameter"]) == (400, "version")

    serve(scenario())


@pytest.mark.parametrize("data", [b"Second", b"second!", b""], ids=["byte", "longer", "empty"])
def test_bytes_that_were_changed_in_the_store_are_not_served(data: bytes) -> None:
    async def scenario() -> None:
        async with world() as w:
            run_id = await w.ended()
            url = f"/v1/runs/{run_id}/artifacts/note.txt"
            key = artifact_blob(RunRef("default", run_id), hashlib.sha256(b"second").hexdigest())
            assert await w.store.get(key) == b"second"
            await w.store.put(key, data)
            answer = await w.client.get(url)
            assert (answer.status_code, answer.json()["code"]) == (409, "damaged_blob")

    serve(scenario())


async def test_a_large_file_is_sent_in_chunks_with_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("teamrun.storage.memory.CHUNK_BYTES", 4)
    async with world() as w:
        url = f"/v1/runs/{await w.ended()}/artifacts/note.txt"
        async with w.client.stream("GET", url) as answer:
            assert answer.headers["content-length"] == "6"
            assert b"".join([part async for part in answer.aiter_raw()]) == b"second"
        head = await w.client.head(url)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "6", b"")


@pytest.mark.parametrize("data", [b"seconD", b"secon", b"second!"], ids=["byte", "less", "more"])
async def test_damage_after_the_first_chunk_ends_the_body_before_its_last_byte(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr("teamrun.storage.memory.CHUNK_BYTES", 2)
    async with world() as w:
        run_id = await w.ended()
        key = artifact_blob(RunRef("default", run_id), hashlib.sha256(b"second").hexdigest())
        await w.store.put(key, data)
        record = await w.service.artifact_record("default", run_id, "note.txt")
        got = b""
        with pytest.raises(DamagedBlob):
            async for part in await w.service.open_artifact("default", run_id, record):
                got += part
        assert b"second".startswith(got)
        assert len(got) < len(b"second")
        answer = await w.client.get(f"/v1/runs/{run_id}/artifacts/note.txt")
        assert answer.content == got
