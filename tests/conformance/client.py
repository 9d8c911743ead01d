"""A small client of the HTTP API, independent of the library."""

import json
import threading
from collections.abc import Iterator
from typing import Any, Self

import httpx2

__all__ = ["ENDED", "Client"]

ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})

Json = dict[str, Any]


class Client:
    """Asks one API."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def create(self, path: str, body: Json, *, key: str | None = None) -> httpx2.Response:
        """Submit something, with an `Idempotency-Key` if there is one."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post(path, json=body, headers=headers)

    def submit(self, team: str, *, key: str | None = None, **body: Any) -> str:
        """Submit a run; its id."""
        answer = self.create("/v1/runs", {"team": team, "input": "go", **body}, key=key)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def get(self, path: str) -> Json:
        """A resource as it is."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, run_id: str) -> Json:
        """The run as it is."""
        return self.get(f"/v1/runs/{run_id}")

    def post(self, run_id: str, verb: str, body: Json | None = None) -> Json:
        """Tell the run something."""
        answer = self.http.post(f"/v1/runs/{run_id}/{verb}", json=body or {})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def until(self, run_id: str, *statuses: str, path: str = "/v1/runs") -> Json:
        """The run when it has one of these statuses; by default, when it has ended."""
        wanted = frozenset(statuses) or ENDED
        run = self.get(f"{path}/{run_id}")
        for _ in range(20):
            if run["status"] in wanted:
                return run
            assert run["status"] not in ENDED, run
            headers = {"Prefer": "wait=5", "If-None-Match": f'"r{run["revision"]}"'}
            answer = self.http.get(f"{path}/{run_id}", headers=headers)
            run = answer.json() if answer.status_code == 200 else run
        raise AssertionError(f"{run_id} is {run['status']}, not one of {sorted(wanted)}")

    def events(self, run_id: str, *, path: str = "/v1/runs") -> list[Json]:
        """All present events, by pages."""
        found: list[Json] = []
        query: Json = {"limit": 7}
        while True:
            page = self.http.get(f"{path}/{run_id}/events", params=query).json()
            found += page["data"]
            if not page["has_more"]:
                return found
            query["after"] = page["next_cursor"]

    def lines(self, run_id: str) -> list[Json]:
        """All present events, as lines."""
        headers = {"Accept": "application/x-ndjson"}
        answer = self.http.get(f"/v1/runs/{run_id}/events", headers=headers)
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.text.splitlines() if line]

    def stream(self, run_id: str, *, after: str | None = None) -> Iterator[Json]:
        """Events as they come, to the end of the run.

        A response that ends before is continued behind its last event, as browsers do.
        """
        tick = threading.Event()
        last, ended = after, False
        while not ended:
            before = last
            for name, event in self._response(run_id, last):
                ended = ended or name == "end"
                if "seq" in event:
                    last = event["id"]
                    yield event
            if not ended and last == before:
                tick.wait(0.05)

    def until_event(self, run_id: str, event_type: str) -> Json:
        """Wait for the first event of a type."""
        return next(event for event in self.stream(run_id) if event["type"] == event_type)

    def _response(self, run_id: str, after: str | None) -> Iterator[tuple[str, Json]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        with self.http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            name = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value) if value else {}
