import pytest

from teamrun.dispatch.base import RunRef
from teamrun.dispatch.celery import QUEUE, TASK
from teamrun_worker.app import broker_url, make_app


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://127.0.0.1:6379/3", "redis://127.0.0.1:6379/3"),
        ("rediss://u:p@host/0", "rediss://u:p@host/0"),
        ("unix:///run/v.sock", "redis+socket:///run/v.sock?virtual_host=0"),
        ("unix:///run/v.sock?db=2", "redis+socket:///run/v.sock?virtual_host=2"),
    ],
)
def test_the_broker_is_the_same_server_in_the_spelling_of_celery(given: str, expected: str) -> None:
    assert broker_url(given) == expected


def test_the_settings_are_those_that_were_measured_to_hold() -> None:
    conf = make_app("redis://127.0.0.1", accept=lambda _: None).conf

    assert conf.task_acks_late is False
    assert conf.worker_disable_prefetch is True
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result is True
    assert conf.result_backend is None
    assert conf.accept_content == ["json"]
    assert conf.worker_enable_remote_control is False
    assert conf.worker_send_task_events is False
    assert conf.broker_connection_retry_on_startup is True
    assert conf.broker_connection_max_retries is None
    assert conf.broker_transport_options == {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }
    assert conf.task_default_queue == QUEUE


def test_the_task_hands_over_the_run_that_the_message_names() -> None:
    taken: list[RunRef] = []
    app = make_app("redis://127.0.0.1", accept=taken.append)

    app.tasks[TASK]("default.run_1")

    assert taken == [RunRef("default", "run_1")]
