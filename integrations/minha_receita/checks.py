"""What `mutirao doctor` says of the company registry. With `--live` it asks what the client has never been seen to ask
of the public address: one company, one that does not exist, the day of the data, and two pages of a search."""

from core.doctor import Finding, Say
from integrations.minha_receita.client import SOURCE, MinhaReceita, Query
from integrations.minha_receita.payloads import Page
from integrations.source_check import Explain, SourceCheck, Step

KNOWN_CNPJ = "00000000000191"
"""Banco do Brasil, the oldest entry there is."""
NOBODYS_CNPJ = "99999999000191"
"""Its check digits are right, and no company has it."""
PROBE = Query(cities=("3509502",), activities=("7111100",))
"""Architecture offices in Campinas: two pages and more."""


class RegistryCheck(SourceCheck):
    """`known` is a CNPJ that the registry must have."""

    def __init__(
        self, client: MinhaReceita, sandbox: bool, say: Say, explain: Explain, *, known: str = KNOWN_CNPJ
    ) -> None:
        steps = [
            Step("step_company", self._company),
            Step("step_nobody", self._nobody),
            Step("step_updated", self._updated),
            Step("step_pages", self._two_pages),
        ]
        super().__init__("registry", SOURCE, "MUTIRAO_MINHA_RECEITA", client.base_url, sandbox, steps, say, explain)
        self._client = client
        self._known = known
        self._seen: list[Page] = []

    async def run(self, live: bool) -> list[Finding]:
        self._seen = []
        findings = await super().run(live)
        if self._seen:
            companies = [company for page in self._seen for company in page.companies]
            unreadable = sum(len(page.unreadable) for page in self._seen)
            fields = sorted({name for company in companies for name in company.odd})
            findings.append(
                self._found(
                    "broken" if unreadable or fields else "ok",
                    "registry_read",
                    source=SOURCE,
                    count=len(companies),
                    unreadable=unreadable,
                    fields=", ".join(fields),
                )
            )
        return findings

    async def _company(self) -> str | None:
        found = await self._client.company(self._known)
        if found is None:
            return f"{self._known}: 404"
        return (
            None if found.legal_name and found.opened else f"{self._known}: {found.odd or 'razao_social, opened: null'}"
        )

    async def _nobody(self) -> str | None:
        return None if await self._client.company(NOBODYS_CNPJ) is None else f"{NOBODYS_CNPJ}: 200"

    async def _updated(self) -> str | None:
        return None if await self._client.updated() is not None else "/updated: ?"

    async def _two_pages(self) -> str | None:
        async for page in self._client.pages(PROBE, page_size=25, most_pages=2):
            self._seen.append(page)
        companies = [company for page in self._seen for company in page.companies]
        if len(self._seen) < 2:
            return "1 page"
        strangers = {c.activity.code for c in companies if c.activity is not None} - set(PROBE.activities)
        strangers |= {c.address.city_ibge for c in companies if c.address.city_ibge} - set(PROBE.cities)
        return f"filter: {sorted(strangers)}" if strangers else None
