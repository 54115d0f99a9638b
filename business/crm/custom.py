"""Fields that a tenant adds to its contacts, companies and deals: typed, and checked when they are filled."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from business.crm.access import CrmPart
from business.crm.model import CustomField, FieldType
from business.crm.rows import clean
from core.db import Connection, fetch_all
from core.errors import ArgumentsWrong
from core.tenancy import Identity

_SUBJECTS = ("contact", "company", "deal")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST = 60  # fields of one subject
_YES = frozenset("sim yes si sí s y true verdadeiro 1 x".split())
_NO = frozenset("nao não no n false falso 0".split())


class CustomPart(CrmPart):
    async def define_field(self, who: Identity, field: CustomField) -> None:
        """Add a field, or change its label and choices. Its type stays while it exists.

        Refused("crm_not_allowed"); ArgumentsWrong: crm_field_name_wrong (field), crm_field_type_stays (field),
        crm_choices_needed (field), crm_too_many_fields (most).
        """
        self._writes_all(who)
        if not _NAME.fullmatch(field.name) or field.subject not in _SUBJECTS or not field.label.strip():
            raise ArgumentsWrong("crm_field_name_wrong", f"{field.name!r} is no name of a field", field=field.name)
        if (field.type is FieldType.CHOICE) != bool(field.choices):
            raise ArgumentsWrong(
                "crm_choices_needed", "a choice needs choices, no other field has any", field=field.name
            )
        async with self._db.tenant(who.tenant_id) as conn:
            known = await fields_of(conn, field.subject)
            if field.name in known and known[field.name].type is not field.type:
                raise ArgumentsWrong("crm_field_type_stays", "the type cannot be changed", field=field.name)
            if field.name not in known and len(known) >= _MOST:
                raise ArgumentsWrong("crm_too_many_fields", f"more than {_MOST} fields", most=_MOST)
            await conn.execute(
                """INSERT INTO crm_fields (tenant_id, subject, name, label, type, choices, created_at)
                   VALUES (current_tenant(), %s, %s, %s, %s, %s, %s)
                   ON CONFLICT (tenant_id, subject, name) DO UPDATE
                   SET label = excluded.label, choices = excluded.choices""",
                [field.subject, field.name, clean(field.label), field.type, list(field.choices), self._clock.now()],
            )

    async def fields(self, who: Identity, subject: str) -> list[CustomField]:
        """The tenant's own fields of "contact", "company" or "deal", by name."""
        self._reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return list((await fields_of(conn, subject)).values())


async def fields_of(conn: Connection, subject: str) -> dict[str, CustomField]:
    query = "SELECT subject, name, label, type, choices FROM crm_fields WHERE subject = %s ORDER BY name"
    rows = await fetch_all(conn, query, [subject])
    return {
        row["name"]: CustomField(
            row["subject"], row["name"], row["label"], FieldType(row["type"]), tuple(row["choices"])
        )
        for row in rows
    }


def checked_custom(known: Mapping[str, CustomField], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in the form in which they are kept: numbers and days as text, yes and no as true and false.

    ArgumentsWrong: crm_field_unknown (field), crm_field_wrong (field, value).
    """
    checked: dict[str, Any] = {}
    for name, value in values.items():
        field = known.get(name)
        if field is None:
            raise ArgumentsWrong("crm_field_unknown", f"no field {name!r}", field=name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        kept = _checked(field, value)
        if kept is None:
            raise ArgumentsWrong("crm_field_wrong", f"{value!r} does not fit", field=field.label, value=str(value)[:80])
        checked[name] = kept
    return checked


def _checked(field: CustomField, value: Any) -> Any:
    text = clean(str(value))[:1_000]
    if field.type is FieldType.TEXT:
        return text
    if field.type is FieldType.YES_NO:
        word = text.casefold()
        return True if word in _YES else False if word in _NO else None
    if field.type is FieldType.CHOICE:
        return next((choice for choice in field.choices if choice.casefold() == text.casefold()), None)
    if field.type is FieldType.DATE:
        return _day(value, text)
    return _number(text)


def _day(value: Any, text: str) -> str | None:
    if isinstance(value, date):
        return value.isoformat()[:10]
    if parts := re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", text):
        text = f"{parts[3]}-{int(parts[2]):02d}-{int(parts[1]):02d}"
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return None


def _number(text: str) -> str | None:
    """ "1.234,5" and "1,234.5" and "1234.5"; what can be read in two ways is none."""
    if re.fullmatch(r"-?\d{1,3}[.,]\d{3}", text):
        return None
    if "," in text and text.rfind(",") > text.rfind("."):
        text = text.replace(".", "").replace(",", ".")
    else:
        text = text.replace(",", "")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return str(number) if number.is_finite() and abs(number) < 10**15 else None
