"""Changes to ads that a person approves: pause, resume, a new budget. Planned, shown, done once, read back, undone.

A plan is pure: it takes the state before from what was just read, refuses what cannot be, and says exactly what will be
sent. Amounts are kept both as money and as Meta's whole number, because a slip between the two costs a hundredfold
(anthropics/claude-code#62376).
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from business.ads.model import Account, Entity, Level, Status
from business.approvals.model import Change, Preview, ReadBack
from core.errors import ArgumentsWrong, Refused
from core.money import Money, meta_offset
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.payloads import Ad, Adset, Campaign

KIND = "ads_change"
BIG_CHANGE = Decimal(50)
"""Percent from which a change of budget is pointed out."""

ClientFor = Callable[[str, str], Awaitable[MetaAdsClient]]
"""(tenant id, account id) → the client that reaches the account."""

BudgetKind = Literal["daily", "lifetime"]


# --- plans ---------------------------------------------------------------------------------------


def plan_status(account: Account, entity: Entity, to: Status, family: Iterable[Entity] = ()) -> Change:
    """Pause or resume a campaign, ad set or ad. `family` are the account's campaigns and ad sets, to say what above it
    is paused.

    Refused: file_not_changeable, entity_archived. ArgumentsWrong("status_already", status) when it is so already.
    """
    if to not in (Status.ACTIVE, Status.PAUSED):
        raise ValueError(f"a status is set to ACTIVE or PAUSED, not {to}")
    _must_be_changeable(account, entity)
    if entity.status is to:
        raise ArgumentsWrong("status_already", f"{entity.name!r} is {to} already", name=entity.name, status=to.value)
    return Change(
        KIND,
        entity.id,
        {
            "action": "status",
            **_about(account, entity),
            "before": entity.status.value,
            "after": to.value,
            "paused_above": [e.name for e in family if to is Status.ACTIVE and _above(e, entity) and _stopped(e)],
        },
    )


def plan_budget(
    account: Account,
    entity: Entity,
    family: Iterable[Entity] = (),
    *,
    amount: Money | None = None,
    change_amount: Money | None = None,
    change_percent: Decimal | None = None,
    kind: BudgetKind | None = None,
) -> Change:
    """A new budget for a campaign or ad set.

    Exactly one of: the new `amount`, how far it moves (`change_amount`, negative for less), or by how many percent.
    `family` are the account's campaigns and ad sets, to say where the budget lives.
    ArgumentsWrong: budget_lives_elsewhere (where: level, id, name of each), budget_kind_other (has),
    amount_other_currency, amount_not_positive, amount_too_fine, budget_already.
    Refused: file_not_changeable, entity_archived, budget_none.
    """
    given = [one for one in (amount, change_amount, change_percent) if one is not None]
    if len(given) != 1:
        raise TypeError("give one of amount, change_amount, change_percent")
    _must_be_changeable(account, entity)
    before, kind = _budget_of(entity, kind, family)
    for money in (amount, change_amount):
        if money is not None and money.currency != before.currency:
            raise ArgumentsWrong(
                "amount_other_currency",
                f"the account uses {before.currency}, not {money.currency}",
                named=money.currency,
                account=before.currency,
            )
    if amount is not None:
        after = amount
    elif change_amount is not None:
        after = before + change_amount
    else:
        assert change_percent is not None
        after = (before * (1 + change_percent / 100)).rounded()
    return _budget_change(account.id, account.name, entity.level.value, entity.id, entity.name, kind, before, after)


def _must_be_changeable(account: Account, entity: Entity) -> None:
    if account.source != "meta":
        raise Refused("file_not_changeable", "an imported file can be analysed, not changed", name=account.name)
    if entity.status in (Status.ARCHIVED, Status.DELETED):
        raise Refused("entity_archived", f"{entity.name!r} is archived", name=entity.name)


def _above(other: Entity, entity: Entity) -> bool:
    return other.id in (entity.campaign_id, entity.parent_id) and other.id != entity.id


def _stopped(entity: Entity) -> bool:
    return entity.status is not Status.ACTIVE


def _about(account: Account, entity: Entity) -> dict[str, Any]:
    return {
        "account": {"id": account.id, "name": account.name},
        "level": entity.level.value,
        "name": entity.name,
    }


def _budget_of(entity: Entity, kind: BudgetKind | None, family: Iterable[Entity]) -> tuple[Money, BudgetKind]:
    has: dict[BudgetKind, Money] = {}
    if entity.daily_budget is not None:
        has["daily"] = entity.daily_budget
    if entity.lifetime_budget is not None:
        has["lifetime"] = entity.lifetime_budget
    if not has:
        raise _elsewhere(entity, list(family))
    if kind is None:
        kind = "daily" if "daily" in has else "lifetime"
    if kind not in has:
        other: BudgetKind = "lifetime" if kind == "daily" else "daily"
        raise ArgumentsWrong(
            "budget_kind_other", f"{entity.name!r} has a {other} budget", name=entity.name, has=other, asked=kind
        )
    return has[kind], kind


def _elsewhere(entity: Entity, family: list[Entity]) -> ArgumentsWrong | Refused:
    """Budgets live on the campaign or on its ad sets, never on ads: say which ones to ask for."""

    def with_budget(found: Iterable[Entity]) -> list[Entity]:
        return [e for e in found if e.daily_budget is not None or e.lifetime_budget is not None]

    above = [e for e in family if _above(e, entity)]
    below = [e for e in family if e.level is Level.ADSET and e.campaign_id == entity.id]
    owners = with_budget(above) or with_budget(below)
    if not owners:
        return Refused("budget_none", f"no budget was found for {entity.name!r}", name=entity.name)
    names = "; ".join(f"{e.level.value} {e.name} ({e.id})" for e in owners)
    return ArgumentsWrong(
        "budget_lives_elsewhere",
        f"{entity.level.value} {entity.name!r} has no budget of its own; it lives on {names}",
        name=entity.name,
        level=entity.level.value,
        where=[{"level": e.level.value, "id": e.id, "name": e.name} for e in owners],
    )


def _budget_change(
    account_id: str, account_name: str, level: str, target: str, name: str, kind: str, before: Money, after: Money
) -> Change:
    if after.amount <= 0:
        raise ArgumentsWrong("amount_not_positive", "a budget is more than zero", amount=str(after.amount))
    raw = after.meta_units()
    if raw == before.meta_units():
        raise ArgumentsWrong(
            "budget_already", f"the budget of {name!r} is {after.amount} already", name=name, budget=after
        )
    return Change(
        KIND,
        target,
        {
            "action": "budget",
            "account": {"id": account_id, "name": account_name},
            "level": level,
            "name": name,
            "budget": kind,
            "before": _as_json(before),
            "after": _as_json(after),
            "before_raw": before.meta_units(),
            "after_raw": raw,
        },
    )


def _as_json(money: Money) -> dict[str, str]:
    decimals = 0 if meta_offset(money.currency) == 1 else 2
    return {"amount": f"{money.amount:.{decimals}f}", "currency": money.currency}


def _from_json(data: dict[str, str]) -> Money:
    return Money(Decimal(data["amount"]), data["currency"])


# --- amounts that a person types -------------------------------------------------------------------

_SIGNS = {"R$": "BRL", "US$": "USD", "U$S": "USD", "U$": "USD", "€": "EUR", "£": "GBP", "MX$": "MXN", "AR$": "ARS"}
_WORDS = {"REAIS": "BRL", "REAL": "BRL", "EUROS": "EUR", "EURO": "EUR"}
_CODES = "BRL|USD|EUR|GBP|MXN|ARS|CLP|COP|PEN|UYU|PYG|BOB|CAD|AUD|CHF|JPY|CRC|HUF|ISK|IDR|KRW|TWD|VND|INR"
_AMOUNT = re.compile(
    rf"(?P<sign>R\$|US\$|U\$S|U\$|MX\$|AR\$|\$|€|£)?\s*(?P<code>{_CODES})?\s*"
    rf"(?P<number>[0-9]{{1,3}}(?: [0-9]{{3}})+(?:[.,][0-9]+)?|[0-9][0-9.,]*)"
    rf"\s*(?P<after>R\$|€|£|REAIS|REAL|EUROS?|{_CODES})?"
    r"\s*(?:/|POR|PER|A|AO|AL)?\s*(?:DIA|DAY|DIÁRIOS?|DIARIOS?|DAILY)?"
)


def parse_amount(text: str, currency: str) -> Money:
    """An amount as people type it: "R$ 1.234,56", "1,234.56", "150", "150,00/dia". In the account's `currency`.

    ArgumentsWrong: amount_unreadable, amount_other_currency (named, account), amount_too_fine, amount_not_positive,
    amount_ambiguous ("1.234" may be a thousand or one and a bit: both readings in `one` and `other`).
    """
    said = " ".join(text.replace("\u00a0", " ").split())[:60]
    found = _AMOUNT.fullmatch(said.upper())
    if found is None:
        raise ArgumentsWrong("amount_unreadable", f"{said!r} is no amount", said=said)
    named = _SIGNS.get(found["sign"] or "") or found["code"] or ""
    after = found["after"] or ""
    named = named or _SIGNS.get(after) or _WORDS.get(after) or after
    if named and named != currency:
        raise ArgumentsWrong(
            "amount_other_currency", f"the account uses {currency}, not {named}", named=named, account=currency
        )
    number = found["number"].replace(" ", "")
    amount = _read_number(number, currency, said)
    if amount <= 0:
        raise ArgumentsWrong("amount_not_positive", "an amount is more than zero", amount=said)
    money = Money(amount, currency)
    money.meta_units()  # too fine for the currency
    return money


def _read_number(number: str, currency: str, said: str) -> Decimal:
    signs = [c for c in number if c in ".,"]
    if not signs:
        return Decimal(number)
    last = signs[-1]
    whole, decimals = number.rsplit(last, 1)
    groups = re.split(r"[.,]", number)
    grouped = len(groups[0]) in (1, 2, 3) and all(len(g) == 3 for g in groups[1:]) and groups[0] != "0"
    if len(set(signs)) == 1:
        if grouped and len(signs) > 1:
            return Decimal("".join(groups))
        if grouped:  # "1.234" and "1,234": a thousand in one style, one and a bit in the other
            if meta_offset(currency) == 1:
                return Decimal("".join(groups))
            raise ArgumentsWrong(
                "amount_ambiguous",
                f"{said!r} may be {''.join(groups)} or {whole}.{decimals}",
                said=said,
                one=Money(Decimal("".join(groups)), currency),
                other=Money(Decimal(f"{whole}.{decimals}"), currency).rounded(),
            )
        if len(signs) == 1 and decimals:
            return Decimal(f"{whole}.{decimals}")
        raise ArgumentsWrong("amount_unreadable", f"{said!r} is no amount", said=said)
    other = "." if last == "," else ","
    if last in whole or not all(len(g) == 3 for g in whole.split(other)[1:]) or not decimals:
        raise ArgumentsWrong("amount_unreadable", f"{said!r} is no amount", said=said)
    return Decimal(f"{whole.replace(other, '')}.{decimals}")


# --- the handler -----------------------------------------------------------------------------------


class AdsChangeHandler:
    """Shows, re-checks, does, reads back and undoes changes of kind "ads_change" at Meta."""

    kind = KIND
    area = "ads"

    def __init__(self, client_for: ClientFor) -> None:
        self._client_for = client_for

    def effect(self, change: Change) -> str:
        """What lets more money be spent is SPEND: resuming, and a higher budget. The rest is WRITE."""
        if change.data["action"] == "status":
            return "SPEND" if change.data["after"] == Status.ACTIVE.value else "WRITE"
        return "SPEND" if change.data["after_raw"] > change.data["before_raw"] else "WRITE"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """Account and object, before → after in money and in Meta's whole numbers, and the change in percent."""
        data = change.data
        where = {"level": data["level"], "name": data["name"], "account": data["account"]["name"]}
        lines: list[tuple[str, Any]] = [
            ("proposal.line.account", f"{data['account']['name']} ({data['account']['id']})"),
            (f"proposal.line.{data['level']}", f"{data['name']} ({change.target})"),
        ]
        if data["action"] == "status":
            lines.append(("proposal.line.status", _status_words(data["before"], data["after"])))
            resumes = data["after"] == Status.ACTIVE.value
            above = ", ".join(data["paused_above"])
            return Preview(
                title="proposal.title.resume" if resumes else "proposal.title.pause",
                title_params=where,
                lines=lines,
                warnings=[("proposal.warning.paused_above", {"above": above})] if above else [],
            )
        before, after = _from_json(data["before"]), _from_json(data["after"])
        percent = before.change_percent_to(after)
        lines += [
            (f"proposal.line.{data['budget']}_before", before),
            (f"proposal.line.{data['budget']}_after", after),
        ]
        if percent is not None:
            percent = percent.quantize(Decimal("0.1"), ROUND_HALF_UP)
            lines.append(("proposal.line.change", ("proposal.change_percent", {"percent": percent})))
        lines.append(
            (
                "proposal.line.raw",
                ("proposal.raw", {"before": str(data["before_raw"]), "after": str(data["after_raw"])}),
            )
        )
        big = percent is not None and abs(percent) >= BIG_CHANGE
        raised = data["after_raw"] > data["before_raw"]
        return Preview(
            title=f"proposal.title.budget_{'raise' if raised else 'lower'}",
            title_params=where | {"budget": after},
            lines=lines,
            warnings=[("proposal.warning.big_change", {"percent": percent})] if big else [],
            editable={"amount": data["after"]["amount"]},
        )

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Refused("world_moved", before, now) when the object is no longer as it was when this was proposed."""
        present = await self._read(tenant_id, change)
        if change.data["action"] == "status":
            if present.status not in (Status.ACTIVE.value, Status.PAUSED.value):
                raise Refused("entity_archived", f"{present.name!r} is {present.status}", name=present.name)
            expected, now = change.data["before"], present.status
            if now == change.data["after"]:
                raise Refused("status_already", f"it is {now} already", name=present.name, status=now)
            if now != expected:
                raise Refused("world_moved", f"it was {expected} and is {now}", name=present.name)
            return
        raw = _raw_budget(present, change.data["budget"])
        if raw == change.data["before_raw"]:
            return
        if raw is None:
            raise Refused("world_moved", "the budget does not live here any more", name=present.name)
        currency = change.data["before"]["currency"]
        if raw == change.data["after_raw"]:
            budget = Money.from_meta_units(raw, currency)
            raise Refused("budget_already", "the budget is so already", name=present.name, budget=budget)
        raise Refused("world_moved", f"the budget was {change.data['before_raw']} and is {raw}", name=present.name)

    async def apply(self, tenant_id: str, change: Change) -> None:
        """Send it, once."""
        client = await self._client_for(tenant_id, change.data["account"]["id"])
        if change.data["action"] == "status":
            await client.set_status(change.target, change.data["after"])
        elif change.data["budget"] == "daily":
            await client.set_budget(change.target, daily_budget=change.data["after_raw"])
        else:
            await client.set_budget(change.target, lifetime_budget=change.data["after_raw"])

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        present = await self._read(tenant_id, change)
        if change.data["action"] == "status":
            return _seen(present.status, change.data["before"], change.data["after"])
        now = _raw_budget(present, change.data["budget"])
        return _seen(now, change.data["before_raw"], change.data["after_raw"])

    def inverse(self, change: Change) -> Change | None:
        """Back to the state before. None where that was neither running nor paused."""
        data = dict(change.data)
        if data["action"] == "status":
            if data["before"] not in (Status.ACTIVE.value, Status.PAUSED.value):
                return None
            data |= {"before": data["after"], "after": data["before"], "paused_above": []}
        else:
            data |= {"before": data["after"], "after": data["before"]}
            data |= {"before_raw": change.data["after_raw"], "after_raw": change.data["before_raw"]}
        return Change(change.kind, change.target, data)

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """Another amount, as a person types it. ArgumentsWrong("edit_not_possible", field), or as parse_amount."""
        if wrong := set(edits) - {"amount"}:
            raise ArgumentsWrong("edit_not_possible", f"cannot edit {sorted(wrong)}", field=min(wrong))
        if not edits:
            return change
        data = change.data
        if data["action"] != "budget":
            raise ArgumentsWrong("edit_not_possible", "a status has no amount", field="amount")
        before = _from_json(data["before"])
        after = parse_amount(edits["amount"], before.currency)
        return _budget_change(
            data["account"]["id"],
            data["account"]["name"],
            data["level"],
            change.target,
            data["name"],
            data["budget"],
            before,
            after,
        )

    async def _read(self, tenant_id: str, change: Change) -> Campaign | Adset | Ad:
        client = await self._client_for(tenant_id, change.data["account"]["id"])
        match Level(change.data["level"]):
            case Level.CAMPAIGN:
                return await client.campaign(change.target)
            case Level.ADSET:
                return await client.adset(change.target)
            case _:
                return await client.ad(change.target)


def _raw_budget(present: Campaign | Adset | Ad, kind: str) -> int | None:
    if isinstance(present, Ad):
        return None
    return present.daily_budget if kind == "daily" else present.lifetime_budget


def _seen(now: object, before: object, after: object) -> ReadBack:
    if now == after:
        return ReadBack.APPLIED
    return ReadBack.NOT_APPLIED if now == before else ReadBack.OTHER


def _status_words(before: str, after: str) -> tuple[str, dict[str, str]]:
    return "proposal.status_change", {"before": before, "after": after}
