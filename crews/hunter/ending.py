"""What a conversation is told when a search that ran in the background has ended. Counted from rows, no model."""

from collections.abc import Sequence
from functools import partial

from business.prospecting.lines import said
from business.prospecting.quota import MonthUse
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Search, State
from core import formats
from core.money import Money
from prompts.texts import Texts

_BEST = 5
"""Rows of the table; all of them are a question away."""


def ending(texts: Texts, search: Search, candidates: Sequence[Candidate], month: MonthUse) -> str:
    """Counts by verdict, what was left out and why, what it cost, what to do next: in the language of the search.

    `candidates` are all of the search, the best first.
    """
    say = partial(texts.say, search.language)
    return "\n\n".join(
        part
        for part in (
            _why(texts, search),
            "\n".join(_counts(texts, search, candidates)),
            _table(texts, search, candidates),
            cost_told(texts, search, month),
            say("hunts.next" if search.progress.kept else "hunts.next_none"),
        )
        if part
    )


def listed(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that stand in the table, in its order."""
    return [one for one in candidates if one.state is not CandidateState.DUPLICATE and one.name][:_BEST]


def cost_told(texts: Texts, search: Search, month: MonthUse) -> str:
    """What a search has used so far, and of which month's quota. The registry is free."""
    say = partial(texts.say, search.language)
    cost = search.cost
    parts = [say("hunts.cost.pages", count=cost.pages)]
    for vendor, count in sorted(cost.searches.items()):
        used = month.used.get(vendor, 0)
        parts.append(say("hunts.cost.searches", count=count, vendor=vendor, used=used, limit=month.limit))
    if cost.sites:
        parts.append(say("hunts.cost.sites", count=cost.sites))
    if cost.model_calls:
        price = formats.money(Money(cost.model_usd, "USD"), search.language)
        parts.append(say("hunts.cost.model", calls=cost.model_calls, price=price))
    return say("hunts.cost", parts=parts)


def _why(texts: Texts, search: Search) -> str:
    say = partial(texts.say, search.language)
    if search.state is State.FAILED:
        key = f"error.{search.ended}"
        why = say(key) if search.ended and _plain(texts, key) else say("hunts.failed_code", code=search.ended or "")
        return say("hunts.failed", sentence=search.sentence, why=why)
    return say("hunts.ended", sentence=search.sentence, why=say(f"prospecting.ended.{search.ended}"))


def _plain(texts: Texts, key: str) -> bool:
    """A sentence that needs no values: those of an error that ended a search were not kept."""
    return texts.has(key) and "{{" not in texts.sources["pt-BR"][key]


def _counts(texts: Texts, search: Search, candidates: Sequence[Candidate]) -> list[str]:
    say, progress = partial(texts.say, search.language), search.progress
    qualified = [one for one in candidates if one.verdict is Verdict.QUALIFIED]
    waiting = [one for one in qualified if one.state is CandidateState.NEW]
    told = [
        say(
            "hunts.counts",
            seen=progress.seen,
            qualified=progress.qualified,
            created=sum(one.outcome == "created" for one in qualified),
            merged=sum(one.outcome in ("updated", "unchanged") for one in qualified),
            person=progress.person,
            below=progress.below,
        )
    ]
    if progress.left_out:
        ordered = sorted(progress.left_out.items(), key=lambda one: (-one[1], one[0]))
        why = [
            f"{say(f'prospecting.check.{check}')} ({formats.number(count, search.language)})"
            for check, count in ordered
        ]
        told.append(say("hunts.left_out", count=sum(progress.left_out.values()), why=why))
    if progress.duplicates:
        told.append(say("hunts.duplicates", count=progress.duplicates))
    for one in waiting:
        if one.note is not None:
            told.append(say("hunts.waits", name=one.name or "", why=said(one.note, say)))
    for one in qualified:
        if one.state is CandidateState.REJECTED and one.note is not None:
            told.append(say("hunts.not_saved", name=one.name or "", why=said(one.note, say)))
    if progress.web_off:
        told.append(say(f"hunts.web_off.{progress.web_off}"))
    elif progress.lookups_failed:
        told.append(say("hunts.lookups_failed", count=progress.lookups_failed))
    return told


def _table(texts: Texts, search: Search, candidates: Sequence[Candidate]) -> str:
    """The best, as a Markdown table."""
    say = partial(texts.say, search.language)
    best = listed(candidates)
    if not best:
        return ""
    head = [say("hunts.table.name"), say("hunts.table.score"), say("hunts.table.verdict"), say("hunts.table.why")]
    rows = [head, ["---", "---:", "---", "---"]]
    for one in best:
        why = "; ".join(said(line, say) for line in one.reasons()[:2])
        name = (one.name or "").replace("|", "/").replace("\n", " ")
        rows.append([name, str(one.score), say(f"prospecting.verdict.{one.verdict}"), why.replace("|", "/")])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
