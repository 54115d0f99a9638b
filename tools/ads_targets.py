"""Which account, which object and which days a call of an ads tool is about."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from business.ads.model import Account, Entity, Level, Window
from business.ads.service import AdsService, Failure
from business.ads.windows import META_MONTHS, PeriodRequest, default_window, parse_period
from core.errors import ArgumentsWrong, MutiraoError
from core.permissions import Scope
from core.tenancy import Identity
from core.words import plain, squeezed
from tools.spec import ToolContext

MOST_ACCOUNTS = 8  # looked at in one call


@dataclass(frozen=True)
class Place:
    account: Account
    entity: Entity | None = None


def service_of(ctx: ToolContext) -> AdsService:
    """The service for this turn: what one tool has fetched, the next need not."""
    if AdsService not in ctx.turn.kept:
        ctx.turn.kept[AdsService] = ctx.service(AdsService).for_turn()
    found: AdsService = ctx.turn.kept[AdsService]
    return found


def identity_of(ctx: ToolContext) -> Identity:
    """The user, limited to their own accounts where the role sees only its own."""
    identity = ctx.turn.identity
    if ctx.scope is Scope.OWN:
        return replace(identity, accounts=identity.accounts or frozenset())
    return identity


async def places_of(
    ctx: ToolContext, mention: str | None, target: str | None, level: Level | None = None
) -> tuple[list[Place], list[Failure], int]:
    """The accounts that are meant, and in them the object that is meant; also the sources that did not answer, and
    how many accounts were left out.

    Without a name: the file that was imported in this conversation, else all accounts at Meta, else all files. Figures
    of a file and of Meta are never mixed unasked: the file may be an export of the same account. An object that several
    accounts have is looked for in the conversation's account first.
    """
    service, identity = service_of(ctx), identity_of(ctx)
    mention = mention or _account_of_shown(ctx, target)
    everything = mention is not None and squeezed(mention) in _EVERYTHING
    if mention and not everything:
        account = await service.find_account(identity, mention)
        entity = await service.find_entity(identity, account, target, level) if target else None
        return [Place(account, entity)], [], 0
    found = await service.accounts(identity)
    if target is None:
        imported = [a for a in found.accounts if a.id == ctx.turn.session.get("account") and not everything]
        live = [a for a in found.accounts if a.active and a.source == "meta"]
        chosen = imported or live or found.accounts
        return [Place(a) for a in chosen[:MOST_ACCOUNTS]], found.failures, max(0, len(chosen) - MOST_ACCOUNTS)

    accounts = found.accounts[:MOST_ACCOUNTS]
    answers = await asyncio.gather(
        *(service.find_entity(identity, account, target, level) for account in accounts), return_exceptions=True
    )
    places = []
    errors: list[BaseException] = []
    for account, answer in zip(accounts, answers, strict=True):
        if isinstance(answer, BaseException):
            errors.append(answer)
        else:
            places.append(Place(account, answer))
    if len(places) > 1:
        current = {ctx.turn.session.get("last_account"), ctx.turn.session.get("account")}
        here = [place for place in places if current & {place.account.id, place.account.name}]
        exact = [place for place in places if place.entity and place.entity.id == target.strip()]
        places = here if len(here) == 1 else exact or places
    if len(places) == 1:
        return places, [], 0
    if places:
        raise _several(target, places)
    raise _best_error(target, errors)


_EVERYTHING = frozenset(
    {"all", "all accounts", "todas", "todas as contas", "tudo", "todas las cuentas", "todos", "everything"}
)


def _account_of_shown(ctx: ToolContext, target: str | None) -> str | None:
    """The account of an object that was shown in this conversation, by its id: no other account need be asked."""
    shown = [*(ctx.turn.session.get("entities") or []), *(ctx.turn.session.get("found") or [])]
    return next((str(one["account"]) for one in shown if target and one.get("id") == target.strip()), None)


def _several(target: str, places: Sequence[Place]) -> ArgumentsWrong:
    candidates = [
        {"id": p.entity.id, "name": p.entity.name, "level": p.entity.level.value, "detail": p.account.name}
        for p in places
        if p.entity
    ]
    names = "; ".join(f"{c['name']} ({c['id']}, {c['detail']})" for c in candidates)
    return ArgumentsWrong(
        "entity_ambiguous", f"{target[:80]!r} may be any of: {names}", mention=target[:80], candidates=candidates
    )


def _best_error(target: str, errors: Sequence[BaseException]) -> BaseException:
    """Of one error per account, the one that helps most: a choice, then what could not be asked, then the closest."""
    known = [error for error in errors if isinstance(error, MutiraoError)]
    if len(known) < len(errors):
        return next(error for error in errors if not isinstance(error, MutiraoError))
    for error in known:
        if error.code == "entity_ambiguous":
            return error
    others = [error for error in known if error.code != "entity_unknown"]
    if others:
        return others[0]
    closest = [name for error in known for name in error.params.get("closest", [])][:5]
    names = "; ".join(f"{c['name']} ({c['id']})" for c in closest)
    return ArgumentsWrong(
        "entity_unknown",
        f"nothing is called {target[:80]!r}" + (f"; closest: {names}" if names else ""),
        mention=target[:80],
        closest=closest,
    )


async def rows_meant(
    service: AdsService, identity: Identity, place: Place, level: Level
) -> tuple[Level, list[str] | None]:
    """The level and the ids of the rows: the object itself, or what lies in it at the level that was asked for."""
    entity = place.entity
    if entity is None:
        return level, None
    depth = list(Level)
    if depth.index(level) <= depth.index(entity.level):
        return entity.level, [entity.id]
    below = await service.entities(identity, place.account, level)
    inside = [e.id for e in below if entity.id in (e.campaign_id, e.parent_id)]
    return level, inside


def windows_of(
    ctx: ToolContext, account: Account, period: str | None, compare_with: str | None
) -> tuple[Window, Window | None]:
    """The days that a call is about and those it compares them with: what the whole sentence, "{period} compared with
    {compare_with}", says. "The last" and "previous" are the one before: of a week the week, of a month the month.

    ArgumentsWrong: period_unclear, and what `parse_period` says of dates that cannot be.
    """
    now = ctx.turn.now
    months_back = META_MONTHS if account.source == "meta" else None

    def sentence(text: str, default: Window | None = None) -> PeriodRequest | None:
        return parse_period(text, now=now, time_zone=account.time_zone, default=default, months_back=months_back)

    def read(text: str, said: str, default: Window | None = None) -> PeriodRequest:
        if found := sentence(text, default):
            return found
        raise ArgumentsWrong("period_unclear", f"{said[:80]!r} names no period", said=said[:80])

    asked = read(period, period) if period else None
    if not compare_with:
        return (asked.window, asked.compare) if asked else (_default(account, now), None)
    other = "o anterior" if _THE_ONE_BEFORE.fullmatch(plain(compare_with).strip(" .?!")) else compare_with
    if other[:4].isdigit():  # dates
        window = asked.window if asked else _default(account, now)
        return window, read(other, compare_with).window
    if period and asked:
        whole = sentence(f"{period} comparado com {other}")
        if whole and whole.compare and whole.window == asked.window:
            return whole.window, whole.compare
    # Only what to compare with was named: it says which period stands against it ("last week": this week). A file has
    # its own days.
    known = asked.window if asked else _default(account, now) if account.source == "file" else None
    found = read(f"comparado com {other}", compare_with, known)
    return found.window if known is None else known, found.compare or found.window


_THE_ONE_BEFORE = re.compile(
    r"(?:(?:the|an?|[oa]s?|el|l[ao]s?)\s+)?"
    r"(?:(?:previous|prior|preceding|last|past)(?:\s+(?:one|period))?|(?:one\s+)?before|period before"
    r"|(?:periodo\s+)?(?:anterior(?:es)?|passad[oa]s?|pasad[oa]s?|previ[oa]s?)|ultim[oa])"
)
"""Elliptic words for a period to compare with, which need the other one beside them."""


def _default(account: Account, now: datetime) -> Window:
    """The last 7 days; of an imported file, all its days."""
    if account.data_from and account.data_until:
        return Window(account.data_from, account.data_until, account.time_zone)
    return default_window(account.time_zone, now=now)
