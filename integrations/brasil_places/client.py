"""Places, activities, postal codes and holidays of Brazil, from three public services without a key.

The bundled tables (`cities.py`, `activities.py`) answer first; the IBGE answers for the cities and activities that are
not in them, BrasilAPI for postal codes, area codes and holidays, with ViaCEP and the IBGE behind it. Works unchanged
against the public addresses and against the simulator beside it: only the base URLs differ.

BrasilAPI asks not to be crawled: look-ups are one by one, with a pause between, and worth keeping.
"""

import re
from dataclasses import replace

import httpx

from core.clock import Clock
from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations.brasil_places import payloads
from integrations.brasil_places.activities import ActivityMatch, KnownActivity, activities_for, activity
from integrations.brasil_places.cities import STATES, Found, Place, PlaceAnswer, Unknown, among, place_for
from integrations.brasil_places.payloads import AreaCode, Holiday, PostalAddress, Subclass
from integrations.brasil_places.words import fold, stems
from integrations.reading import Answer, Reader, text

BRASILAPI_URL = "https://brasilapi.com.br/api"
VIACEP_URL = "https://viacep.com.br"
IBGE_URL = "https://servicodados.ibge.gov.br/api"
_LIKELY = 0.6
"""Of an activity of the IBGE's list: the part of the asked words that its name or examples must have."""


class Places:
    """The three services behind their base URLs. `http` is shared and closed by its owner.

    `gap` seconds lie between two requests to one service. The lists of cities and activities are asked for once and
    kept as long as this object lives. Failures: `integrations/reading.py`; ("places_refused", source, detail).
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        brasilapi_url: str = BRASILAPI_URL,
        viacep_url: str = VIACEP_URL,
        ibge_url: str = IBGE_URL,
        gap: float = 0.3,
        timeout: float = 20.0,
        retries: int = 1,
        pause: float = 0.5,
    ) -> None:
        def reader(source: str, url: str) -> Reader:
            return Reader(http, source, url, clock, gap=gap, timeout=timeout, retries=retries, pause=pause)

        self._brasilapi = reader("BrasilAPI", brasilapi_url)
        self._viacep = reader("ViaCEP", viacep_url)
        self._ibge = reader("IBGE", ibge_url)
        self._cities: dict[str, tuple[Place, ...]] = {}
        self._subclasses: tuple[Subclass, ...] = ()

    @property
    def urls(self) -> dict[str, str]:
        """Source → address."""
        return {one.source: one.base_url for one in (self._brasilapi, self._viacep, self._ibge)}

    # --- places -------------------------------------------------------------------------------

    async def place(self, words: str, uf: str | None = None) -> PlaceAnswer:
        """As `place_for`, and where that knows nothing, among all cities of Brazil.

        While the IBGE does not answer, `Unknown.looked_everywhere` stays False: the city may exist all the same.
        """
        answer = place_for(words, uf)
        if not isinstance(answer, Unknown) or not fold(words) or (uf is not None and uf.upper() not in STATES):
            return answer
        name, state = _with_state(words, uf)
        try:
            cities = await self.cities(state)
        except (Unavailable, Refused):
            return answer
        return among(name, cities, state) or replace(answer, looked_everywhere=True)

    async def cities(self, uf: str | None = None) -> tuple[Place, ...]:
        """All cities of a state, or of Brazil, as the IBGE lists them; BrasilAPI's list of a state behind it."""
        key = uf or ""
        if key not in self._cities:
            path = f"/v1/localidades/estados/{uf}/municipios" if uf else "/v1/localidades/municipios"
            try:
                found = payloads.cities((await self._ok(self._ibge, path)).body)
                if not found:
                    raise self._ibge.broken("the list of cities is empty")
            except Unavailable:
                if uf is None:
                    raise
                found = payloads.cities((await self._ok(self._brasilapi, f"/ibge/municipios/v1/{uf}")).body)
            self._cities[key] = tuple(found)
        return self._cities[key]

    # --- activities ---------------------------------------------------------------------------

    async def activities(self, words: str, *, most: int = 8) -> list[ActivityMatch]:
        """As `activities_for`, and where that knows nothing, by the names and examples of the IBGE's whole list.

        What comes from there is never `sure`: its words are those of statisticians.
        """
        found = activities_for(words, most=most)
        asked = set(stems(words))
        if found or not asked:
            return found
        ranked = []
        for one in await self._all_subclasses():
            share, line = max((len(asked & set(stems(line))) / len(asked), line) for line in (one.name, *one.examples))
            if share >= _LIKELY:
                known = KnownActivity(one.code, one.name, {"pt-BR": one.name}, (("pt-BR", line),))
                ranked.append(ActivityMatch(known, round(0.65 * share, 3), line, "pt-BR", False))
        return sorted(ranked, key=lambda match: (-match.score, len(match.term), match.code))[:most]

    async def activity_name(self, code: str) -> str | None:
        """The register's words for a subclass of 7 digits; None for a code that does not exist."""
        if (known := activity(code)) is not None:
            return known.official
        if not re.fullmatch(r"[0-9]{7}", code):
            return None
        found = payloads.subclasses((await self._ok(self._ibge, f"/v2/cnae/subclasses/{code}")).body)
        return found[0].name if found and found[0].code == code else None

    async def _all_subclasses(self) -> tuple[Subclass, ...]:
        if not self._subclasses:
            self._subclasses = tuple(payloads.subclasses((await self._ok(self._ibge, "/v2/cnae/subclasses")).body))
        return self._subclasses

    # --- postal codes, area codes, holidays ----------------------------------------------------

    async def postal_code(self, cep: str) -> PostalAddress | None:
        """What a postal code stands for, by BrasilAPI, or by ViaCEP when that fails or does not know it; None when
        neither knows it. ArgumentsWrong("postal_code_wrong", cep) when it is none."""
        digits = re.sub(r"[\s.-]", "", cep)
        if not re.fullmatch(r"[0-9]{8}", digits):
            raise ArgumentsWrong("postal_code_wrong", f"{cep} is no postal code", cep=cep[:20])
        try:
            answer = await self._brasilapi.get(f"/cep/v2/{digits}")
            if answer.status == 200 and (found := payloads.postal_of_brasilapi(answer)):
                return _with_ibge(found)
        except Unavailable:
            pass  # the other one may know
        answer = await self._viacep.get(f"/ws/{digits}/json/")
        if answer.status != 200:
            raise _refused(self._viacep, answer)
        found = payloads.postal_of_viacep(answer)
        return _with_ibge(found) if found else None

    async def area_code(self, ddd: int) -> AreaCode | None:
        """The cities of an area code; None when there is none such."""
        if not 11 <= ddd <= 99:
            return None
        answer = await self._brasilapi.get(f"/ddd/v1/{ddd}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise _refused(self._brasilapi, answer)
        found = payloads.area_code(ddd, answer.body)
        if found is None:
            raise self._brasilapi.broken("no state and cities")
        return found

    async def holidays(self, year: int) -> tuple[Holiday, ...]:
        """The national calendar of a year, 1900 to 2199. ArgumentsWrong("year_wrong", year) for any other."""
        if not 1900 <= year <= 2199:
            raise ArgumentsWrong("year_wrong", f"{year} is out of range", year=year)
        found = payloads.holidays((await self._ok(self._brasilapi, f"/feriados/v1/{year}")).body)
        if not found:
            raise self._brasilapi.broken("no holidays")
        return tuple(found)

    async def _ok(self, reader: Reader, path: str) -> Answer:
        answer = await reader.get(path)
        if answer.status != 200:
            raise _refused(reader, answer)
        return answer


def _with_ibge(found: PostalAddress) -> PostalAddress:
    """With the city's code where the source had none and the bundled table knows the city."""
    if found.city_ibge is None and isinstance(answer := place_for(found.city, found.uf), Found):
        return replace(found, city_ibge=answer.place.ibge if answer.place.kind == "city" else None)
    return found


def _with_state(words: str, uf: str | None) -> tuple[str, str | None]:
    """The folded name, and the state that is said with it or apart."""
    name = re.sub(r"^(em|no|na|nos|nas|in|en) ", "", fold(words))
    if uf is not None:
        return name.removesuffix(f" {uf.lower()}"), uf.upper()
    for code, (full, _) in STATES.items():
        for ending in (f" {code.lower()}", f" {fold(full)}"):
            if name.endswith(ending) and name != ending.strip():
                return name.removesuffix(ending), code
    return name, None


def _refused(reader: Reader, answer: Answer) -> MutiraoError:
    said = text(answer.body.get("message")) if isinstance(answer.body, dict) else None
    detail = (said or f"HTTP {answer.status}")[:200]
    return Refused("places_refused", f"{reader.source}: {detail}", source=reader.source, detail=detail)
