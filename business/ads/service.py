"""What people ask of their ads: which accounts, which campaign, how it went, how it moved, what is wrong.

Accounts come from sources (Meta's Graph API, imported files). A person whose access is limited to some accounts never
learns that others exist. Requests to a source go out together, and as few as the question needs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from business.ads import changes
from business.ads import findings as rules_of_thumb
from business.ads.changes import BudgetKind
from business.ads.findings import Finding
from business.ads.metrics import ResultKind
from business.ads.model import Account, AdsSource, Entity, Figures, Level, Status, Window
from business.ads.names import Named, match
from business.ads.report import Report, Row, Trend, build_report, build_trend, kinds_of
from business.approvals.model import Change
from core.clock import Clock
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.money import Money
from core.tenancy import Identity

SourcesOf = Callable[[str], Awaitable[list[AdsSource]]]
"""Tenant id → its sources, new ones at each call: a source may remember lists for as long as it lives."""

ResultRules = Mapping[str, Mapping[str, str]]
RulesOf = Callable[[str], Awaitable[ResultRules]]
"""Tenant id → account id → objective (or "*") → kind of result: what an account counts as its results."""


@dataclass(frozen=True)
class Failure:
    """A source that did not answer. `source` is `meta` or `file`."""

    source: str
    error: MutiraoError


@dataclass(frozen=True)
class Accounts:
    """The accounts a person may see, by name. `failures`: sources that could not be asked, while others could."""

    accounts: list[Account]
    failures: list[Failure]


@dataclass(frozen=True)
class FindingsReport:
    """What is worth looking at in an account, most serious first."""

    account: Account
    window: Window
    findings: list[Finding]
    attribution: str
    checked: int
    """How many campaigns, ad sets and ads were looked at."""


class AdsService:
    def __init__(self, sources_of: SourcesOf, clock: Clock, rules_of: RulesOf | None = None) -> None:
        self._sources_of = sources_of
        self._clock = clock
        self._rules_of = rules_of

    def for_turn(self) -> "AdsService":
        """This service for one turn: the sources are made once, so that no list is fetched twice in the turn."""
        made: dict[str, asyncio.Future[list[AdsSource]]] = {}

        async def sources_of(tenant_id: str) -> list[AdsSource]:
            if tenant_id not in made:
                made[tenant_id] = asyncio.ensure_future(self._sources_of(tenant_id))
            return await asyncio.shield(made[tenant_id])

        return AdsService(sources_of, self._clock, self._rules_of)

    # --- which account, which object ------------------------------------------------------------

    async def accounts(self, identity: Identity) -> Accounts:
        """Every account of the tenant that this person may see.

        One source that fails is told in `failures`; when all fail, its error is raised. Refused("accounts_none") when
        nothing is connected or imported.
        """
        located, failures = await self._located(identity)
        if not located and failures:
            raise failures[0].error
        if not located:
            raise Refused("accounts_none", "no ad account is connected and no file imported")
        return Accounts(sorted((a for a, _ in located), key=lambda a: (a.source != "meta", a.name)), failures)

    async def find_account(self, identity: Identity, mention: str | None = None) -> Account:
        """The account that is meant; without a mention the only one there is.

        ArgumentsWrong: account_needed (several, none named), account_ambiguous (candidates), account_unknown (closest).
        """
        accounts = (await self.accounts(identity)).accounts
        things = [Named(a.id, a.name) for a in accounts]
        if mention is None or not mention.strip():
            if len(accounts) == 1:
                return accounts[0]
            raise ArgumentsWrong(
                "account_needed", "several accounts; which one?", candidates=[_shown(thing) for thing in things]
            )
        found = match(mention, things)
        if found.found is None:
            raise _unclear("account", mention, found.candidates, found.closest or tuple(things[:5]))
        return next(a for a in accounts if a.id == found.found.id)

    async def entities(self, identity: Identity, account: Account, level: Level) -> list[Entity]:
        """All campaigns, ad sets or ads of the account that are not deleted."""
        return await (await self.source_of(identity, account)).entities(account.id, level)

    async def find_entity(
        self, identity: Identity, account: Account, mention: str, level: Level | None = None
    ) -> Entity:
        """The campaign, ad set or ad that is meant, by id or name; of any level when `level` is None.

        ArgumentsWrong: entity_ambiguous (candidates), entity_unknown (closest).
        """
        source = await self.source_of(identity, account)
        levels = [level] if level else [Level.CAMPAIGN, Level.ADSET, Level.AD]
        lists = await asyncio.gather(*(source.entities(account.id, each) for each in levels))
        entities = {e.id: e for found in lists for e in found}
        campaigns = {e.id: e.name for e in entities.values() if e.level is Level.CAMPAIGN}
        things = [
            Named(e.id, e.name, e.level.value, campaigns.get(e.campaign_id or "", "") if e.campaign_id != e.id else "")
            for e in entities.values()
        ]
        found = match(mention, things)
        if found.found is None:
            raise _unclear("entity", mention, found.candidates, found.closest)
        return entities[found.found.id]

    async def source_of(self, identity: Identity, account: Account) -> AdsSource:
        """The source that the account comes from. ArgumentsWrong("account_unknown") outside of what they may see."""
        if identity.accounts is not None and account.id not in identity.accounts:
            raise ArgumentsWrong("account_unknown", f"no account {account.id!r}", mention=account.id, closest=[])
        candidates = [s for s in await self._sources_of(identity.tenant_id) if s.kind == account.source]
        if len(candidates) == 1:
            return candidates[0]
        for source in candidates:  # several connections: the one that has it
            if any(a.id == account.id for a in await source.accounts()):
                return source
        raise ArgumentsWrong("account_unknown", f"no account {account.id!r}", mention=account.id, closest=[])

    # --- figures --------------------------------------------------------------------------------

    async def report(
        self,
        identity: Identity,
        account: Account,
        level: Level,
        window: Window,
        compare: Window | None = None,
        entity_ids: Sequence[str] | None = None,
    ) -> Report:
        """What each entity of `level` did in the window, beside `compare` when given, with the account's totals.

        `entity_ids` limits rows and totals to these.
        """
        source = await self.source_of(identity, account)
        ids = list(dict.fromkeys(entity_ids)) if entity_ids is not None else None
        asked = Level.CAMPAIGN if level is Level.ACCOUNT else level
        fetched_at = self._clock.now()

        def figures(of: Level, when: Window | None, daily: bool = False) -> Awaitable[list[Figures]]:
            if when is None:
                return _nothing()
            return source.figures(
                account,
                of,
                when,
                daily=daily,
                entity_ids=ids if of is asked else None,
            )

        whole = ids is None  # the account's own row holds its reach, and what deleted campaigns spent
        days_of = Level.ACCOUNT if whole else asked
        entities, rules, (now, before, whole_now, whole_before, days, compare_days) = await asyncio.gather(
            source.entities(account.id, asked),
            self._rules(identity, account),
            asyncio.gather(
                figures(asked, window),
                figures(asked, compare),
                figures(Level.ACCOUNT, window) if whole else _nothing(),
                figures(Level.ACCOUNT, compare) if whole else _nothing(),
                figures(days_of, window, daily=True) if window.days > 1 else _nothing(),
                figures(days_of, compare, daily=True) if compare and compare.days > 1 else _nothing(),
            ),
        )
        report = build_report(
            account,
            asked,
            window,
            compare,
            entities=entities,
            kinds=kinds_of(entities, rules, [*now, *before]),
            figures=now,
            before=before,
            account_row=whole_now[0] if whole_now else None,
            account_before=whole_before[0] if whole_before else None,
            days=days if window.days > 1 else now,
            compare_days=compare_days if compare and compare.days > 1 else before,
            entity_ids=ids,
            attribution=account.attribution,
            fetched_at=fetched_at,
        )
        return _as_account(report) if level is Level.ACCOUNT else report

    async def trend(
        self,
        identity: Identity,
        account: Account,
        metric: str,
        window: Window,
        entity: Entity | None = None,
    ) -> Trend:
        """The metric day by day, None on days without data. Of one entity, or of the account.

        ArgumentsWrong("metric_unknown"); ("file_without_days", name) for a file that tells only a range as a whole.
        """
        source = await self.source_of(identity, account)
        fetched_at = self._clock.now()
        of_results = metric in ("results", "cost_per_result")
        if entity is not None:
            level, ids = entity.level, [entity.id]
        else:
            level, ids = (Level.CAMPAIGN if of_results else Level.ACCOUNT), None
        entities, rules, rows = await asyncio.gather(
            source.entities(account.id, level) if level is not Level.ACCOUNT else _no_entities(),
            self._rules(identity, account),
            source.figures(account, level, window, daily=True, entity_ids=ids),
        )
        if not rows and account.source == "file" and await source.figures(account, level, window, entity_ids=ids):
            raise ArgumentsWrong("file_without_days", "the file tells the range as a whole", name=account.name)
        return build_trend(
            account,
            metric,
            window,
            entity=entity,
            rows=rows,
            kinds=kinds_of(entities, rules, [] if level is Level.ACCOUNT else rows),
            attribution=account.attribution,
            fetched_at=fetched_at,
        )

    async def findings(self, identity: Identity, account: Account, window: Window) -> FindingsReport:
        """What is worth looking at up to the end of the window: see business/ads/findings.py for the rules."""
        source = await self.source_of(identity, account)
        span = rules_of_thumb.Span.of(window)
        (campaigns, adsets, ads), rules, (daily, ads_window, ads_recent, ads_earlier) = await asyncio.gather(
            asyncio.gather(
                source.entities(account.id, Level.CAMPAIGN),
                source.entities(account.id, Level.ADSET),
                source.entities(account.id, Level.AD),
            ),
            self._rules(identity, account),
            asyncio.gather(
                _where_told(account, source.figures(account, Level.CAMPAIGN, span.history, daily=True)),
                source.figures(account, Level.AD, span.whole_days),
                _where_told(account, source.figures(account, Level.AD, span.recent)),
                _where_told(account, source.figures(account, Level.AD, span.earlier)),
            ),
        )
        adset_days: list[Figures] = []
        if budgets := [e.id for e in adsets if e.daily_budget is not None and e.delivering]:
            adset_days = await source.figures(account, Level.ADSET, span.recent, daily=True, entity_ids=budgets)
        evidence = rules_of_thumb.Evidence(
            account=account,
            span=span,
            campaigns={e.id: e for e in campaigns},
            adsets={e.id: e for e in adsets},
            ads={e.id: e for e in ads},
            kinds=kinds_of([*campaigns, *adsets, *ads], rules),
            campaign_days=daily,
            adset_days=adset_days,
            ads_window=ads_window,
            ads_recent=ads_recent,
            ads_earlier=ads_earlier,
        )
        return FindingsReport(
            account=account,
            window=window,
            findings=rules_of_thumb.find(evidence),
            attribution=account.attribution,
            checked=len(campaigns) + len(adsets) + len(ads),
        )

    # --- changes, planned only ------------------------------------------------------------------

    async def plan_status(self, identity: Identity, account: Account, entity: Entity, to: Status) -> Change:
        """The change that pauses or resumes the entity; nothing is done. Raises as changes.plan_status."""
        source = await self.source_of(identity, account)
        family: list[Entity] = []
        if to is Status.ACTIVE and entity.level is not Level.CAMPAIGN:  # to say what above it is paused
            family = await self._owners(source, account)
        return changes.plan_status(account, entity, to, family)

    async def plan_budget(
        self,
        identity: Identity,
        account: Account,
        entity: Entity,
        *,
        amount: Money | None = None,
        change_amount: Money | None = None,
        change_percent: Decimal | None = None,
        kind: BudgetKind | None = None,
    ) -> Change:
        """The change that sets another budget; nothing is done. Raises as changes.plan_budget."""
        source = await self.source_of(identity, account)
        family: list[Entity] = []
        if entity.daily_budget is None and entity.lifetime_budget is None:  # to say where the budget lives
            family = await self._owners(source, account)
        return changes.plan_budget(
            account,
            entity,
            family,
            amount=amount,
            change_amount=change_amount,
            change_percent=change_percent,
            kind=kind,
        )

    # --- inside ---------------------------------------------------------------------------------

    async def _located(self, identity: Identity) -> tuple[list[tuple[Account, AdsSource]], list[Failure]]:
        sources = await self._sources_of(identity.tenant_id)
        answers = await asyncio.gather(*(s.accounts() for s in sources), return_exceptions=True)
        located: list[tuple[Account, AdsSource]] = []
        failures: list[Failure] = []
        for source, answer in zip(sources, answers, strict=True):
            if isinstance(answer, MutiraoError):
                failures.append(Failure(source.kind, answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                located += [(a, source) for a in answer if identity.accounts is None or a.id in identity.accounts]
        return located, failures

    async def _owners(self, source: AdsSource, account: Account) -> list[Entity]:
        """What stands above ads: campaigns and ad sets."""
        campaigns, adsets = await asyncio.gather(
            source.entities(account.id, Level.CAMPAIGN), source.entities(account.id, Level.ADSET)
        )
        return [*campaigns, *adsets]

    async def _rules(self, identity: Identity, account: Account) -> Mapping[str, str]:
        if self._rules_of is None:
            return {}
        return (await self._rules_of(identity.tenant_id)).get(account.id, {})


def _as_account(report: Report) -> Report:
    account = report.account
    kinds: set[ResultKind] = {k.kind for k in report.kinds}
    row = Row(
        id=account.id,
        level=Level.ACCOUNT,
        name=account.name,
        totals=report.total,
        before=report.before,
        change=report.change,
        result_kind=next(iter(kinds)) if len(kinds) == 1 else None,
        effective_status="ACTIVE" if account.active else "",
    )
    return replace(report, level=Level.ACCOUNT, rows=[row])


def _shown(thing: Named) -> dict[str, str]:
    return {"id": thing.id, "name": thing.name, "level": thing.level, "detail": thing.detail}


def _unclear(what: str, mention: str, candidates: Sequence[Named], closest: Sequence[Named]) -> ArgumentsWrong:
    said = mention.strip()[:80]
    if candidates:
        names = "; ".join(f"{c.name} ({c.id})" for c in candidates[:8])
        return ArgumentsWrong(
            f"{what}_ambiguous",
            f"{said!r} may be any of: {names}",
            mention=said,
            candidates=[_shown(c) for c in candidates[:8]],
        )
    names = "; ".join(f"{c.name} ({c.id})" for c in closest[:5])
    return ArgumentsWrong(
        f"{what}_unknown",
        f"nothing is called {said!r}" + (f"; closest: {names}" if names else ""),
        mention=said,
        closest=[_shown(c) for c in closest[:5]],
    )


async def _where_told(account: Account, figures: Awaitable[list[Figures]]) -> list[Figures]:
    """A file of one range cannot tell the weeks that a rule compares: the rule then has nothing to say."""
    try:
        return await figures
    except ArgumentsWrong as error:
        if account.source == "file" and error.code == "window_not_in_file":
            return []
        raise


async def _nothing() -> list[Figures]:
    return []


async def _no_entities() -> list[Entity]:
    return []
