"""A candidate becomes a lead: a company of the CRM with where each thing is known from, and a deal on the first stage.

What is done here is done once, however often it is asked for: the company is found again by what identifies it, a
second open deal is not made, and the candidate remembers what it became. What is not clear is written nowhere and
waits for a person; who asked not to be contacted is not saved at all.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from zoneinfo import ZoneInfo

from business.approvals.model import Change
from business.crm.identity import KeyKind, is_mobile, phone
from business.crm.model import CompanyData, ContactData, Outcome, Source, StageKind, Subject, Upserted
from business.crm.names import Likeness, compare_companies
from business.crm.service import Crm
from business.prospecting.contact import (
    Channel,
    Door,
    KnownFrom,
    opening_of,
    plan_first_contact,
    simulated,
    whole_text,
)
from business.prospecting.evidence import WEBSITE, Evidence, Kind, company_url, of_company, of_kind
from business.prospecting.lines import Line, said
from business.prospecting.searches import Candidate, CandidateState, Search, Searches
from core import formats
from core.db import Database, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.tenancy import Identity
from integrations.brasil_places.cities import known_cities
from integrations.minha_receita.client import SOURCE as REGISTRY
from integrations.minha_receita.payloads import Company, from_record
from prompts.texts import Texts

_KEYS = {
    Kind.PHONE: KeyKind.PHONE, Kind.WHATSAPP: KeyKind.WA_ID, Kind.EMAIL: KeyKind.EMAIL,
    Kind.INSTAGRAM: KeyKind.INSTAGRAM, Kind.LINKEDIN: KeyKind.LINKEDIN,
}  # fmt: skip
Follows = Callable[[Mapping[str, str], Sequence[Mapping[str, str]] | None], Mapping[str, Any]]
"""What follows a first message, as business/prospecting/contact.py freezes it: of the values that fill texts, and of
the templates as which it may leave (None: in free words)."""
AMBIGUOUS = "lead.note.ambiguous"
"""The key of the note on a candidate that may be one of several companies of the CRM."""
_LONGEST_TAG, _LONGEST_TITLE = 60, 300


class Leads:
    """Candidates into the CRM, with the rights of who asked for them."""

    def __init__(self, db: Database, crm: Crm, searches: Searches, texts: Texts, door: Door | None = None) -> None:
        """`door`: by which first messages leave; None: by nothing yet."""
        self._db = db
        self._crm = crm
        self._searches = searches
        self._texts = texts
        self._door = door

    async def save(self, who: Identity, search: Search, candidate: Candidate, *, as_new: bool = False) -> Candidate:
        """Bring a candidate into the CRM; the candidate as it then is. `as_new`: a person said that it is none of the
        companies that it may be.

        saved: it is the company `company_id`, `outcome` created, updated or unchanged, with an open deal.
        rejected: it is on the list of those not to be contacted; new, with a note: it is not clear which company of the
        CRM it is, and a person has to say. Refused: prospect_not_allowed, crm_not_allowed.
        """
        self._searches.check_may_change(who)
        async with self._db.lock(f"lead:{who.tenant_id}:{candidate.id}", timeout=30, brief=True):
            candidate = await self._searches.candidate(who, candidate.id)
            if candidate.state is CandidateState.SAVED or candidate.bronze is None:  # done already, or erased
                return candidate
            lead = _Lead.of(candidate, search, partial(self._texts.say, search.language), who)
            blocked = await self._crm.blocked(who.tenant_id, lead.keys)
            if blocked:
                first = blocked[0]
                what = Line(f"lead.key.{first.kind}")
                reason = Line(f"lead.blocked.{first.reason}")
                told = {"what": what, "reason": reason, "since": first.since.astimezone(ZoneInfo(who.time_zone)).date()}
                note = Line("lead.note.blocked", told)
                return await self._searches.mark(who, candidate.id, CandidateState.REJECTED, note=note)
            try:
                saved = await self._company(who, lead, as_new)
            except (Refused, ArgumentsWrong) as error:
                if error.code == "crm_not_allowed":
                    raise
                saved = Line(f"error.{error.code}", dict(error.params))  # one odd company does not end a search
            if isinstance(saved, Line):
                return await self._searches.mark(who, candidate.id, CandidateState.NEW, note=saved)
            company_id, outcome = saved
            await self._people(who, lead, company_id)
            customer = await self._deal(who, lead, company_id)
            await self._qualified(who, lead, company_id)
            return await self._searches.mark(
                who, candidate.id, CandidateState.SAVED, company_id=company_id, outcome=outcome,
                note=Line("lead.note.customer") if customer else None,
            )  # fmt: skip

    async def renew(self, who: Identity, search: Search, candidate: Candidate) -> None:
        """Bring what was learnt of a lead since it was saved to its company in the CRM."""
        if candidate.company_id is None or candidate.bronze is None:
            return
        lead = _Lead.of(candidate, search, partial(self._texts.say, search.language), who)
        if not await self._crm.blocked(who.tenant_id, lead.keys):
            await self._company(who, lead, False)

    async def close_deal(self, who: Identity, candidate: Candidate, *, won: bool) -> list[Line]:
        """Put the deal that a lead was given on the first stage of its kind; which one, in a sentence. Deals that
        others opened with the company are not touched: they are told of."""
        if candidate.company_id is None or candidate.bronze is None:
            return []
        kind = StageKind.WON if won else StageKind.LOST
        stage = next(stage for stage in await self._crm.stages(who) if stage.kind is kind)
        deals = await self._crm.deals(who, company_id=candidate.company_id, kind=StageKind.OPEN)
        if not deals:
            return []
        search = await self._searches.get(who, candidate.search_id)
        tags = set(_Lead.of(candidate, search, partial(self._texts.say, search.language), who).tags)
        ours = [deal for deal in deals if tags <= set(deal.tags)]
        for deal in ours:
            await self._crm.move_deal(who, deal.id, stage.id)
        told = [Line("lead.note.deal_moved", {"stage": stage.name})] if ours else []
        left = len(deals) - len(ours)
        return [*told, Line("lead.note.deals_left", {"count": left})] if left else told

    async def forget(self, who: Identity, candidate_id: str) -> bool:
        """Erase a candidate and the company that it became, for good: it is not found again, and its keys go on the
        list of those not to be contacted. Whether there was something. Refused: prospect_*, crm_not_allowed."""
        candidate = await self._searches.candidate(who, candidate_id)
        if candidate.cnpj is None:
            return False
        if candidate.company_id is not None:
            await self._crm.erase(who, Subject.COMPANY, candidate.company_id, keep_out=True)
        return await self._searches.forget(who, candidate.cnpj)

    async def draft(
        self,
        who: Identity,
        candidate_id: str,
        text: str,
        language: str,
        follows: Follows | None = None,
    ) -> Change:
        """A first message to a saved candidate, to be proposed: by WhatsApp, telephone or e-mail, whichever is known
        best, as it will be read: in a template, or with the notice of who we are, where the contact is from and how to
        be left alone. The draft also stands on the company's timeline. `follows`: what comes
        after it when nobody answers.

        Refused: lead_gone (it is not saved), lead_blocked, first_contact_no_way (name), crm_*, prospect_*.
        ArgumentsWrong("first_contact_text", most).
        """
        candidate = await self._searches.candidate(who, candidate_id)
        if candidate.state is not CandidateState.SAVED or candidate.company_id is None or candidate.bronze is None:
            raise Refused("lead_gone", "only a company that was saved to the CRM is written to")
        company = await self._crm.company(who, candidate.company_id)
        name = spoken(company.trade_name or company.legal_name or candidate.name or "")
        keys = [(str(key.kind), key.given) for key in company.keys]
        if await self.blocked(who.tenant_id, keys):
            raise Refused("lead_blocked", "the company is on the do-not-contact list")
        ways = ways_to(candidate.evidence)
        if not ways:
            raise Refused("first_contact_no_way", f"no way to reach {name!r}", name=name)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await fetch_one(conn, "SELECT name FROM tenants")
        say = partial(self._texts.say, language)
        ours = row["name"] if row else ""
        reference = company_url(from_record(candidate.bronze))
        values = {"name": name, "sender": who.name, "house": ours, "opening": opening_of(text)}
        planned, chosen = None, ways[0]
        for one in ways if self._door is not None else []:  # the best that a channel of the house can take
            assert self._door is not None
            told = values | {"source": say(f"first_contact.known_from.{_from(one[1])}")}
            planned = await self._door.way(
                who.tenant_id, channel=one[0], to=_given(one), sandbox=simulated(reference), language=language,
                values=told,
            )  # fmt: skip
            if planned is not None:
                chosen = one
                break
        (channel, found), to, known_from = chosen, _given(chosen), _from(chosen[1])
        source = say(f"first_contact.known_from.{known_from}")
        change = plan_first_contact(
            company_id=company.id,
            candidate_id=candidate.id,
            name=name,
            channel=channel,
            to=to,
            keys=keys,
            text=text,
            notice=say("first_contact.lgpd", who=ours, source=source, at=found.day),
            known_from=known_from,
            known_on=found.day,
            reference=reference,
            way=planned,
            owner_id=company.owner_id or who.user_id,
            cadence=follows(values, (planned or {}).get("follow_up")) if follows is not None else None,
        )
        shown = to if channel == "email" else formats.phone(to)
        note = say("first_contact.draft", to=shown, text=whole_text(change))
        written = await self._crm.timeline(who, company_id=company.id, limit=20)
        if note not in [one.text for one in written]:
            await self._crm.write_activity(who, "note", note, company_id=company.id)
        return change

    async def blocked(self, tenant_id: str, keys: Sequence[tuple[str, str]]) -> bool:
        """Whether one of these is on the list of those not to be contacted: for FirstContactHandler."""
        return bool(await self._crm.blocked(tenant_id, [(KeyKind(kind), given) for kind, given in keys]))

    # --- one lead ---------------------------------------------------------------------------------

    async def _company(self, who: Identity, lead: "_Lead", as_new: bool) -> tuple[str, str] | Line:
        """Its id and what saving it was, or why it waits."""
        registry, *others = lead.data
        planned = await self._crm.upsert_company(who, registry, dry_run=True, as_new=as_new)
        taken = {name for name, (before, _) in planned.changes.items() if before is not None}
        # Whose it is and what for stays as it was, where somebody had said so before.
        registry = replace(
            registry,
            owner_id=None if "owner_id" in taken else registry.owner_id,
            purpose=None if "purpose" in taken else registry.purpose,
        )
        first = await self._crm.upsert_company(who, registry, as_new=as_new)
        if first.id is None:
            return _unclear(first)
        outcomes = [first.outcome]
        for data in others:
            # What a source told that belongs to another company as well is left aside: AMBIGUOUS, or refused.
            with contextlib.suppress(Refused, ArgumentsWrong):
                outcomes.append((await self._crm.upsert_company(who, data, into=first.id)).outcome)
        told = [one for one in (Outcome.CREATED, Outcome.UPDATED) if one in outcomes]
        return first.id, str(told[0] if told else Outcome.UNCHANGED)

    async def _people(self, who: Identity, lead: "_Lead", company_id: str) -> None:
        """Contacts that were known before, and are of this company, belong to it now."""
        for kind, given in lead.keys:
            for contact in await self._crm.contacts_with(who, kind, given):
                alike = [compare_companies(contact.company_name, name) for name in lead.names]
                theirs = kind is KeyKind.CNPJ or Likeness.SAME in alike
                if contact.company_id is None and theirs:
                    data = ContactData(
                        source=lead.data[0].source,
                        company_id=company_id,
                        company_name=contact.company_name,
                        keys=((kind, given),),
                    )
                    await self._crm.upsert_contact(who, data, into=contact.id)

    async def _deal(self, who: Identity, lead: "_Lead", company_id: str) -> bool:
        """An open deal on the first open stage, if there is none; whether it is a customer that was won already, which
        gets no new one."""
        if await self._crm.deals(who, company_id=company_id, kind=StageKind.OPEN, limit=1):
            return False
        if await self._crm.deals(who, company_id=company_id, kind=StageKind.WON, limit=1):
            return True
        stages = await self._crm.stages(who)
        first = next(stage for stage in stages if stage.kind is StageKind.OPEN)
        title = lead.names[0][:_LONGEST_TITLE]
        await self._crm.create_deal(who, title, company_id=company_id, stage_id=first.id, tags=lead.tags)
        return False

    async def _qualified(self, who: Identity, lead: "_Lead", company_id: str) -> None:
        """Said once for each candidate: a process may have died right after it was said."""
        for entry in await self._crm.timeline(who, company_id=company_id, limit=50):
            same = entry.kind == "qualified" and entry.data.get("score") == lead.candidate.score
            if same and entry.at >= lead.candidate.found_at:
                return
        reason = lead.reason
        await self._crm.qualify(who, Subject.COMPANY, company_id, score=lead.candidate.score, reason=reason)


@dataclass(frozen=True)
class _Lead:
    """A candidate in the CRM's terms."""

    candidate: Candidate
    names: tuple[str, ...]
    """The name to call it by first."""
    data: tuple[CompanyData, ...]
    """One for each source, the registry's first."""
    tags: tuple[str, ...]
    reason: str

    @classmethod
    def of(cls, candidate: Candidate, search: Search, say: Callable[..., str], who: Identity) -> "_Lead":
        assert candidate.bronze is not None
        company = from_record(candidate.bronze)
        tags = tuple(dict.fromkeys(tag[:_LONGEST_TAG] for tag in (say("lead.tag"), *_tags(company, search))))
        names = tuple(dict.fromkeys(filter(None, (company.trade_name, company.legal_name, company.cnpj))))
        registry = replace(_of_registry(company), tags=tags, owner_id=who.user_id, purpose=say("lead.purpose"))
        told = [said(line, say) for line in candidate.reasons()]
        others = _of_others(company.cnpj, candidate.evidence)
        return cls(candidate, names, (registry, *others), tags, "; ".join(told))

    @property
    def keys(self) -> list[tuple[KeyKind, str]]:
        return list(dict.fromkeys(key for data in self.data for key in data.keys))


def _unclear(found: Upserted) -> Line:
    """Which companies of the CRM it may be, and why that is not clear."""
    names = [one.name or "…" for one in found.candidates]
    rules = list(dict.fromkeys(one.match.rule for one in found.candidates))
    return Line(AMBIGUOUS, {"names": names, "why": [Line(f"crm.rule.{rule}") for rule in rules]})


def _tags(company: Company, search: Search) -> Sequence[str]:
    """The activity as it was asked for."""
    code = company.activity.code if company.activity else None
    return [one.name for one in search.profile.activities if one.code == code]


def _of_registry(company: Company) -> CompanyData:
    address = company.address
    street = ", ".join(filter(None, (address.street, address.number, address.extra, address.district)))
    city = next((one.name for one in known_cities() if one.ibge == address.city_ibge), address.city)
    size = next((str(one.value) for one in of_kind(of_company(company), Kind.SIZE)), None)
    keys = [
        (KeyKind.CNPJ, company.cnpj),
        *((KeyKind.PHONE, phone) for phone in company.phones),
        *((KeyKind.EMAIL, email) for email in filter(None, [company.email])),
    ]
    return CompanyData(
        source=Source("registry", company_url(company), at=company.fetched_at),
        legal_name=company.legal_name,
        trade_name=company.trade_name,
        main_cnae=company.activity.code if company.activity else None,
        further_cnaes=tuple(one.code for one in company.further_activities) or None,
        size=size,
        opened_on=company.opened,
        registry_status=company.status_name,
        city=city,
        city_code=address.city_ibge,
        uf=address.uf,
        address=street or None,
        cep=address.cep,
        keys=tuple(keys),
    )


def _of_others(cnpj: str, evidence: Sequence[Evidence]) -> list[CompanyData]:
    """What map, website and web told, each place of each source by itself."""
    places: dict[Source, list[Evidence]] = {}
    for one in evidence:
        wanted = one.kind in _KEYS or one.kind is Kind.WEBSITE
        if one.source != REGISTRY and wanted and one.value is not False:
            places.setdefault(Source(_short(one), one.reference, at=one.at), []).append(one)
    found = []
    for source, pieces in places.items():
        keys = ((KeyKind.CNPJ, cnpj), *(_key(one) for one in pieces if one.kind in _KEYS))
        website = next((str(one.value) for one in pieces if one.kind is Kind.WEBSITE), None)
        found.append(CompanyData(source=source, keys=keys, website=website))
    return found


def way_to(evidence: Sequence[Evidence]) -> tuple[Channel, Evidence] | None:
    """By what to write first; None when there is nothing."""
    return next(iter(ways_to(evidence)), None)


def ways_to(evidence: Sequence[Evidence]) -> list[tuple[Channel, Evidence]]:
    """By what to write, the best first: a known WhatsApp, a mobile (which may have it), an e-mail, a landline."""
    known = [one for one in evidence if isinstance(one.value, str)]
    mobile = [one for one in of_kind(known, Kind.PHONE) if is_mobile(phone(str(one.value)) or "")]
    ways: list[tuple[Channel, Sequence[Evidence]]] = [
        ("whatsapp", of_kind(known, Kind.WHATSAPP)),
        ("phone", mobile),
        ("email", of_kind(known, Kind.EMAIL)),
        ("phone", of_kind(known, Kind.PHONE)),
    ]
    return [(channel, found[0]) for channel, found in ways if found]


_SMALL = frozenset("a as com da das de do dos e em na nas no nos o os para por".split())
_CAPITALS = frozenset("ltda me epp sa s/a mei cia".split())


def spoken(name: str) -> str:
    """A name as people write it: the registry has capitals only. "IBANEZ PROJETOS E ARQUITETURA LTDA" is Ibanez
    Projetos e Arquitetura; what is written with small letters stays."""
    words = name.split()
    if name.upper() != name or len(name) <= 4:
        return name
    while len(words) > 1 and (words[-1].strip(".-–").lower() or "me") in _CAPITALS:
        words.pop()
    said = [
        word.lower() if at and word.lower() in _SMALL else word if len(word) <= 2 else word.capitalize()
        for at, word in enumerate(words)
    ]
    return " ".join(said)


def _given(way: tuple[Channel, Evidence]) -> str:
    value = str(way[1].value)
    return value if way[0] == "email" else phone(value) or value


def _from(found: Evidence) -> KnownFrom:
    return "registry" if found.source == REGISTRY else _short(found)


def _short(one: Evidence) -> Literal["website", "map", "web"]:
    if one.source == WEBSITE:
        return "website"
    return "map" if one.reference.startswith("https://www.google.com/maps/") else "web"


def _key(one: Evidence) -> tuple[KeyKind, str]:
    given = str(one.value)
    digits = "".join(filter(str.isdigit, given))
    if one.kind is Kind.WHATSAPP and not (digits.startswith("55") and len(digits) >= 12):
        return KeyKind.PHONE, given  # WhatsApp's own writing begins with the country
    return _KEYS[one.kind], given
