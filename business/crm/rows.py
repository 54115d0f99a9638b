"""How what is told becomes a record: pure functions over rows as JSON.

A row is what PostgreSQL's to_jsonb gives and jsonb_populate_record takes. What is known is replaced by what is told
later; what a person said only by what a person says; and a name never by a shorter form of itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from business.crm.access import Row
from business.crm.identity import Key, KeyKind, Record
from business.crm.model import (
    FIELDS,
    Company,
    Contact,
    ContactData,
    Data,
    Fact,
    Source,
    StoredKey,
    Subject,
)
from business.crm.names import Likeness, compare_people, words_in_name
from core.errors import ArgumentsWrong
from core.words import squeezed

_LONGEST = 1_000  # characters of a field
_MOST_TAGS = 50
_LONGEST_TAG = 60


def subject_of(data: Data) -> Subject:
    return Subject.CONTACT if isinstance(data, ContactData) else Subject.COMPANY


def empty_row(tenant_id: str, record_id: str, subject: Subject, at: str) -> Row:
    return {
        "tenant_id": tenant_id, "id": record_id, **dict.fromkeys(FIELDS[subject]), "custom": {}, "tags": [],
        "facts": {}, "merged_into": None, "created_at": at, "updated_at": at,
    }  # fmt: skip


def told(data: Data) -> Row:
    """The plain fields that are told, as JSON. ArgumentsWrong("crm_text_too_long", field)."""
    values: Row = {}
    for name in FIELDS[subject_of(data)]:
        value = getattr(data, name)
        if isinstance(value, str):
            value = clean(value)
            if len(value) > _LONGEST:
                raise ArgumentsWrong("crm_text_too_long", f"{name} has more than {_LONGEST} characters", field=name)
        elif isinstance(value, date):
            value = value.isoformat()
        elif isinstance(value, tuple):
            value = list(value)
        if value is not None and value != "":
            values[name] = value
    return values


def clean(text: str) -> str:
    """Text that the database takes: without NUL and half characters, with single spaces."""
    return " ".join(text.replace("\x00", "").encode("utf-8", "replace").decode().split())


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Tags in small letters, each once. ArgumentsWrong("crm_text_too_long", field)."""
    found = sorted({clean(tag).casefold() for tag in tags} - {""})
    if any(len(tag) > _LONGEST_TAG for tag in found):
        raise ArgumentsWrong("crm_text_too_long", f"a tag has more than {_LONGEST_TAG} characters", field="tags")
    return found


@dataclass
class Folded:
    """A record after something was told: the new row, the new keys, and what changed."""

    row: Row
    new_keys: list[Key]
    changes: dict[str, tuple[Any, Any]]
    kept: list[str]


def fold(before: Row, known: Iterable[Key], data: Data, keys: Iterable[Key], at: str) -> Folded:
    """Put what is told on top of what is known."""
    row = {**before, "facts": dict(before["facts"]), "custom": dict(before["custom"])}
    fact = fact_row(data.source, at)
    changes: dict[str, tuple[Any, Any]] = {}
    kept: list[str] = []
    for name, value in told(data).items():
        old = before[name]
        if not _is_news(name, old, value, data.source):
            continue
        if _persons_word(before, name, data.source):
            kept.append(name)
            continue
        row[name], row["facts"][name] = value, fact
        changes[name] = (old, value)
    for name, value in data.custom.items():
        old = before["custom"].get(name)
        if value is None or value == old:
            continue
        if _persons_word(before, f"custom.{name}", data.source):
            kept.append(f"custom.{name}")
            continue
        row["custom"][name], row["facts"][f"custom.{name}"] = value, fact
        changes[f"custom.{name}"] = (old, value)
    tags = sorted({*before["tags"], *clean_tags(data.tags)})
    if tags != sorted(before["tags"]):
        if len(tags) > _MOST_TAGS:
            raise ArgumentsWrong("crm_too_many_tags", f"more than {_MOST_TAGS} tags", most=_MOST_TAGS)
        changes["tags"] = (before["tags"], tags)
        row["tags"] = tags
    has = {(key.kind, key.value) for key in known}
    new_keys = [
        key for key in {(key.kind, key.value): key for key in keys}.values() if (key.kind, key.value) not in has
    ]
    for key in new_keys:
        changes[f"{key.kind} {key.given}"] = (None, key.given)
    if changes:
        row["updated_at"] = at
    return Folded(row, new_keys, changes, kept)


def _is_news(name: str, old: Any, value: Any, source: Source) -> bool:
    if old is None or old == value:
        return old is None
    if name == "name" and isinstance(old, str) and words_in_name(value) < words_in_name(old):
        alike = (Likeness.SAME, Likeness.COMPATIBLE)
        return compare_people(old, value) not in alike  # whoever says "Ana" does not take her surname away
    if source.by_person or not isinstance(old, str):
        return True
    return squeezed(old) != squeezed(value)  # else the same, in capitals or without accents


def _persons_word(row: Row, name: str, source: Source) -> bool:
    fact = row["facts"].get(name)
    return not source.by_person and bool(fact and fact["by_person"])


def fact_row(source: Source, at: str) -> Row:
    at = source.at.isoformat() if source.at else at
    return {"source": source.name, "reference": source.reference, "by_person": source.by_person, "at": at}


# --- rows as the rest of the house sees them ------------------------------------------------------


def record_of(row: Row, keys: Iterable[Key], subject: Subject) -> Record:
    """What the matcher compares."""
    if subject is Subject.CONTACT:
        return Record(row["name"], row["company_name"], row["city"], row["address"], tuple(keys))
    return Record(None, row["trade_name"] or row["legal_name"], row["city"], row["address"], tuple(keys))


def name_of(row: Row, subject: Subject) -> str | None:
    """What a record is called."""
    name = row["name"] if subject is Subject.CONTACT else row["trade_name"] or row["legal_name"]
    return None if name is None else str(name)


def as_contact(row: Row, keys: Iterable[StoredKey]) -> Contact:
    return Contact(**_common(row, keys, Contact))


def as_company(row: Row, keys: Iterable[StoredKey]) -> Company:
    values = _common(row, keys, Company)
    if values["opened_on"]:
        values["opened_on"] = date.fromisoformat(values["opened_on"])
    if values["further_cnaes"] is not None:
        values["further_cnaes"] = tuple(values["further_cnaes"])
    return Company(**values)


def _common(row: Row, keys: Iterable[StoredKey], kind: type[Contact] | type[Company]) -> Row:
    values = {field.name: row[field.name] for field in fields(kind) if field.name != "keys"}
    values["keys"] = tuple(sorted(keys, key=lambda key: (list(KeyKind).index(key.kind), key.value)))
    values["tags"] = tuple(row["tags"])
    values["facts"] = {
        name: Fact(fact["source"], fact["reference"], fact["by_person"], datetime.fromisoformat(fact["at"]))
        for name, fact in row["facts"].items()
    }
    for name in ("created_at", "updated_at"):
        values[name] = datetime.fromisoformat(row[name])
    return values
