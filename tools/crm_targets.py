"""Who is meant: a record named as people name it becomes one record, or an error that lists those it may be.

An id, "a segunda" and "ela" (what was shown last in the conversation), a telephone, an e-mail, a document, a name. What
fits several is never guessed at.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from business.crm.deals import first_stages
from business.crm.identity import KeyKind, key
from business.crm.model import Company, Contact, Deal, Found, Stage, StageKind, Subject, Task
from business.crm.service import Crm
from core.errors import ArgumentsWrong, Refused
from core.words import ORDINALS, folded, squeezed
from tools.spec import ToolContext

Kind = Literal["contact", "company", "deal", "task"]
RECORDS: tuple[Kind, ...] = ("contact", "company")
CONTACTS: tuple[Kind, ...] = ("contact",)
COMPANIES: tuple[Kind, ...] = ("company",)
DEALS: tuple[Kind, ...] = ("deal",)
TASKS: tuple[Kind, ...] = ("task",)
ANY: tuple[Kind, ...] = ("contact", "company", "deal")

MOST_CANDIDATES = 8
_MOST_DEALS = 1_000  # the latest changed, among which a title is looked for
_ID = re.compile(r"(con|com|deal|task)_[0-9a-f]{32}")
_KIND_OF: dict[str, Kind] = {"con": "contact", "com": "company", "deal": "deal", "task": "task"}
_SHOWN = frozenset({*_KIND_OF.values(), "candidate"})  # what a search found may be a record by now: by its name
_SHORT_ENDS = {1: "st", 2: "nd", 3: "rd"}
_ORDINALS = (
    *((rf"{word}|{place}(?:[ªºao]|{_SHORT_ENDS.get(place, 'th')})", place) for word, place in ORDINALS.items()),
    (r"ultim[ao]|last", -1),
)
_SMALL_WORDS = frozenset("a o as os para pra pro com de da do to the of with for la el con en na no".split())
_ARTICLE = re.compile(
    r"^(?:o|a|os|as|do|da|de|dos|das|no|na|ao|the|el|la|los|las|del|al|com|con|with|para|pra|to)\s+", re.I
)
_NOUN = re.compile(
    r"^(?:contatos?|contacts?|contactos?|clientes?|customers?|clients?|empresas?|company|companies|leads?"
    r"|neg[oó]cios?|deals?|oportunidades?|opportunit(?:y|ies)|tarefas?|tasks?|tareas?|pessoas?|person|personas?)\s+",
    re.I,
)  # fmt: skip
_POINTS = re.compile(
    r"(?:el[ae]s?|del[ae]s?|ess[ae]s?|est[ae]s?|dess[ae]s?|dest[ae]s?|isso|isto|it|him|her|them|this|that|ell[ao]s?"
    r"|es[aeo]|l[aoe])"
    r"(?: (?:contato|contact|contacto|cliente|customer|client|empresa|company|lead|negocio|deal|tarefa|task|tarea"
    r"|pessoa|person|persona|one))?"
)


@dataclass(frozen=True)
class Target:
    """One record. `name` is what it is called here."""

    kind: Kind
    id: str
    name: str

    @property
    def subject(self) -> Subject:
        return Subject(self.kind)


def crm_of(ctx: ToolContext) -> Crm:
    return ctx.service(Crm)


async def meant(ctx: ToolContext, mention: str, kinds: Collection[Kind] = RECORDS) -> Target:
    """The one record of `kinds` that `mention` names. A contact or company stands for its deal where a deal is wanted,
    and a deal for its contact or company.

    ArgumentsWrong: crm_ambiguous (mention, candidates: id, name, kind, detail), crm_nobody (mention, closest),
    crm_no_deal (name), crm_nothing_shown (mention). Refused: crm_unknown, crm_not_allowed.
    """
    mention = mention.strip().strip("\"'“”«».,;!?")
    if shown := _shown(ctx, mention):
        if _ID.fullmatch(str(shown["id"])):
            return await _turned(ctx, await _read(ctx, _kind(shown), str(shown["id"])), kinds)
        mention = str(shown["name"])  # shown by a search, and perhaps a record by now
    if found := _ID.fullmatch(mention):
        return await _turned(ctx, await _read(ctx, _KIND_OF[found[1]], mention), kinds)
    bare = _bare(mention)
    if "task" in kinds:
        return await _task(ctx, bare)
    if "deal" in kinds and (deal := await _deal_titled(ctx, bare, whole=True)):
        return deal
    if target := await _by_key(ctx, bare):
        return await _turned(ctx, target, kinds)
    try:
        record = await _by_name(ctx, bare, kinds)
    except ArgumentsWrong as error:
        if "deal" in kinds and error.code == "crm_nobody" and (deal := await _deal_titled(ctx, bare, whole=False)):
            return deal
        raise
    return await _turned(ctx, record, kinds)


async def deal_of(ctx: ToolContext, target: Target) -> Deal:
    return await crm_of(ctx).deal(ctx.turn.identity, target.id)


def stage_meant(stages: Sequence[Stage], mention: str) -> Stage:
    """The stage that people call so: its name, a word of it that no other has, or "ganho" and "perdido".

    ArgumentsWrong("crm_stage_which", mention, stages)."""
    wanted = folded(mention)
    same = [stage for stage in stages if folded(stage.name) == wanted]
    words = set(_stems(wanted))
    alike = [stage for stage in stages if words and words <= set(_stems(folded(stage.name)))]
    if not (same or alike):
        alike = [stage for stage in stages if folded(stage.name) in _in_other_languages(words)]
    if not (same or alike):
        ends = {"ganh": StageKind.WON, "gana": StageKind.WON, "won": StageKind.WON, "perd": StageKind.LOST,
                "lost": StageKind.LOST}  # fmt: skip
        alike = [stage for stage in stages for word in words if ends.get(word[:4]) is stage.kind]
    found = same or alike
    if len(found) != 1:
        names = [stage.name for stage in stages]
        raise ArgumentsWrong(
            "crm_stage_which", f"{mention[:60]!r}; there are: {names}", mention=mention[:60], stages=names
        )
    return found[0]


def _in_other_languages(words: set[str]) -> set[str]:
    """The names, in all languages, of the usual stages that one language calls so: "negotiation" is "Negociação"."""
    by_language = list(first_stages().values())
    found: set[str] = set()
    for names in by_language:
        for place, (name, _) in enumerate(names):
            if words and words <= set(_stems(folded(name))):
                found |= {folded(other[place][0]) for other in by_language}
    return found


async def member_meant(ctx: ToolContext, mention: str) -> tuple[str, str]:
    """(user id, name) of the person of the house who is meant; "eu" is who asks.

    ArgumentsWrong("crm_owner_which", mention, team)."""
    team = await crm_of(ctx).team(ctx.turn.identity)
    wanted = folded(mention)
    me = ctx.turn.identity.user_id
    if wanted in ("eu", "mim", "me", "myself", "i", "yo", "mi") and me in team:
        return me, team[me]
    same = [(id_, name) for id_, name in team.items() if folded(name) == wanted]
    alike = [(id_, name) for id_, name in team.items() if set(wanted.split()) <= set(folded(name).split())]
    found = same or (alike if wanted else [])
    if len(found) != 1:
        names = list(team.values())
        raise ArgumentsWrong(
            "crm_owner_which", f"{mention[:60]!r}; there are: {names}", mention=mention[:60], team=names
        )
    return found[0]


def called(record: Contact | Company) -> str:
    """What a record is called; its first key where it has no name."""
    name = record.name if isinstance(record, Contact) else record.trade_name or record.legal_name
    return name or (record.keys[0].given if record.keys else record.id)


# --- what was shown before ------------------------------------------------------------------------


def _shown(ctx: ToolContext, mention: str) -> dict[str, Any] | None:
    """The row that "a segunda", "2" or "ela" points at; None when it points at nothing."""
    session = ctx.turn.session
    asked = (session.get("open") or {}).get("candidates") or []
    rows = [one for one in asked or session.get("entities") or [] if one.get("kind") in _SHOWN]
    words = squeezed(mention)
    place = _place(words)
    if place is not None:
        wanted = rows[-1] if place == -1 and rows else next((one for one in rows if one.get("n") == place), None)
        if wanted is None and not words.isdigit():
            raise ArgumentsWrong("crm_nothing_shown", f"nothing was shown as {mention[:40]!r}", mention=mention[:40])
        return wanted
    if not _POINTS.fullmatch(words):
        return None
    focus = session.get("focus") or {}
    if focus.get("kind") in _SHOWN:
        return dict(focus)
    if len(rows) == 1:
        return rows[0]
    raise ArgumentsWrong("crm_nothing_shown", f"nothing was shown as {mention[:40]!r}", mention=mention[:40])


def place_named(text: str) -> int | None:
    """The number of a row that a text names in words ("a segunda empresa", "#3"), -1 for the last; None for none."""
    return _place(squeezed(text))


def _place(words: str) -> int | None:
    bare = _NOUN.sub("", _ARTICLE.sub("", words)).strip()
    if found := re.fullmatch(r"(?:#|n(?:umero|o)?\.? ?|number )?(\d{1,2})", bare):
        return int(found[1])
    tail = (
        r"(?: (?:del[ae]s|da lista|of them|de la lista|one|empresa|contato|negocio|tarefa|company|contact|deal"
        r"|task|contacto|tarea|cliente|lead))?"
    )
    for pattern, place in _ORDINALS:
        if re.fullmatch(rf"(?:{pattern}){tail}", bare):
            return place
    return None


def _kind(shown: dict[str, Any]) -> Kind:
    kind: Kind = shown["kind"]
    return kind


def _bare(mention: str) -> str:
    """Without the article and the noun in front: "o contato Ana" is Ana."""
    for _ in range(2):
        for pattern in (_ARTICLE, _NOUN):
            rest = pattern.sub("", mention, count=1).strip()
            if rest and rest != mention:
                mention = rest
    return mention


# --- looking ------------------------------------------------------------------------------------


async def _read(ctx: ToolContext, kind: Kind, record_id: str) -> Target:
    """The record as it is now: it may be gone since it was shown. Refused("crm_unknown")."""
    crm, who = crm_of(ctx), ctx.turn.identity
    match kind:
        case "contact":
            return Target(kind, record_id, called(await crm.contact(who, record_id)))
        case "company":
            return Target(kind, record_id, called(await crm.company(who, record_id)))
        case "deal":
            return Target(kind, record_id, (await crm.deal(who, record_id)).title)
        case "task":
            task = next((one for one in await crm.tasks(who, done=None, limit=1_000) if one.id == record_id), None)
            if task is None:
                raise Refused("crm_unknown", f"no task {record_id}")
            return Target(kind, record_id, task.title)


async def _turned(ctx: ToolContext, target: Target, kinds: Collection[Kind]) -> Target:
    """The target as one of `kinds`: a company's deal, a deal's company."""
    if target.kind in kinds:
        return target
    crm, who = crm_of(ctx), ctx.turn.identity
    if target.kind == "deal" and set(kinds) & set(RECORDS):
        deal = await crm.deal(who, target.id)
        for kind, record_id in (("company", deal.company_id), ("contact", deal.contact_id)):
            if record_id and kind in kinds:
                return await _read(ctx, "company" if kind == "company" else "contact", record_id)
        raise Refused("crm_unknown", f"the deal {target.id} has no record")
    if "deal" in kinds and target.kind in RECORDS:
        of = {"contact_id": target.id} if target.kind == "contact" else {"company_id": target.id}
        deals = await crm.deals(who, **of)  # type: ignore[arg-type]
        live = [deal for deal in deals if deal.stage.kind is StageKind.OPEN] or deals
        if not live:
            raise ArgumentsWrong("crm_no_deal", f"{target.name!r} has no deal", name=target.name)
        if len(live) > 1:
            raise _several(target.name, [_deal_candidate(deal) for deal in live])
        return Target("deal", live[0].id, live[0].title)
    raise ArgumentsWrong("crm_nobody", f"{target.name!r} is a {target.kind}", mention=target.name, closest=[])


async def _by_key(ctx: ToolContext, text: str) -> Target | None:
    """The record that has this telephone, e-mail, document or profile; None when the text is no such thing or nobody
    has it."""
    if not re.search(r"\d{4}|@|linkedin\.com", text):
        return None
    crm, who = crm_of(ctx), ctx.turn.identity
    found: dict[str, Contact | Company] = {}
    for kind in (KeyKind.EMAIL, KeyKind.CNPJ, KeyKind.CPF, KeyKind.PHONE, KeyKind.INSTAGRAM, KeyKind.LINKEDIN):
        if kind in (KeyKind.INSTAGRAM, KeyKind.LINKEDIN) and not re.match(r"@|https?:|\w+\.com|www", text):
            continue
        if key(kind, text) is None:
            continue
        found |= {one.id: one for one in await crm.contacts_with(who, kind, text)}
        found |= {one.id: one for one in await crm.companies_with(who, kind, text)}
    records = list(found.values())
    if len(records) > 1:
        raise _several(text, [_candidate(one) for one in records])
    return _target(records[0]) if records else None


async def _by_name(ctx: ToolContext, name: str, kinds: Collection[Kind]) -> Target:
    crm, who = crm_of(ctx), ctx.turn.identity
    subjects = tuple(Subject(kind) for kind in RECORDS if kind in kinds) or tuple(Subject)
    hits = await crm.search(who, name, subjects=subjects, limit=20) if folded(name) else []
    words = set(folded(name).split())
    same = [hit for hit in hits if folded(hit.name or "") == folded(name)]
    named = [hit for hit in hits if _all_begin(words, folded(hit.name or "").split())]
    fitting = same or named
    if len(fitting) == 1:
        return Target(fitting[0].subject.value, fitting[0].id, fitting[0].name or name)
    fitting = fitting or hits  # found by their company, city or tag: who is meant is not said
    if fitting:
        raise _several(name, [await described(ctx, hit) for hit in fitting[: MOST_CANDIDATES + 1]])
    closest: list[dict[str, Any]] = []
    for word in sorted(words, key=len, reverse=True)[:2]:
        near = await crm.search(who, word[: max(4, len(word) - 2)], subjects=subjects, limit=3)
        closest += [_hit_candidate(hit) for hit in near if hit.id not in {one["id"] for one in closest}]
    names = "; ".join(str(one["name"]) for one in closest[:3])
    raise ArgumentsWrong(
        "crm_nobody",
        f"nobody is called {name[:80]!r}" + (f"; closest: {names}" if names else ""),
        mention=name[:80],
        closest=closest[:3],
    )


async def _deal_titled(ctx: ToolContext, title: str, *, whole: bool) -> Target | None:
    wanted = folded(title)
    deals = await crm_of(ctx).deals(ctx.turn.identity, limit=_MOST_DEALS)

    def fit(called: str) -> bool:
        return called == wanted if whole else _all_begin(wanted.split(), called.split())

    fits = [deal for deal in deals if wanted and fit(folded(deal.title))]
    live = [deal for deal in fits if deal.stage.kind is StageKind.OPEN] or fits
    if len(live) > 1:
        raise _several(title, [_deal_candidate(deal) for deal in live])
    return Target("deal", live[0].id, live[0].title) if live else None


async def _task(ctx: ToolContext, title: str) -> Target:
    tasks = await crm_of(ctx).tasks(ctx.turn.identity, limit=1_000)
    words = [word for word in folded(title).split() if word not in _SMALL_WORDS]
    fits = [task for task in tasks if words and _all_begin(words, folded(task.title).split())]
    if len(fits) > 1:
        raise _several(title, [{"id": one.id, "name": one.title, "kind": "task", "detail": _when(one)} for one in fits])
    if not fits:
        raise ArgumentsWrong("crm_nobody", f"no open task is called {title[:80]!r}", mention=title[:80], closest=[])
    return Target("task", fits[0].id, fits[0].title)


def _all_begin(words: Iterable[str], of: Sequence[str]) -> bool:
    """Whether every word begins a word of the other."""
    return all(any(other.startswith(word) for other in of) for word in words)


def _stems(text: str) -> list[str]:
    """Words without their endings: "propostas" is "proposta", "negociar" is "negociação"."""
    return [
        word[:6] for word in text.split() if word not in ("o", "a", "de", "the", "la", "el", "em", "etapa", "stage")
    ]


# --- candidates -----------------------------------------------------------------------------------


def _target(record: Contact | Company) -> Target:
    return Target("contact" if isinstance(record, Contact) else "company", record.id, called(record))


def _several(mention: str, candidates: list[dict[str, Any]]) -> ArgumentsWrong:
    shown = [{"n": n, **one} for n, one in enumerate(candidates[:MOST_CANDIDATES], 1)]
    names = "; ".join(f"{one['name']} ({one['id']}, {one['detail']})" for one in shown)
    return ArgumentsWrong(
        "crm_ambiguous",
        f"{mention[:80]!r} may be: {names}: ask which",
        mention=mention[:80],
        candidates=shown,
        more=len(candidates) > MOST_CANDIDATES,
    )


def candidate(kind: str, record_id: str, name: str | None, *details: str | None) -> dict[str, Any]:
    return {"id": record_id, "name": name or "–", "kind": kind, "detail": ", ".join(one for one in details if one)}


def _candidate(record: Contact | Company) -> dict[str, Any]:
    target = _target(record)
    first = record.keys[0].given if record.keys else None
    company = record.company_name if isinstance(record, Contact) else None
    return candidate(target.kind, target.id, target.name, company, record.city, first)


async def described(ctx: ToolContext, hit: Found) -> dict[str, Any]:
    """A hit with what tells it from another of the same name: company, city, its first telephone or e-mail."""
    crm, who = crm_of(ctx), ctx.turn.identity
    if hit.subject is Subject.CONTACT:
        return _candidate(await crm.contact(who, hit.id))
    return _candidate(await crm.company(who, hit.id))


def _hit_candidate(hit: Found) -> dict[str, Any]:
    return candidate(hit.subject.value, hit.id, hit.name, hit.company_name, hit.city)


def _deal_candidate(deal: Deal) -> dict[str, Any]:
    amount = f"{deal.amount.amount} {deal.amount.currency}" if deal.amount else None
    return candidate("deal", deal.id, deal.title, deal.stage.name, amount)


def _when(task: Task) -> str:
    return task.due_at.date().isoformat() if task.due_at else ""
