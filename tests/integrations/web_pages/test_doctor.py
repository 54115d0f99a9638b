"""What the doctor says of reading pages."""

from typing import Any

from integrations import sandbox_companies
from integrations.web_pages.checks import PagesCheck
from integrations.web_pages.client import WebPages
from tests.integrations.web_pages.conftest import Control


def say(key: str, **params: Any) -> str:
    return " ".join([key, *(f"{name}={value}" for name, value in params.items())])


def explain(error: Exception) -> str:
    return getattr(error, "code", "?")


async def test_the_doctor_reads_a_page_live_alone(pages: WebPages, control: Control) -> None:
    company = next(one for one in sandbox_companies.by_host().values() if one.website.state == "ok")
    known: dict[str, Any] = {"probe": f"https://{company.website.host}/", "title": company.trade_name}
    (quiet,) = await PagesCheck(pages, False, say, explain, **known).run(live=False)
    assert quiet.state == "unverified" and control.asked() == []
    (read,) = await PagesCheck(pages, False, say, explain, **known).run(live=True)
    assert read.state == "ok"
    (odd,) = await PagesCheck(pages, False, say, explain, **known | {"title": "Other"}).run(live=True)
    assert odd.state == "broken"
    (away,) = await PagesCheck(pages, False, say, explain, probe="https://nobody.example/").run(live=True)
    assert away.state == "broken" and "page_unreachable" in away.text
