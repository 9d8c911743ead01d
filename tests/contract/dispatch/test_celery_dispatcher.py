"""The messages that we push are those that Celery's worker and kombu's consumer take."""

import asyncio
import json
import queue
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any, cast

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker
from kombu import Connection
from kombu import Queue as KombuQueue
from tests.support.services import Valkey, valkey

from teamrun.core.refs import RunRef
from teamrun.dispatch.celery import OLD_QUEUE, TASK, CeleryDispatcher, encode_message
from teamrun.dispatch.queues import MAX_REFS_PER_MESSAGE, RUN_QUEUES, Queue
from teamrun.errors import DeliveryError
from teamrun.redis.pipe import RedisPipe

pytestmark = pytest.mark.integration

QUEUE = str(Queue.INTERACTIVE)
REFS = [RunRef("default", f"run-{n}") for n in range(20)]
ODD = RunRef('acme "%d" é', "run<id>日本\\")


def _app(server: Valkey) -> Celery:
    app = Celery("test", broker=server.broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
    )
    return app


def _stored(server: Valkey, name: str = QUEUE) -> list[dict[str, Any]]:
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        return [json.loads(item) for item in cast("Any", client).lrange(name, 0, -1)]


async def _send(server: Valkey, *refs: RunRef) -> None:
    dispatcher = CeleryDispatcher(server.url)
    for ref in refs:
        await dispatcher.send([ref])
    await dispatcher.close()


async def test_a_celery_worker_runs_the_task_with_the_reference(valkey_server: Valkey) -> None:
    app = _app(valkey_server)
    received: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def execute(self: Any, ref: str) -> None:
        received.put((ref, self.request.id))

    app.task(name=TASK, bind=True, shared=False)(execute)
    with start_worker(
        app, pool="threads", concurrency=4, perform_ping_check=False, loglevel="ERROR"
    ):
        await _send(valkey_server, *REFS, ODD)
        found = [received.get(timeout=30) for _ in range(len(REFS) + 1)]
    assert {RunRef.parse(ref) for ref, _ in found} == {*REFS, ODD}
    assert len({task_id for _, task_id in found}) == len(found)
    assert _stored(valkey_server) == []


async def test_a_kombu_consumer_takes_acknowledges_and_keeps_the_order(
    valkey_server: Valkey,
) -> None:
    await _send(valkey_server, *REFS)
    bodies: list[Any] = []

    def take(body: Any, message: Any) -> None:
        bodies.append((body[0], message.headers["task"], message.content_type))
        message.ack()

    with (
        Connection(valkey_server.broker_url) as connection,
        connection.Consumer(KombuQueue(QUEUE), callbacks=[take], accept=["json"]),
    ):
        while len(bodies) < len(REFS):
            connection.drain_events(timeout=30)
    assert bodies == [([str(ref)], TASK, "application/json") for ref in REFS]
    assert _stored(valkey_server) == []


def test_the_message_has_the_form_of_celery(valkey_server: Valkey) -> None:
    app = _app(valkey_server)
    app.send_task(TASK, args=[str(ODD)], queue=QUEUE, ignore_result=True)
    app.close()
    (theirs,) = _stored(valkey_server)
    ours = json.loads(encode_message([ODD]))
    assert b64decode(ours["body"]) != b""
    assert json.loads(b64decode(ours["body"])) == json.loads(b64decode(theirs["body"]))
    assert ours["headers"].keys() - theirs["headers"].keys() == set()
    assert ours["properties"].keys() == theirs["properties"].keys()
    for name in ("lang", "task", "retries", "eta", "expires", "timelimit", "ignore_result"):
        assert ours["headers"][name] == theirs["headers"][name]
    for name in ("delivery_mode", "delivery_info", "priority", "body_encoding"):
        assert ours["properties"][name] == theirs["properties"][name]
    assert ours["content-type"] == theirs["content-type"]
    assert ours["content-encoding"] == theirs["content-encoding"]


@pytest.mark.parametrize("queue", Queue)
async def test_many_references_share_messages_of_bounded_size(
    valkey_server: Valkey, queue: Queue
) -> None:
    many = [RunRef("default", f"run-{n}") for n in range(2 * MAX_REFS_PER_MESSAGE + 1)]
    dispatcher = CeleryDispatcher(valkey_server.url, prefix="of%s:")
    await dispatcher.send([], queue=queue)
    await dispatcher.send(many, queue=queue)
    await dispatcher.close()
    stored = _stored(valkey_server, f"of%s:{queue}")
    assert [message["properties"]["delivery_info"]["routing_key"] for message in stored] == (
        [str(queue)] * 3
    )
    assert len({message["properties"]["delivery_tag"] for message in stored}) == 3
    assert _named(stored) == [*map(str, many)]


async def test_more_messages_than_one_command_has_keep_their_order(
    valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teamrun.dispatch.celery._MESSAGES_PER_COMMAND", 2)
    many = [RunRef("default", f"run-{n}") for n in range(5 * MAX_REFS_PER_MESSAGE)]
    dispatcher = CeleryDispatcher(valkey_server.url)
    await dispatcher.send([ODD])
    await dispatcher.send(many, first=True)
    await dispatcher.close()
    assert _named(_stored(valkey_server)) == [*map(str, many), str(ODD)]


def _named(stored: list[dict[str, Any]]) -> list[str]:
    """The runs in the order in which workers take them."""
    bodies = [json.loads(b64decode(message["body"])) for message in reversed(stored)]
    return [ref for arguments, *_ in bodies for ref in arguments]


async def test_depths_count_the_messages_of_each_queue(valkey_server: Valkey) -> None:
    dispatcher = CeleryDispatcher(valkey_server.url)
    assert await dispatcher.depths() == {"interactive": 0, "batch": 0}
    await dispatcher.send(REFS, queue=Queue.BATCH)
    assert await dispatcher.depths() == {"interactive": 0, "batch": 1}
    await dispatcher.close()


async def test_a_dead_server_is_a_delivery_error_and_the_next_one_is_used() -> None:
    with valkey() as server:
        dispatcher = CeleryDispatcher(server.url)
        server.kill()
        async with asyncio.timeout(5):
            with pytest.raises(DeliveryError):
                await dispatcher.send([REFS[0]])
        server.start()
        await dispatcher.send([REFS[0]])
        server.kill()
        server.start()
        await dispatcher.send([REFS[1]])
        assert len(_stored(server)) == 1
        await dispatcher.close()


async def test_a_hanging_server_is_a_delivery_error_in_time() -> None:
    with valkey() as server:
        connected = CeleryDispatcher(server.url)
        await connected.send([REFS[0]])
        server.freeze()
        fresh = CeleryDispatcher(server.url)
        async with asyncio.timeout(5):
            results = await asyncio.gather(
                connected.send([REFS[1]]), fresh.send([REFS[1]]), return_exceptions=True
            )
        assert [type(result) for result in results] == [DeliveryError, DeliveryError]
        await connected.close()
        await fresh.close()


async def test_a_pipe_of_the_caller_is_shared_and_left_open(valkey_server: Valkey) -> None:
    pipe = RedisPipe(valkey_server.url, timeout=timedelta(seconds=5))
    dispatcher = CeleryDispatcher(pipe)
    await dispatcher.send([REFS[0]])
    await dispatcher.close()
    assert await pipe.call("LLEN", QUEUE) == 1
    await pipe.close()


async def test_waiting_messages_are_taken_in_the_order_of_the_queues(
    valkey_server: Valkey,
) -> None:
    dispatcher = CeleryDispatcher(valkey_server.url, prefix="of%s:")
    urgent, first, old, batch = REFS[:3], REFS[3:5], REFS[5:6], [*REFS[6:9], ODD]
    await dispatcher.send(batch, queue=Queue.BATCH)
    for ref in urgent:
        await dispatcher.send([ref])
    await dispatcher.send(first, first=True)
    with redis.Redis(unix_socket_path=str(valkey_server.socket)) as client:
        client.lpush(f"of%s:{OLD_QUEUE}", encode_message(old))
    assert await dispatcher.take(2, queues=RUN_QUEUES) == [
        (Queue.INTERACTIVE, first),
        (Queue.INTERACTIVE, urgent[:1]),
    ]
    assert await dispatcher.take(100, queues=[Queue.BATCH]) == [(Queue.BATCH, batch)]
    assert await dispatcher.take(100, queues=RUN_QUEUES) == [
        *((Queue.INTERACTIVE, [ref]) for ref in urgent[1:]),
        (Queue.INTERACTIVE, old),
    ]
    assert await dispatcher.take(100, queues=RUN_QUEUES) == []
    await dispatcher.close()


def _changed(**changes: object) -> bytes:
    """A message with other headers, or another body."""
    message = json.loads(encode_message(REFS[:1]))
    if "body" in changes:
        message["body"] = changes["body"]
    else:
        message["headers"] |= changes
    return json.dumps(message).encode()


def _body(text: str) -> str:
    return b64encode(text.encode()).decode()


FOREIGN = [
    b"",
    b"nonsense",
    b"\xff",
    b"[" * 100_000,
    b"{}",
    b"[]",
    b"null",
    b'{"headers":[],"body":""}',
    _changed(task="other.task"),
    _changed(eta="2026-01-01T00:00:00+00:00"),
    _changed(expires="2026-01-01T00:00:00+00:00"),
    _changed(body=7),
    _changed(body="%"),
    _changed(body=_body("[]")),
    _changed(body=_body('[["a.b"], {"named": 1}, {}]')),
    _changed(body=_body("[[7], {}, {}]")),
    _changed(body=_body('[["nothing"], {}, {}]')),
    _changed(body=_body("[7, {}, {}]")),
]


async def test_what_is_not_a_message_of_ours_is_left_to_celery_in_its_order(
    valkey_server: Valkey,
) -> None:
    dispatcher = CeleryDispatcher(valkey_server.url)
    with redis.Redis(unix_socket_path=str(valkey_server.socket)) as client:
        client.lpush(QUEUE, *FOREIGN[:9], encode_message(REFS[:1]), *FOREIGN[9:])
        assert await dispatcher.take(100, queues=RUN_QUEUES) == [(Queue.INTERACTIVE, REFS[:1])]
        assert cast("Any", client).lrange(QUEUE, 0, -1) == FOREIGN[::-1]
        client.delete(QUEUE)
    await dispatcher.close()


async def test_nothing_is_taken_while_redis_does_not_respond() -> None:
    dispatcher = CeleryDispatcher("unix:///nowhere/valkey.sock")
    with pytest.raises(DeliveryError):
        await dispatcher.take(1, queues=RUN_QUEUES)
    await dispatcher.close()
