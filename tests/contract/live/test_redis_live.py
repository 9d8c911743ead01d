"""Shared state in Valkey that hangs, dies, returns, is flushed or refuses commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any, cast

import pytest
import redis
from redis.exceptions import ResponseError
from tests.support.redis_states import REFUSING, recover
from tests.support.services import Valkey, valkey

from teamrun.errors import DeliveryError, UsageError
from teamrun.live.base import View
from teamrun.live.redis import RedisLive
from teamrun.redis.pipe import RedisPipe

pytestmark = pytest.mark.integration

MINUTE = timedelta(minutes=1)
SOON = timedelta(milliseconds=200)
BOUND_S = 20


async def _run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.timeout(BOUND_S):
        await body()


def _admin(server: Valkey, *command: str) -> Any:
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        return cast("Any", client).execute_command(*command)


async def _all(messages: AsyncIterator[bytes]) -> list[bytes]:
    return [message async for message in messages]


async def _every_call_fails(live: RedisLive) -> None:
    calls = [
        live.publish("t", b"x"),
        live.acquire("run", "ann", MINUTE),
        live.release("run", "ann"),
        live.held(["run"]),
        live.age(),
        live.set_view("run", View(1, b"x")),
        live.views(["run"]),
        live.ping(),
        live.subscribe("t").__aenter__(),
    ]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [DeliveryError] * len(calls)


async def test_a_killed_server_is_a_delivery_error_and_the_next_one_is_used() -> None:
    async def body() -> None:
        with valkey() as server:
            live = RedisLive(server.url)
            await live.acquire("run", "ann", MINUTE)
            async with live.subscribe("t") as messages:
                server.kill()
                assert await _all(messages) == []
            await _every_call_fails(live)
            server.start()
            assert await live.acquire("run", "bob", MINUTE) is True
            async with live.subscribe("t") as messages:
                await live.publish("t", b"back")
                assert await anext(messages) == b"back"
            await live.close()

    await _run(body)


async def test_a_server_restarted_between_two_calls_is_not_noticed() -> None:
    async def body() -> None:
        with valkey() as server:
            live = RedisLive(server.url)
            await live.ping()
            server.kill()
            server.start()
            await live.ping()
            await live.close()

    await _run(body)


async def test_a_hanging_server_fails_every_call_together_then_at_once() -> None:
    async def body() -> None:
        with valkey() as server:
            pipe = RedisPipe(server.url, timeout=SOON, cool_down=MINUTE)
            live = RedisLive(pipe)
            await live.ping()
            server.freeze()
            calls = [live.publish("t", b"x") for _ in range(500)]
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {DeliveryError}
            with pytest.raises(DeliveryError) as at_once:
                await live.ping()
            assert at_once.value.data == {"cooling_down": True}
            await live.close()
            await pipe.close()

    await _run(body)


async def test_a_server_that_hangs_from_the_beginning_is_a_delivery_error() -> None:
    async def body() -> None:
        with valkey() as server:
            server.freeze()
            live = RedisLive(server.url)
            await _every_call_fails(live)
            await live.close()

    await _run(body)


async def test_a_server_that_continues_after_a_pause_is_used_again() -> None:
    async def body() -> None:
        with valkey() as server:
            pipe = RedisPipe(server.url, timeout=SOON, cool_down=timedelta(0))
            live = RedisLive(pipe)
            await live.set_view("run", View(1, b"one"))
            server.freeze()
            with pytest.raises(DeliveryError):
                await live.views(["run"])
            server.thaw()
            while True:
                try:
                    assert await live.views(["run"]) == [View(1, b"one")]
                except DeliveryError:
                    continue
                break
            await live.close()
            await pipe.close()

    await _run(body)


async def test_a_silent_server_ends_the_iteration() -> None:
    async def body() -> None:
        with valkey() as server:
            live = RedisLive(server.url, silence=timedelta(milliseconds=50))
            async with live.subscribe("t") as messages:
                await live.publish("t", b"before")
                assert await anext(messages) == b"before"
                server.freeze()
                assert await _all(messages) == []
            server.thaw()
            await live.close()

    await _run(body)


async def test_a_quiet_topic_is_not_a_silent_server(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url, silence=timedelta(milliseconds=20))
        async with live.subscribe("t") as messages:
            waiting = asyncio.ensure_future(anext(messages))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            assert not done
            await live.publish("t", b"at last")
            assert await waiting == b"at last"
        await live.close()

    await _run(body)


async def test_many_readers_of_a_topic_are_one_subscription_and_it_ends_with_them(
    valkey_server: Valkey,
) -> None:
    channel = "teamrun:topic:t"

    async def body() -> None:
        live = RedisLive(valkey_server.url)
        async with live.subscribe("t"), live.subscribe("t"), live.subscribe("t"):
            assert _admin(valkey_server, "PUBSUB", "NUMSUB", channel) == [channel.encode(), 1]
        while _admin(valkey_server, "PUBSUB", "NUMSUB", channel) != [channel.encode(), 0]:
            await live.ping()
        await live.close()

    await _run(body)


async def test_two_processes_see_the_same_state(valkey_server: Valkey) -> None:
    async def body() -> None:
        one, two = RedisLive(valkey_server.url), RedisLive(valkey_server.url)
        assert await one.acquire("run", "ann", MINUTE) is True
        assert await two.acquire("run", "bob", MINUTE) is False
        async with two.subscribe("t") as messages:
            await one.publish("t", b"hello")
            assert await anext(messages) == b"hello"
        await one.close()
        await two.close()

    await _run(body)


async def test_a_flushed_server_counts_as_new(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url)
        await live.age()
        assert await live.age() is not None
        _admin(valkey_server, "FLUSHALL")
        assert await live.age() is None
        assert await live.age() is not None
        await live.close()

    await _run(body)


async def test_a_server_that_came_back_with_its_data_counts_as_new() -> None:
    async def body() -> None:
        with valkey(persist=True) as server:
            live = RedisLive(server.url)
            await live.age()
            await live.set_view("run", View(1, b"kept"))
            _admin(server, "BGREWRITEAOF")
            _admin(server, "CONFIG", "SET", "appendfsync", "always")
            await live.set_view("run", View(2, b"kept"))
            server.kill()
            server.start()
            assert await live.views(["run"]) == [View(2, b"kept")]
            assert await live.age() is None
            assert await live.age() is not None
            await live.close()

    await _run(body)


async def test_everything_lies_under_one_prefix_and_views_expire(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url)
        await live.age()
        await live.acquire("run", "ann", MINUTE)
        await live.set_view("run", View(1, b"x"))
        await live.close()

    await _run(body)
    keys = sorted(_admin(valkey_server, "KEYS", "*"))
    assert keys == [b"teamrun:boot", b"teamrun:lease:run", b"teamrun:view:run"]
    assert 0 < _admin(valkey_server, "TTL", "teamrun:view:run") <= 3600
    assert 0 < _admin(valkey_server, "TTL", "teamrun:lease:run") <= 60


async def test_a_refusal_is_a_delivery_error_of_that_call_alone(valkey_server: Valkey) -> None:
    async def body() -> None:
        _admin(valkey_server, "LPUSH", "teamrun:lease:odd", "x")
        live = RedisLive(valkey_server.url)
        results = await asyncio.gather(
            live.ping(),
            live.acquire("odd", "ann", MINUTE),
            live.acquire("even", "ann", MINUTE),
            return_exceptions=True,
        )
        assert results[0] is None
        assert isinstance(results[1], DeliveryError)
        assert results[2] is True
        await live.close()

    await _run(body)


async def test_a_server_out_of_memory_is_a_delivery_error(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url)
        _admin(valkey_server, "CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(DeliveryError) as caught:
                await live.set_view("run", View(1, b"x"))
            assert isinstance(caught.value.__cause__, ResponseError)
        finally:
            _admin(valkey_server, "CONFIG", "SET", "maxmemory", "0")
        await live.close()

    await _run(body)


async def test_scripts_that_the_server_has_forgotten_are_sent_again(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url)
        assert await live.acquire("run", "ann", MINUTE) is True
        _admin(valkey_server, "SCRIPT", "FLUSH")
        assert await live.acquire("run", "bob", MINUTE) is False
        await live.close()

    await _run(body)


async def test_a_password_is_used_and_never_shown(valkey_server: Valkey) -> None:
    async def body() -> None:
        wrong = RedisLive(f"unix://:hunter2@{valkey_server.socket}")
        right = RedisLive(f"unix://:opensesame@{valkey_server.socket}")
        _admin(valkey_server, "CONFIG", "SET", "requirepass", "opensesame")
        try:
            await right.ping()
            with pytest.raises(DeliveryError) as caught:
                await wrong.ping()
        finally:
            await right.close()
            with redis.Redis(
                unix_socket_path=str(valkey_server.socket), password="opensesame"
            ) as client:
                cast("Any", client).execute_command("CONFIG", "SET", "requirepass", "")
        assert "hunter2" not in caught.value.message
        await wrong.close()

    await _run(body)


async def test_a_cancelled_caller_does_not_disturb_the_others(valkey_server: Valkey) -> None:
    async def body() -> None:
        live = RedisLive(valkey_server.url)
        tasks = [asyncio.create_task(live.views([f"{n}"])) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[1::2] == [[None]] * 10
        assert {type(result) for result in results[::2]} == {asyncio.CancelledError}
        await live.ping()
        await live.close()

    await _run(body)


async def test_closing_fails_what_is_on_its_way() -> None:
    async def body() -> None:
        with valkey() as server:
            live = RedisLive(server.url)
            await live.ping()
            server.freeze()
            waiting = asyncio.create_task(live.publish("t", b"x"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await live.close()
            with pytest.raises(DeliveryError):
                await waiting

    await _run(body)


@pytest.mark.parametrize("url", ["http://x", "x", "redis://host:port/0", "unix:///s?colour=red"])
def test_an_invalid_redis_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        RedisLive(url)
    assert caught.value.data["setting"] == "redis_url"


@pytest.mark.integration
@pytest.mark.parametrize("state", REFUSING)
async def test_a_server_that_refuses_writes_is_not_ready(state: str) -> None:
    async def body() -> None:
        with valkey() as server:
            live = RedisLive(server.url)
            await live.ping()
            REFUSING[state](server)
            with pytest.raises(DeliveryError):
                await live.ping()
            recover(server)
            await live.ping()
            await live.close()

    await _run(body)
