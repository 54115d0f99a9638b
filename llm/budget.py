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
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import structlog

from core import formats
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database
from core.errors import ArgumentsWrong, Refused, Unavailable
from core.ids import new_id
from core.money import Money
from core.permissions import Permissions, Scope
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import ModelCall, Turn
from llm import prices
from llm.catalog import Model, load_catalog
from llm.messages import Usage

log = structlog.get_logger(__name__)

EXPIRY = timedelta(minutes=10)
"""Of a reservation whose process was killed: longer than any request to a model may take (300 s in the background)."""
MOST_USD = Decimal(100_000)
MOST_TOKENS = 10**12
"""The largest budgets of a day that are taken; more is a slip of the pen."""

_LINGER = 0.5  # seconds that what is over waits for the next request to take it along
_REST = 5.0  # seconds that a database which did not answer is left alone
_SEE_COSTS = frozenset({Role.ADMIN, Role.DIRETOR})
_NONE = Decimal("Infinity")  # how the database says "no budget"
_STEP = (
    "SELECT * FROM model_budget_step("
    "%s, %s, %s, %s, %s, %s::numeric, %s::bigint, %s::timestamptz, %s::timestamptz, %s::numeric[], %s::numeric)"
)


class Change(Enum):
    """What a budget can become besides an amount."""

    NO_BUDGET = "none"
    AS_SETTINGS = "default"


_AS_KEPT = {Change.NO_BUDGET: _NONE, Change.AS_SETTINGS: None}


@dataclass(frozen=True)
class Budget:
    """US dollars and tokens (prompt and answer together) a day; None is no budget."""

    usd: Decimal | None = None
    tokens: int | None = None


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


@dataclass(frozen=True)
class Spent:
    """What was used in a day. `prompt_tokens` include the cached ones. `usd` is of the requests whose price is known;
    `unpriced` counts the others."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    usd: Decimal = Decimal(0)
    requests: int = 0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class BudgetLine:
    """How a budget stands today. `role` is "" for the tenant's whole day, else one of the catalog's."""

    role: str
    day: date
    budget: Budget
    own: bool
    """Set for this tenant; else it is what the settings say."""
    spent: Spent
    in_flight: Budget
    """Reserved for requests that are on their way."""
    ceiling: Budget

    @property
    def share(self) -> float | None:
        """The part that is spent, the higher of money and tokens: 1 is all of it. None without a budget."""
        pairs = [(self.spent.usd, self.budget.usd), (Decimal(self.spent.tokens), self.budget.tokens)]
        return max((float(used / of) if of else float("inf") for used, of in pairs if of is not None), default=None)


@dataclass(frozen=True)
class Alert:
    """That a budget was used up to `percent`. `spent` is what was used at that moment."""

    day: date
    role: str
    percent: int
    budget: Budget
    spent: Budget
    at: datetime


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
        else:
            told |= {"prompt": 0, "cached": 0, "completion": 0, "usd": "0", "unpriced": 0}
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


class Budgets:
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
        self._given = db
        self._clock = clock
        self._defaults = [_bound(value) for value in (tenant.usd, tenant.tokens, agent.usd, agent.tokens)]
        self._ceiling = Decimal(ceiling_percent) / 100
        self._rate_brl = rate_brl
        self._known: dict[str, _Known] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting_until = 0.0  # of the monotonic clock

    def use(self, db: Database) -> None:
        """Count in this database from now on."""
        self._given = db

    @property
    def _db(self) -> Database:
        if self._given is None:
            raise Unavailable("database_unreachable", "there is none yet")
        return self._given

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

    # --- for people who look after it ---------------------------------------------------------

    async def standing(self, tenant_id: str) -> list[BudgetLine]:
        """How the budgets stand today: the tenant's first, then those of its agents that have one of their own or have
        used something today, by name. Refused("tenant_gone")."""
        async with self._db.tenant(tenant_id) as conn:
            day = await self._today(conn, tenant_id)
            own = {row["role"]: row for row in await _rows(conn, "SELECT * FROM model_budgets", [])}
            spent = {role: used for _, role, used in await _spent_between(conn, day, day)}
            query = "SELECT role, usd, tokens FROM model_reservations WHERE day = %s AND expires_at > %s"
            reserved = await _rows(conn, query, [day, self._clock.now()])
        lines = []
        for role in ["", *sorted((own.keys() | spent.keys() | {row["role"] for row in reserved}) - {""})]:
            usd, tokens = self._defaults[2:] if role else self._defaults[:2]
            if role in own:
                usd = usd if own[role]["day_usd"] is None else own[role]["day_usd"]
                tokens = tokens if own[role]["day_tokens"] is None else own[role]["day_tokens"]
            held = [row for row in reserved if role in ("", row["role"])]
            lines.append(
                BudgetLine(
                    role=role,
                    day=day,
                    budget=_budget(usd, tokens),
                    own=role in own,
                    spent=sum((used for name, used in spent.items() if role in ("", name)), Spent()),
                    in_flight=Budget(sum((row["usd"] for row in held), Decimal(0)), sum(row["tokens"] for row in held)),
                    ceiling=_budget(usd * self._ceiling, tokens * self._ceiling),
                )
            )
        return lines

    async def history(self, tenant_id: str, days: int = 7) -> list[tuple[date, Spent]]:
        """What was used on each of the last `days` days, today first, days without requests included."""
        async with self._db.tenant(tenant_id) as conn:
            today = await self._today(conn, tenant_id)
            found = await _spent_between(conn, today - timedelta(days=days - 1), today)
        each = [today - timedelta(days=n) for n in range(days)]
        return [(day, sum((used for of_day, _, used in found if of_day == day), Spent())) for day in each]

    async def alerts(self, tenant_id: str, days: int = 30) -> list[Alert]:
        """The alerts of the last `days` days, newest first."""
        async with self._db.tenant(tenant_id) as conn:
            first = await self._today(conn, tenant_id) - timedelta(days=days - 1)
            query = "SELECT * FROM model_budget_alerts WHERE day >= %s ORDER BY at DESC, role, percent DESC"
            rows = await _rows(conn, query, [first])
        return [
            Alert(
                day=row["day"],
                role=row["role"],
                percent=row["percent"],
                budget=_budget(row["budget_usd"], row["budget_tokens"]),
                spent=Budget(row["spent_usd"], row["spent_tokens"]),
                at=row["at"],
            )
            for row in rows
        ]

    async def set(
        self,
        identity: Identity,
        *,
        agent: str = "",
        day_usd: Decimal | Change | None = None,
        day_tokens: int | Change | None = None,
    ) -> None:
        """Change the tenant's budget, or that of one agent; None leaves it as it is. It counts from the next request.

        ArgumentsWrong: budget_agent_unknown (agent, known), budget_absurd (value, most).
        Refused("role_may_not") for whoever may not change the tenant's settings.
        """
        known = load_catalog().roles
        if agent and agent not in known:
            raise ArgumentsWrong(
                "budget_agent_unknown", f"no agent {agent!r}", agent=agent, known=", ".join(sorted(known))
            )
        _check_sane(day_usd, MOST_USD)
        _check_sane(day_tokens, MOST_TOKENS)
        async with self._db.tenant(identity.tenant_id) as conn:
            if (await Permissions.load(conn)).write_scope(identity.role, "settings") is not Scope.ALL:
                raise Refused("role_may_not", f"{identity.role} may not change settings", area="settings")
            await conn.execute(
                "INSERT INTO model_budgets (tenant_id, role) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [identity.tenant_id, agent],
            )
            changed = {
                name: value for name, value in (("day_usd", day_usd), ("day_tokens", day_tokens)) if value is not None
            }
            for column, value in changed.items():
                kept = _AS_KEPT[value] if isinstance(value, Change) else value
                statement = f"UPDATE model_budgets SET {column} = %s WHERE role = %s"
                await conn.execute(statement.encode(), [kept, agent])
            await conn.execute("DELETE FROM model_budgets WHERE day_usd IS NULL AND day_tokens IS NULL")
            detail = {name: value.value if isinstance(value, Change) else str(value) for name, value in changed.items()}
            await audit(conn, identity, "budget.set", agent or "tenant", detail)

    async def _today(self, conn: Connection, tenant_id: str) -> date:
        rows = await _rows(conn, "SELECT time_zone FROM tenants WHERE id = %s", [tenant_id])
        if not rows:
            raise Refused("tenant_gone", f"no tenant {tenant_id}")
        return self._clock.now().astimezone(ZoneInfo(rows[0]["time_zone"])).date()


# --- between Python and the database --------------------------------------------------------------


async def _rows(conn: Connection, query: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    return await (await conn.execute(query.encode(), values)).fetchall()


async def _spent_between(conn: Connection, first: date, last: date) -> list[tuple[date, str, Spent]]:
    rows = await _rows(conn, "SELECT * FROM model_spending WHERE day BETWEEN %s AND %s", [first, last])
    return [(row["day"], row["role"], Spent(**{f.name: row[f.name] for f in fields(Spent)})) for row in rows]


def _budget(usd: Decimal, tokens: Decimal) -> Budget:
    return Budget(None if usd == _NONE else usd, None if tokens == _NONE else int(tokens))


def _bound(amount: Decimal | int | None) -> Decimal:
    return _NONE if amount is None else Decimal(amount)


def _sane(tokens: int) -> int:
    """A provider may say what it likes; what no request can have used would stop the counting of the others."""
    return min(max(tokens, 0), MOST_TOKENS)


def _check_sane(amount: Decimal | int | Change | None, most: Decimal | int) -> None:
    if amount is None or isinstance(amount, Change):
        return
    if not (Decimal(amount).is_finite() and 0 <= amount <= most):
        raise ArgumentsWrong("budget_absurd", f"{amount} is no budget of a day", value=str(amount), most=str(most))


async def _most(model: Model, prompt_tokens: int, answer_tokens: int) -> Decimal | None:
    """The most that a request can cost: nothing read from the provider's cache, and all written to it where that costs
    more. None when the price is unknown."""
    await prices.ready()
    written = prompt_tokens if "cache_marks" in model.abilities else 0
    return prices.price_usd(model, Usage(prompt_tokens, answer_tokens, cache_written_tokens=written))
