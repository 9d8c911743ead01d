"""A setting, or a combination of settings, that cannot work is refused with its own name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError
from teamrun.runtime import open_backends
from teamrun.settings import PREFIX, CommonSettings, load_settings
from teamrun_api.settings import ApiSettings
from teamrun_worker.compose import redis_of
from teamrun_worker.settings import WorkerSettings

REDIS = "redis://127.0.0.1:1/0"
KINDS: list[type[CommonSettings]] = [ApiSettings, WorkerSettings]
NUMBERS = [
    (kind, name)
    for kind in KINDS
    for name in kind.model_fields
    if name.endswith(("_seconds", "_days"))
]


def _worker_queue(settings: CommonSettings) -> None:
    assert isinstance(settings, WorkerSettings)
    redis_of(settings)


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"redis_url": REDIS, "queue_url": "sqs://x/y"}, "queue_url"),
        ({"queue_url": "sqs://x/y"}, "queue_url"),
        ({"redis_url": "sqs://x/y"}, "redis_url"),
    ],
    ids=["both", "queue", "redis"],
)
@pytest.mark.parametrize(
    ("kind", "opens"),
    [
        (ApiSettings, open_backends),
        (WorkerSettings, open_backends),
        (WorkerSettings, _worker_queue),
    ],
    ids=["api", "worker", "worker's queue"],
)
def test_an_invalid_queue_url_is_refused_with_the_name_of_its_setting(
    given: dict[str, str],
    setting: str,
    kind: type[CommonSettings],
    opens: Callable[[CommonSettings], object],
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError) as caught:
        opens(kind(store_url=tmp_path.as_uri(), **given))  # pyright: ignore[reportArgumentType]
    assert caught.value.data["setting"] == setting
    assert f"{PREFIX}{setting.upper()}" in caught.value.message


def test_a_worker_without_a_queue_is_refused_with_both_settings() -> None:
    with pytest.raises(UsageError) as caught:
        redis_of(WorkerSettings())
    assert {"TEAMRUN_REDIS_URL", "TEAMRUN_QUEUE_URL"} <= {*caught.value.message.split()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queue", ["redis_url", "queue_url"])
def test_a_store_in_memory_is_refused_if_there_is_a_queue(
    kind: type[CommonSettings], queue: str
) -> None:
    with pytest.raises(UsageError) as caught:
        open_backends(kind.model_validate({"store_url": "memory://", queue: REDIS}))
    assert caught.value.data["setting"] == "store_url"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_a_number_must_be_finite(
    kind: type[CommonSettings], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    with pytest.raises(UsageError) as caught:
        load_settings(kind)
    assert "finite" in caught.value.message


@pytest.mark.parametrize(
    ("text", "queues"),
    [
        ("batch,batch", [Queue.BATCH]),
        ("batch, interactive ,batch", [Queue.BATCH, Queue.INTERACTIVE]),
    ],
)
def test_a_queue_that_is_named_twice_is_consumed_once(
    text: str, queues: list[Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUES", text)
    assert load_settings(WorkerSettings).run_queues == queues


@pytest.mark.parametrize("text", [",", " ", " , ,"])
def test_a_list_of_queues_without_a_name_is_refused_as_empty(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUES", text)
    with pytest.raises(UsageError) as caught:
        load_settings(WorkerSettings)
    assert caught.value.data["settings"] == ["TEAMRUN_QUEUES"]
