"""The CRM to look at and to act on: the board of deals, and the page of a contact, a company or a deal.

A view is drawn for whoever looks, from what the CRM shows them at that moment, as ready words in plain JSON; a door
only lays it out. What is done in it is channels/crm_acts.py.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from business.crm.deals import Column
from business.crm.faces import Face
from business.crm.identity import KeyKind
from business.crm.model import (
    FIELDS,
    Activity,
    Company,
    Contact,
    Deal,
    Fact,
    Stage,
    StageKind,
    StoredKey,
    Subject,
    Task,
)
from business.crm.privacy import REACHABLE, Blocked
from business.crm.service import Crm
from business.messaging.conversation import Chat
from business.people.service import People
from business.prospecting.lines import line_from, said
from core import formats
from core.clock import Clock
from core.door import Table, View
from core.errors import Refused
from core.money import Money
from core.tenancy import Identity
from prompts.texts import Texts

BOARD, RECORD = "crm_board", "crm_record"
KINDS = (BOARD, RECORD)

Data = dict[str, Any]
"""What a door lays out: plain JSON, its texts ready in the viewer's language."""

Talks = Callable[[Identity, str], Awaitable[Sequence[Chat]]]
"""(who looks, contact id) → conversations with them: Chats.of_contact."""

_EACH, _MOST_EACH = 20, 200  # cards of a column: at first, and after all "show more"
_ENTRIES, _LOOKED_AT = 40, 300  # of the timeline: shown, and gone through for the last score
_SCORED = ("lead_qualified", "qualified")
_HIDDEN_FIELDS = {"name", "legal_name", "trade_name", "company_id", "city_code", "uf", "owner_id", "purpose"}
_WORDS = "view.word."
"""Texts below this key are the page's own: labels of its buttons and forms, which it is given with the data."""


@dataclass(frozen=True)
class _Looker:
    """Who looks, and how things are written for them."""

    who: Identity
    texts: Texts
    names: Mapping[str, str]
    """Of the tenant's users, by id."""
    now: datetime

    def say(self, key: str, /, **params: Any) -> str:
        return self.texts.say(self.who.language, key, **params)

    def word(self, key: str, otherwise: str) -> str:
        """The text of a key that may not be there: of a source, a size, a kind of entry that is new."""
        return self.say(key) if self.texts.has(key) else otherwise

    def day(self, at: datetime) -> str:
        return formats.day(self._local(at).date(), self.who.language)

    def clock(self, at: datetime) -> str:
        return self._local(at).strftime("%H:%M")

    def ago(self, at: datetime) -> str:
        """In whole days of the viewer's calendar."""
        days = (self._local(self.now).date() - self._local(at).date()).days
        return self.say("view.ago", days=max(0, days))

    def money(self, amount: Money | None) -> str:
        return formats.money(amount, self.who.language) if amount else ""

    def user(self, user_id: str | None) -> str:
        return self.names.get(user_id or "", "")

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(self.who.time_zone))


def address(view: View) -> str:
    """Where the browser finds the view; "" for what is none of ours."""
    if view.kind not in KINDS or not re.fullmatch(r"[\w-]{0,100}", view.subject):
        return ""
    return f"/chat/view/{view.kind}" + (f"/{view.subject}" if view.subject else "")


class CrmViews:
    """Draws views and does what is done in them. Refused and ArgumentsWrong as business/crm raises them, and
    Refused("view_unknown") for a kind that is none."""

    def __init__(self, crm: Crm, people: People, texts: Texts, clock: Clock, talks: Talks | None = None) -> None:
        """`talks`: the conversations with a contact; without it none are shown."""
        self._crm = crm
        self._talks = talks
        self._people = people
        self._texts = texts
        self._clock = clock

    async def draw(self, who: Identity, kind: str, subject: str = "", *, each: int = _EACH) -> Data:
        """The view as `who` may see it now: {"kind", "subject", "title", "words", "may_change", …}.

        `each` is how many cards a column of the board shows.
        """
        look = await self._looker(who)
        if kind == BOARD:
            drawn = await self._board(look, max(1, min(each, _MOST_EACH)))
        elif kind == RECORD:
            drawn = await self._record(look, subject)
        else:
            raise Refused("view_unknown", f"no view {kind[:40]!r}")
        words = {
            key.removeprefix(_WORDS): look.say(key) for key in self._texts.sources["pt-BR"] if key.startswith(_WORDS)
        }
        language = who.language
        head = {"kind": kind, "subject": subject, "language": language, "may_change": self._crm.may_change(who)}
        return {**head, "words": words, **drawn}

    async def tables(self, who: Identity, view: View) -> list[Table]:
        """The view for a door that shows only text; nothing where it is no longer theirs to see."""
        try:
            drawn = await self.draw(who, view.kind, view.subject)
        except Refused:
            return []
        return _board_tables(drawn) if view.kind == BOARD else _record_tables(drawn)

    async def _looker(self, who: Identity) -> _Looker:
        names = {user.id: user.name for user in await self._people.users(who.tenant_id)}
        return _Looker(who, self._texts, names, self._clock.now())

    async def _board(self, look: _Looker, each: int) -> Data:
        columns = await self._crm.board(look.who, each=each)
        faces = await self._crm.faces(look.who, [deal for column in columns for deal in column.deals])
        return {
            "title": look.say("view.board"),
            "columns": [_column(look, column, faces) for column in columns],
            "each": each,
            "empty": "" if any(column.count for column in columns) else look.say("view.board_empty"),
        }

    async def _record(self, look: _Looker, subject: str) -> Data:
        kind = subject.partition("_")[0]
        if kind == "con":
            return await self._contact(look, subject)
        if kind == "com":
            return await self._company(look, subject)
        if kind == "deal":
            return await self._deal(look, subject)
        raise Refused("crm_unknown", f"no record {subject[:80]!r}")

    async def _contact(self, look: _Looker, contact_id: str) -> Data:
        crm, who = self._crm, look.who
        contact = await crm.contact(who, contact_id)
        custom = {field.name: field.label for field in await crm.fields(who, "contact")}
        company = await seen(crm, who, contact.company_id)
        below = [_link(company.id, _company_name(company), "")] if company else []
        return {
            "type": "contact",
            "title": contact.name or look.say("view.nameless"),
            "subtitle": " · ".join(part for part in (contact.title, contact.company_name, contact.city) if part),
            **await self._common(look, Subject.CONTACT, contact, custom),
            "linked": {"title": look.say("view.company"), "items": below},
            "talks": await self._with(look, contact.id),
        }

    async def _with(self, look: _Looker, contact_id: str) -> list[Data]:
        """The conversations with a contact that the viewer may see in the inbox."""
        try:
            found = await self._talks(look.who, contact_id) if self._talks else []
        except Refused:
            found = []
        return [
            {"id": chat.id, "name": chat.name or look.say("view.nameless"), "note": look.day(chat.last_at)}
            for chat in found
        ]

    async def _company(self, look: _Looker, company_id: str) -> Data:
        crm, who = self._crm, look.who
        company = await crm.company(who, company_id)
        custom = {field.name: field.label for field in await crm.fields(who, "company")}
        people = await crm.contacts_of_company(who, company_id)
        name = _company_name(company)
        place = "/".join(part for part in (company.city, company.uf) if part)
        legal = company.legal_name if company.legal_name != name else None
        items = [_link(one.id, one.name or look.say("view.nameless"), one.title or "") for one in people]
        return {
            "type": "company",
            "title": name or look.say("view.nameless"),
            "subtitle": " · ".join(part for part in (legal, place) if part),
            **await self._common(look, Subject.COMPANY, company, custom),
            "linked": {"title": look.say("view.people"), "items": items},
        }

    async def _common(
        self, look: _Looker, subject: Subject, record: Contact | Company, custom: Mapping[str, str]
    ) -> Data:
        """What the pages of people and of companies have in common."""
        crm, who = self._crm, look.who
        of: dict[str, Any] = {f"{subject}_id": record.id}
        timeline = await crm.timeline(who, limit=_LOOKED_AT, **of)
        blocked = await blocked_keys(crm, who, record)
        stages = await crm.stages(who)
        deals = await crm.deals(who, **of)
        score = _score(look, timeline)
        rows = [_field(look, name, getattr(record, name), record.facts.get(name)) for name in _fields_of(subject)]
        rows += [
            {
                "label": label,
                **_value(_written(look, record.custom.get(name)), look, record.facts.get(f"custom.{name}")),
            }
            for name, label in custom.items()
        ]
        rows.append(_plain(look.say("view.field.owner_id"), look.user(record.owner_id) or look.say("view.nobody")))
        rows.append(_field(look, "purpose", record.purpose, record.facts.get("purpose")))
        return {
            "tags": list(record.tags),
            "blocked": _blocked_line(look, record, blocked),
            "may_leave_alone": bool(set(reachable(record)) - set(blocked)),
            "score": score,
            "keys": [_key(look, key, blocked) for key in record.keys],
            "fields": rows,
            "deals": [_deal_row(look, deal) for deal in deals],
            "stages": [_stage(stage) for stage in stages],
            "tasks": await self._tasks(look, of),
            "timeline": _entries(look, timeline[:_ENTRIES]),
        }

    async def _deal(self, look: _Looker, deal_id: str) -> Data:
        crm, who = self._crm, look.who
        deal = await crm.deal(who, deal_id)
        face = (await crm.faces(who, [deal]))[deal.id]
        custom = {field.name: field.label for field in await crm.fields(who, "deal")}
        say = look.say
        rows = [
            _plain(say("view.deal.amount"), look.money(deal.amount) or None),
            _plain(say("view.deal.stage"), f"{deal.stage.name}, {look.ago(deal.stage_at)}"),
            _plain(say("view.deal.expected_on"), _written(look, deal.expected_on)),
            _plain(say("view.field.owner_id"), look.user(deal.owner_id) or say("view.nobody")),
        ]
        if deal.stage.kind is StageKind.LOST:
            rows.append(_plain(say("view.deal.lost_reason"), deal.lost_reason))
        rows += [_plain(label, _written(look, deal.custom.get(name))) for name, label in custom.items()]
        linked = [
            _link(id_, name, "")
            for id_, name in ((deal.company_id, face.company), (deal.contact_id, face.contact))
            if name
        ]
        return {
            "type": "deal",
            "title": deal.title,
            "subtitle": " · ".join(part for part in (deal.stage.name, look.money(deal.amount)) if part),
            "tags": list(deal.tags),
            "fields": rows,
            "stage": _stage(deal.stage),
            "stages": [_stage(stage) for stage in await crm.stages(who)],
            "linked": {"title": say("view.about"), "items": linked},
            "tasks": await self._tasks(look, {"deal_id": deal_id}),
            "timeline": _entries(look, await crm.timeline(who, deal_id=deal_id, limit=_ENTRIES)),
        }

    async def _tasks(self, look: _Looker, of: Mapping[str, Any]) -> list[Data]:
        return [_task(look, task) for task in await self._crm.tasks(look.who, **of)]


async def seen(crm: Crm, who: Identity, company_id: str | None) -> Company | None:
    """The company; None where there is none, or it is not theirs to see."""
    try:
        return await crm.company(who, company_id) if company_id else None
    except Refused:
        return None


def reachable(record: Contact | Company) -> list[tuple[KeyKind, str]]:
    """What they can be called or written to at: (kind, as given)."""
    return [(key.kind, key.given) for key in record.keys if key.kind in REACHABLE]


async def blocked_keys(crm: Crm, who: Identity, record: Contact | Company) -> dict[tuple[KeyKind, str], Blocked]:
    """Those of `reachable` that must not be used, and why."""
    keys = reachable(record)
    # A telephone and its WhatsApp are one entry of the list, which answers with one of them.
    halves = [key for key in keys if key[0] is KeyKind.WA_ID], [key for key in keys if key[0] is not KeyKind.WA_ID]
    found = [one for half in halves for one in await crm.blocked(who.tenant_id, half)]
    return {(one.kind, one.given): one for one in found}


# --- the board ------------------------------------------------------------------------------------


def _column(look: _Looker, column: Column, faces: Mapping[str, Face]) -> Data:
    shown = len(column.deals)
    return {
        **_stage(column.stage),
        "count": column.count,
        "counted": look.say("view.deals", count=column.count),
        "sums": [look.money(amount) for amount in column.sums],
        "more": look.say("view.shown", shown=shown, count=column.count) if shown < column.count else "",
        "cards": [_card(look, deal, faces[deal.id]) for deal in column.deals],
    }


def _card(look: _Looker, deal: Deal, face: Face) -> Data:
    about = [(deal.company_id, face.company), (deal.contact_id, face.contact)]
    return {
        "id": deal.id,
        "title": deal.title,
        "about": [_link(id_, name, "") for id_, name in about if name and name != deal.title],
        "amount": look.money(deal.amount),
        "since": look.ago(deal.stage_at),
        "owner": look.user(deal.owner_id),
        "task": _task(look, face.next_task) if face.next_task else None,
        "lost_reason": deal.lost_reason or "",
    }


def _stage(stage: Stage) -> Data:
    return {"id": stage.id, "name": stage.name, "kind": str(stage.kind)}


def _link(id_: str | None, name: str | None, note: str) -> Data:
    return {"id": id_, "name": name, "note": note}


def _task(look: _Looker, task: Task) -> Data:
    return {
        "id": task.id,
        "title": task.title,
        "due": look.say("view.due", when=look.day(task.due_at)) if task.due_at else "",
        "late": bool(task.due_at and task.due_at < look.now),
        "owner": look.user(task.owner_id),
    }


# --- a page ---------------------------------------------------------------------------------------


def _fields_of(subject: Subject) -> list[str]:
    return [name for name in FIELDS[subject] if name not in _HIDDEN_FIELDS]


def _company_name(company: Company) -> str:
    return company.trade_name or company.legal_name or ""


def _field(look: _Looker, name: str, value: Any, fact: Fact | None) -> Data:
    written = _written(look, value)
    if written and name in ("main_cnae", "further_cnaes"):
        written = re.sub(r"\b(\d{4})(\d)(\d{2})\b", r"\1-\2/\3", written)
    elif written and name == "cep":
        written = re.sub(r"^(\d{5})(\d{3})$", r"\1-\2", written)
    elif written and name in ("size", "registry_status", "purpose"):
        written = look.word(f"view.{name}.{written.casefold()}", written)
    return {"label": look.say(f"view.field.{name}"), **_value(written, look, fact)}


def _plain(label: str, value: str | None) -> Data:
    """A row that needs no source: it is of our own making."""
    return {"label": label, "value": value, "source": "", "url": ""}


def _written(look: _Looker, value: Any) -> str | None:
    """A value as people read it; None for unknown."""
    if isinstance(value, bool):
        return look.say("view.yes" if value else "view.no")
    if isinstance(value, date):
        return formats.day(value, look.who.language)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value) or None
    return str(value) if value not in (None, "") else None


def _value(written: str | None, look: _Looker, fact: Fact | None) -> Data:
    shown = {"value": written, **(_source(look, fact) if written else {"source": "", "url": ""})}
    if written and re.match(r"https?://\S+$", written):
        shown["href"] = written
    return shown


def _source(look: _Looker, fact: Fact | None) -> Data:
    return _from(look, fact.source, fact.reference, fact.at) if fact else {"source": "", "url": ""}


def _from(look: _Looker, source: str, reference: str, at: datetime) -> Data:
    """Where something is from: "registro público, 12/11/2026", and the address to look it up at where there is one."""
    name = look.word(f"view.source.{source}", source)
    url = reference if re.match(r"https?://\S+$", reference) else ""
    if source == "person" and reference in look.names:
        name = look.names[reference]
    elif source == "import" and reference:
        name = f"{name} ({reference[:80]})"
    return {"source": f"{name}, {look.day(at)}", "url": url}


def _key(look: _Looker, key: StoredKey, blocked: Mapping[tuple[KeyKind, str], Blocked]) -> Data:
    return {
        "label": look.say(f"view.key.{key.kind}"),
        "value": _document(key),
        "href": _address(key),
        "blocked": (key.kind, key.given) in blocked,
        **_from(look, key.source, key.reference, key.at),
    }


def _document(key: StoredKey) -> str:
    """As given, but for the marks in a number that is told without any."""
    if key.kind in (KeyKind.PHONE, KeyKind.WA_ID):
        return formats.phone(key.given)
    if key.kind is KeyKind.CNPJ and len(key.given) == 14:
        g = key.given
        return f"{g[:2]}.{g[2:5]}.{g[5:8]}/{g[8:12]}-{g[12:]}"
    return key.given


def _address(key: StoredKey) -> str:
    """What a click on it opens: a call or a message of the person's own."""
    if key.kind is KeyKind.PHONE and key.value.startswith("+"):
        return f"tel:{key.value}"
    return f"mailto:{key.value}" if key.kind is KeyKind.EMAIL else ""


def _blocked_line(look: _Looker, record: Contact | Company, blocked: Mapping[tuple[KeyKind, str], Blocked]) -> str:
    if not blocked:
        return ""
    first = min(blocked.values(), key=lambda found: found.since)
    everything = not set(reachable(record)) - set(blocked)
    key = "view.blocked_all" if everything else "view.blocked_some"
    return look.say(key, why=look.say(f"view.blocked.{first.reason}"), since=look.day(first.since))


def _score(look: _Looker, timeline: Sequence[Activity]) -> Data | None:
    """The lead's score as it was last told, with its reasons."""
    found = next((entry for entry in timeline if entry.kind in _SCORED and "score" in entry.data), None)
    if found is None:
        return None
    lines = found.data.get("reasons") or found.data.get("lines") or []
    reasons = [said(line_from(line), look.say) for line in lines if isinstance(line, dict) and "key" in line]
    reasons = reasons or [text for text in re.split(r"\n+|; ", found.text) if text.strip()]
    return {
        "value": str(found.data["score"]),
        "of": look.say("view.score_of", score=found.data["score"]),
        "reasons": reasons,
        "when": look.day(found.at),
    }


def _deal_row(look: _Looker, deal: Deal) -> Data:
    return {
        "id": deal.id,
        "title": deal.title,
        "stage": _stage(deal.stage),
        "amount": look.money(deal.amount),
        "since": look.ago(deal.stage_at),
        "owner": look.user(deal.owner_id),
    }


def _entries(look: _Looker, timeline: Sequence[Activity]) -> list[Data]:
    return [
        {
            "when": look.day(entry.at),
            "clock": look.clock(entry.at),
            "what": _what(look, entry),
            "text": "" if entry.kind in _SCORED else entry.text,  # the score shows its reasons itself
            "actor": look.user(entry.actor),
        }
        for entry in timeline
    ]


def _what(look: _Looker, entry: Activity) -> str:
    """What happened, in a few words; what somebody wrote about it is the entry's text."""
    data = entry.data
    if entry.kind == "stage" and {"from", "to"} <= set(data):
        return look.say("view.entry.stage", before=data["from"], after=data["to"])
    if entry.kind == "assigned":
        return look.say("view.entry.assigned", to=look.user(data.get("to")) or look.say("view.nobody"))
    if entry.kind in _SCORED and "score" in data:
        return look.say("view.entry.scored", score=data["score"])
    return look.word(f"view.entry.{entry.kind}", entry.kind.replace("_", " "))


# --- as text --------------------------------------------------------------------------------------


def _board_tables(drawn: Data) -> list[Table]:
    words, columns = drawn["words"], drawn["columns"]
    head = [words[name] for name in ("stage", "deals", "sum")]
    sums = [[one["name"], str(one["count"]), " + ".join(one["sums"])] for one in columns]
    cards = [
        [one["name"], card["title"], ", ".join(link["name"] for link in card["about"]), card["amount"], card["since"],
         card["owner"], f"{card['task']['title']} ({card['task']['due']})" if card["task"] else ""]
        for one in columns for card in one["cards"]
    ]  # fmt: skip
    names = ("stage", "deal", "about", "amount", "in_stage", "owner", "next_task")
    tables = [Table(drawn["title"], head, sums, ["left", "right", "right"])]
    if cards:
        aligned: Any = ["left", "left", "left", "right", "left", "left", "left"]
        tables.append(Table(words["deals"], [words[name] for name in names], cards, aligned))
    return tables


def _record_tables(drawn: Data) -> list[Table]:
    words = drawn["words"]
    known = [
        [row["label"], row["value"] or words["unknown"], row["source"]]
        for row in [*drawn.get("keys", []), *drawn["fields"]]
    ]
    if drawn.get("tags"):
        known.append([words["tags"], ", ".join(drawn["tags"]), ""])
    title = " · ".join(part for part in (drawn["title"], drawn["subtitle"], drawn.get("blocked", "")) if part)
    parts = [
        (title, ("field", "value", "source"), known),
        (
            words["deals"],
            ("deal", "stage", "amount"),
            [[deal["title"], deal["stage"]["name"], deal["amount"]] for deal in drawn.get("deals", [])],
        ),
        (
            words["tasks"],
            ("task", "due", "owner"),
            [[task["title"], task["due"], task["owner"]] for task in drawn["tasks"]],
        ),
        (
            words["timeline"],
            ("when", "what", "actor"),
            [
                [entry["when"], " · ".join(part for part in (entry["what"], entry["text"]) if part), entry["actor"]]
                for entry in drawn["timeline"]
            ],
        ),
    ]
    return [
        Table(
            title, [words[name] for name in names], rows, ["left", "left", "right" if names[2] == "amount" else "left"]
        )
        for title, names, rows in parts
        if rows
    ]
