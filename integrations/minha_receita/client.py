"""The public company registry: Minha Receita, an open API over the tax office's open data. No key, read only.

Works unchanged against https://minhareceita.org, a server of one's own (the software is free) and the simulator beside
it: only the base URL differs. Facts: docs.minhareceita.org ("Como usar", "Dicionário de dados") and its source on
GitHub (cuducos/minha-receita, December 2025). The paged search is marked experimental there; parse defensively.

It is a free service paid by donations: one request at a time with a pause between, pages of 100 as a rule, and results
are worth keeping (the data changes once a month; `updated()` says when).
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date

import httpx

from core.clock import Clock
from integrations.minha_receita.errors import cnpj_wrong, message, not_understood, query_wrong, refused
from integrations.minha_receita.payloads import Company, Page, page, read_company
from integrations.reading import Answer, Reader

PUBLIC_URL = "https://minhareceita.org"
SOURCE = "Minha Receita"
MOST_PER_PAGE = 1_000
"""The documented limit; the server silently takes 256 instead of a larger one than it knows."""
_LEAST_PER_PAGE = 25
_MOST_PAGES = 10_000
_STATES = frozenset("AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO".split())


@dataclass(frozen=True)
class Query:
    """What to search for: all that is given must hold, and of several values of one kind any. At least one.

    The registry cannot filter by status, age, size or name: those are for the reader of the answers.
    """

    ufs: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    """IBGE codes, 7 digits."""
    activities: tuple[str, ...] = ()
    """Main activity (CNAE subclass, 7 digits)."""
    any_activity: str | None = None
    """One activity code, main or further. One, because the server wants all of several among the further ones."""
    natures: tuple[str, ...] = ()
    """Legal natures, 4 digits."""
    partner: str | None = None
    """A partner's CNPJ, or CPF in the registry's mask ***112108**. Only with a state, else the server times out."""

    def params(self) -> list[tuple[str, str]]:
        """As the server wants them. ArgumentsWrong("registry_query_wrong", detail) for what it would misread: it
        ignores values that it does not understand, and would answer with far more than was asked."""
        found: list[tuple[str, str]] = []
        if unknown := [uf for uf in self.ufs if uf.upper() not in _STATES]:
            raise query_wrong(f"{unknown[0]!r} is no state")
        found += _several("uf", [uf.upper() for uf in self.ufs])
        found += _several("municipio", [_code(one, 7, "IBGE code") for one in self.cities])
        found += _several("cnae_fiscal", [_code(one, 7, "activity code") for one in self.activities])
        if self.any_activity is not None:
            found.append(("cnae", _code(self.any_activity, 7, "activity code")))
        found += _several("natureza_juridica", [_code(one, 4, "legal nature") for one in self.natures])
        if self.partner is not None:
            if not re.fullmatch(r"\*{3}[0-9]{6}\*{2}|[0-9A-Z]{12}[0-9]{2}", self.partner) or not self.ufs:
                raise query_wrong("a partner is ***123456** or a CNPJ, and needs a state")
            found.append(("cnpf", self.partner))
        if not found:
            raise query_wrong("a search needs at least one filter")
        return found


class MinhaReceita:
    """The registry behind `base_url`. `http` is shared and closed by its owner.

    `gap` is the pause between requests in seconds; `timeout` is long because the server gives a search 90 seconds.
    `retries`, `pause` and `patience` as in `Reader`. Failures: `errors.py` and `integrations/reading.py`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        base_url: str = PUBLIC_URL,
        gap: float = 0.5,
        timeout: float = 95.0,
        retries: int = 2,
        pause: float = 1.0,
        patience: float = 10.0,
    ) -> None:
        self._reader = Reader(
            http, SOURCE, base_url, clock, gap=gap, timeout=timeout, retries=retries, pause=pause, patience=patience
        )

    @property
    def base_url(self) -> str:
        return self._reader.base_url

    @property
    def requests(self) -> int:
        """Requests sent so far, further attempts included."""
        return self._reader.requests

    async def company(self, cnpj: str) -> Company | None:
        """The company of a CNPJ, with or without punctuation; None when the registry does not have it.

        ArgumentsWrong("registry_cnpj_wrong", cnpj) when it is none.
        """
        wanted = normal_cnpj(cnpj)
        answer = await self._reader.get(f"/{wanted}")
        if answer.status == 404:
            if message(answer) is None:  # of a proxy, or of an address that is no registry: it knows of no company
                raise self._reader.broken("HTTP 404 that is not the registry's")
            return None
        if answer.status == 400:  # its check digits are right, so this server does not know alphanumeric ones
            raise refused(answer)
        self._must_be_ok(answer)
        found = read_company(answer.body, answer)
        if isinstance(found, str):
            raise self._reader.broken(found)
        if found.cnpj != wanted:
            raise self._reader.broken("the answer is about another company")
        return found

    async def pages(
        self, query: Query, *, page_size: int = 100, cursor: str | None = None, most_pages: int = _MOST_PAGES
    ) -> AsyncIterator[Page]:
        """The search's pages, in the server's order, each company once; asked for one by one, as they are wanted.

        `cursor` (of a page had earlier) goes on after that page, so a search can be left and taken up again. When the
        server says that a page took too long (408), smaller ones are asked for.
        """
        if not 1 <= page_size <= MOST_PER_PAGE:
            raise query_wrong(f"a page has 1 to {MOST_PER_PAGE} companies")
        params = query.params()
        size, seen, cursors = page_size, set[str](), {cursor}
        for _ in range(most_pages):
            answer, size = await self._page(params, size, cursor)
            found = page(self._reader, answer)
            fresh = tuple(company for company in found.companies if company.cnpj not in seen)
            seen.update(company.cnpj for company in fresh)
            if found.cursor is not None and found.cursor in cursors:
                raise self._reader.broken("the pages turn in a circle")
            cursors.add(found.cursor)
            yield Page(fresh, found.unreadable, found.cursor, found.source_url, found.fetched_at)
            cursor = found.cursor
            if cursor is None:
                return

    async def search(self, query: Query, *, page_size: int = 100) -> AsyncIterator[Company]:
        """The companies of `pages`, one by one. Who wants to know what was unreadable takes the pages."""
        async for found in self.pages(query, page_size=page_size):
            for company in found.companies:
                yield company

    async def updated(self) -> date | None:
        """The day on which the tax office extracted the data; None when the server does not say it."""
        answer = await self._reader.get("/updated")
        self._must_be_ok(answer)
        try:
            return date.fromisoformat((message(answer) or "")[:10])
        except ValueError:
            return None

    async def _page(self, params: list[tuple[str, str]], size: int, cursor: str | None) -> tuple[Answer, int]:
        while True:
            asked = [*params, ("limit", str(size)), *([("cursor", cursor)] if cursor is not None else [])]
            answer = await self._reader.get("/", asked)
            if answer.status == 408 and size > _LEAST_PER_PAGE:
                size = max(_LEAST_PER_PAGE, size // 2)
                continue
            self._must_be_ok(answer)
            return answer, size

    def _must_be_ok(self, answer: Answer) -> None:
        if answer.status != 200:
            raise not_understood(self._reader, answer)


def normal_cnpj(cnpj: str) -> str:
    """The 14 characters of a CNPJ, letters in capitals. ArgumentsWrong("registry_cnpj_wrong", cnpj) when it is none.

    Check digits: modulo 11, weights 2 to 9 from the right; a character counts its ASCII code minus 48 (Instrução
    Normativa RFB 2.229/2024), which for digits is the rule of ever.
    """
    found = re.sub(r"[./\s-]", "", cnpj).upper()
    if not re.fullmatch(r"[0-9A-Z]{12}[0-9]{2}", found) or len(set(found)) == 1:
        raise cnpj_wrong(cnpj)
    for place in (12, 13):
        total = sum((ord(sign) - 48) * (2 + weight % 8) for weight, sign in enumerate(reversed(found[:place])))
        if int(found[place]) != (0 if total % 11 < 2 else 11 - total % 11):
            raise cnpj_wrong(cnpj)
    return found


def _several(name: str, values: list[str]) -> list[tuple[str, str]]:
    return [(name, ",".join(dict.fromkeys(values)))] if values else []


def _code(value: str, digits: int, kind: str) -> str:
    if not re.fullmatch(rf"[0-9]{{{digits}}}", value):
        raise query_wrong(f"{value!r} is no {kind} of {digits} digits")
    return value
