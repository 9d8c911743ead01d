"""The limits of model profiles, divided among the processes of a deployment by one script.

A profile is one hash: the learned window, the arrival times of the rates, and a field for each
process with its calls in flight, its waiting calls, the places that it has been given, and the end
of its lease. A process never gets a place that another one may still use. If all want more than
there is, each gets an equal part, and the places that are left over rotate. The places of a killed
process are given to others when its lease ends.

The window and the rates follow the rules of `models/pacing/window.py` and `rate.py`.
"""

from typing import Final

from teamrun.models.pacing.base import CallLimits, Demand, Share
from teamrun.models.pacing.local import HORIZON_S, NO_LIMIT
from teamrun.models.pacing.rate import Rate
from teamrun.models.pacing.window import (
    ENOUGH,
    FIRST_CAUTION_S,
    FORGET_S,
    MOST_CAUTION_S,
    STEP_S,
)
from teamrun.redis.pipe import Script

__all__ = ["LEASE_MS", "SHARE", "arguments", "read_share"]

LEASE_MS: Final = 10_000
"""How long a silent process keeps its places."""

SHARE: Final = Script.of(f"""
local NO_LIMIT, ROTATION_MS, KEPT_MS = {NO_LIMIT}, 5000, 3600000
local key, me, channel, profile = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local active, waiting, lease = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local limit = tonumber(ARGV[7])
local request_ms, request_burst = tonumber(ARGV[8]), tonumber(ARGV[9])
local token_ms, token_burst = tonumber(ARGV[10]), tonumber(ARGV[11])
local answered, correction = tonumber(ARGV[12]), tonumber(ARGV[13])
local pause, age = tonumber(ARGV[14]), tonumber(ARGV[15])
local returned = tonumber(ARGV[16])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000

local state, others = {{}}, {{}}
local taken, others_active, demand, known = 0, 0, active + waiting, false
local stored = redis.call('HGETALL', key)
for i = 1, #stored, 2 do
  local id = string.match(stored[i], '^member:(.*)$')
  if not id then
    state[stored[i]] = tonumber(stored[i + 1])
  elseif id == me then
    known = true
  else
    local a, w, given, ends = string.match(stored[i + 1], '^(%d+) (%d+) (%d+) (%d+)$')
    if not ends or tonumber(ends) <= now then
      redis.call('HDEL', key, stored[i])
    else
      others[#others + 1] = {{id = id, wants = a + w}}
      taken = taken + math.max(tonumber(given), tonumber(a))
      others_active = others_active + a
      demand = demand + a + w
    end
  end
end

local size, caution = state.size or 0, state.caution or {FIRST_CAUTION_S * 1000}
local step, grown = state.step or 1, state.grown or 0
local grow_at, forget_at = state.grow_at or 0, state.forget_at or 0
local paused, rejected_at = state.paused or 0, state.rejected_at or 0
answered = answered + (state.answered or 0)
local proved = answered >= {ENOUGH} * size
if pause >= 0 then
  local accepted = math.max(1, active + others_active)
  local late = now - age < rejected_at
  paused = math.max(paused, now + pause)
  if size == 0 or late or not proved then
    if size == 0 or late then
      size = accepted
    elseif grown == 1 then
      size, caution = accepted, math.min(4 * caution, {MOST_CAUTION_S * 1000})
    else
      size = math.max(1, math.floor(size / 2))
    end
    grow_at = paused + caution
    if (state.size or 0) == 0 and answered >= {ENOUGH} * (accepted + 1) then grow_at = paused end
  end
  grown, step, answered = 0, 1, 0
  rejected_at, forget_at = now, paused + {FORGET_S * 1000}
  if not late then redis.call('PUBLISH', channel, profile) end
elseif not known and now < paused then  -- the server has accepted these calls as well
  size = math.max(size, active + others_active)
end
if size > 0 and now >= forget_at then
  size, caution = 0, {FIRST_CAUTION_S * 1000}
elseif size > 0 and demand > size and now >= math.max(grow_at, paused) then
  if grown == 1 and proved then caution = {FIRST_CAUTION_S * 1000} end
  size, step, grown, grow_at = size + step, step * 2, 1, now + {STEP_S * 1000}
  answered = 0
end
local places = limit
if size > 0 then places = math.min(limit, size) end

local fair = active + waiting
if demand > places then
  local all, shares = {{{{id = me, wants = fair}}}}, {{}}
  for _, other in ipairs(others) do
    if other.wants > 0 then all[#all + 1] = other end
  end
  table.sort(all, function(a, b)
    if a.wants ~= b.wants then return a.wants < b.wants end
    return a.id < b.id
  end)
  local left, level, hungry = places, 0, {{}}
  for i, member in ipairs(all) do
    if #hungry == 0 then level = math.floor(left / (#all - i + 1)) end
    local part = math.min(member.wants, level)
    shares[member.id], left = part, left - part
    if part < member.wants then hungry[#hungry + 1] = member.id end
  end
  table.sort(hungry)
  local turn = math.floor(now / ROTATION_MS)
  for i = 1, math.min(left, #hungry) do
    local id = hungry[(turn + i) % #hungry + 1]
    shares[id] = shares[id] + 1
  end
  fair = shares[me]
end
local given = math.max(0, math.min(fair, places - taken))

local function whole(value) return string.format('%.0f', value) end
local requests = (state.requests or 0) - returned * request_ms
local tokens = (state.tokens or 0) + correction * token_ms
local begin, starts = math.max(now, paused), {{}}
for i = 17, #ARGV do
  local start = math.max(begin, requests - request_burst, tokens - token_burst)
  if #starts > 0 and start > begin + {HORIZON_S * 1000} then break end
  if request_ms > 0 then requests = math.max(requests, start) + request_ms end
  if token_ms > 0 then tokens = math.max(tokens, start) + ARGV[i] * token_ms end
  starts[#starts + 1] = whole(start - now)
end

local function number(value) return string.format('%.3f', value) end
redis.call('HSET', key, 'size', size, 'caution', number(caution), 'step', step, 'grown', grown,
  'answered', answered,
  'grow_at', number(grow_at), 'forget_at', number(forget_at), 'paused', number(paused),
  'rejected_at', number(rejected_at), 'requests', number(requests), 'tokens', number(tokens))
if active + waiting == 0 then
  redis.call('HDEL', key, 'member:' .. me)
else
  redis.call('HSET', key, 'member:' .. me,
    string.format('%d %d %d %.0f', active, waiting, given, now + lease))
end
redis.call('PEXPIRE', key, whole(math.max(0, paused - now) + KEPT_MS))

local again = lease / 3
if waiting > 0 then
  again = 250
  if given == 0 then again = 100 end
end
local free = 0
if size == 0 and limit == NO_LIMIT and request_ms == 0 and token_ms == 0 then free = 1 end
return {{given, whole(math.max(0, paused - now)), whole(again), free, unpack(starts)}}
""")


def arguments(
    profile: str, limits: CallLimits, demand: Demand, *, channel: str, lease_ms: int
) -> list[str | int]:
    """The arguments of the script.

    Args:
        profile: The name of the profile.
        limits: Of its server.
        demand: Of this process.
        channel: Where the profile is published when a call has been rejected.
        lease_ms: How long a silent process keeps its places.
    """
    limit = limits.max_concurrent_calls
    requests, tokens = Rate.of(limits.requests_per_minute), Rate.of(limits.tokens_per_minute)
    rejection = demand.rejection
    return [
        demand.member,
        channel,
        profile,
        demand.active,
        demand.waiting,
        lease_ms,
        NO_LIMIT if limit is None else min(limit, NO_LIMIT - 1),
        *(_ms(s) for s in (requests.interval_s, requests.burst_s)),
        *(_ms(s) for s in (tokens.interval_s, tokens.burst_s)),
        demand.answered,
        demand.correction,
        _ms(-1 if rejection is None else rejection.pause_s),
        _ms(0 if rejection is None else rejection.age_s),
        demand.returned,
        *demand.costs,
    ]


def read_share(reply: list[int | bytes]) -> Share:
    """The share that the script returned."""
    places, pause, again, free, *starts = map(int, reply)
    return Share(
        places=places,
        pause_s=pause / 1000,
        starts_in_s=tuple(start / 1000 for start in starts),
        again_s=again / 1000,
        is_free=free == 1,
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.9f}"
