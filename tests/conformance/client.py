"""A small client of the HTTP API, independent of the library."""

import json
from collections.abc import Iterator
from typing import Any, Self

import httpx2

__all__ = ["ENDED", "Client"]

ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})


class Client:
    """Asks one API."""

    def __init__(self, url: str) -> None:
        self.http = httpx2.Client(base_url=url, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def submit(self, team: str, *, key: str | None = None, **body: Any) -> str:
        """Submit a run; its id."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.http.post(
            "/v1/runs", json={"team": team, "input": "go", **body}, headers=headers
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as it is."""
        answer = self.http.get(f"/v1/runs/{run_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, run_id: str, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Tell the run something."""
        answer = self.http.post(f"/v1/runs/{run_id}/{verb}", json=body or {})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def until(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run when it has one of these statuses; by default, when it has ended."""
        wanted = frozenset(statuses) or ENDED
        run = self.run(run_id)
        for _ in range(20):
            if run["status"] in wanted:
                return run
            assert run["status"] not in ENDED, run
            headers = {"Prefer": "wait=5", "If-None-Match": f'"r{run["revision"]}"'}
            answer = self.http.get(f"/v1/runs/{run_id}", headers=headers)
            run = answer.json() if answer.status_code == 200 else run
        raise AssertionError(f"run {run_id} is {run['status']}, not one of {sorted(wanted)}")

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """All present events, by pages."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 7}
        while True:
            page = self.http.get(f"/v1/runs/{run_id}/events", params=query).json()
            found += page["data"]
            if not page["has_more"]:
                return found
            query["after"] = page["next_cursor"]

    def stream(self, run_id: str, *, after: str | None = None) -> Iterator[dict[str, Any]]:
        """Events as they come, to the end of the run."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with self.http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: ") and "seq" in (event := json.loads(line[6:])):
                    yield event
