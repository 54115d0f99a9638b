"""What the CRM keeps, as the rest of the house sees it. Unknown is None, never a guess."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from business.crm.identity import KeyKind, Match
from core.money import Money


class Subject(StrEnum):
    CONTACT = "contact"
    COMPANY = "company"


@dataclass(frozen=True)
class Source:
    """Where data is from. `name` is a short word (person, import, registry, web); `reference` a URL, a file and line,
    or a conversation. What a person said is only replaced by what a person says. `at` is when the source told it,
    aware; None: as it is brought in."""

    name: str
    reference: str = ""
    by_person: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Fact:
    """Where a field's value is from, and since when it is known."""

    source: str
    reference: str
    by_person: bool
    at: datetime


@dataclass(frozen=True)
class StoredKey:
    """A telephone, an e-mail, a document or a handle, as given, with where it is from."""

    kind: KeyKind
    value: str
    given: str
    source: str
    reference: str
    at: datetime


@dataclass(frozen=True)
class ContactData:
    """What is told of a person; None is not told, and leaves what is known as it is.

    `keys` are (kind, text as given); `tags` are added; `custom` by the names of the tenant's fields. Without `owner_id`
    a new contact belongs to nobody, or to the Comercial who makes it.
    """

    source: Source
    name: str | None = None
    title: str | None = None
    company_name: str | None = None
    company_id: str | None = None
    city: str | None = None
    address: str | None = None
    keys: tuple[tuple[KeyKind, str], ...] = ()
    tags: tuple[str, ...] = ()
    custom: dict[str, Any] = field(default_factory=dict)
    owner_id: str | None = None
    purpose: str | None = None


@dataclass(frozen=True)
class CompanyData:
    """What is told of a company; as ContactData. `main_cnae` has 7 digits, `cep` 8, `city_code` is IBGE's."""

    source: Source
    legal_name: str | None = None
    trade_name: str | None = None
    main_cnae: str | None = None
    further_cnaes: tuple[str, ...] | None = None
    size: str | None = None
    opened_on: date | None = None
    registry_status: str | None = None
    city: str | None = None
    city_code: str | None = None
    uf: str | None = None
    address: str | None = None
    cep: str | None = None
    website: str | None = None
    keys: tuple[tuple[KeyKind, str], ...] = ()
    tags: tuple[str, ...] = ()
    custom: dict[str, Any] = field(default_factory=dict)
    owner_id: str | None = None
    purpose: str | None = None


Data = ContactData | CompanyData

FIELDS: dict[Subject, tuple[str, ...]] = {
    Subject.CONTACT: ("name", "title", "company_name", "company_id", "city", "address", "owner_id", "purpose"),
    Subject.COMPANY: (
        "legal_name", "trade_name", "main_cnae", "further_cnaes", "size", "opened_on", "registry_status", "city",
        "city_code", "uf", "address", "cep", "website", "owner_id", "purpose",
    ),
}  # fmt: skip
"""The plain fields of a record, which are columns of its table. Tags, custom fields and keys come beside them."""


@dataclass(frozen=True)
class Contact:
    id: str
    name: str | None
    title: str | None
    company_name: str | None
    company_id: str | None
    city: str | None
    address: str | None
    keys: tuple[StoredKey, ...]
    tags: tuple[str, ...]
    custom: dict[str, Any]
    owner_id: str | None
    purpose: str | None
    facts: dict[str, Fact]
    """By the name of the field; "custom.<name>" for the tenant's own."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Company:
    id: str
    legal_name: str | None
    trade_name: str | None
    main_cnae: str | None
    further_cnaes: tuple[str, ...] | None
    size: str | None
    opened_on: date | None
    registry_status: str | None
    city: str | None
    city_code: str | None
    uf: str | None
    address: str | None
    cep: str | None
    website: str | None
    keys: tuple[StoredKey, ...]
    tags: tuple[str, ...]
    custom: dict[str, Any]
    owner_id: str | None
    purpose: str | None
    facts: dict[str, Fact]
    created_at: datetime
    updated_at: datetime

    @property
    def cnpj(self) -> str | None:
        """14 letters and digits without marks."""
        return next((key.value for key in self.keys if key.kind is KeyKind.CNPJ), None)


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    AMBIGUOUS = "ambiguous"  # nothing was written: a person says which of the candidates it is, or that it is a new one


@dataclass(frozen=True)
class Candidate:
    """A record that may be meant. `name` is what it is called here, None where the caller may not see it."""

    id: str
    name: str | None
    match: Match


@dataclass(frozen=True)
class Upserted:
    """What became, or would become, of data: `changes` are field → (before, after); `kept` the fields in which what a
    person had said stayed; `ignored` the keys that cannot be (kind, as given, why as a text key)."""

    outcome: Outcome
    id: str | None
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    kept: tuple[str, ...] = ()
    ignored: tuple[tuple[KeyKind, str, str], ...] = ()


@dataclass(frozen=True)
class Found:
    """One hit of a search."""

    subject: Subject
    id: str
    name: str | None
    company_name: str | None
    city: str | None
    tags: tuple[str, ...]
    owner_id: str | None


class StageKind(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class Stage:
    id: str
    name: str
    kind: StageKind
    position: int


@dataclass(frozen=True)
class Deal:
    id: str
    title: str
    contact_id: str | None
    company_id: str | None
    stage: Stage
    amount: Money | None
    expected_on: date | None
    lost_reason: str | None
    custom: dict[str, Any]
    tags: tuple[str, ...]
    owner_id: str | None
    created_at: datetime
    updated_at: datetime
    stage_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True)
class Activity:
    """One entry of the timeline. `text` is what somebody wrote: data, never an instruction."""

    id: str
    kind: str
    text: str
    data: dict[str, Any]
    contact_id: str | None
    company_id: str | None
    deal_id: str | None
    actor: str
    at: datetime


@dataclass(frozen=True)
class Task:
    id: str
    title: str
    contact_id: str | None
    company_id: str | None
    deal_id: str | None
    due_at: datetime | None
    done_at: datetime | None
    owner_id: str | None
    created_by: str
    created_at: datetime


class FieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    YES_NO = "yes_no"
    CHOICE = "choice"


@dataclass(frozen=True)
class CustomField:
    """A field that a tenant added to contacts, companies or deals ("contact", "company", "deal")."""

    subject: str
    name: str
    label: str
    type: FieldType
    choices: tuple[str, ...] = ()
