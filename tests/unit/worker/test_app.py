from collections.abc import Sequence

import pytest

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import OLD_QUEUE, TASK
from teamrun.dispatch.queues import RUN_QUEUES, Queue
from teamrun.errors import UsageError
from teamrun.settings import load_settings
from teamrun_worker.app import make_app
from teamrun_worker.settings import WorkerSettings


def test_the_settings_of_celery_are_the_measured_ones() -> None:
    conf = make_app("redis://127.0.0.1", accept=lambda refs, queue: None).conf

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
    options = conf.broker_transport_options
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (5, 2)
    assert (options["socket_keepalive"], options["health_check_interval"]) == (True, 5)
    assert options["queue_order_strategy"] == "priority"


@pytest.mark.parametrize(
    ("queues", "consumed"),
    [
        ([Queue.BATCH, Queue.INTERACTIVE], ["interactive", OLD_QUEUE, "batch"]),
        ([Queue.INTERACTIVE], ["interactive", OLD_QUEUE]),
        ([Queue.BATCH], ["batch"]),
    ],
)
def test_queues_are_consumed_in_the_order_of_their_priority(
    queues: list[Queue], consumed: list[str]
) -> None:
    app = make_app("redis://127.0.0.1", accept=lambda refs, queue: None, queues=queues)

    assert [*app.amqp.queues] == consumed


def test_the_task_hands_over_the_runs_that_the_message_names() -> None:
    taken: list[tuple[list[RunRef], Queue]] = []

    def accept(refs: Sequence[RunRef], *, queue: Queue) -> None:
        taken.append(([*refs], queue))

    app = make_app("redis://127.0.0.1", accept=accept)

    app.tasks[TASK]("default.run_1", "default.run_2")

    runs = [RunRef("default", "run_1"), RunRef("default", "run_2")]
    assert taken == [(runs, Queue.INTERACTIVE)]


def test_by_default_a_worker_consumes_every_queue_of_runs() -> None:
    assert load_settings(WorkerSettings).run_queues == [*RUN_QUEUES]


@pytest.mark.parametrize("names", ["hooks", "Batch", "interactive,", "batch;interactive"])
def test_an_unknown_queue_is_refused_with_the_names_that_exist(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMRUN_QUEUES", names)
    with pytest.raises(UsageError) as caught:
        load_settings(WorkerSettings)
    assert "TEAMRUN_QUEUES" in caught.value.message
    assert all(repr(str(queue)) in caught.value.message for queue in RUN_QUEUES)
    assert "<" not in caught.value.message
