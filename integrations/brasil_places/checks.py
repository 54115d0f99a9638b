"""What `mutirao doctor` says of the public services for places. With `--live` each question is asked once."""

from datetime import date

from core.doctor import Say
from integrations.brasil_places.client import Places
from integrations.source_check import Explain, SourceCheck, Step

KNOWN_CEP = "13025001"
"""Cambuí, Campinas."""


class PlacesCheck(SourceCheck):
    """`known` is a postal code of Campinas that the services must have."""

    def __init__(self, places: Places, sandbox: bool, say: Say, explain: Explain, *, known: str = KNOWN_CEP) -> None:
        steps = [
            Step("step_postal", self._postal),
            Step("step_cities", self._cities),
            Step("step_activity", self._activity),
            Step("step_area", self._area),
            Step("step_holidays", self._holidays),
        ]
        names, urls = ", ".join(places.urls), ", ".join(places.urls.values())
        super().__init__("places", names, "MUTIRAO_BRASIL_PLACES", urls, sandbox, steps, say, explain)
        self._places = places
        self._known = known

    async def _postal(self) -> str | None:
        found = await self._places.postal_code(self._known)
        return None if found is not None and found.city == "Campinas" else f"{self._known}: {found and found.city}"

    async def _cities(self) -> str | None:
        found = await self._places.cities("SP")
        return None if any(city.ibge == "3509502" for city in found) else f"SP: {len(found)}"

    async def _activity(self) -> str | None:
        return None if await self._places.activity_name("0111301") else "0111301: ?"

    async def _area(self) -> str | None:
        found = await self._places.area_code(19)
        return None if found is not None and found.uf == "SP" else "19: ?"

    async def _holidays(self) -> str | None:
        return None if date(2026, 9, 7) in {one.day for one in await self._places.holidays(2026)} else "2026-09-07: ?"
