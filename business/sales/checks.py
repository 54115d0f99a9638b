"""What `mutirao doctor` says of the files by which companies sell: which there are, and what is wrong with one."""

from collections.abc import Awaitable, Callable
from typing import ClassVar

from business.sales.files import SalesFiles
from core.doctor import Finding, Say, State
from core.errors import ArgumentsWrong, MutiraoError


class SalesFilesCheck:
    """`tenants` gives (slug, name) of every company."""

    area: ClassVar[str] = "sales"

    def __init__(
        self,
        files: SalesFiles,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        self._files = files
        self._tenants = tenants
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        findings = []
        for slug, name in await self._tenants():
            try:
                found = self._files.of(slug, name)
            except ArgumentsWrong as error:
                reason = self._explain(error)
                findings.append(self._found("broken", "sales_broken", company=name, reason=reason))
                continue
            items, documents = len(found.catalogue.items), sum(1 for _ in self._files.documents(slug))
            if items:
                told = {"company": name, "persona": found.persona.name, "items": items, "documents": documents}
                findings.append(self._found("ok", "sales_files", **told))
            else:
                folder = self._files.folder(slug)
                findings.append(self._found("note", "sales_none", company=name, folder=folder))
        return findings

    def _found(self, state: State, key: str, /, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
