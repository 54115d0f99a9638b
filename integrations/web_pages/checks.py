"""What `mutirao doctor` says of reading company pages. With `--live` it reads one that is there for such purposes
(RFC 2606, IANA), over the machine's own DNS and certificates."""

from core.doctor import Say
from integrations.source_check import Explain, SourceCheck, Step
from integrations.web_pages.client import WebPages

PROBE = "https://example.com/"
TITLE = "Example Domain"


class PagesCheck(SourceCheck):
    """`probe` is a page whose title begins with `title`."""

    def __init__(
        self, pages: WebPages, sandbox: bool, say: Say, explain: Explain, *, probe: str = PROBE, title: str = TITLE
    ) -> None:
        steps = [Step("step_page", self._read)]
        super().__init__("pages", say("doctor.pages_source"), "MUTIRAO_WEB_PAGES", probe, sandbox, steps, say, explain)
        self._pages = pages
        self._probe = probe
        self._title = title

    async def _read(self) -> str | None:
        page = await self._pages.read(self._probe)
        return None if (page.facts.title or "").startswith(self._title) else f"title: {page.facts.title}"
