"""Reading the sites of the sandbox's companies: what they print is found, and nothing else."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import FixedClock
from core.errors import ArgumentsWrong, Refused, Unavailable
from integrations import sandbox_companies
from integrations.sandbox_http import Launched
from integrations.web_pages.client import WebPages
from integrations.web_pages.simulator import launch
from integrations.web_pages.simulator.sites_resolver import SimulatedSites
from tests.integrations.web_pages.conftest import Control


def companies(state: str = "ok", closed: bool = False) -> list[Any]:
    return [
        one
        for one in sandbox_companies.by_host().values()
        if one.website is not None and one.website.state == state and one.website.robots_closed == closed
    ]


def digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


async def test_the_contacts_of_many_companies_are_found_as_printed_and_none_is_invented(pages: WebPages) -> None:
    seen = 0
    for company in companies()[::40]:
        site = company.website
        found = await pages.site(f"https://{site.host}/", most=4)
        everything = [page.facts for page in found.pages]
        assert not found.failures
        assert {one.value for facts in everything for one in facts.phones} == {
            f"55{digits(one)}" for one in site.phones
        }
        assert {one.value for facts in everything for one in facts.whatsapp} == ({site.whatsapp} - {None})
        assert {one.value for facts in everything for one in facts.emails} == ({site.email} - {None})
        assert {one.value for facts in everything for one in facts.cnpjs} == (
            {company.cnpj} if site.shows_cnpj else set()
        )
        told = {(one.network, one.handle) for facts in everything for one in facts.profiles}
        expected = {("instagram", company.instagram.handle)} if company.instagram else set()
        expected |= {("linkedin", f"company/{company.linkedin.slug}")} if company.linkedin else set()
        assert told == expected
        first = everything[0]
        assert (first.mobile_ready, first.meta_pixel) == (site.mobile_ready, site.meta_pixel)
        assert first.copyright_year == site.copyright_year and first.language == "pt-BR"
        assert company.trade_name in first.title and site.about in first.text
        assert found.pages[0].origin == first.origin == "web"
        seen += 1
    assert seen >= 15


async def test_a_bare_name_and_an_http_address_lead_to_the_same_page(pages: WebPages, control: Control) -> None:
    host = companies()[0].website.host
    bare, plain = await pages.read(host), await pages.read(f"http://www.{host}/#topo")
    assert bare.url == f"https://{host}/" and bare.hops == ()
    assert plain.url == f"https://www.{host}/" and plain.hops == (f"http://www.{host}/",)
    assert plain.facts.title == bare.facts.title and plain.asked == f"http://www.{host}/#topo"
    assert all("mutirao/" in one["agent"] and one["cookie"] == "" for one in control.asked())


async def test_only_pages_with_contacts_and_people_are_opened_besides_the_first(
    pages: WebPages, control: Control
) -> None:
    company = next(one for one in companies() if one.website.team and one.website.hiring)
    found = await pages.site(company.website.host, most=3)
    assert [page.url.partition(company.website.host)[2] for page in found.pages] == ["/", "/contato", "/sobre"]
    assert control.paths() == ["/robots.txt", "/", "/contato", "/sobre"]


async def test_letters_of_old_sites_are_read_right(pages: WebPages) -> None:
    from integrations.web_pages.simulator.sites import serve

    old = next(
        one for one in companies() if serve(one.website.host, "/").kind == "text/html" and "ç" in one.website.about
    )
    page = await pages.read(old.website.host)
    assert old.website.about in page.facts.text


async def test_parked_gone_and_unknown_sites_tell_nothing(pages: WebPages) -> None:
    parked = await pages.read(companies("parked")[0].website.host)
    assert not (parked.facts.phones or parked.facts.emails or parked.facts.profiles)
    assert "à venda" in parked.facts.text
    for host in (companies("down")[0].website.host, "nobody-has-this-name.example"):
        with pytest.raises(Unavailable) as failed:
            await pages.read(host)
        assert failed.value.code == "page_unreachable"
    with pytest.raises(Refused) as refused:
        await pages.read(f"https://{companies()[0].website.host}/nada")
    assert (refused.value.code, refused.value.params["status"]) == ("page_refused", 404)


async def test_a_directory_page_shows_other_peoples_telephones(pages: WebPages) -> None:
    page = await pages.read("https://guiadapraca.example/campinas/architecture")
    assert len(page.facts.phones) >= 5


# --- robots.txt -----------------------------------------------------------------------------------


async def test_a_site_that_forbids_robots_is_not_read(pages: WebPages, control: Control) -> None:
    host = companies(closed=True)[0].website.host
    with pytest.raises(Refused) as failed:
        await pages.read(host)
    assert failed.value.code == "page_forbidden_by_robots"
    assert control.paths() == ["/robots.txt"]


@pytest.mark.parametrize(
    ("label", "path", "outcome"),
    [
        ("forbidden", "/", "page_forbidden_by_robots"),
        ("partly", "/area/privado", "page_forbidden_by_robots"),
        ("partly", "/area", None),
        ("others-only", "/", None),
        ("robots-missing", "/", None),
        ("robots-away", "/", "page_unreachable"),
    ],
)
async def test_robots_rules_are_kept_page_by_page(pages: WebPages, label: str, path: str, outcome: str | None) -> None:
    url = f"http://{label}.hostile.example{path}"
    if outcome is None:
        assert (await pages.read(url)).facts.text
        return
    with pytest.raises((Refused, Unavailable)) as failed:
        await pages.read(url)
    assert failed.value.code == outcome


async def test_robots_is_asked_once_a_day_for_each_host(pages: WebPages, control: Control, clock: FixedClock) -> None:
    host = companies()[1].website.host
    for _ in range(3):
        await pages.read(host)
    assert control.paths() == ["/robots.txt", "/", "/", "/"]
    clock.advance(timedelta(hours=25))
    await pages.read(host)
    assert control.paths()[4:] == ["/robots.txt", "/"]


# --- one at a time --------------------------------------------------------------------------------


async def test_a_host_gets_one_request_at_a_time_with_a_pause_and_others_meanwhile(
    reader: Callable[..., WebPages], control: Control
) -> None:
    pages = reader(pause=0.15, total=10.0)
    one, other = (company.website.host for company in companies()[2:4])
    begun = time.monotonic()
    await asyncio.gather(
        *(pages.read(f"https://{one}{path}") for path in ("/", "/contato", "/sobre")), pages.read(other)
    )
    assert time.monotonic() - begun >= 0.45  # four requests to the first host, so three pauses
    order = [one_asked["host"] for one_asked in control.asked()]
    assert order.index(other) < len(order) - 1


async def test_a_host_that_wishes_for_more_time_gets_it(reader: Callable[..., WebPages]) -> None:
    pages = reader()
    await pages.read("http://calm.hostile.example/")
    begun = time.monotonic()
    await pages.read("http://calm.hostile.example/")
    assert time.monotonic() - begun >= 0.35


# --- where a connection goes ----------------------------------------------------------------------


class Moving:
    """DNS that changes: the simulator first, another address with every further look-up."""

    def __init__(self, url: str, then: int) -> None:
        self.sites = SimulatedSites(url)
        self.then = then
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Any:
        from integrations.web_pages.resolver import Endpoint

        self.asked.append(host)
        return await self.sites.resolve(host, port) if len(self.asked) == 1 else (Endpoint("127.0.0.1", self.then),)


async def test_a_name_is_looked_up_once_for_a_connection_which_goes_to_that_address(
    reader: Callable[..., WebPages], sites: Launched
) -> None:
    reached: list[object] = []

    async def trap(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(trap, "127.0.0.1", 0)
    moving = Moving(sites.base_url, server.sockets[0].getsockname()[1])
    pages = reader(moving)
    host = companies()[4].website.host
    with pytest.raises(Unavailable):
        await pages.read(host)  # robots.txt came from the first address; the page's own look-up gave the second
    assert moving.asked == [host, host] and len(reached) == 1
    server.close()
    await server.wait_closed()


async def test_the_certificate_must_be_for_the_name_that_was_asked(pages: WebPages, control: Control) -> None:
    with pytest.raises(Unavailable) as failed:
        await pages.read("https://wrong-certificate.hostile.example/")
    assert failed.value.code == "page_unreachable"
    assert control.asked() == []
    assert (await pages.read("https://plain.hostile.example/")).facts.text


async def test_certificates_of_the_sandbox_are_worth_nothing_without_its_authority(
    reader: Callable[..., WebPages],
) -> None:
    with pytest.raises(Unavailable):
        await reader(trust=None).read("https://plain.hostile.example/")


async def test_the_simulated_sites_are_shared_and_stay_trusted_over_a_restart(
    tmp_path: Path, clock: FixedClock
) -> None:
    server = launch.shared(tmp_path / "sites")
    first = server.acquire()
    trust = launch.trust(tmp_path / "sites")
    server.release()
    assert server.pid() is None
    with launch.shared(tmp_path / "sites") as again:
        assert again == first  # the same port
        pages = WebPages(SimulatedSites(again["url"]), clock, trust=trust)
        assert (await pages.read("https://plain.hostile.example/")).facts.text
        await pages.aclose()
    assert (tmp_path / "sites" / "authority.pem").stat().st_mode & 0o077 == 0


async def test_the_sandbox_knows_no_site_outside_itself(pages: WebPages) -> None:
    for url in ("https://www.google.com/", "https://minhareceita.org/", "https://hostile.example/"):
        with pytest.raises(Unavailable) as failed:
            await pages.read(url)
        assert failed.value.code == "page_unreachable"
    with pytest.raises(ValueError):
        SimulatedSites("http://10.0.0.1:80")


async def test_what_is_no_page_is_refused_before_anybody_is_asked(pages: WebPages, control: Control) -> None:
    for url in ("http://127.0.0.1:8000/", "ftp://x.example/", "https://www.linkedin.com/company/x"):
        with pytest.raises((ArgumentsWrong, Refused)):
            await pages.read(url)
    assert control.asked() == []
