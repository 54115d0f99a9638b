"""What a person may do in a view of the CRM: each click is a call of business/crm with that person's own rights."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from business.crm.model import Company, Contact, Subject
from business.crm.privacy import BlockReason
from business.crm.service import Crm
from channels.clicks import Clicks
from channels.crm_views import blocked_keys, reachable, seen
from core.errors import ArgumentsWrong
from core.money import Money
from core.tenancy import Identity
from prompts.texts import Texts

Did = Mapping[str, Any]
"""What came from the page: {"do": name of the act, "once": an id of the click, …}. Nothing of it is trusted."""
Act = Callable[[Identity, str, Did], Awaitable[str]]

_CURRENCY = "BRL"  # of an amount that is typed into the page


class CrmActs:
    """Acts on the record `subject`, or on the deal or task that `did` names. Refused and ArgumentsWrong as business/crm
    raises them: what is not theirs is not there."""

    def __init__(self, crm: Crm, texts: Texts) -> None:
        self._crm = crm
        self._texts = texts
        self._clicks = Clicks()
        self._acts: dict[str, Act] = {
            "move": self._move,
            "note": self._note,
            "task": self._add_task,
            "finish_task": self._finish_task,
            "tag": self._tag,
            "deal": self._open_deal,
            "leave_alone": self._leave_alone,
        }

    async def do(self, who: Identity, subject: str, did: Did) -> str:
        """Do it, and say in a sentence what was done. The same click twice is done once, and what is as wanted already
        is left as it is. ArgumentsWrong("view_act_wrong") for what is no act."""
        act = self._acts.get(_text(did, "do"))
        if act is None:
            raise ArgumentsWrong("view_act_wrong", "no such act")
        once = _text(did, "once")
        return await self._clicks.once((who.user_id, once) if once else None, lambda: act(who, subject, did))

    def _say(self, who: Identity, key: str, **params: Any) -> str:
        return self._texts.say(who.language, key, **params)

    async def _move(self, who: Identity, _: str, did: Did) -> str:
        reason = _text(did, "reason") or None
        deal = await self._crm.move_deal(who, _text(did, "deal"), _text(did, "stage"), lost_reason=reason)
        return self._say(who, "view.said.moved", title=deal.title, stage=deal.stage.name)

    async def _note(self, who: Identity, subject: str, did: Did) -> str:
        text = _text(did, "text")
        if not text:
            raise ArgumentsWrong("view_note_empty", "a note without a word")
        await self._crm.write_activity(who, "note", text, **_of(subject))
        return self._say(who, "view.said.noted")

    async def _add_task(self, who: Identity, subject: str, did: Did) -> str:
        due = _day(did, "due")
        end = datetime.combine(due, time(23, 59), ZoneInfo(who.time_zone)) if due else None
        task = await self._crm.add_task(who, _text(did, "title"), due_at=end, **_of(subject))
        return self._say(who, "view.said.task_added", title=task.title)

    async def _finish_task(self, who: Identity, _: str, did: Did) -> str:
        task = await self._crm.finish_task(who, _text(did, "task"), done=did.get("done") is not False)
        return self._say(who, "view.said.task_done" if task.done_at else "view.said.task_open", title=task.title)

    async def _tag(self, who: Identity, subject: str, did: Did) -> str:
        of, record_id = _subject(subject)
        add, remove = _text(did, "add"), _text(did, "remove")
        await self._crm.tag(who, of, record_id, add=add.split(","), remove=[remove])
        return self._say(who, "view.said.tagged")

    async def _open_deal(self, who: Identity, subject: str, did: Did) -> str:
        of, record_id = _subject(subject)
        about: dict[str, Any] = {f"{of}_id": record_id}
        if of is Subject.CONTACT:
            company = (await self._crm.contact(who, record_id)).company_id
            about["company_id"] = company if await seen(self._crm, who, company) else None
        amount = _amount(_text(did, "amount"), who.language)
        deal = await self._crm.create_deal(who, _text(did, "title"), amount=amount, **about)
        return self._say(who, "view.said.deal_opened", title=deal.title, stage=deal.stage.name)

    async def _leave_alone(self, who: Identity, subject: str, did: Did) -> str:
        """Nobody here writes to them any more. Said once: whoever is on the list already stays on it as they are."""
        of, record_id = _subject(subject)
        record: Contact | Company
        if of is Subject.CONTACT:
            record = await self._crm.contact(who, record_id)
        else:
            record = await self._crm.company(who, record_id)
        keys = reachable(record)
        if not keys:
            raise ArgumentsWrong("view_nothing_to_block", "no telephone and no address to leave alone")
        if set(keys) - set(await blocked_keys(self._crm, who, record)):
            if of is Subject.CONTACT:
                words = _text(did, "reason") or self._say(who, "view.asked_here", name=who.name)
                await self._crm.opt_out(who, record_id, words=words)
            else:
                for kind, given in keys:
                    await self._crm.block(who, kind, given, reason=BlockReason.ASKED)
        return self._say(who, "view.said.left_alone")


# --- what came from the page ----------------------------------------------------------------------


def _text(did: Did, name: str) -> str:
    value = did.get(name, "")
    if not isinstance(value, str):
        raise ArgumentsWrong("view_act_wrong", f"{name} is no text")
    return value.strip()


def _day(did: Did, name: str) -> date | None:
    text = _text(did, name)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise ArgumentsWrong("view_act_wrong", f"{text[:40]!r} is no day") from None
    if day is not None and not 2000 <= day.year <= 2100:
        raise ArgumentsWrong("view_act_wrong", f"{text[:40]!r} is too far away")
    return day


def _amount(text: str, language: str) -> Money | None:
    """An amount as people of the language type it. ArgumentsWrong("amount_absurd", amount)."""
    text = text.replace("R$", "").replace(" ", "")
    if not text:
        return None
    group, mark = (",", ".") if language == "en" else (".", ",")
    try:
        if not re.fullmatch(r"[\d.,]{1,20}", text):
            raise InvalidOperation
        amount = Decimal(text.replace(group, "").replace(mark, "."))
    except InvalidOperation:
        raise ArgumentsWrong("amount_absurd", f"{text[:40]!r} is no amount", amount=text[:40]) from None
    return Money(amount, _CURRENCY)


def _subject(subject: str) -> tuple[Subject, str]:
    kinds = {"con": Subject.CONTACT, "com": Subject.COMPANY}
    if (kind := kinds.get(subject.partition("_")[0])) is None:
        raise ArgumentsWrong("view_act_wrong", "neither a contact nor a company")
    return kind, subject


def _of(subject: str) -> dict[str, Any]:
    """The argument by which a note or a task says whose it is."""
    names = {"con": "contact_id", "com": "company_id", "deal": "deal_id"}
    if (name := names.get(subject.partition("_")[0])) is None:
        raise ArgumentsWrong("view_act_wrong", "a note of what?")
    return {name: subject}
