"""The pages of the sandbox's companies, as small firms have them: a home page, contacts, people, an open position.

Telephones and e-mails stand in links, in words or in structured data, as it happens; some sites speak Latin-1, some
forbid robots, some are for sale, some are gone. Nothing here is drawn at random: the host decides.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from html import escape

from core.words import folded
from integrations import sandbox_companies as sandbox
from integrations.sandbox_companies import News, SandboxCompany, Website

DIRECTORY = "guiadapraca.example"
"""A guide to firms that searches find: other people's telephones on every page."""


@dataclass(frozen=True)
class Served:
    """An answer of a site."""

    body: bytes
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@cache
def companies_by_host() -> dict[str, SandboxCompany]:
    return sandbox.by_host()


@cache
def news_by_address() -> dict[str, tuple[SandboxCompany, News]]:
    """host/path → what stands there."""
    found = {}
    for company in sandbox.companies():
        for news in company.news:
            slug = folded(news.title).replace(" ", "-")
            found[f"{news.host}/{news.published:%Y/%m}/{slug}"] = (company, news)
    return found


@cache
def hosts() -> frozenset[str]:
    """Every host of the sandbox's companies and newspapers, without www."""
    papers = {address.partition("/")[0] for address in news_by_address()}
    return frozenset(companies_by_host()) | papers | {DIRECTORY}


def is_down(host: str) -> bool:
    """The company's site answers nothing."""
    company = companies_by_host().get(host)
    return company is not None and company.website is not None and company.website.state == "down"


def serve(host: str, path: str) -> Served:
    """What the site answers over HTTPS; the host is one of `hosts()`, without www."""
    told = news_by_address().get(f"{host}{path}")
    if told is not None:
        return _news(*told)
    if host == DIRECTORY:
        return _directory(path)
    company = companies_by_host().get(host)
    if company is None or company.website is None:
        return _page(host, "Notícias", "<p>Edição do dia.</p>") if path == "/" else _missing()
    site = company.website
    if path == "/robots.txt":
        rules = "User-agent: *\nDisallow: /\n" if site.robots_closed else "User-agent: *\nDisallow: /admin/\nAllow: /\n"
        return Served(rules.encode(), kind="text/plain; charset=utf-8")
    if site.state == "parked":
        body = f"<h1>{host}</h1><p>Este domínio está à venda. Faça uma oferta!</p>"
        return _page(host, f"{host} está à venda", body) if path == "/" else _missing()
    pages = {"/": _home, "/contato": _contact, "/sobre": _about}
    if site.team:
        pages["/equipe"] = _team
    if site.hiring:
        pages["/trabalhe-conosco"] = _hiring
    if path not in pages:
        return _missing()
    return _whole(company, site, path, pages[path](company, site), sorted(pages))


def _home(company: SandboxCompany, site: Website) -> str:
    services = "".join(f"<li>{escape(one.capitalize())}</li>" for one in site.services)
    return f"<h1>{escape(company.trade_name)}</h1><p>{escape(site.about)}</p><h2>Serviços</h2><ul>{services}</ul>"


def _about(company: SandboxCompany, site: Website) -> str:
    return f"<h1>Quem somos</h1><p>{escape(site.about)}</p>"


def _team(company: SandboxCompany, site: Website) -> str:
    people = "".join(f"<li><b>{escape(name)}</b><br>{escape(role)}</li>" for name, role in site.team)
    return f"<h1>Equipe</h1><ul>{people}</ul>"


def _hiring(company: SandboxCompany, site: Website) -> str:
    return f"<h1>Trabalhe conosco</h1><p>Vaga aberta: <b>{escape(site.hiring or '')}</b>.</p>"


def _contact(company: SandboxCompany, site: Website) -> str:
    lines = [f"<p>Telefone: {_phone(site, one)}</p>" for one in site.phones]
    if site.email:
        lines.append(f'<p>E-mail: <a href="mailto:{site.email}">{site.email}</a></p>')
    if site.whatsapp:
        lines.append(f"<p>{_whatsapp(site)}</p>")
    where = company.address
    lines.append(f"<address>{escape(where.street)}, {where.number} {escape(where.extra)}<br>{escape(where.district)}, ")
    lines.append(f"{escape(company.city.name)} - {company.city.uf}, CEP {where.cep[:5]}-{where.cep[5:]}</address>")
    return "<h1>Contato</h1>" + "".join(lines)


def _phone(site: Website, printed: str) -> str:
    if _chance(site.host, "tel") < 0.5:
        return printed
    digits = "".join(sign for sign in printed if sign.isdigit())
    return f'<a href="tel:+55{digits}">{printed}</a>'


def _whatsapp(site: Website) -> str:
    if _chance(site.host, "wa") < 0.6:
        return f'<a href="https://wa.me/{site.whatsapp}?text=Ol%C3%A1">Chame no WhatsApp</a>'
    return f'<a href="https://api.whatsapp.com/send?phone={site.whatsapp}">WhatsApp</a>'


def _whole(company: SandboxCompany, site: Website, path: str, body: str, paths: list[str]) -> Served:
    names = {"/": "Início", "/contato": "Contato", "/sobre": "Quem somos", "/equipe": "Equipe"}
    menu = "".join(f'<a href="{one}">{names.get(one, "Trabalhe conosco")}</a> ' for one in paths)
    links = []
    if company.instagram:
        links.append(f'<a href="https://www.instagram.com/{company.instagram.handle}/">Instagram</a>')
    if company.linkedin:
        links.append(f'<a href="https://www.linkedin.com/company/{company.linkedin.slug}">LinkedIn</a>')
    cnpj = company.cnpj
    shown = f" · CNPJ {cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]}/{cnpj[8:12]}-{cnpj[12:]}" if site.shows_cnpj else ""
    head = ['<meta name="viewport" content="width=device-width, initial-scale=1">'] if site.mobile_ready else []
    if site.meta_pixel:
        head.append("<script>!function(f){f.fbq=function(){}}(window);fbq('init','100000000000000');</script>")
        head.append('<script async src="https://connect.facebook.net/en_US/fbevents.js"></script>')
    if path == "/" and _chance(site.host, "data") < 0.4:
        data = {"@context": "https://schema.org", "@type": "LocalBusiness", "name": company.trade_name}
        if site.phones:
            data["telephone"] = site.phones[0]
        head.append(f'<script type="application/ld+json">{json.dumps(data)}</script>')
    if path == "/" and site.phones and _chance(site.host, "top") < 0.6:
        body = f"<p>Ligue: {_phone(site, site.phones[0])}</p>" + body
    footer = f"<footer>{' '.join(links)}<p>© {site.copyright_year} {escape(company.trade_name)}{shown}</p></footer>"
    title = company.trade_name if path == "/" else f"{names.get(path, 'Trabalhe conosco')} | {company.trade_name}"
    return _page(site.host, title, f"<nav>{menu}</nav><main>{body}</main>{footer}", "".join(head))


def _page(host: str, title: str, body: str, head: str = "") -> Served:
    latin = _chance(host, "latin") < 0.1
    charset = "iso-8859-1" if latin else "utf-8"
    page = (
        f'<!DOCTYPE html><html lang="pt-BR"><head><meta charset="{charset}"><title>{escape(title)}</title>{head}</head>'
        f"<body>{body}</body></html>"
    )
    kind = "text/html" if latin else "text/html; charset=utf-8"  # those tell their letters in the page alone
    return Served(page.encode(charset, "xmlcharrefreplace"), kind=kind)


def _news(company: SandboxCompany, news: News) -> Served:
    when = f"<time>{news.published:%d/%m/%Y}</time>"
    body = f"<article><h1>{escape(news.title)}</h1>{when}<p>{escape(news.summary)}</p></article>"
    return _page(news.host, f"{news.title} | {news.outlet}", body)


def _directory(path: str) -> Served:
    """/campinas/architecture: ten firms of that kind there, with the telephones of their map entries."""
    city, _, activity = path.strip("/").partition("/")
    there = [
        company.maps
        for company in sandbox.companies()
        if company.maps is not None
        and company.activity == activity
        and folded(company.city.name).replace(" ", "-") == city
    ]
    if not there:
        return _missing()
    rows = "".join(
        f"<li><b>{escape(one.title)}</b><br>{escape(one.address)}<br>{one.phone or ''}</li>" for one in there[:10]
    )
    title = f"Os 10 melhores: {there[0].category.lower()} | Guia da Praça"
    return _page(DIRECTORY, title, f"<h1>{escape(title)}</h1><ol>{rows}</ol>")


def _missing() -> Served:
    return Served("<!DOCTYPE html><h1>Página não encontrada</h1>".encode(), 404)


def _chance(host: str, what: str) -> float:
    """Between 0 and 1, always the same for the same host."""
    return int(hashlib.sha256(f"{host}/{what}".encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
