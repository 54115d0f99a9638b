"""The budgets of a tenant's models as people look after them: how they stand, what was spent, and how they are changed.

What happens around each request to a model is in llm/budget.py.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all
from core.errors import ArgumentsWrong, Refused, Unavailable
from core.permissions import Permissions, Scope
from core.tenancy import Identity
from llm.catalog import load_catalog

MOST_USD = Decimal(100_000)
MOST_TOKENS = 10**12
"""The largest budgets of a day that are taken; more is a slip of the pen."""

_NONE = Decimal("Infinity")  # how the database says "no budget"


@dataclass(frozen=True)
class Budget:
    """US dollars and tokens (prompt and answer together) a day; None is no budget."""

    usd: Decimal | None = None
    tokens: int | None = None


class Change(Enum):
    """What a budget can become besides an amount."""

    NO_BUDGET = "none"
    AS_SETTINGS = "default"


_AS_KEPT = {Change.NO_BUDGET: _NONE, Change.AS_SETTINGS: None}


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


class BudgetBook:
    """`tenant` and `agent` are the budgets of tenants, and of each of their agents, that have none of their own."""

    def __init__(
        self, db: Database | None, clock: Clock, *, tenant: Budget, agent: Budget, ceiling_percent: int = 150
    ) -> None:
        self._given = db
        self._clock = clock
        self._defaults = [_bound(value) for value in (tenant.usd, tenant.tokens, agent.usd, agent.tokens)]
        self._ceiling = Decimal(ceiling_percent) / 100

    def use(self, db: Database) -> None:
        """Count in this database from now on."""
        self._given = db

    @property
    def _db(self) -> Database:
        if self._given is None:
            raise Unavailable("database_unreachable", "there is none yet")
        return self._given

    async def standing(self, tenant_id: str) -> list[BudgetLine]:
        """How the budgets stand today: the tenant's first, then those of its agents that have one of their own or have
        used something today, by name. Refused("tenant_gone")."""
        async with self._db.tenant(tenant_id) as conn:
            day = await self._today(conn, tenant_id)
            own = {row["role"]: row for row in await fetch_all(conn, "SELECT * FROM model_budgets", [])}
            spent = {role: used for _, role, used in await _spent_between(conn, day, day)}
            query = "SELECT role, usd, tokens FROM model_reservations WHERE day = %s AND expires_at > %s"
            reserved = await fetch_all(conn, query, [day, self._clock.now()])
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
            rows = await fetch_all(conn, query, [first])
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
        rows = await fetch_all(conn, "SELECT time_zone FROM tenants WHERE id = %s", [tenant_id])
        if not rows:
            raise Refused("tenant_gone", f"no tenant {tenant_id}")
        return self._clock.now().astimezone(ZoneInfo(rows[0]["time_zone"])).date()


# --- between Python and the database --------------------------------------------------------------


async def _spent_between(conn: Connection, first: date, last: date) -> list[tuple[date, str, Spent]]:
    rows = await fetch_all(conn, "SELECT * FROM model_spending WHERE day BETWEEN %s AND %s", [first, last])
    return [(row["day"], row["role"], Spent(**{f.name: row[f.name] for f in fields(Spent)})) for row in rows]


def _budget(usd: Decimal, tokens: Decimal) -> Budget:
    return Budget(None if usd == _NONE else usd, None if tokens == _NONE else int(tokens))


def _bound(amount: Decimal | int | None) -> Decimal:
    return _NONE if amount is None else Decimal(amount)


def _check_sane(amount: Decimal | int | Change | None, most: Decimal | int) -> None:
    if amount is None or isinstance(amount, Change):
        return
    if not (Decimal(amount).is_finite() and 0 <= amount <= most):
        raise ArgumentsWrong("budget_absurd", f"{amount} is no budget of a day", value=str(amount), most=str(most))
