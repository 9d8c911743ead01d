"""URLs of queues in a cloud."""

import pytest

from teamrun.dispatch.address import QueueAddress, read_queue_url
from teamrun.dispatch.open import open_dispatcher
from teamrun.dispatch.queues import Queue
from teamrun.errors import UsageError
from teamrun_worker.compose import redis_of
from teamrun_worker.settings import WorkerSettings


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("sqs://jobs", QueueAddress("sqs", "jobs", {})),
        (
            "sqs://jobs?region=eu-west-1&endpoint=http://127.0.0.1:5000",
            QueueAddress(
                "sqs", "jobs", {"region": "eu-west-1", "endpoint": "http://127.0.0.1:5000"}
            ),
        ),
        ("azq://jobs-1?account=name", QueueAddress("azq", "jobs-1", {"account": "name"})),
        ("SQS://jobs", QueueAddress("sqs", "jobs", {})),
    ],
)
def test_a_queue_in_a_cloud_has_a_prefix_and_options(url: str, address: QueueAddress) -> None:
    assert read_queue_url(url) == address


def test_each_queue_has_a_name() -> None:
    names = [read_queue_url("sqs://jobs").name_of(queue) for queue in Queue]
    assert names == ["jobs-interactive", "jobs-batch", "jobs-hooks"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqs://", "PREFIX"),
        ("sqs://a b", "PREFIX"),
        ("sqs://a/b", "PREFIX"),
        ("sqs://a#b", "PREFIX"),
        ("azq://Jobs", "lower-case"),
        ("azq://a--b", "single -"),
        (f"azq://{'a' * 45}", "1 to 44"),
        ("sqs://key:secret@jobs", "credentials"),
        ("sqs://[jobs", "malformed"),
        ("sqs://jobs?account=x", "endpoint, region"),
        ("azq://jobs?account=x&account=y", "each once"),
        ("sqs://jobs?region=a%20b", "'region'"),
        ("sqs://jobs?endpoint=host", "'endpoint'"),
        ("sqs://jobs?endpoint=http://key:secret@host", "without credentials"),
        ("sqs://jobs?endpoint=http://host/a%3Fb=c", "without a query"),
        ("kafka://jobs", "azq, sqs"),
    ],
)
def test_an_invalid_url_is_refused_without_a_part_of_it(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        read_queue_url(url)
    assert "TEAMRUN_QUEUE_URL" in caught.value.message
    assert "secret" not in caught.value.message


def test_the_setting_of_the_url_is_named() -> None:
    with pytest.raises(UsageError, match="TEAMRUN_REDIS_URL"):
        open_dispatcher("sqs://a b", prefix="", setting="redis_url")


def test_a_celery_worker_says_that_it_cannot_take_from_a_queue_in_a_cloud() -> None:
    with pytest.raises(UsageError, match=r"TEAMRUN_QUEUE_URL is sqs://.*set redis://"):
        redis_of(WorkerSettings(queue_url="sqs://jobs"))
