"""The answers of BrasilAPI, ViaCEP and the IBGE as typed values. What is absent or empty is None; an entry of a list
that cannot be read is left out, and its siblings stay.

Shapes: BrasilAPI's OpenAPI documents (pages/docs/doc/*.json of its repository, August 2026), viacep.com.br, and
servicodados.ibge.gov.br/api/docs (localidades v1, CNAE v2). A city founded lately comes from the IBGE with
`"microrregiao": null`, so the state is read off the code's first two digits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from integrations.brasil_places.cities import UF_BY_NUMBER, Place
from integrations.reading import Answer, text


@dataclass(frozen=True)
class PostalAddress:
    """What a postal code stands for. Small towns have one code for the whole town: no street and no district then."""

    cep: str
    """8 digits."""
    street: str | None
    district: str | None
    city: str
    uf: str
    city_ibge: str | None
    latitude: float | None
    longitude: float | None
    source: str
    source_url: str
    fetched_at: datetime


@dataclass(frozen=True)
class AreaCode:
    """The cities of an area code (DDD)."""

    ddd: int
    uf: str
    """The state of its first city; a few codes reach into a second state."""
    cities: tuple[str, ...]
    """In capitals, with accents."""


@dataclass(frozen=True)
class Holiday:
    """A day of the national calendar. BrasilAPI lists Carnival, Easter and Corpus Christi too, which are no holidays by
    federal law but free days nearly everywhere."""

    day: date
    name: str
    kind: str
    """national"""


@dataclass(frozen=True)
class Subclass:
    """An activity of the IBGE's list."""

    code: str
    name: str
    examples: tuple[str, ...]
    """What the IBGE counts among it."""


def cities(body: Any) -> list[Place]:
    """The IBGE's cities ({"id", "nome"}) or BrasilAPI's ({"codigo_ibge", "nome"}, in capitals)."""
    found = []
    for raw in _objects(body):
        code = str(raw.get("id") or raw.get("codigo_ibge") or "")
        name = text(raw.get("nome"))
        uf = UF_BY_NUMBER.get(code[:2])
        if name and uf and re.fullmatch(r"[0-9]{7}", code):
            found.append(Place("city", name, uf, code))
    return found


def subclasses(body: Any) -> list[Subclass]:
    """The IBGE's subclasses of the CNAE; one alone comes as a list of one, an unknown code as an empty one."""
    found = []
    for raw in _objects(body):
        code, name = str(raw.get("id") or ""), text(raw.get("descricao"))
        if name and re.fullmatch(r"[0-9]{7}", code):
            examples = raw.get("atividades")
            found.append(
                Subclass(code, name, tuple(filter(None, map(text, examples))) if isinstance(examples, list) else ())
            )
    return found


def postal_of_brasilapi(answer: Answer) -> PostalAddress | None:
    """None when it names no city."""
    raw = answer.body if isinstance(answer.body, dict) else {}
    location = raw.get("location")
    spot = location.get("coordinates") if isinstance(location, dict) else None
    spot = spot if isinstance(spot, dict) else {}
    return _postal(
        answer, "BrasilAPI", raw.get("cep"), raw.get("street"), raw.get("neighborhood"), raw.get("city"),
        raw.get("state"), None, spot.get("latitude"), spot.get("longitude"),
    )  # fmt: skip


def postal_of_viacep(answer: Answer) -> PostalAddress | None:
    """None for an unknown code: `{"erro": true}`, or `"true"` as a text."""
    raw = answer.body if isinstance(answer.body, dict) else {}
    if raw.get("erro") in (True, "true"):
        return None
    return _postal(
        answer, "ViaCEP", raw.get("cep"), raw.get("logradouro"), raw.get("bairro"), raw.get("localidade"),
        raw.get("uf"), raw.get("ibge"), None, None,
    )  # fmt: skip


def area_code(ddd: int, body: Any) -> AreaCode | None:
    uf = text(body.get("state")) if isinstance(body, dict) else None
    listed = body.get("cities") if isinstance(body, dict) else None
    if uf is None or not isinstance(listed, list):
        return None
    return AreaCode(ddd, uf, tuple(filter(None, map(text, listed))))


def holidays(body: Any) -> list[Holiday]:
    found = []
    for raw in _objects(body):
        name = text(raw.get("name"))
        try:
            day = date.fromisoformat(str(raw.get("date"))[:10])
        except ValueError:
            continue
        if name:
            found.append(Holiday(day, name, text(raw.get("type")) or "national"))
    return sorted(found, key=lambda one: one.day)


def _postal(
    answer: Answer, source: str, cep: Any, street: Any, district: Any, city: Any, uf: Any, ibge: Any, lat: Any, lng: Any
) -> PostalAddress | None:
    digits, named, state = re.sub(r"\D", "", str(cep or "")), text(city), text(uf)
    if len(digits) != 8 or named is None or state is None or state not in UF_BY_NUMBER.values():
        return None
    code = str(ibge or "")
    return PostalAddress(
        digits, text(street), text(district), named, state, code if re.fullmatch(r"[0-9]{7}", code) else None,
        _degrees(lat, 90), _degrees(lng, 180), source, answer.url, answer.fetched_at,
    )  # fmt: skip


def _degrees(value: Any, most: int) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if -most <= found <= most else None


def _objects(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        body = [body]
    if isinstance(body, list):
        yield from (one for one in body if isinstance(one, dict))
