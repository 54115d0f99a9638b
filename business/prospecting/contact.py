"""The first message to a lead, as a change that a person approves: planned, shown as it will be read, edited, checked
again, and put where messages wait to leave. Several at once are one change with one hash: what was shown is what goes.

How a message leaves is not known here: a `Door` is handed in. WhatsApp itself lets strangers be written to by an
approved template only, so there the person edits what fills it, and sees the whole text that will be read. Where there
are no templates (other gateways, e-mail) the text goes as it is, with a notice that code adds and nobody edits away:
who writes, where the contact is from and since when, how to be left alone (LGPD, Lei 13.709/2018, art. 9º and art. 18).

A company of the sandbox is written to through the sandbox alone, a real one never through it: `simulated` says which.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from business.approvals.model import Change, Preview, ReadBack
from business.prospecting.searches import AREA
from core import formats
from core.db import Database, fetch_one
from core.errors import ArgumentsWrong, Refused

KIND = "first_contact"
BATCH = "first_contacts"
KEEP = "first_contact_keep"
MOST_LETTERS = 1_000
"""Of a text that a stranger shall read; WhatsApp takes 4,096, and nobody reads them."""
MOST_OPENING = 500
"""Of what fills a template: WhatsApp takes 1,024 for the whole body (integrations/whatsapp_cloud/limits.py)."""
MOST_AT_ONCE = 10
"""Messages of one batch: each is read before the yes."""

Channel = Literal["whatsapp", "phone", "email"]
"""`phone`: a telephone of which nobody knows whether it has WhatsApp."""
KnownFrom = Literal["registry", "map", "website", "web"]
Line = tuple[str, dict[str, Any]]
"""(key of a text, its parameters)"""
Way = dict[str, Any]
"""As JSON: channel_id, channel (its name), provider, address, language; where the gateway wants a template also
template {name, language, body with holes such as {{name}}}, None when none fits, and values {"name": "Ipê"}."""

Blocked = Callable[[str, Sequence[tuple[str, str]]], Awaitable[bool]]
"""(tenant id, [(kind of key, as given)]): whether one of them is on the list of those not to be contacted."""

_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_EDITABLE = ("opening", "name")


@dataclass(frozen=True)
class Outlook:
    """What the rules say of a message before it is approved. `when`: when it may leave, in the contact's hours."""

    when: Line
    cautions: tuple[Line, ...] = ()
    never: Refused | None = None
    """It may not be sent at all."""


class Door(Protocol):
    """By which first messages leave (tools/first_contact.py)."""

    async def way(
        self, tenant_id: str, *, channel: Channel, to: str, sandbox: bool, language: str, values: Mapping[str, str]
    ) -> Way | None:
        """How a message would leave; None when nothing is connected by which it could."""
        ...

    async def outlook(self, tenant_id: str, data: Mapping[str, Any]) -> Outlook:
        """What the rules say of the message now. Refused: first_contact_way_gone (its channel or template)."""
        ...

    async def put(self, tenant_id: str, messages: Sequence[Mapping[str, Any]]) -> None:
        """All of them into the outbox, in one transaction, each once by its `key`."""
        ...

    async def waiting(self, tenant_id: str, keys: Sequence[str]) -> set[str]:
        """Which of these are in the outbox: waiting, sent, or nobody knows."""
        ...

    async def still_here(self, tenant_id: str, keys: Sequence[str]) -> set[str]:
        """Which of these have certainly not left yet."""
        ...

    async def keep(self, tenant_id: str, keys: Sequence[str]) -> int:
        """Take those that have not left back, for good. How many."""
        ...


def plan_first_contact(
    *,
    company_id: str,
    candidate_id: str,
    name: str,
    channel: Channel,
    to: str,
    keys: Sequence[tuple[str, str]],
    text: str,
    notice: str,
    known_from: KnownFrom,
    known_on: date,
    reference: str,
    way: Way | None = None,
    owner_id: str | None = None,
    cadence: Mapping[str, Any] | None = None,
) -> Change:
    """A message to a company of the CRM: `to` by `channel`, known from where since when (`reference`, an address).

    `keys` are all by which the company is known: a block of any of them counts. `notice` goes below the text. `way`:
    how it would leave; `owner_id`: whose conversation it will be; `cadence`: what follows when nobody answers (its name
    and steps, as approved). ArgumentsWrong("first_contact_text", most).
    """
    return Change(
        KIND,
        company_id,
        {
            "candidate": candidate_id,
            "company": company_id,
            "name": name,
            "channel": channel,
            "to": to,
            "keys": [list(key) for key in keys],
            "text": _checked(text, MOST_LETTERS),
            "notice": notice,
            "known_from": known_from,
            "known_on": known_on.isoformat(),
            "sandbox": simulated(reference),
            "way": way,
            "owner": owner_id,
            "cadence": dict(cadence) if cadence else None,
        },
    )


def plan_batch(changes: Sequence[Change]) -> Change:
    """Several first messages as one change: approved together, exactly as they stand. 2 to MOST_AT_ONCE of them.

    ArgumentsWrong("first_contact_count", most).
    """
    if not 2 <= len(changes) <= MOST_AT_ONCE:
        raise ArgumentsWrong("first_contact_count", f"2 to {MOST_AT_ONCE}", most=MOST_AT_ONCE)
    messages = [change.data for change in changes]
    target = hashlib.sha256(" ".join(sorted(one["company"] for one in messages)).encode()).hexdigest()[:24]
    return Change(BATCH, f"batch_{target}", _batch(messages))


def whole_text(change: Change) -> str:
    """What the person will read, of one message."""
    return reads(change.data)


def reads(data: Mapping[str, Any]) -> str:
    """What the person will read: the template filled, or the text and the notice."""
    way = data["way"]
    if way and way.get("template"):
        return _HOLE.sub(lambda hole: str(way["values"][hole[1]]), way["template"]["body"])
    return f"{data['text']}\n\n{data['notice']}".strip()


def message_key(data: Mapping[str, Any]) -> str:
    """Of a message in the outbox: the same one is there once."""
    exact = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return f"first:{hashlib.sha256(exact.encode()).hexdigest()[:40]}"


def simulated(reference: str) -> bool:
    """Whether an address is of a simulator: then the company does not exist, and its number may be somebody's."""
    host = urlsplit(reference).hostname or ""
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith((".example", ".test", ".invalid"))


_GREETING = re.compile(
    r"^(?:ol[aá]|oi|bom dia|boa tarde|boa noite|hola|buen[oa]s (?:d[ií]as|tardes|noches)|hello|hi|dear|prezad[oa]s?"
    r"|tudo bem)\b",
    re.I,
)
_OURSELVES = re.compile(
    r"^(?:aqui (?:é|e|fala)|(?:eu )?sou|somos|me chamo|meu nome|(?:eu )?falo|(?:yo )?soy|me llamo|mi nombre|i am|i'm"
    r"|this is|my name)\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")


def opening_of(text: str) -> str:
    """What a message says beside greeting, introduction and question, which a template has of its own: in one line, at
    most MOST_OPENING letters, ending with a sentence where it can. "" when nothing is said."""
    said = [one.strip() for one in _SENTENCE.split(" ".join(text.split())) if one.strip()]
    while said and (_GREETING.match(said[0]) or _OURSELVES.match(said[0])) and len(said[0]) <= 120:
        said.pop(0)
    kept = ""
    for sentence in said:
        if kept and sentence.endswith("?"):
            break
        if len(kept) + len(sentence) + 1 > MOST_OPENING:
            break
        kept = f"{kept} {sentence}".strip()
    kept = kept or " ".join(said)[:MOST_OPENING]
    return kept if not kept or kept[-1] in ".!?…" else f"{kept}."


class FirstContactHandler:
    """Changes of kind "first_contact". app.py registers it with Crm.blocked as `blocked` (tools/leads.py); without a
    `door` a yes is refused and the message stays where it is."""

    kind = KIND
    area = AREA
    outcome = "first_contact_queued"

    def __init__(self, db: Database, blocked: Blocked, door: Door | None = None) -> None:
        self._db = db
        self._blocked = blocked
        self._door = door

    def effect(self, change: Change) -> str:
        return "SEND"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """Company, channel, number or address, where that is from, when it may leave, and the text as it is read."""
        data = change.data
        outlook, warnings = await self._seen(tenant_id, data)
        way = data["way"] or {}
        by = [("first_contact.by", way["channel"])] if way else []
        if way.get("template"):
            by.append(("first_contact.template", way["template"]["name"]))
            text: list[tuple[str, Any]] = [("first_contact.reads", reads(data))]
        else:
            text = [("first_contact.text", data["text"]), ("first_contact.notice", data["notice"])]
        return Preview(
            title="first_contact.title",
            title_params={"name": data["name"]},
            lines=[
                ("first_contact.company", data["name"]),
                ("first_contact.channel", (f"first_contact.channel.{data['channel']}", {})),
                *by,
                ("first_contact.to", _to(data)),
                ("first_contact.source", (f"first_contact.known_from.{data['known_from']}", {})),
                ("first_contact.since", date.fromisoformat(data["known_on"])),
                *([("first_contact.when", outlook.when)] if outlook else []),
                *text,
                *_cadence_lines(data.get("cadence")),
            ],
            warnings=warnings,
            editable=editable_of(data),
        )

    async def ready(self, tenant_id: str, change: Change) -> None:
        """Refused: no_door_to_send, sandbox_never_sends (a simulated company, no sandbox to send it through), or what
        the rules say to it for good (opted out, too many messages …)."""
        await self._ready(tenant_id, change.data)

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Refused: as `ready`, lead_gone (rejected, lost, erased since), lead_blocked."""
        await self._recheck(tenant_id, change.data)
        await self._ready(tenant_id, change.data)

    async def apply(self, tenant_id: str, change: Change) -> None:
        await self._put(tenant_id, [change.data])

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        """Whether it is in the outbox; how it fares from there is the outbox's to tell."""
        return await self._there(tenant_id, [change.data])

    def inverse(self, change: Change) -> Change | None:
        """Not to send it after all: possible while it waits for its hour. What was read cannot be taken back."""
        messages = change.data.get("messages", [change.data])
        kept = [{"key": message_key(one), "name": one["name"], "company": one["company"]} for one in messages]
        return Change(KEEP, change.target, {"messages": kept, "about": sorted(one["company"] for one in kept)})

    async def undoable(self, tenant_id: str, change: Change) -> bool:
        """Whether one of its messages has not left yet."""
        messages = change.data.get("messages", [change.data])
        return self._door is not None and bool(
            await self._door.still_here(tenant_id, [message_key(one) for one in messages])
        )

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """Other words. ArgumentsWrong: edit_not_possible (field), first_contact_text (most)."""
        if wrong := set(edits) - set(editable_of(change.data)):
            raise ArgumentsWrong("edit_not_possible", f"cannot edit {sorted(wrong)}", field=min(wrong))
        return replace(change, data=_edited(change.data, edits)) if edits else change

    # --- one message ------------------------------------------------------------------------------

    async def _ready(self, tenant_id: str, data: Mapping[str, Any]) -> None:
        if self._door is None or data["way"] is None:
            if data["sandbox"]:
                raise Refused("sandbox_never_sends", "the company is simulated, and no sandbox is connected")
            raise Refused("no_door_to_send", "no channel is connected by which a first message could be sent")
        outlook = await self._door.outlook(tenant_id, data)
        if outlook.never is not None:
            raise outlook.never

    async def _put(self, tenant_id: str, messages: Sequence[Mapping[str, Any]]) -> None:
        if self._door is None:
            raise Refused("no_door_to_send", "no channel is connected by which a first message could be sent")
        await self._door.put(tenant_id, messages)

    async def _recheck(self, tenant_id: str, data: Mapping[str, Any]) -> None:
        if not await self._is_lead(tenant_id, data["candidate"], data["company"]):
            raise Refused("lead_gone", "the company is no lead any more", name=data["name"])
        if await self._blocked(tenant_id, [(kind, given) for kind, given in data["keys"]]):
            raise Refused("lead_blocked", "the company is on the do-not-contact list", name=data["name"])

    async def _there(self, tenant_id: str, messages: Sequence[Mapping[str, Any]]) -> ReadBack:
        if self._door is None:
            return ReadBack.NOT_APPLIED
        keys = [message_key(one) for one in messages]
        found = await self._door.waiting(tenant_id, keys)
        # They are put in one transaction. Some without others: the gateway has refused those since.
        return ReadBack.APPLIED if found else ReadBack.NOT_APPLIED

    async def _seen(self, tenant_id: str, data: Mapping[str, Any]) -> tuple[Outlook | None, list[Line]]:
        """What the rules say of it, and what the approver should know."""
        warnings: list[Line] = []
        outlook = None
        if data["way"] is None:
            warnings.append(("first_contact.no_door", {}))
            if data["sandbox"]:
                warnings.append(("first_contact.sandbox", {}))
        elif self._door is not None:
            outlook = await self._door.outlook(tenant_id, data)
            if outlook.never is not None:
                warnings.append((f"error.{outlook.never.code}", dict(outlook.never.params)))
            warnings.extend(outlook.cautions)
        if data["channel"] == "phone" and not _mobile(data["to"]):
            warnings.append(("first_contact.landline", {}))
        way = data["way"]
        if way and way.get("template") and not _tells_source(way["template"]["body"], reads(data)):
            warnings.append(("first_contact.source_untold", {"template": way["template"]["name"]}))
        return outlook, warnings

    async def _is_lead(self, tenant_id: str, candidate_id: str, company_id: str) -> bool:
        """Saved to the CRM, and neither rejected nor decided since: won, lost, "not this kind"."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """SELECT 1 FROM prospect_candidates c WHERE c.id = %s AND c.company_id = %s AND c.state = 'saved'
                   AND NOT EXISTS (SELECT 1 FROM prospect_feedback f WHERE f.candidate_id = c.id)""",
                [candidate_id, company_id],
            )
        return row is not None


class KeepFirstContact:
    """Changes of kind "first_contact_keep": messages that were approved and wait are not sent after all."""

    kind = KEEP
    area = AREA

    def __init__(self, door: Door | None = None) -> None:
        self._door = door

    def effect(self, change: Change) -> str:
        return "WRITE"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """Refused("first_contact_left") when all of them have left."""
        here = await self._here(tenant_id, change)
        if not here:
            raise Refused("first_contact_left", "nothing of it waits any more")
        names = [("first_contact.to", one["name"]) for one in change.data["messages"] if one["key"] in here]
        gone = [one["name"] for one in change.data["messages"] if one["key"] not in here]
        warnings: list[Line] = [("first_contact.keep_gone", {"names": ", ".join(gone)})] if gone else []
        return Preview(title="first_contact.keep", title_params={"count": len(here)}, lines=names, warnings=warnings)

    async def recheck(self, tenant_id: str, change: Change) -> None:
        if not await self._here(tenant_id, change):
            raise Refused("first_contact_left", "nothing of it waits any more")

    async def apply(self, tenant_id: str, change: Change) -> None:
        assert self._door is not None
        if not await self._door.keep(tenant_id, [one["key"] for one in change.data["messages"]]):
            raise Refused("first_contact_left", "nothing of it waits any more")

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        return ReadBack.NOT_APPLIED if await self._here(tenant_id, change) else ReadBack.APPLIED

    def inverse(self, change: Change) -> Change | None:
        """It can be proposed anew."""
        return None

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        if edits:
            raise ArgumentsWrong("edit_not_possible", "nothing to edit", field=min(edits))
        return change

    async def _here(self, tenant_id: str, change: Change) -> set[str]:
        if self._door is None:
            return set()
        return await self._door.still_here(tenant_id, [one["key"] for one in change.data["messages"]])


class FirstContactBatch(FirstContactHandler):
    """Changes of kind "first_contacts": up to ten messages that are read, edited or left out, and approved as one."""

    kind = BATCH
    outcome = "first_contacts_queued"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """What they have in common once; then each with whom, when and the whole text that will be read."""
        messages = change.data["messages"]
        lines: list[tuple[str, Any]] = []
        warnings: list[Line] = []
        ways = [one["way"] for one in messages if one["way"]]
        for name in dict.fromkeys(way["channel"] for way in ways):
            lines.append(("first_contact.by", name))
        for name in dict.fromkeys(way["template"]["name"] for way in ways if way.get("template")):
            lines.append(("first_contact.template", name))
        plain = [one for one in messages if not (one["way"] or {}).get("template")]
        seen = [await self._seen(tenant_id, one) for one in messages]
        whens = [outlook.when for outlook, _ in seen if outlook]
        together = whens[0] if len(whens) == len(messages) and all(one == whens[0] for one in whens) else None
        if together:
            lines.append(("first_contact.when", together))
        for number, (data, (outlook, told)) in enumerate(zip(messages, seen, strict=True), 1):
            whom = {"n": number, "name": data["name"], "to": _to(data)}
            lines.append(("first_contact.to", ("first_contact.nth", whom)))
            if data in plain:
                lines.append(("first_contact.text", data["text"]))
            else:
                lines.append(("first_contact.reads", reads(data)))
            if outlook and not together:
                lines.append(("first_contact.when", outlook.when))
            warnings += [one for one in told if one not in warnings]
        for notice in dict.fromkeys(one["notice"] for one in plain):
            lines.append(("first_contact.notice", notice))
        for label, (key, params) in _cadence_lines(messages[0].get("cadence")):  # the same for all, but for the name
            text = str(params["text"]).replace(messages[0]["name"], "[…]")
            lines.append((label, (key, {**params, "text": text})))
        return Preview(
            title="first_contacts.title",
            title_params={"count": len(messages)},
            lines=lines,
            warnings=warnings,
            editable={"messages": "\n".join(f"{n}: {_words(one)}" for n, one in enumerate(messages, 1))},
        )

    async def ready(self, tenant_id: str, change: Change) -> None:
        """Refused as for one, with the name of the first that cannot go: it can be left out."""
        for number, data in enumerate(change.data["messages"], 1):
            try:
                await self._ready(tenant_id, data)
                await self._recheck(tenant_id, data)
            except Refused as refused:
                if refused.code in ("no_door_to_send", "sandbox_never_sends"):
                    raise
                why = refused.code
                raise Refused("first_contacts_one", str(refused), n=number, name=data["name"], why=why) from None

    async def recheck(self, tenant_id: str, change: Change) -> None:
        await self.ready(tenant_id, change)

    async def apply(self, tenant_id: str, change: Change) -> None:
        await self._put(tenant_id, change.data["messages"])

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        return await self._there(tenant_id, change.data["messages"])

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """`messages`: a line "2: other words" for each that changes, "3: -" (or nothing) for one that is left out; what
        is not named stays. A single one that is left is a change of one message.

        ArgumentsWrong: edit_not_possible (field), first_contact_line (line), first_contact_text (most),
        first_contact_count when none would be left.
        """
        if wrong := set(edits) - {"messages"}:
            raise ArgumentsWrong("edit_not_possible", f"cannot edit {sorted(wrong)}", field=min(wrong))
        messages = change.data["messages"]
        kept: dict[int, Mapping[str, Any]] = dict(enumerate(messages, 1))
        for number, words in _numbered(edits.get("messages", ""), len(messages)):
            if words in ("", "-", "–", "—"):
                kept.pop(number, None)
            elif number in kept and words != _words(messages[number - 1]):
                data = messages[number - 1]
                kept[number] = _edited(data, {_main(data): words})
        if not kept:
            raise ArgumentsWrong("first_contact_count", "none is left", most=MOST_AT_ONCE)
        left = [dict(data) for data in kept.values()]
        if left == messages:
            return change
        if len(left) == 1:
            return Change(KIND, left[0]["company"], left[0])
        return replace(change, data=_batch(left))


def _batch(messages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`about`: whose data it holds, so that it goes when one of them is erased (business/approvals/store.py)."""
    return {"messages": list(messages), "about": sorted(one["company"] for one in messages)}


def _numbered(text: str, most: int) -> list[tuple[int, str]]:
    """[(number, words)] of lines "2: words"; a line without a number goes on with the one before."""
    found: list[tuple[int, str]] = []
    for line in text.strip().splitlines():
        head = re.match(r"\s*(\d{1,2})\s*[:.)=–-]\s*(.*)$", line)
        left_out = re.match(
            r"\s*(?:tira[r]?|sem|fora|remov\w+|remove|quita[r]?|drop|without)\s+(?:a\s+|o\s+|la\s+)?(\d{1,2})\s*$",
            line,
            re.I,
        )
        if left_out:
            found.append((int(left_out[1]), ""))
        elif head:
            found.append((int(head[1]), head[2].strip()))
        elif found and line.strip():
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line.strip()}".strip())
        elif line.strip():
            raise ArgumentsWrong("first_contact_line", f"no number: {line[:80]!r}", line=line.strip()[:80])
    if odd := next((number for number, _ in found if not 1 <= number <= most), None):
        raise ArgumentsWrong("first_contact_line", f"no message {odd}", line=str(odd))
    return found


def _main(data: Mapping[str, Any]) -> str:
    """What of a message is edited first."""
    editable = editable_of(data)
    return "opening" if "opening" in editable else "text" if "text" in editable else next(iter(editable), "text")


def _words(data: Mapping[str, Any]) -> str:
    return editable_of(data).get(_main(data), "")


def editable_of(data: Mapping[str, Any]) -> dict[str, str]:
    """What of a message may be edited: what fills its template, else its text."""
    way = data["way"]
    if way and way.get("template"):
        used = _HOLE.findall(way["template"]["body"])
        return {name: str(way["values"][name]) for name in _EDITABLE if name in used}
    return {"text": data["text"]}


def _edited(data: Mapping[str, Any], edits: Mapping[str, str]) -> dict[str, Any]:
    if "text" in edits:
        return {**data, "text": _checked(edits["text"], MOST_LETTERS)}
    most = {"opening": MOST_OPENING, "name": 80}
    values = {
        **data["way"]["values"],
        **{name: " ".join(_checked(words, most[name]).split()) for name, words in edits.items()},
    }
    return {**data, "way": {**data["way"], "values": values}}


def _to(data: Mapping[str, Any]) -> str:
    return str(data["to"]) if data["channel"] == "email" else formats.phone(data["to"])


def _mobile(to: str) -> bool:
    digits = re.sub(r"\D", "", to).removeprefix("55")
    return len(digits) == 11 and digits[2] == "9"


_SOURCES = re.compile(
    r"\b(?:cadastro|registro|registry|receita federal|cnpj|site|sitio|website|mapa?s?|p[aá]gina|page|google"
    r"|internet)\b",
    re.I,
)


def _tells_source(body: str, text: str) -> bool:
    """Whether the person reads where we have the contact from: by the template, or by the words that fill it."""
    return "source" in _HOLE.findall(body) or bool(_SOURCES.search(text))


def _cadence_lines(cadence: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """What follows, step by step: it is approved with the first message."""
    return [("first_contact.follows", (step["key"], step["params"])) for step in (cadence or {}).get("shown", [])]


def _checked(text: str, most: int) -> str:
    text = text.strip()
    if not text or len(text) > most:
        raise ArgumentsWrong("first_contact_text", f"1 to {most} letters", most=most)
    return text
