"""Counts that several machines share, in Redis; while Redis is away, each machine's own.

The same slots as ``rates``, in one script: all asks of a call in one round trip, added to all counts or to none. What
is under way at once are members of a sorted set with a lease, which whoever holds them renews; what a dead process
held is free when its lease is over. Going away and coming back are each told in one line of the log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from math import ceil

from engine.cluster.rates import SLOTS, Ask, Rates, Seen, Verdict, seen
from engine.cluster.redis import PREFIX, Command, Redis, RedisError, Script
from engine.cluster.veil import Veil

log = logging.getLogger(__name__)
_LEASE = 60
_AGAIN = 1.0
"""Seconds for which Redis is not asked after it failed."""
_TAKE = Script(f"""
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local member, left = ARGV[1], {{}}
for i, key in ipairs(KEYS) do
    local most, seconds, amount = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
    if seconds == 0 then
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        local used = redis.call('ZCARD', key)
        if used + 1 > most then return {{i - 1, '1'}} end
        left[i] = most - used - 1
    else
        local width = seconds / {SLOTS - 1}
        local slot = math.floor(now / width)
        local cells, used, held = redis.call('HGETALL', key), 0, {{}}
        for at = 1, #cells, 2 do
            local began, count = tonumber(cells[at]), tonumber(cells[at + 1])
            if began <= slot - {SLOTS} then redis.call('HDEL', key, cells[at])
            else used = used + count; held[began] = count end
        end
        local needed = used + math.min(amount, most) - most
        if needed > 0 then
            for began = slot - {SLOTS - 1}, slot do
                needed = needed - (held[began] or 0)
                if needed <= 0 then return {{i - 1, tostring((began + {SLOTS}) * width - now)}} end
            end
            return {{i - 1, tostring(seconds)}}
        end
        left[i] = math.max(0, most - used - amount)
    end
end
for i, key in ipairs(KEYS) do
    local seconds, amount = tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
    if seconds == 0 then
        redis.call('ZADD', key, now + {_LEASE}, member)
        redis.call('EXPIRE', key, {_LEASE})
    else
        local width = seconds / {SLOTS - 1}
        local slot = math.floor(now / width)
        redis.call('HINCRBY', key, string.format('%d', slot), amount)
        redis.call('EXPIRE', key, math.ceil(seconds + 2 * width))
        left[#left + 1] = slot
    end
end
return {{-1, '0', unpack(left)}}
""")


class SharedRates:
    """See the module; the same questions as ``Rates``, which answers while Redis is away."""

    def __init__(self, redis: Redis, own: Rates, veil: Veil) -> None:
        self._redis, self._own, self._veil = redis, own, veil
        self._away_until = 0.0
        self._away = False
        self._member = f"{os.urandom(8).hex()}:"
        self._number = 0
        self._held: set[tuple[str, str]] = set()
        self._renew_at = 0.0

    def take(self, asks: Sequence[Ask], beside: Command | None = None) -> Verdict:
        """Add to all counts, or to none. What Redis is asked ``beside`` goes up in the same round trip."""
        if self._away and time.monotonic() < self._away_until:
            return self._own.take(asks)
        self._number += 1
        member = f"{self._member}{self._number}"
        values: list[str | float] = [member]
        for ask in asks:
            values += (ask.most, ask.seconds, ask.amount)
        try:
            keys = [self._key(ask.name) for ask in asks]
            *told, (full, wait, *left) = self._redis.call_with((beside,) if beside else (), _TAKE, keys, *values)
        except RedisError as error:
            self._lost(error)
            return self._own.take(asks)
        if self._away:
            self._away = False
            log.warning("Redis is back: limits are counted there again")
        if full >= 0:
            return Verdict(full, float(wait))
        slots = iter(left[len(asks) :])
        for ask in asks:
            ask.slot = next(slots) if ask.seconds else -1
            ask.shared = member
            if not ask.seconds:
                self._held.add((ask.name, member))
        return Verdict(left=left[: len(asks)], beside=told)

    def look(self, asks: Sequence[Ask]) -> list[Seen]:
        """How the counts of these names stand; nothing is added to them."""
        if self._away and time.monotonic() < self._away_until:
            return self._own.look(asks)
        names = [self._key(ask.name) for ask in asks]
        try:
            (seconds, micros), *replies = self._redis.run(
                ("TIME",),
                *(
                    ("HGETALL", name) if ask.seconds else ("ZCOUNT", name, time.time(), "+inf")
                    for name, ask in zip(names, asks, strict=True)
                ),
            )
        except RedisError as error:
            self._lost(error)
            return self._own.look(asks)
        now = int(seconds) + int(micros) / 1e6
        return [
            seen(dict(zip(map(int, reply[::2]), map(int, reply[1::2]), strict=True)), ask.seconds, now)
            if ask.seconds
            else Seen(reply)
            for ask, reply in zip(asks, replies, strict=True)
        ]

    def settle(self, asks: Sequence[Ask], amounts: Sequence[int]) -> None:
        """What asks that were taken came to; what was under way is so no more."""
        if asks and not asks[0].shared:
            self._own.settle(asks, amounts)
            return
        commands: list[tuple[str | int, ...]] = []
        for ask, amount in zip(asks, amounts, strict=True):
            if not ask.seconds:
                self._held.discard((ask.name, ask.shared))
                commands.append(("ZREM", self._key(ask.name), ask.shared))
            elif amount != ask.amount:
                commands.append(("HINCRBY", self._key(ask.name), ask.slot, amount - ask.amount))
                commands.append(("EXPIRE", self._key(ask.name), ceil(ask.seconds * SLOTS / (SLOTS - 1)) + 1))
        if not commands or (self._away and time.monotonic() < self._away_until):
            return
        try:
            self._redis.run(*commands)
        except RedisError as error:
            self._lost(error)

    def sweep(self) -> None:
        """Renew the lease of what is under way here; give back what dead processes of this machine had."""
        self._own.sweep()
        if not self._held or time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + _LEASE / 4
        try:
            until = time.time() + _LEASE
            held = list(self._held)
            commands = [("ZADD", self._key(name), "XX", until, member) for name, member in held]
            self._redis.run(*commands, *{("EXPIRE", self._key(name), _LEASE) for name, _ in held})
        except RedisError as error:
            self._lost(error)

    def close(self) -> None:
        """Let go of what is held open."""
        self._redis.close()
        self._own.close()

    def _key(self, name: str) -> str:
        return PREFIX + self._veil.name(name)

    def _lost(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + _AGAIN
        if not self._away:
            self._away = True
            log.warning("limits are counted by this machine alone: %s", error)
