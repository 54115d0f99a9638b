"""Budgets: what the models of a tenant may cost a day, and what they have cost.

A budget is of a tenant and a day of its time zone, in US dollars, in tokens, or both; the same for each agent (a role
of the catalog). At 80 and 120 % of one there is one alert. At its ceiling (150 %, a setting) no model is asked any more
until the day is over.

Before a request the most that it can use is reserved, and afterwards replaced by what it used. Both are done by one
function of PostgreSQL (migrations/0008), which settles what is over and admits what comes next in one round trip, under
the tenant's lock: however many processes race, a request is admitted only while what is spent and reserved lies below
the ceiling, so it is passed by one request at most (as far as the bounds of the tokens that the caller names hold).
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import structlog

from core import formats
from core.clock import Clock
from core.db import Database
from core.errors import Unavailable
from core.ids import new_id
from core.money import Money
from core.settings import Settings
from core.tenancy import Role
from core.turn import ModelCall, Turn
from llm import prices
from llm.budget_book import MOST_TOKENS, MOST_USD, Budget, BudgetBook
from llm.catalog import Model
from llm.messages import Usage

log = structlog.get_logger(__name__)

EXPIRY = timedelta(minutes=10)
"""Of a reservation whose process was killed: longer than any request to a model may take (300 s in the background)."""

_LINGER = 0.5  # seconds that what is over waits for the next request to take it along
_REST = 5.0  # seconds that a database which did not answer is left alone
_SEE_COSTS = frozenset({Role.ADMIN, Role.DIRETOR})
_STEP = (
    "SELECT * FROM model_budget_step("
    "%s, %s, %s, %s, %s, %s::numeric, %s::bigint, %s::timestamptz, %s::timestamptz, %s::numeric[], %s::numeric)"
)


@dataclass
class Admission:
    """Whether a request to a model may begin. `settle` ends it, exactly once however often it is called."""

    id: str
    granted: bool
    role: str
    day: date
    usd: Decimal | None
    """Reserved for it at most; None when the price is unknown: then only its tokens are."""
    tokens: int
    reserved: bool = True
    """False when the database did not answer: granted all the same, and counted when it is back."""
    settled: bool = False


@dataclass
class _Over:
    """A request that is over and not yet counted, and the turn that made it."""

    turn: Turn
    admission: Admission
    call: ModelCall | None

    def told(self) -> dict[str, Any]:
        """The form in which the database takes it; one that used nothing only gives its reservation back."""
        call = self.call
        used = call is not None and (call.failure is None or call.prompt_tokens > 0 or call.completion_tokens > 0)
        told: dict[str, Any] = {
            "id": self.admission.id,
            "day": self.admission.day.isoformat(),
            "role": self.admission.role,
            "reserved": self.admission.reserved,
            "requests": int(used),
        }
        if call is not None and used:
            told |= {
                "prompt": _sane(call.prompt_tokens),
                "cached": _sane(call.cached_tokens),
                "completion": _sane(call.completion_tokens),
                "usd": str(min(max(call.cost_usd or Decimal(0), Decimal(0)), MOST_USD)),
                "unpriced": int(call.cost_usd is None),
            }
        return told


@dataclass
class _Known:
    """What this process knows of a tenant: what it has not yet told the database, and what that said last."""

    over: list[_Over] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    near: bool = False
    """What is on its way may reach a mark: then what is over is counted at once, so that its turn can tell."""
    day: date = date.min
    until: datetime | None = None
    share: float | None = None
    role_shares: dict[str, float | None] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    """Budgets whose ceiling was logged today."""


class Budgets(BudgetBook):
    """Shared by all turns of a process; lives on one event loop.

    `tenant` and `agent` are the budgets of tenants, and of each of their agents, that have none of their own.
    `rate_brl` is reais for one US dollar, to say sums in both.
    """

    @classmethod
    def from_settings(cls, settings: Settings, db: Database | None, clock: Clock) -> "Budgets":
        """Without a database until `use` names one: the router is made before it, and needs its budgets then."""
        return cls(
            db,
            clock,
            tenant=Budget(settings.budget_day_usd, settings.budget_day_tokens),
            agent=Budget(settings.budget_agent_day_usd, settings.budget_agent_day_tokens),
            ceiling_percent=settings.budget_ceiling_percent,
            rate_brl=settings.rate_brl[0] if settings.rate_brl else None,
        )

    def __init__(
        self,
        db: Database | None,
        clock: Clock,
        *,
        tenant: Budget,
        agent: Budget,
        ceiling_percent: int = 150,
        rate_brl: Decimal | None = None,
    ) -> None:
        super().__init__(db, clock, tenant=tenant, agent=agent, ceiling_percent=ceiling_percent)
        self._rate_brl = rate_brl
        self._known: dict[str, _Known] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting_until = 0.0  # of the monotonic clock

    async def close(self) -> None:
        """Count what is over and not yet counted. What the database does not take is logged and lost."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._resting_until = 0.0
        for tenant_id, known in self._known.items():
            await self._count(tenant_id)
            if known.timer is not None:
                known.timer.cancel()
            if known.over:
                usd = sum((over.call.cost_usd or Decimal(0) for over in known.over if over.call), Decimal(0))
                log.error("budget_uncounted", tenant=tenant_id, requests=len(known.over), usd=str(usd))

    # --- around every request to a model ------------------------------------------------------

    async def admit(
        self,
        turn: Turn,
        role: str,
        model: Model,
        prompt_tokens: int,
        answer_tokens: int,
        *,
        needed: bool = True,
    ) -> Admission:
        """Ask whether a request may begin, and reserve the most it can use: `prompt_tokens` and `answer_tokens` at that
        model's price, or the tokens alone where the price is unknown.

        Not granted when what is spent and what is reserved have reached the ceiling of a budget; the turn then gets
        the notice "budget.spent", once, unless the request is not `needed`: it was to be made beside another. Whoever
        may see costs also gets "budget.alert" when a mark is found reached.

        When the database does not answer it is granted, with a warning in the log: no turn can begin without the
        database, so only those that run already spend, each within its own limits, and a brief outage costs nobody the
        answer. What they use is counted as soon as the database is back.
        """
        tenant_id = turn.identity.tenant_id
        usd = await _most(model, prompt_tokens, answer_tokens)
        day = self._clock.now().astimezone(ZoneInfo(turn.identity.time_zone)).date()
        admission = Admission(new_id("spend"), True, role, day, usd, prompt_tokens + answer_tokens)
        try:
            row = await self._step(tenant_id, turn, admission)
        except Unavailable as error:
            admission.reserved = False
            log.warning("budget_unchecked", tenant=tenant_id, reason=str(error))
            return admission
        except asyncio.CancelledError:  # whether it was reserved nobody knows: give it back
            self._keep(tenant_id, [_Over(turn, admission, None)])
            raise
        admission.granted = row["granted"]
        if not admission.granted:
            self._refuse(turn, row, tell=needed)
        return admission

    async def settle(self, turn: Turn, admission: Admission, call: ModelCall) -> None:
        """Replace the reservation by what the request used, and never twice. A failed one without tokens used nothing.

        It is counted with the next request of the tenant, or half a second later; at once where it may reach a mark
        (so that the alert still finds its turn) and where it used more than was reserved.
        """
        if admission.settled or not admission.granted:
            return
        admission.settled = True
        tenant_id = turn.identity.tenant_id
        self._keep(tenant_id, [_Over(turn, admission, call)])
        more_than_reserved = (call.cost_usd or 0) > (admission.usd or 0) or (
            call.prompt_tokens + call.completion_tokens > admission.tokens
        )
        if self._known[tenant_id].near or more_than_reserved:
            await self._count(tenant_id)

    def share(self, tenant_id: str, role: str) -> float | None:
        """The part of a budget that is spent, the highest of all that apply to the role: 1 is all of it, more is over
        budget. As the database said last in this process; None when there is no budget, or nothing was asked today."""
        known = self._known.get(tenant_id)
        if known is None or known.until is None or self._clock.now() >= known.until:
            return None
        return max((s for s in (known.share, known.role_shares.get(role)) if s is not None), default=None)

    # --- talking to the database --------------------------------------------------------------

    async def _step(self, tenant_id: str, turn: Turn | None, wanted: Admission | None) -> dict[str, Any]:
        """Tell the database what is over, ask it for `wanted` (of `turn`), and learn how the budgets stand."""
        if time.monotonic() < self._resting_until:
            raise Unavailable("database_unreachable", "it did not answer a moment ago")
        known = self._known.setdefault(tenant_id, _Known())
        over, known.over = known.over, []
        if known.timer is not None:
            known.timer.cancel()
            known.timer = None
        now = self._clock.now()
        try:
            rows = await self._db.call(
                _STEP,
                [
                    tenant_id,
                    json.dumps([one.told() for one in over]) if over else None,
                    wanted.id if wanted else None,
                    wanted.day if wanted else None,
                    wanted.role if wanted else None,
                    (wanted.usd or Decimal(0)) if wanted else None,
                    wanted.tokens if wanted else None,
                    now,
                    now + EXPIRY,
                    self._defaults,
                    self._ceiling,
                ],
            )
        except psycopg.Error as error:  # not away: it refuses what it is told, and would do so again
            log.exception("budget_uncounted", tenant=tenant_id, requests=len(over))
            raise Unavailable("database_unreachable", str(error)) from error
        except BaseException as error:
            if isinstance(error, Unavailable):
                self._resting_until = time.monotonic() + _REST
            self._keep(tenant_id, over)  # told again: what was counted already has no reservation left
            raise
        known.near = False
        for row in rows:
            if turn is not None and row["day"] > known.day:
                self._beside(self._forget_expired(tenant_id))
            self._learn(known, row, turn.identity.time_zone if turn else None)
            if row["alerts"]:
                self._alert(tenant_id, row, over, turn)
        return rows[-1]

    def _keep(self, tenant_id: str, over: Sequence[_Over]) -> None:
        """Remember what is over until the next request of the tenant takes it along, or a moment has passed."""
        known = self._known.setdefault(tenant_id, _Known())
        known.over.extend(over)
        if known.over and known.timer is None:
            wait = max(_LINGER, self._resting_until - time.monotonic())
            known.timer = asyncio.get_running_loop().call_later(wait, self._count_later, tenant_id)

    def _count_later(self, tenant_id: str) -> None:
        self._known[tenant_id].timer = None
        self._beside(self._count(tenant_id))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(self, tenant_id: str) -> None:
        """Tell the database what is over, if that has not happened meanwhile; kept when it does not answer."""
        if not self._known[tenant_id].over:
            return
        try:
            await self._step(tenant_id, None, None)
        except Unavailable as error:
            log.warning("budget_unchecked", tenant=tenant_id, reason=str(error))

    async def _forget_expired(self, tenant_id: str) -> None:
        """Remove what killed processes left, long after it stopped to count: a call may yet end and be counted."""
        before = self._clock.now() - timedelta(days=1)
        with contextlib.suppress(Unavailable):
            async with self._db.tenant(tenant_id) as conn:
                await conn.execute("DELETE FROM model_reservations WHERE expires_at < %s", [before])

    def _learn(self, known: _Known, row: dict[str, Any], time_zone: str | None) -> None:
        known.near = known.near or row["near"]
        if row["day"] > known.day and time_zone is not None:  # a new day, or the first that this process sees
            midnight = datetime.combine(row["day"] + timedelta(days=1), datetime.min.time(), ZoneInfo(time_zone))
            known.day, known.until = row["day"], midnight.astimezone(UTC)
            known.role_shares.clear()
            known.stopped.clear()
        if row["day"] == known.day:
            known.share = row["share"]
            known.role_shares[row["role"]] = row["role_share"]

    # --- telling people -----------------------------------------------------------------------

    def _refuse(self, turn: Turn, row: dict[str, Any], *, tell: bool) -> None:
        tenant_id = turn.identity.tenant_id
        stopped = self._known[tenant_id].stopped
        if not row["in_flight"] and row["refused_by"] not in stopped:
            stopped.add(row["refused_by"])
            log.warning("budget_ceiling", tenant=tenant_id, role=row["refused_by"], day=row["day"].isoformat())
        if not tell or any(key == "budget.spent" for key, _ in turn.notices):
            return
        told = {
            "in_flight": row["in_flight"],
            "agent": row["refused_by"],
            "day": formats.day(row["day"] + timedelta(days=1), turn.language),
            "time_zone": turn.identity.time_zone,
            "may_change": turn.identity.role is Role.ADMIN,
        }
        turn.notices.append(("budget.spent", told))

    def _alert(self, tenant_id: str, row: dict[str, Any], over: list[_Over], turn: Turn | None) -> None:
        """Log every mark that was reached; tell the highest of each budget to the turn whose request reached it."""
        turns = [one.turn for one in over if (one.admission.day, one.admission.role) == (row["day"], row["role"])]
        turn = turns[-1] if turns else turn
        highest: dict[str, dict[str, Any]] = {}
        for mark in row["alerts"]:  # in ascending order of role and percent
            log.warning("budget_alert", tenant=tenant_id, day=row["day"].isoformat(), **mark)
            highest[mark["role"]] = mark
        if turn is None or turn.identity.role not in _SEE_COSTS:
            return
        for mark in highest.values():
            of_usd, of_tokens = Decimal(mark["budget_usd"]), Decimal(mark["budget_tokens"])
            if Decimal(mark["usd"]) * 100 >= of_usd * mark["percent"]:
                spent, budget = (self._money(Decimal(usd), turn.language) for usd in (mark["usd"], of_usd))
                unit = "usd"
            else:
                spent, budget = (formats.number(Decimal(n), turn.language) for n in (mark["tokens"], of_tokens))
                unit = "tokens"
            told = {
                "agent": mark["role"],
                "percent": mark["percent"],
                "spent": spent,
                "budget": budget,
                "unit": unit,
                "ceiling": int(self._ceiling * 100),
            }
            turn.notices.append(("budget.alert", told))

    def _money(self, usd: Decimal, language: str) -> str:
        said = formats.money(Money(usd, "USD"), language)
        if self._rate_brl is None:
            return said
        return f"{said} ({formats.money(prices.in_brl(usd, self._rate_brl), language)})"


async def _most(model: Model, prompt_tokens: int, answer_tokens: int) -> Decimal | None:
    """The most that a request can cost: nothing read from the provider's cache, and all written to it where that costs
    more. None when the price is unknown."""
    await prices.ready()
    written = prompt_tokens if "cache_marks" in model.abilities else 0
    return prices.price_usd(model, Usage(prompt_tokens, answer_tokens, cache_written_tokens=written))


def _sane(tokens: int) -> int:
    """A provider may say what it likes; what no request can have used would stop the counting of the others."""
    return min(max(tokens, 0), MOST_TOKENS)
