"""`mutirao budgets show | set | alerts`: what the models of a company may cost a day, and what they cost."""

import re
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import click

from channels.commands import Run, admin_of, table_lines
from channels.services import Services
from core import formats
from core.errors import ArgumentsWrong
from core.money import Money
from core.tenancy import Identity
from llm.budget_book import Budget, BudgetLine, Change, Spent

_CHANGES = {"none": Change.NO_BUDGET, "default": Change.AS_SETTINGS}
_DAYS = 7
_ALERT_DAYS = 30
_RIGHT, _LEFT = "right", "left"


def add_to(cli: click.Group, run: Run) -> None:
    """Give the command line its `budgets`."""

    def of_tenant(command: Any) -> Any:
        return click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")(command)

    @cli.group("budgets")
    def budgets() -> None:
        """Quanto os modelos de IA de uma empresa podem custar por dia, e quanto custaram."""

    @budgets.command("show")
    @of_tenant
    def _show(tenant: str | None) -> None:
        """Mostra os orçamentos de hoje, o que já foi usado e os últimos 7 dias."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            name = (await services.people.tenant(tenant)).name
            click.echo("\n".join(await _standing(services, who, name)))

        run(work)

    @budgets.command("set")
    @of_tenant
    @click.option("--day-usd", help='Dólares por dia, como 5 ou 12.50; "none" não limita, "default" vale o ajuste.')
    @click.option("--day-tokens", help='Tokens por dia, como 2000000; "none" não limita, "default" vale o ajuste.')
    @click.option(
        "--agent", default="", help="Um agente (papel do catálogo), como ads_analyst. Padrão: a empresa toda."
    )
    def _set(tenant: str | None, day_usd: str | None, day_tokens: str | None, agent: str) -> None:
        """Muda o orçamento de uma empresa, ou de um agente dela. Vale a partir da próxima chamada."""
        usd, tokens = _usd_of(day_usd), _tokens_of(day_tokens)
        if usd is None and tokens is None:
            raise ArgumentsWrong("budget_nothing_to_set", "neither --day-usd nor --day-tokens")

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            await services.budgets.set(who, agent=agent, day_usd=usd, day_tokens=tokens)
            click.echo(services.texts.say(who.language, "budgets.set"))

        run(work)

    @budgets.command("alerts")
    @of_tenant
    def _alerts(tenant: str | None) -> None:
        """Lista os avisos dos últimos 30 dias, os mais novos primeiro."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            click.echo("\n".join(await _alert_lines(services, who)))

        run(work)


# --- what is shown ------------------------------------------------------------------------------


async def _standing(services: Services, who: Identity, tenant: str) -> list[str]:
    say = partial(services.texts.say, who.language)
    said = _Amounts(services, who.language)
    lines = await services.budgets.standing(who.tenant_id)
    history = await services.budgets.history(who.tenant_id, _DAYS)
    told = [say("budgets.title", tenant=tenant, day=lines[0].day, time_zone=who.time_zone), ""]
    columns = ["agent", "budget", "spent", "share", "ceiling", "in_flight", "requests", "unpriced"]
    rows = [
        [
            (line.role or say("budgets.whole_day")) + ("*" if line.own else ""),
            said.budget(line.budget),
            said.used(line.spent),
            said.share(line),
            said.budget(line.ceiling),
            said.used(_spent(line.in_flight)) if line.in_flight.tokens else "–",
            formats.number(line.spent.requests, who.language),
            formats.number(line.spent.unpriced, who.language),
        ]
        for line in lines
    ]
    told += table_lines([say(f"budgets.column.{c}") for c in columns], rows, [_LEFT] + [_RIGHT] * 7)
    told += ["", say("budgets.last_days", days=_DAYS)]
    columns = ["day", "cost", "tokens", "cached", "requests", "unpriced"]
    rows = [
        [
            formats.day(day, who.language),
            said.usd(spent.usd),
            *(
                formats.number(count, who.language)
                for count in (spent.tokens, spent.cached_tokens, spent.requests, spent.unpriced)
            ),
        ]
        for day, spent in history
    ]
    told += table_lines([say(f"budgets.column.{c}") for c in columns], rows, [_LEFT] + [_RIGHT] * 5)
    notes = [say("budgets.marks", ceiling=services.settings.budget_ceiling_percent), say("budgets.from_settings")]
    if unpriced := sum(spent.unpriced for _, spent in history):
        notes.insert(0, say("budgets.unpriced", count=unpriced))
    if services.settings.rate_brl is not None:
        rate, day = services.settings.rate_brl
        notes.append(say("budgets.rate", rate=formats.number(rate, who.language, _decimals(rate)), day=day))
    return [*told, "", *notes]


async def _alert_lines(services: Services, who: Identity) -> list[str]:
    say = partial(services.texts.say, who.language)
    said = _Amounts(services, who.language)
    found = await services.budgets.alerts(who.tenant_id, _ALERT_DAYS)
    if not found:
        return [say("budgets.no_alerts", days=_ALERT_DAYS)]
    rows = []
    for alert in found:
        at = alert.at.astimezone(ZoneInfo(who.time_zone))
        rows.append(
            [
                f"{formats.day(at.date(), who.language)} {at:%H:%M}",
                alert.role or say("budgets.whole_day"),
                f"{alert.percent}%",
                said.used(_spent(alert.spent)),
                said.budget(alert.budget),
            ]
        )
    columns = [say(f"budgets.column.{c}") for c in ("when", "agent", "percent", "spent", "budget")]
    return table_lines(columns, rows, [_LEFT, _LEFT] + [_RIGHT] * 3)


class _Amounts:
    """Money and tokens in words of the reader's language: dollars, and reais where the settings have a rate."""

    def __init__(self, services: Services, language: str) -> None:
        self._say = partial(services.texts.say, language)
        self._language = language
        self._rate = services.settings.rate_brl[0] if services.settings.rate_brl else None

    def usd(self, usd: Decimal) -> str:
        said = self._money(Money(usd, "USD"))
        return said if self._rate is None else f"{said} ({self._money(Money(usd * self._rate, 'BRL'))})"

    def used(self, spent: Spent) -> str:
        return f"{self.usd(spent.usd)} · {self._say('budgets.tokens', tokens=spent.tokens)}"

    def budget(self, budget: Budget) -> str:
        parts = [] if budget.usd is None else [self.usd(budget.usd)]
        parts += [] if budget.tokens is None else [self._say("budgets.tokens", tokens=budget.tokens)]
        return " · ".join(parts) or self._say("budgets.none")

    def share(self, line: BudgetLine) -> str:
        if line.share is None or line.share == float("inf"):
            return "–"
        return formats.percent(Decimal(line.share * 100), self._language, decimals=0)

    def _money(self, money: Money) -> str:
        """A single request may cost a hundredth of a cent: what two decimals would call nothing gets four."""
        said = formats.money(money, self._language)
        if 0 < abs(money.amount) < Decimal("0.01"):
            cents = formats.number(Decimal(0), self._language, 2)
            return said.replace(cents, formats.number(money.amount, self._language, 4)) if cents in said else said
        return said


def _spent(amounts: Budget) -> Spent:
    return Spent(amounts.tokens or 0, usd=amounts.usd or Decimal(0))


def _decimals(rate: Decimal) -> int:
    return max(2, -int(rate.as_tuple().exponent))


# --- what is typed ------------------------------------------------------------------------------


def _usd_of(text: str | None) -> Decimal | Change | None:
    """Dollars as people write them, 5 or 12,50; more than two decimals would be a thousands separator."""
    if text is None or text in _CHANGES:
        return None if text is None else _CHANGES[text]
    if not re.fullmatch(r"-?\d{1,15}([.,]\d{1,2})?", text):
        raise ArgumentsWrong("budget_usd_unclear", f"{text!r} is no amount of dollars", value=text)
    return Decimal(text.replace(",", "."))


def _tokens_of(text: str | None) -> int | Change | None:
    if text is None or text in _CHANGES:
        return None if text is None else _CHANGES[text]
    if not re.fullmatch(r"-?\d{1,15}", text):
        raise ArgumentsWrong("budget_tokens_unclear", f"{text!r} is no number of tokens", value=text)
    return int(text)
