"""Look-alikes of won deals: how like a company is to the nearest customer that was won, 0 to 1, and to which.

`learn` reads the CRM's events. Of a company with a won deal it keeps a description in the long-term memory: activity,
size, age, city, which presences are known; no name, telephone or person. It goes when the company is erased, merged
away, or has no won deal any more. Nothing is started for a tenant that has won none.

The memory proposes the nearest; the figure is a cosine of our own hash vectors, whatever model the memory's index runs
on, so that it means the same everywhere. A cosine is no probability: `_SCALE` says what it was measured to mean, on
pairs of 700 simulated companies, without presences. A likeness of 0.8 and more had: of another activity 0 % of pairs;
of the same activity, with none of size, age and city the same 3 %, with one 25 %, with two 88 %, with all three 100 %.
So 0.8, which the rule file asks for, reads "of the same trade, and alike in most of the rest". It knows spelling and
codes: that an architect's customers are like an engineer's it does not.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

import structlog

from business.crm.events import Happened
from business.crm.identity import KeyKind
from business.crm.model import Company as Customer
from business.crm.model import StageKind
from business.crm.service import Crm
from business.prospecting.evidence import Evidence, Kind, of_kind
from core.clock import Clock
from core.errors import MutiraoError, Refused
from core.tenancy import Identity, Role
from core.words import folded
from integrations.brasil_places.activities import activity as known_activity
from integrations.minha_receita.payloads import Company
from memory.embeddings import hash_vector
from memory.long_term import Item, LongTermMemory, Subject

COLLECTION = "wonlookalikes"
READER = "likeness"
SOURCE = "CRM"
"""The evidence's source; its reference is the won customer's name."""
LEARN_EVERY = 60.0
"""Seconds: so often at most the events are looked at while companies are compared."""
_SCALE = ((0.0, 0.0), (0.55, 0.4), (0.80, 0.8), (1.0, 1.0))
"""(cosine, likeness); straight lines between."""
_PRESENCES = {"site": Kind.WEBSITE, "instagram": Kind.INSTAGRAM, "linkedin": Kind.LINKEDIN, "whatsapp": Kind.WHATSAPP}
_COMPANY_EVENTS = (Happened.COMPANY_MERGED, Happened.COMPANY_UNMERGED)
_DEAL_EVENTS = (Happened.DEAL_WON, Happened.DEAL_LOST)

log = structlog.get_logger(__name__)


class Likeness:
    """`memory` is the tenants' long-term memory, which opens nothing before it is asked."""

    def __init__(self, memory: LongTermMemory, crm: Crm, clock: Clock) -> None:
        self._memory = memory
        self._crm = crm
        self._clock = clock
        self._looked: dict[str, float] = {}
        self._learning = asyncio.Lock()

    async def learn(self, tenant_id: str) -> int:
        """Take in what became of deals and companies since the last time; how many companies were looked at again.

        Cheap when nothing happened: one query. Unavailable as the database is.
        """
        who = _reader(tenant_id)
        looked = 0
        while True:
            async with self._crm.events(tenant_id, READER) as (conn, events):
                forgotten, again = set[str](), set[str]()
                for event in events:
                    if event.kind is Happened.ERASED and event.data.get("subject") == "company":
                        forgotten |= {event.subject_id, *event.data.get("ids", [])}
                    elif event.kind in _COMPANY_EVENTS:
                        again |= {event.subject_id, *filter(None, [event.data.get("other_id")])}
                    elif event.kind in _DEAL_EVENTS and event.data.get("company_id"):
                        again.add(event.data["company_id"])
                    elif event.kind is Happened.DEAL_MOVED:  # one that was won may have been opened again
                        again |= await self._company_of(who, event.subject_id)
                items = {one: await self._item(who, one) for one in sorted(again - forgotten)}
                won = [item for item in items.values() if item is not None]
                if won:
                    await self._memory.put(conn, tenant_id, COLLECTION, won)
                for gone in forgotten | {one for one, item in items.items() if item is None}:
                    await self._memory.forget_subject(conn, tenant_id, Subject("company", gone))
            looked += len(items)
            if won:
                await self._memory.catch_up(tenant_id)
            if not events:
                return looked

    async def of(self, tenant_id: str, text: str, *, without: str = "") -> tuple[float, str] | None:
        """How like `text` (see `description`) is to the nearest won customer, 0 to 1, and that customer's name.

        None: nobody was won yet, or the memory is away. `without`: a CNPJ whose house is not compared with itself.
        """
        recall = await self._memory.search(tenant_id, COLLECTION, text, limit=10)
        who = _reader(tenant_id)
        nearest = sorted(((_alike(text, one.item.text), one.item.id) for one in recall.found), reverse=True)
        for likeness, company_id in nearest:
            if recall.lacking and likeness < _SCALE[2][1]:
                return None  # what is not in the index yet may be nearer
            try:
                customer = await self._crm.company(who, company_id)
            except Refused:  # erased since
                continue
            if without and (customer.cnpj or "")[:8] == without[:8]:
                continue
            return likeness, customer.trade_name or customer.legal_name or customer.cnpj or company_id
        return None

    async def evidence(self, tenant_id: str, company: Company, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
        """The same as evidence on a company of the registry; nothing when it is unknown. Raises nothing for a CRM or a
        memory that is away."""
        try:
            async with self._learning:  # companies are looked at side by side: all wait for what is learnt first
                if time.monotonic() - self._looked.get(tenant_id, float("-inf")) >= LEARN_EVERY:
                    await self.learn(tenant_id)
                    self._looked[tenant_id] = time.monotonic()
            known = await self.of(tenant_id, self.describe(company, evidence), without=company.cnpj)
        except MutiraoError as error:
            log.warning("likeness_unknown", code=error.code)
            return ()
        if known is None:
            return ()
        likeness, name = known
        return (Evidence(Kind.LIKENESS, Decimal(str(round(likeness, 2))), SOURCE, name, self._clock.now()),)

    def describe(self, company: Company, evidence: Sequence[Evidence]) -> str:
        """A company of the registry, in the words that are compared."""
        size = next((str(one.value) for one in of_kind(evidence, Kind.SIZE)), None)
        presences = {
            word: found[0].value is not False for word, kind in _PRESENCES.items() if (found := of_kind(evidence, kind))
        }
        address = company.address
        code = company.activity.code if company.activity else None
        return description(code, size, company.opened, self._clock.now().date(), address.city, address.uf, presences)

    async def _company_of(self, who: Identity, deal_id: str) -> set[str]:
        try:
            deal = await self._crm.deal(who, deal_id)
        except Refused:
            return set()
        return {deal.company_id} if deal.company_id else set()

    async def _item(self, who: Identity, company_id: str) -> Item | None:
        """What is kept of a customer; None when it is gone, or nothing was won with it."""
        try:
            customer = await self._crm.company(who, company_id)
        except Refused:
            return None
        if not await self._crm.deals(who, company_id=company_id, kind=StageKind.WON, limit=1):
            return None
        text = description(
            customer.main_cnae, customer.size, customer.opened_on, self._clock.now().date(), customer.city, customer.uf,
            _presences(customer),
        )  # fmt: skip
        if not customer.main_cnae:
            return None  # without its trade nothing can be said to be like it
        return Item(company_id, text, "account data", f"crm:{company_id}", Subject("company", company_id))


def description(
    activity: str | None,
    size: str | None,
    opened: date | None,
    today: date,
    city: str | None,
    uf: str | None,
    presences: dict[str, bool],
) -> str:
    """A company in words to compare by: codes from the coarse to the fine, so that near trades share some of them.

    `activity`: CNAE subclass, 7 digits. `presences`: whether it has a site and so on, of those alone that are known.
    """
    found = known_activity(activity) if activity else None
    age = "" if opened is None else _age((today - opened).days / 365.25)
    words = [
        *([activity, activity[:4], activity[:2]] if activity else []),
        found.official if found else "",
        _SIZES.get(size or "", folded(size or "")),
        age,
        folded(city or "").replace(" ", ""),
        folded(uf or ""),
        *(f"{'com' if there else 'sem'}{word}" for word, there in sorted(presences.items())),
    ]
    return " ".join(filter(None, words))


_SIZES = {"micro": "micro", "small": "pequena", "other": "grande"}


def _age(years: float) -> str:
    return "recente" if years < 3 else "jovem" if years < 10 else "firmada" if years < 20 else "antiga"


def _presences(customer: Customer) -> dict[str, bool]:
    """What the CRM knows that a customer has. What it does not know is unknown."""
    kinds = {key.kind for key in customer.keys}
    known = {
        "site": bool(customer.website),
        "instagram": KeyKind.INSTAGRAM in kinds,
        "linkedin": KeyKind.LINKEDIN in kinds,
        "whatsapp": KeyKind.WA_ID in kinds,
    }
    return {word: True for word, there in known.items() if there}


def _alike(one: str, other: str) -> float:
    """The likeness of two descriptions. A presence that only one of both knows is left out: unknown is no difference,
    and so cannot be told from the same."""
    topics = [{word[3:]: word for word in text.split() if word[3:] in _PRESENCES} for text in (one, other)]
    shared = topics[0].keys() & topics[1].keys()
    texts = [
        " ".join(word for word in text.split() if word[3:] not in _PRESENCES or word[3:] in shared)
        for text in (one, other)
    ]
    cosine = sum(x * y for x, y in zip(*map(hash_vector, texts), strict=True))
    for (low, least), (high, most) in pairwise(_SCALE):
        if cosine <= high:
            return max(0.0, least + (most - least) * (cosine - low) / (high - low))
    return 1.0


def _reader(tenant_id: str) -> Identity:
    """The tenant's own agent, which may read its CRM and nothing more."""
    return Identity(tenant_id, "", Role.AGENTE_IA, "", "")
