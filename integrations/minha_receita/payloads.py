"""The registry's answers as typed values. What is absent, empty or null is None: unknown stays unknown.

The documentation promises one field only: "Todos os campos, salvo `cnpj` são opcionais e podem estar em branco"
(docs.minhareceita.org, "Dicionário de dados"). So a company without a readable CNPJ is reported as `Unreadable`, its
siblings stay; a field of a wrong type is None and its name stands in `Company.odd`. Data of the registry is taken over
as published by the tax office, with its errors: openings in the year 202 or 4100 have been seen (its FAQ).
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from integrations.reading import Answer, Reader, text

Raw = Mapping[str, Any]

ACTIVE, SUSPENDED, UNFIT, CLOSED = 2, 3, 4, 8
"""situacao_cadastral: ATIVA, SUSPENSA, INAPTA, BAIXADA; 1 is NULA."""
MICRO, SMALL, OTHER_SIZE = 1, 3, 5
"""codigo_porte: MICRO EMPRESA, EMPRESA DE PEQUENO PORTE, DEMAIS; 0 is NÃO INFORMADO."""


@dataclass(frozen=True)
class Activity:
    code: str
    """CNAE subclass, 7 digits."""
    name: str | None


@dataclass(frozen=True)
class Address:
    street: str | None
    """With its kind: "RUA CORONEL QUIRINO"."""
    number: str | None
    extra: str | None
    district: str | None
    cep: str | None
    """8 digits."""
    city: str | None
    """In capitals without accents."""
    uf: str | None
    city_ibge: str | None
    """7 digits."""


@dataclass(frozen=True)
class Partner:
    """A partner or director. Personal data: keep source and date, and show it only where there is a purpose."""

    name: str | None
    document: str | None
    """A person's CPF comes masked, ***112108**; a company's CNPJ comes whole."""
    role: str | None
    joined: date | None
    age: str | None
    """A band: "Entre 41 a 50 anos"."""
    person: bool | None
    """False: a company is the partner."""


@dataclass(frozen=True)
class Company:
    """One entry of the registry, as it was at `fetched_at`."""

    cnpj: str
    """14 characters without punctuation; letters are possible since July 2026."""
    legal_name: str | None
    trade_name: str | None
    status: int | None
    """ACTIVE, SUSPENDED, UNFIT, CLOSED or another code."""
    status_name: str | None
    status_since: date | None
    opened: date | None
    activity: Activity | None
    """The main one."""
    further_activities: tuple[Activity, ...]
    address: Address
    phones: tuple[str, ...]
    """As registered: digits with area code; mobiles from before 2014 may lack the ninth digit."""
    email: str | None
    """The public address leaves it out for privacy: always None there."""
    size: int | None
    """MICRO, SMALL or OTHER_SIZE; None when not told (0)."""
    size_name: str | None
    capital: Decimal | None
    """Reais."""
    mei: bool | None
    simples: bool | None
    nature_code: str | None
    nature: str | None
    head_office: bool | None
    partners: tuple[Partner, ...] | None
    """None when the answer has no list of them; () when it is empty, as for sole traders."""
    odd: tuple[str, ...]
    """Names of fields whose value could not be read."""
    source_url: str
    fetched_at: datetime

    @property
    def active(self) -> bool | None:
        return None if self.status is None else self.status == ACTIVE


@dataclass(frozen=True)
class Unreadable:
    """An entry of a page that is no company: left out, and reported."""

    place: int
    """Its place in the page, from 0."""
    why: str
    source_url: str


@dataclass(frozen=True)
class Page:
    """One page of a search."""

    companies: tuple[Company, ...]
    unreadable: tuple[Unreadable, ...]
    cursor: str | None
    """What the next page is asked with; None when this is the last."""
    source_url: str
    fetched_at: datetime


@cache
def _adapter() -> TypeAdapter[Company]:
    return TypeAdapter(Company)


def to_record(company: Company) -> dict[str, Any]:
    """The company as JSON values, to be kept; `from_record` gives it back."""
    return dict(_adapter().dump_python(company, mode="json"))


def from_record(record: Mapping[str, Any]) -> Company:
    """A company that was kept. ValueError when the record is none of `to_record`."""
    return _adapter().validate_python(record)


def page(reader: Reader, answer: Answer) -> Page:
    """A search's answer. source_answer_broken when it is no page at all; single entries never make it so."""
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise reader.broken("the answer has no list of companies")
    companies, unreadable = [], []
    for place, raw in enumerate(body["data"]):
        found = read_company(raw, answer)
        if isinstance(found, Company):
            companies.append(found)
        else:
            unreadable.append(Unreadable(place, found, answer.url))
    cursor = body.get("cursor")
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if cursor is not None and not isinstance(cursor, str):
        raise reader.broken("the cursor is no text")
    return Page(tuple(companies), tuple(unreadable), cursor or None, answer.url, answer.fetched_at)


def read_company(raw: Any, answer: Answer) -> Company | str:
    """A company, or why it is none."""
    if not isinstance(raw, dict):
        return "no object"
    cnpj = re.sub(r"[./\s-]", "", str(raw.get("cnpj") or "")).upper()
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", cnpj):
        return "no CNPJ"
    fields = _Fields(raw)
    size = fields.whole("codigo_porte")
    kind = fields.whole("identificador_matriz_filial")
    street = " ".join(
        part for part in (fields.text("descricao_tipo_de_logradouro"), fields.text("logradouro")) if part is not None
    )
    main = fields.code("cnae_fiscal", 7)
    return Company(
        cnpj=cnpj,
        legal_name=fields.text("razao_social"),
        trade_name=fields.text("nome_fantasia"),
        status=fields.whole("situacao_cadastral"),
        status_name=fields.text("descricao_situacao_cadastral"),
        status_since=fields.day("data_situacao_cadastral", answer.fetched_at),
        opened=fields.day("data_inicio_atividade", answer.fetched_at),
        activity=Activity(main, fields.text("cnae_fiscal_descricao")) if main else None,
        further_activities=_further(fields),
        address=Address(
            street=street or None,
            number=fields.text("numero"),
            extra=fields.text("complemento"),
            district=fields.text("bairro"),
            cep=fields.code("cep", 8),
            city=fields.text("municipio"),
            uf=fields.text("uf"),
            city_ibge=fields.code("codigo_municipio_ibge", 7),
        ),
        phones=tuple(dict.fromkeys(filter(None, (fields.phone("ddd_telefone_1"), fields.phone("ddd_telefone_2"))))),
        email=fields.text("email"),
        size=size or None,
        size_name=fields.text("porte") if size else None,
        capital=fields.amount("capital_social"),
        mei=fields.yes("opcao_pelo_mei"),
        simples=fields.yes("opcao_pelo_simples"),
        nature_code=fields.code("codigo_natureza_juridica", 4),
        nature=fields.text("natureza_juridica"),
        head_office={1: True, 2: False}.get(kind) if kind is not None else None,
        partners=_partners(fields, answer.fetched_at),
        odd=tuple(fields.odd),
        source_url=answer.url,
        fetched_at=answer.fetched_at,
    )


def _further(fields: "_Fields") -> tuple[Activity, ...]:
    found = []
    for one in fields.objects("cnaes_secundarios") or ():
        # The tax office writes code 0 where a company has no further activity.
        if (code := one.code("codigo", 7)) and code != "0000000":
            found.append(Activity(code, one.text("descricao")))
        fields.odd += [f"cnaes_secundarios.{name}" for name in one.odd]
    return tuple(found)


def _partners(fields: "_Fields", now: datetime) -> tuple[Partner, ...] | None:
    listed = fields.objects("qsa")
    if listed is None:
        return None
    found = []
    for one in listed:
        kind = one.whole("identificador_de_socio")
        found.append(
            Partner(
                name=one.text("nome_socio"),
                document=one.text("cnpj_cpf_do_socio"),
                role=one.text("qualificacao_socio"),
                joined=one.day("data_entrada_sociedade", now),
                age=one.text("faixa_etaria"),
                person=kind == 2 if kind in (1, 2) else None,
            )
        )
        fields.odd += [f"qsa.{name}" for name in one.odd]
    return tuple(found)


class _Fields:
    """One object of the wire. Each look gives the value or None, and notes in `odd` what was there but unreadable."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self.odd: list[str] = []

    def _odd(self, name: str) -> None:
        if name not in self.odd:
            self.odd.append(name)

    def text(self, name: str) -> str | None:
        value = self._raw.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            self._odd(name)
        return text(value)

    def whole(self, name: str) -> int | None:
        value = self._raw.get(name)
        if value in (None, ""):
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().isdecimal() and value.isascii():
            return int(value)
        self._odd(name)
        return None

    def code(self, name: str, digits: int) -> str | None:
        """A code of fixed length, which the wire may have as a number that lost its leading zeros."""
        value = self._raw.get(name)
        if value in (None, "", 0):
            return None
        found = re.sub(r"[./\s-]", "", str(value)) if isinstance(value, int | str) else ""
        if isinstance(value, bool) or not found.isdecimal() or not found.isascii() or len(found) > digits:
            self._odd(name)
            return None
        return found.zfill(digits)

    def phone(self, name: str) -> str | None:
        value = self.text(name)
        digits = re.sub(r"\D", "", value or "")
        return value if len(digits) >= 8 and set(digits) != {"0"} else None

    def amount(self, name: str) -> Decimal | None:
        value = self._raw.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = Decimal(str(value))
            if found.is_finite() and found >= 0:
                return found
        self._odd(name)
        return None

    def yes(self, name: str) -> bool | None:
        value = self._raw.get(name)
        if isinstance(value, bool):
            return value
        if value not in (None, ""):
            self._odd(name)
        return None

    def day(self, name: str, now: datetime) -> date | None:
        value = self._raw.get(name)
        if value in (None, ""):
            return None
        found = None
        if isinstance(value, str) and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            with contextlib.suppress(ValueError):  # 30 February
                found = date.fromisoformat(value[:10])
        if found is None or not 1800 <= found.year <= now.year + 1:
            self._odd(name)
            return None
        return found

    def objects(self, name: str) -> list["_Fields"] | None:
        value = self._raw.get(name)
        if value in (None, ""):
            return None
        if not isinstance(value, list):
            self._odd(name)
            return None
        if not all(isinstance(one, dict) for one in value):
            self._odd(name)
        return [_Fields(one) for one in value if isinstance(one, dict)]
