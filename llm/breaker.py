"""Leaves a model alone that keeps failing: one breaker for each "provider/model", shared by all processes over Redis.

    closed --5 failures in a row--> open for 60 s --> one request on trial --well--> closed
                                        ^---------------------- failed -----'

Redis has the state and the clock; every change is one run of the script below, so that of many processes exactly one
gets the trial. This process remembers what Redis told last. It goes on from there while Redis is away, and tells it to
a Redis that was wiped.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from core.ids import new_id

State = Literal["closed", "open", "trial"]

_PATIENCE = 0.2  # seconds that Redis gets to answer
_CONNECTIONS = 8  # enough for thousands of commands a second; a burst of turns opens no more
_REST = 5.0  # seconds that a Redis which failed is left alone, so that not every call waits for it

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Pass:
    """Whether a request may be made, and what its outcome is reported with.

    `state` "open" means no, and `wait` is then the seconds after which asking again makes sense.
    """

    ref: str
    state: State
    wait: float = 0.0
    failures: int = 0
    holder: str = ""


class Breakers:
    """The breakers of all models of this process; lives on one event loop.

    `failures` in a row open a breaker for `seconds`. `redis_url` None keeps the states in this process alone, the same
    way as when Redis is away. A Redis that is slow, wiped, or holds junk never fails a call.
    """

    def __init__(self, *, failures: int = 5, seconds: float = 60.0, redis_url: str | None = None) -> None:
        self._limits = _Limits(failures, seconds)
        self._known: dict[str, _Breaker] = {}
        self._redis: Any = None
        self._resting_until = 0.0  # of the monotonic clock
        self._away = False  # told once, until it is back
        self._places = asyncio.Semaphore(_CONNECTIONS)  # waiting for one another is no failure of Redis
        if redis_url is not None:
            import redis.asyncio

            self._redis = redis.asyncio.Redis.from_url(
                redis_url,
                socket_timeout=_PATIENCE,
                socket_connect_timeout=_PATIENCE,
                retry=None,
                decode_responses=True,
                health_check_interval=0,
            )
            self._script = self._redis.register_script(_SCRIPT)

    async def enter(self, ref: str, *, lease: float) -> Pass:
        """Ask whether a model may be asked. Every pass that is not "open" is reported on: `failed`, `went_well`, or
        `left` when the outcome says nothing about the model.

        `lease`: seconds within which the outcome of a trial is reported; after them another may have the trial.
        """
        holder = new_id("try")
        breaker = await self._change("enter", ref, holder, lease)
        now = time.monotonic()
        if breaker.open_until is None:
            return Pass(ref, "closed", failures=breaker.failures)
        if breaker.holder == holder:
            return Pass(ref, "trial", failures=breaker.failures, holder=holder)
        return Pass(ref, "open", wait=max(breaker.open_until - now, breaker.trial_until - now, 0.0))

    async def failed(self, permitted: Pass) -> bool:
        """The model failed. True when its breaker is open now."""
        return (await self._change("failed", permitted.ref, permitted.holder)).open_until is not None

    async def went_well(self, permitted: Pass) -> None:
        """The model answered. Of one that was healthy anyway there is nothing to write down."""
        if permitted.state == "trial" or permitted.failures or self._breaker(permitted.ref).failures:
            await self._change("went_well", permitted.ref, permitted.holder)

    async def left(self, permitted: Pass) -> None:
        """The request ended without telling anything about the model: a trial goes to the next one who asks."""
        if permitted.state == "trial":
            await self._change("left", permitted.ref, permitted.holder)

    async def look(self, refs: Iterable[str]) -> None:
        """Learn the states that other processes know, for `states`: one Redis command each, nothing without Redis.

        Looking changes nothing: what nobody reports on is forgotten all the same.
        """
        for ref in refs:
            await self._change("look", ref, "")

    def states(self) -> dict[str, State]:
        """The states by "provider/model" as this process knows them; what is not in it is closed. Any thread.

        "open": nobody asks it. "trial": its time is over, and one request is its trial: under way, or the next to come.
        """
        now = time.monotonic()
        return {ref: breaker.state(now) for ref, breaker in list(self._known.items())}

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    # --- where the state is --------------------------------------------------------------------

    async def _change(self, event: str, ref: str, holder: str, lease: float = 0.0) -> "_Breaker":
        """The breaker after an event: as Redis decided, or as this process does when Redis cannot be asked."""
        breaker = self._breaker(ref)
        told = await self._ask_redis(event, breaker, ref, holder, lease)
        now = time.monotonic()
        breaker = self._breaker(ref)  # others may have gone on while Redis was asked
        if told is not None:
            breaker.failures = told["failures"]
            breaker.open_until = None if told["open"] is None else now + told["open"]
            breaker.trial_until, breaker.holder = now + told["trial"], told["holder"]
            forgotten_at = now + self._limits.remembered + lease
            breaker.forgotten_at = min(breaker.forgotten_at, forgotten_at) if event == "look" else forgotten_at
        else:
            breaker.apply(event, holder, lease, now, self._limits)
        return breaker

    def _breaker(self, ref: str) -> "_Breaker":
        breaker = self._known.setdefault(ref, _Breaker())
        if time.monotonic() >= breaker.forgotten_at:
            breaker = self._known[ref] = _Breaker()
        return breaker

    async def _ask_redis(
        self, event: str, breaker: "_Breaker", ref: str, holder: str, lease: float
    ) -> dict[str, Any] | None:
        """What the script says, None when Redis does not answer in time or not sensibly, and for a while after that."""
        if self._redis is None:
            return None
        limits = self._limits
        async with self._places:
            now = time.monotonic()
            if now < self._resting_until:
                return None
            known_open = "" if breaker.open_until is None else _ms(max(0.0, breaker.open_until - now))
            arguments = [
                event,
                holder,
                limits.failures,
                _ms(limits.seconds),
                _ms(limits.remembered + lease),
                _ms(lease),
                known_open,
            ]
            try:
                answer = await self._script(keys=[f"mutirao:breaker:{ref}"], args=arguments)
                self._away = False
                if not answer:
                    return None  # looked, and there is nothing
                failures, open_ms, trial_ms, holds = answer
                return {
                    "failures": int(failures),
                    "open": None if open_ms == "" else int(open_ms) / 1_000,
                    "trial": int(trial_ms) / 1_000,
                    "holder": str(holds),
                }
            except Exception as error:  # whatever is wrong with it, the call goes on without it
                self._resting_until = time.monotonic() + _REST
                if not self._away:
                    log.warning("redis_away", reason=type(error).__name__)
                self._away = True
                return None


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1_000))


# --- the same rules, here and in Redis ------------------------------------------------------------


@dataclass(frozen=True)
class _Limits:
    failures: int
    seconds: float

    @property
    def remembered(self) -> float:
        """Seconds after which what nobody reported on is forgotten."""
        return 10 * self.seconds


@dataclass
class _Breaker:
    """One breaker. Times are of the monotonic clock; `open_until` None means closed."""

    failures: int = 0
    open_until: float | None = None
    trial_until: float = 0.0
    holder: str = ""
    forgotten_at: float = float("inf")

    def state(self, now: float) -> State:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "trial"

    def apply(self, event: str, holder: str, lease: float, now: float, limits: _Limits) -> None:
        """What the script does, without Redis."""
        if event == "look":
            return
        is_open = self.open_until is not None
        on_trial = is_open and holder != "" and holder == self.holder
        if event == "enter":
            if self.open_until is not None and now >= self.open_until and now >= self.trial_until:
                self.holder, self.trial_until = holder, now + lease
                self.forgotten_at = self.trial_until + limits.remembered
            return
        if event == "failed" and (on_trial or not is_open):
            self.failures += 1
            if on_trial or self.failures >= limits.failures:
                self.open_until, self.trial_until, self.holder = now + limits.seconds, 0.0, ""
        elif event == "went_well" and (on_trial or not is_open):
            self.failures, self.open_until, self.trial_until, self.holder = 0, None, 0.0, ""
        elif event == "left" and on_trial:
            self.trial_until, self.holder = 0.0, ""
        self.forgotten_at = now + limits.remembered


# KEYS: the breaker. ARGV: event, holder, failures that open it, milliseconds: open, remembered, lease, and those for
# which the caller knows it to be open ("" when it knows it to be closed). What is stored is not trusted: what is no
# number counts for nothing, and nothing lasts longer than it may.
_SCRIPT = """
local key, event, holder = KEYS[1], ARGV[1], ARGV[2]
local limit, rest, remembered, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function whole(text)
  local number = tonumber(text or '')
  if number and number > -2^53 and number < 2^53 then return math.floor(number) end
end

local kind = redis.call('TYPE', key).ok
if event == 'look' and kind ~= 'hash' then return {} end
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
local stored = redis.call('HMGET', key, 'failures', 'open_until', 'trial_until', 'holder')
local failures, open_until, trial_until = whole(stored[1]) or 0, whole(stored[2]), whole(stored[3]) or 0
local held_by = stored[4] or ''
local changed = false
if kind ~= 'hash' and ARGV[7] ~= '' then  -- wiped: the caller remembers
  open_until, failures, changed = now + tonumber(ARGV[7]), limit, true
end
if open_until and open_until > now + rest then open_until, changed = now + rest, true end
if trial_until > now + 86400000 then trial_until, changed = 0, true end  -- no request takes a day

local on_trial = open_until and holder ~= '' and holder == held_by
if event == 'enter' then
  if open_until and now >= open_until and now >= trial_until then
    held_by, trial_until, changed = holder, now + lease, true
  end
elseif event == 'failed' and (on_trial or not open_until) then
  failures, changed = failures + 1, true
  if on_trial or failures >= limit then open_until, trial_until, held_by = now + rest, 0, '' end
elseif event == 'went_well' and (on_trial or not open_until) then
  failures, open_until, trial_until, held_by, changed = 0, nil, 0, '', true
elseif event == 'left' and on_trial then
  trial_until, held_by, changed = 0, '', true
end

if changed then
  redis.call('HSET', key, 'failures', failures, 'open_until', open_until or '', 'trial_until', trial_until,
             'holder', held_by)
  redis.call('PEXPIRE', key, remembered)
end
local open_for = ''
if open_until then open_for = tostring(math.max(0, open_until - now)) end
return {failures, open_for, math.max(0, trial_until - now), held_by}
"""
