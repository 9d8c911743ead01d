"""Shared state in Redis or Valkey. All keys and channels start with one prefix.

Leases and ages use the clock of the server, never those of the workers. Each script uses one key.
Views expire after an hour without a new entry, because they can be rebuilt from the log.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

from teamrun.live.base import View
from teamrun.live.redis_shares import LEASE_MS, SHARE, arguments, read_share
from teamrun.live.redis_topics import RedisTopics
from teamrun.models.pacing.base import PACE_TOPIC, CallLimits, Demand, Share
from teamrun.redis.address import RedisAddress
from teamrun.redis.pipe import RedisPipe, Script

__all__ = ["RedisLive"]

_PREFIX = "teamrun:"
_VIEW_LIFE = timedelta(hours=1)
_KEYS_PER_COMMAND = 1000
_PROBE_LIFE_S = 60

_ACQUIRE = Script.of("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")

_RELEASE = Script.of("""
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
""")

# A view is stored as `<entries>:<state>`.
_SET_VIEW = Script.of("""
local stored = redis.call('GETRANGE', KEYS[1], 0, 19)
local entries = tonumber(string.match(stored, '^(%d+):'))
if entries and entries >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return 1
""")

# The boot key contains the identity of the server process as well. A server that restarted with its
# data counts as new, because leases could not be renewed while it was down.
_AGE = Script.of("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or '-'
local stored_server, since = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%d+)$')
if stored_server == server then return now - tonumber(since) end
redis.call('SET', KEYS[1], server .. ' ' .. string.format('%.0f', now))
return -1
""")


class RedisLive:
    """Implements `Live` over one connection for commands and one for subscriptions.

    Both belong to the event loop on which they are used first.

    Args:
        redis: The server, or a pipe that the caller closes.
        prefix: The prefix of every key and channel.
        silence: The interval in which subscribers must receive a sign of life from the server.
        lease_ms: How long a silent process keeps its share in the limits of a model profile.
    """

    is_shared = True

    def __init__(
        self,
        redis: str | RedisAddress | RedisPipe,
        *,
        prefix: str = _PREFIX,
        silence: timedelta = timedelta(seconds=15),
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._lease_ms = lease_ms
        self._own_pipe = not isinstance(redis, RedisPipe)
        self._pipe = redis if isinstance(redis, RedisPipe) else RedisPipe(redis)
        self._prefix = prefix
        self._topics = RedisTopics(self._pipe, prefix=f"{prefix}topic:", silence=silence)

    async def publish(self, topic: str, message: bytes) -> None:
        """Send a message to the current subscribers."""
        await self._pipe.call(b"PUBLISH", f"{self._prefix}topic:{topic}", message)

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The messages published while the context is entered."""
        return self._topics.subscribe(topic)

    async def acquire(self, name: str, owner: str, lease: timedelta) -> bool:
        """Take or renew the lease; returns False if another owner has it."""
        return await self._pipe.run(_ACQUIRE, [self._lease(name)], owner, _ms(lease)) == 1

    async def release(self, name: str, owner: str) -> None:
        """Release the lease if `owner` has it."""
        await self._pipe.run(_RELEASE, [self._lease(name)], owner)

    async def held(self, names: Sequence[str]) -> list[bool]:
        """The leases that are active."""
        values = await self._values([self._lease(name) for name in names])
        return [value is not None for value in values]

    async def age(self) -> timedelta | None:
        """How long this server has had this state; None if it is new."""
        age_ms: int = await self._pipe.run(_AGE, [f"{self._prefix}boot"])
        return None if age_ms < 0 else timedelta(milliseconds=age_ms)

    async def set_view(self, key: str, view: View) -> None:
        """Store the view unless the stored one has as many entries or more."""
        await self._pipe.run(
            _SET_VIEW, [self._view(key)], view.entries, view.state, _ms(_VIEW_LIFE)
        )

    async def views(self, keys: Sequence[str]) -> list[View | None]:
        """The stored views, in the order of `keys`."""
        return [_parse(value) for value in await self._values([self._view(key) for key in keys])]

    async def drop_view(self, key: str) -> None:
        """Remove a stored view; does nothing if there is none."""
        await self._pipe.call(b"DEL", self._view(key))

    async def share(self, profile: str, limits: CallLimits, demand: Demand) -> Share:
        """The share of one process in the limits of a model profile."""
        channel = f"{self._prefix}topic:{PACE_TOPIC}"
        given = arguments(profile, limits, demand, channel=channel, lease_ms=self._lease_ms)
        return read_share(await self._pipe.run(SHARE, [f"{self._prefix}pace:{profile}"], *given))

    async def answer(self, key: str) -> bytes | None:
        """The answer of a model, if it is still kept."""
        answer: bytes | None = await self._pipe.call(b"GET", self._answer(key))
        return answer

    async def keep_answer(self, key: str, answer: bytes, life: timedelta) -> None:
        """Keep an answer of a model for a time."""
        await self._pipe.call(b"SET", self._answer(key), answer, b"PX", _ms(life))

    async def ping(self) -> None:
        """Check that the server responds and accepts writes.

        Raises:
            DeliveryError: The server is unreachable, a replica, out of memory, or cannot save.
        """
        await self._pipe.call(b"SET", f"{self._prefix}probe", 1, b"EX", _PROBE_LIFE_S)

    async def close(self) -> None:
        """End every subscription and close the connections."""
        await self._topics.close()
        if self._own_pipe:
            await self._pipe.close()

    async def _values(self, keys: list[str]) -> list[bytes | None]:
        values: list[bytes | None] = []
        for start in range(0, len(keys), _KEYS_PER_COMMAND):
            some = keys[start : start + _KEYS_PER_COMMAND]
            values.extend(await self._pipe.call(b"MGET", *some))
        return values

    def _lease(self, name: str) -> str:
        return f"{self._prefix}lease:{name}"

    def _answer(self, key: str) -> str:
        return f"{self._prefix}answer:{key}"

    def _view(self, key: str) -> str:
        return f"{self._prefix}view:{key}"


def _parse(value: bytes | None) -> View | None:
    if value is None:
        return None
    entries, _, state = value.partition(b":")
    return View(int(entries), state) if entries.isdigit() else None  # another program's value


def _ms(duration: timedelta) -> int:
    return max(1, round(duration.total_seconds() * 1000))
