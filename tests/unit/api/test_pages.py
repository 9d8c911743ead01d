"""`/` and `/docs`: their contents, and that they load nothing from elsewhere."""

import re

import pytest
from tests.support.api import key, serve, world

from teamrun.version import VERSION

PARTS = ["/docs", "/docs/docs.js", "/docs/docs.css"]


@pytest.mark.parametrize("prefix", ["", "/teamrun"])
def test_the_root_describes_the_server_and_every_link_works(prefix: str) -> None:
    async def scenario() -> None:
        async with world(root_path=prefix) as w:
            index = (await w.client.get("/")).json()
            assert (index.pop("name"), index.pop("version")) == ("teamrun", VERSION)
            assert index["docs"] == f"{prefix}/docs"
            page = await w.client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
            assert page.headers["content-type"].startswith("text/html")
            assert set(re.findall(r'href="([^"]+)"', page.text)) == set(index.values())
            for link in index.values():
                assert (await w.client.get(link)).status_code == 200, link

    serve(scenario())


def test_the_reference_needs_no_key_and_lets_a_browser_load_nothing_from_elsewhere() -> None:
    async def scenario() -> None:
        async with world(api_keys=(key("token", "runs:read"),)) as w:
            for path in ("/", *PARTS):
                answer = await w.client.get(path)
                assert answer.status_code == 200, path
                rules = dict(
                    rule.strip().split(" ", 1)
                    for rule in answer.headers["content-security-policy"].split(";")
                )
                assert rules.pop("default-src") == "'none'"
                assert set(rules.values()) <= {"'self'", "'none'", "data:"}
                assert answer.headers["x-content-type-options"] == "nosniff"

    serve(scenario())


def test_the_reference_names_no_other_server_and_only_parts_that_there_are() -> None:
    async def scenario() -> None:
        async with world() as w:
            texts = {path: (await w.client.get(path)).text for path in PARTS}
            for path, text in texts.items():
                assert not re.search(r"https?:|[\"'(]//|@import|\burl\(", text), path
            used = re.findall(r'(?:href|src)="([^"]+)"', texts["/docs"])
            assert {"docs/docs.js", "docs/docs.css", "openapi.json"} <= set(used)
            for reference in used:
                if reference != "data:,":
                    assert (await w.client.get(f"/{reference}")).status_code == 200, reference
            # Text of a document or a response is never markup.
            script = texts["/docs/docs.js"]
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval", script)
            assert (await w.client.get("/docs/nothing.js")).status_code == 404

    serve(scenario())
