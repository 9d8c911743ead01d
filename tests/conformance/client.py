"""A small client of the HTTP API, independent of the library."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any, Self

import httpx2

__all__ = ["ENDED", "Client"]

ENDED = frozenset({"completed", "failed", "cancelled", "incomplete", "expired"})

_WITHIN_S = 240

Json = dict[str, Any]


class Client:
    """Asks one API."""

    def __init__(self, url: str, key: str, answers: list[tuple[str, bytes]]) -> None:
        """Ask with this key; whatever is answered is added to `answers`."""
        headers = {"Authorization": f"Bearer {key}"}
        self.answers = answers
        self.http = httpx2.Client(
            base_url=url,
            headers=headers,
            timeout=60,
            trust_env=False,
            event_hooks={"response": [self._note]},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _note(self, answer: httpx2.Response) -> None:
        request = answer.request
        text = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        if answer.headers.get("content-type", "").partition(";")[0] != "text/event-stream":
            text += answer.read()
        self.answers.append((f"{request.method} {request.url.path}", text))

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def create(self, path: str, body: Json, *, key: str | None = None) -> httpx2.Response:
        """Send a request, with an `Idempotency-Key`, and again while the answer is 503."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        deadline = time.monotonic() + _WITHIN_S
        while True:
            answer = self.http.post(path, json=body, headers=headers)
            if answer.status_code != 503 or time.monotonic() > deadline:
                return answer

    def submit(self, team: str, **body: Any) -> str:
        """Submit a run; its id."""
        answer = self.create("/v1/runs", {"team": team, "input": "go", **body})
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
        answer = self.create(f"/v1/runs/{run_id}/{verb}", body or {})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def until(self, run_id: str, *statuses: str, path: str = "/v1/runs") -> Json:
        """The run when it has one of these statuses; by default, when it has ended."""
        wanted = frozenset(statuses) or ENDED
        run = self.get(f"{path}/{run_id}")
        deadline = time.monotonic() + _WITHIN_S
        while time.monotonic() < deadline:
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
                    self.answers.append(("event stream", value.encode()))
                    yield name, json.loads(value) if value else {}
