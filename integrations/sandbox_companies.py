"""The invented companies of the sandbox: what the register tells of each, and what the public web shows of it.

The simulators of all sources (registry, search, maps, company pages) read this one place, so that they tell of the same
companies. Everything depends on the seed alone: same seed, same companies, on every machine and every day; the picture
is that of `AS_OF`. `companies()` gives all, about 2,900 in 16 cities and 18 activities, always the same objects.

Invented and safe: every web host and e-mail ends in `.example` (RFC 2606: never resolves), the mail providers too
(`gmail.example`). CNPJs have right check digits and telephones follow the number plan, so by chance one may be
somebody's: nothing of the sandbox may ever be called, written to or sold.

The registry and the web disagree where they do in life: printed telephones are newer than registered ones, an
accountant's telephone stands for a dozen clients, closed companies keep their page. `traps` names what is odd about a
company (for tests and evals; no simulator tells it):

    closed, unfit, suspended   registry status BAIXADA, INAPTA, SUSPENSA
    branch                     identificador_matriz_filial 2; `parent` has the head office's CNPJ
    mei                        sole trader under the MEI scheme
    no_contact                 neither telephone nor e-mail in the registry
    shared_phone               the registry's telephone and e-mail are the accountant's
    same_building              shares street, number and building with others
    same_trade_name            another company of the same city has the same trade name
    phone_differs              the site prints another telephone than the registry has
    site_parked, site_down     the address is for sale, or answers nothing
    closed_on_maps             the map says "permanently closed"
    open_on_maps_but_closed    the registry says closed, the map does not
    no_web                     nothing on the web at all
    alphanumeric               its CNPJ has letters (opened since July 2026)
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import yaml

SEED = 2026
AS_OF = date(2026, 11, 14)
"""The day of the picture: the registry's extraction, the last posts, the ages of sites."""
ALPHANUMERIC_SINCE = date(2026, 7, 1)
ACTIVE, SUSPENDED, UNFIT, CLOSED = 2, 3, 4, 8
"""Registry status codes (situacao_cadastral)."""

_DATA = Path(__file__).with_suffix(".yaml")
_LETTERS = "ABCDEGHJKLMNPRSTVWXYZ"  # no F, I, O, Q, U: they are easily misread
_AGES = ("", "", "", "Entre 21 a 30 anos", "Entre 31 a 40 anos", "Entre 41 a 50 anos", "Entre 51 a 60 anos",
         "Entre 61 a 70 anos", "Entre 71 a 80 anos")  # fmt: skip
_CAPITAL = {
    1: (1_000, 5_000, 10_000, 20_000, 50_000),
    3: (50_000, 100_000, 200_000),
    5: (300_000, 1_200_000, 4_000_000),
}
FREE_MAIL = ("gmail.example", "hotmail.example", "uol.example", "yahoo.example")


@dataclass(frozen=True)
class City:
    name: str
    uf: str
    ibge: int
    siafi: int
    """The tax office's own number for the city; the registry takes both."""
    ddd: int
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Address:
    street: str
    """With its kind, in everyday writing: "Rua Coronel Quirino"."""
    number: str
    extra: str
    """"Edifício Ipê Office, sala 1203"; empty when there is none."""
    district: str
    cep: str
    """Eight digits. One street has one."""


@dataclass(frozen=True)
class Partner:
    name: str
    document: str
    """A person's CPF as the registry masks it: ***112108**."""
    role_code: int
    role: str
    joined: date
    age_code: int
    age: str


@dataclass(frozen=True)
class Website:
    host: str
    """Without www; ends in .example."""
    state: str
    """ok, parked (a page that offers the name for sale) or down (no answer)."""
    about: str
    services: tuple[str, ...]
    phones: tuple[str, ...]
    """As printed: "(19) 3232-4455"."""
    whatsapp: str | None
    """As linked: digits with 55."""
    email: str | None
    team: tuple[tuple[str, str], ...]
    """(name, title) on the page about the people."""
    shows_cnpj: bool
    copyright_year: int
    mobile_ready: bool
    meta_pixel: bool
    hiring: str | None
    """The title of an open position."""
    robots_closed: bool
    """robots.txt forbids everything."""


@dataclass(frozen=True)
class Instagram:
    handle: str
    followers: int
    posts: int
    last_post: date
    bio: str


@dataclass(frozen=True)
class LinkedIn:
    slug: str
    """linkedin.com/company/<slug>"""
    headline: str
    employees: str
    """LinkedIn's bands: "2-10", "11-50", "51-200"."""


@dataclass(frozen=True)
class MapsListing:
    place_id: str
    title: str
    category: str
    rating: float | None
    """1.0 to 5.0, one decimal; None without reviews."""
    reviews: int
    phone: str | None
    """As printed."""
    website: str | None
    """Host."""
    address: str
    latitude: float
    longitude: float
    permanently_closed: bool


@dataclass(frozen=True)
class News:
    published: date
    outlet: str
    host: str
    title: str
    summary: str


@dataclass(frozen=True)
class SandboxCompany:
    # --- the register ---
    cnpj: str
    """14 characters with right check digits; letters among the first twelve if opened since July 2026."""
    legal_name: str
    """In capitals without accents, as the register writes."""
    registered_trade_name: str
    """The same for the trade name; often empty."""
    status: int
    status_since: date
    opened: date
    cnae: int
    cnae_text: str
    further_cnaes: tuple[int, ...]
    address: Address
    city: City
    phones: tuple[str, ...]
    """Area code and number, digits only; none, one or two. Mobiles of before 2014 may lack the ninth digit."""
    email: str | None
    size_code: int
    """1 micro, 3 small (EPP), 5 others."""
    capital: int
    """Reais."""
    mei: bool | None
    simples: bool | None
    nature_code: int
    nature: str
    head_office: bool
    parent: str | None
    """The head office's CNPJ, for a branch."""
    partners: tuple[Partner, ...]
    # --- the web ---
    activity: str
    """Key of sandbox_companies.yaml: architecture, dentist…"""
    trade_name: str
    """As the company writes itself."""
    website: Website | None
    instagram: Instagram | None
    linkedin: LinkedIn | None
    maps: MapsListing | None
    news: tuple[News, ...]
    traps: tuple[str, ...]

    @property
    def active(self) -> bool:
        return self.status == ACTIVE

    def older_than(self, years: int, on: date) -> bool:
        """Opened more than `years` years before the day."""
        return self.opened < on.replace(year=on.year - years, day=min(on.day, 28) if on.month == 2 else on.day)


@dataclass(frozen=True)
class Street:
    """One street of the sandbox with its postal code."""

    cep: str
    name: str
    district: str
    city: City


# --- for those who use it -------------------------------------------------------------------------


@cache
def companies(seed: int = SEED) -> tuple[SandboxCompany, ...]:
    """All companies, in the order of their registration here (which is not that of their CNPJ)."""
    return tuple(_Maker(seed).all())


@cache
def by_cnpj(seed: int = SEED) -> dict[str, SandboxCompany]:
    return {company.cnpj: company for company in companies(seed)}


@cache
def by_host(seed: int = SEED) -> dict[str, SandboxCompany]:
    """Host of the site → the company whose it is (the head office where branches share it)."""
    return {
        company.website.host: company
        for company in companies(seed)
        if company.website is not None and not company.parent
    }


@cache
def cities() -> tuple[City, ...]:
    return tuple(
        City(name, one["uf"], one["ibge"], one["siafi"], one["ddd"], one["lat"], one["lng"])
        for name, one in _data()["cities"].items()
    )


@cache
def streets() -> dict[str, Street]:
    """Postal code → street, of all streets that companies of the sandbox lie on."""
    found: dict[str, Street] = {}
    for city in cities():
        for district, (prefix, *names) in _data()["districts"][city.name].items():
            for place, name in enumerate(names):
                cep = f"{prefix}{10 + place * 130 + len(name) * 3:03d}"
                found[cep] = Street(cep, name, district, city)
    return found


def cnae_texts() -> dict[int, str]:
    """Activity code → the register's words, of every activity that a company of the sandbox has."""
    return {one["cnae"]: one["text"] for one in _data()["activities"]} | _data()["further"]


def with_check_digits(base: str) -> str:
    """A CNPJ's first twelve characters with the two check digits.

    Modulo 11 with weights 2 to 9 from the right; a character counts its ASCII code minus 48, so digits count as ever
    (Instrução Normativa RFB 2.229/2024, alphanumeric since July 2026).
    """
    for _ in range(2):
        total = sum((ord(sign) - 48) * (2 + place % 8) for place, sign in enumerate(reversed(base)))
        base += str(0 if total % 11 < 2 else 11 - total % 11)
    return base


def plain(text: str) -> str:
    """Without accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


# --- making them ----------------------------------------------------------------------------------


@cache
def _data() -> dict[str, Any]:
    return dict(yaml.safe_load(_DATA.read_text(encoding="utf-8")))


CAMPINAS_ARCHITECTS: tuple[tuple[int, str], ...] = (
    (64, "active"), (12, "young"), (10, "closed"), (5, "unfit"), (2, "suspended"), (5, "branch"),
)  # fmt: skip
"""How many architecture offices (7111100) Campinas has, by kind. `active`: active head offices, opened before November
2023; `young`: active head offices opened since, two of them on 20 and 21 November 2023, three with letters in the
CNPJ."""


class _Maker:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._roots: set[str] = set()
        self._hosts: set[str] = set()
        self._handles: set[str] = set()
        self._activities: dict[str, dict[str, Any]] = {one["key"]: one for one in _data()["activities"]}
        self._streets: dict[str, list[Street]] = {}
        for street in streets().values():
            self._streets.setdefault(street.city.name, []).append(street)

    def all(self) -> Iterator[SandboxCompany]:
        for city in cities():
            for key, activity in self._activities.items():
                if (city.name, key) == ("Campinas", "architecture"):
                    yield from self._campinas_architects(city)
                    continue
                made = [
                    self._company(city, activity, Random(f"{self._seed}/{city.ibge}/{key}/{number}"))
                    for number in range(activity["count"] * (2 if city.name == "São Paulo" else 1))
                ]
                yield from made
                rnd = Random(f"{self._seed}/{city.ibge}/{key}/branches")
                heads = [one for one in made if one.active and one.size_code == 5]
                for head in heads[:1]:
                    yield self._branch(head, rnd.choice(cities()), rnd)

    def _campinas_architects(self, city: City) -> Iterator[SandboxCompany]:
        """The offices of the classic question, in known numbers; see CAMPINAS_ARCHITECTS."""
        activity = self._activities["architecture"]
        heads: list[SandboxCompany] = []
        twins: list[str] = []
        for count, kind in CAMPINAS_ARCHITECTS:
            for number in range(count):
                rnd = Random(f"{self._seed}/campinas-architects/{kind}/{number}")
                if kind == "branch":
                    yield self._branch(heads[number * 7], city, rnd)
                    continue
                odd: dict[str, Any] = {}
                if kind == "active":
                    odd["opened"] = _day(rnd, date(1979, 3, 1), date(2023, 10, 31), late=1.6)
                    odd["contact"] = "none" if number % 11 == 5 else "accountant" if number % 8 == 3 else "own"
                    odd["building"] = number % 16 in (6, 7)
                    if number in (20, 40, 41):
                        odd["trade_name"] = twins[0] if number < 40 else twins[1]
                elif kind == "young":
                    fixed = {0: date(2023, 11, 20), 1: date(2023, 11, 21), 2: date(2026, 7, 14), 3: date(2026, 8, 26),
                             4: date(2026, 10, 5)}  # fmt: skip
                    odd["opened"] = fixed.get(number) or _day(rnd, date(2023, 12, 1), date(2026, 6, 25))
                elif kind in ("closed", "unfit", "suspended"):
                    odd["opened"] = _day(rnd, date(1988, 3, 1), date(2021, 6, 30))
                odd["status"] = {"closed": CLOSED, "unfit": UNFIT, "suspended": SUSPENDED}.get(kind, ACTIVE)
                made = self._company(city, activity, rnd, **odd)
                if kind == "active":
                    heads.append(made)
                    if number in (8, 30):
                        twins.append(made.trade_name)
                yield made

    def _company(
        self,
        city: City,
        activity: dict[str, Any],
        rnd: Random,
        *,
        opened: date | None = None,
        status: int | None = None,
        contact: str | None = None,
        building: bool | None = None,
        trade_name: str | None = None,
    ) -> SandboxCompany:
        traps: list[str] = []
        mei = rnd.random() < activity["mei"]
        if opened is None:
            first = date(2010, 2, 1) if mei else date(1975, 4, 1)
            opened = _day(rnd, first, date(2026, 10, 30), late=1.35)
            if rnd.random() < 0.015:
                opened = _day(rnd, ALPHANUMERIC_SINCE, date(2026, 10, 30))
        if status is None:
            status = rnd.choices((ACTIVE, CLOSED, UNFIT, SUSPENDED), (80, 13, 5, 2))[0]
        since = opened if status == ACTIVE else _day(rnd, min(opened + timedelta(days=20), AS_OF), AS_OF)
        traps += [
            word for code, word in ((CLOSED, "closed"), (UNFIT, "unfit"), (SUSPENDED, "suspended")) if code == status
        ]
        data = _data()
        owner_first = rnd.choice(data["women"] + data["men"])
        x, y = rnd.sample(data["surnames"], 2)
        named = rnd.choice(activity["words"]).format(x=x, y=y, w=rnd.choice(data["fancy"]), first=owner_first)
        if trade_name is None:
            trade_name = named
        else:
            traps.append("same_trade_name")
        cnpj = self._cnpj(opened, rnd)
        if not cnpj.isdigit():
            traps.append("alphanumeric")
        size = 1 if mei else rnd.choices((1, 3, 5), (62, 26, 12 if opened < date(2024, 1, 1) else 0))[0]
        owner = f"{owner_first} {x} {rnd.choice(data['surnames'])}"
        individual = mei or (size == 1 and rnd.random() < 0.18 and activity["key"] != "law")
        if mei:
            traps.append("mei")
        legal_name = self._legal_name(rnd, owner, trade_name, activity, cnpj, mei, individual, opened, x, y)
        nature = (2135, "Empresário (Individual)") if individual else (2062, "Sociedade Empresária Limitada")
        if activity["key"] == "law" and not individual:
            nature = (2232, "Sociedade Simples Pura")
        partners = () if individual else self._partners(rnd, owner, x, y, opened)
        address, shared = self._address(city, rnd, building)
        if shared:
            traps.append("same_building")
        contact = contact or rnd.choices(("own", "accountant", "none"), (78, 12, 10))[0]
        host = self._host(trade_name, city) if rnd.random() < activity["site"] * (0.45 if mei else 1) else None
        mobile, landline = _mobile(city, rnd), _landline(city, rnd)
        phones: tuple[str, ...] = ()
        email: str | None = None
        if contact == "own":
            old = opened < date(2014, 1, 1)
            registered = rnd.choices((mobile, landline), (35, 65) if old else (75, 25))[0]
            if registered == mobile and old and rnd.random() < 0.7:
                registered = mobile[:2] + mobile[3:]  # written down before the ninth digit came
            phones = (registered, landline) if rnd.random() < 0.15 and registered != landline else (registered,)
            if rnd.random() < 0.6:
                free = f"{_slug(trade_name)}{opened.year % 100:02d}@{rnd.choice(FREE_MAIL)}"
                email = f"contato@{host}" if host and rnd.random() < 0.5 else free
        elif contact == "accountant":
            phones, email = self._accountant(city, rnd)
            traps.append("shared_phone")
        else:
            traps.append("no_contact")
        made = SandboxCompany(
            cnpj=cnpj,
            legal_name=legal_name,
            registered_trade_name=plain(trade_name).upper() if rnd.random() < 0.62 and not mei else "",
            status=status,
            status_since=since,
            opened=opened,
            cnae=activity["cnae"],
            cnae_text=activity["text"],
            further_cnaes=tuple(sorted(rnd.sample(activity["also"], rnd.randint(0, len(activity["also"]))))),
            address=address,
            city=city,
            phones=phones,
            email=email,
            size_code=size,
            capital=rnd.choice(_CAPITAL[size]),
            mei=mei if opened >= date(2009, 7, 1) else None,
            simples=True if mei else (None if rnd.random() < 0.1 else rnd.random() < 0.75),
            nature_code=nature[0],
            nature=nature[1],
            head_office=True,
            parent=None,
            partners=partners,
            activity=activity["key"],
            trade_name=trade_name,
            website=None,
            instagram=None,
            linkedin=None,
            maps=None,
            news=(),
            traps=tuple(traps),
        )  # fmt: skip
        return self._on_the_web(made, activity, host, owner, mobile, landline, rnd)

    def _branch(self, head: SandboxCompany, city: City, rnd: Random) -> SandboxCompany:
        """A further office of the company: same root of the CNPJ, name and site; its own address and telephone."""
        cnpj = with_check_digits(head.cnpj[:8] + "0002")
        address, _ = self._address(city, rnd, False)
        opened = _day(rnd, head.opened + timedelta(days=200), AS_OF) if head.opened < date(2026, 1, 1) else AS_OF
        lat, lng = _near(city, rnd)
        maps = head.maps and replace(
            head.maps, place_id=_place_id(cnpj), address=_shown(address, city), phone=None, latitude=lat, longitude=lng
        )
        return replace(
            head, cnpj=cnpj, address=address, city=city, opened=opened, status_since=opened, head_office=False,
            parent=head.cnpj, phones=(_landline(city, rnd),), maps=maps, news=(), traps=("branch",),
        )  # fmt: skip

    # --- the register's side ------------------------------------------------------------------

    def _cnpj(self, opened: date, rnd: Random) -> str:
        while True:
            if opened >= ALPHANUMERIC_SINCE:
                root = "".join(rnd.choice("0123456789" + _LETTERS) for _ in range(8))
                if root.isdigit():
                    continue
            else:
                root = f"{max(10_000, int(_root_about(opened)) + rnd.randint(-60_000, 60_000)):08d}"
            if root not in self._roots:
                self._roots.add(root)
                return with_check_digits(root + "0001")

    def _legal_name(
        self, rnd: Random, owner: str, trade: str, activity: dict[str, Any], cnpj: str, mei: bool, individual: bool,
        opened: date, x: str, y: str,
    ) -> str:  # fmt: skip
        if mei and opened >= date(2021, 12, 1):
            return f"{cnpj[:2]}.{cnpj[2:5]}.{cnpj[5:8]} {plain(owner).upper()}"
        if mei:
            return f"{plain(owner).upper()} ***{rnd.randint(0, 99_999):05d}***"  # the API masks the CPF in old names
        if individual:
            return plain(owner).upper()
        style = rnd.random()
        if activity["key"] == "law":
            name = f"{x} E {y} SOCIEDADE DE ADVOGADOS"
        elif style < 0.45:
            name = f"{x} {y} {activity['area']} LTDA"
        elif style < 0.8:
            name = f"{trade} LTDA"
        else:
            name = f"{x[:1]} {y[:1]} {rnd.choice('ABCDEGLMNPRST')} {activity['area']} LTDA"
        name = plain(name).upper().replace("&", "E").replace(",", "")
        return f"{name} - ME" if opened < date(2017, 1, 1) and rnd.random() < 0.2 and name.endswith("LTDA") else name

    def _partners(self, rnd: Random, owner: str, x: str, y: str, opened: date) -> tuple[Partner, ...]:
        data = _data()
        count = 1 if opened >= date(2019, 10, 1) and rnd.random() < 0.5 else rnd.choice((1, 2, 2, 3))
        names = [owner]
        for _ in range(count - 1):
            first = rnd.choice(data["women"] + data["men"])
            names.append(f"{first} {rnd.choice((x, y))} {rnd.choice(data['surnames'])}")
        found = []
        for place, name in enumerate(names):
            age = rnd.randint(3, 8) if opened < date(2015, 1, 1) else rnd.randint(3, 6)
            role = (49, "Sócio-Administrador") if place == 0 or rnd.random() < 0.4 else (22, "Sócio")
            joined = opened if rnd.random() < 0.8 else _day(rnd, opened, AS_OF)
            found.append(
                Partner(plain(name).upper(), f"***{rnd.randint(0, 999_999):06d}**", *role, joined, age, _AGES[age])
            )
        return tuple(found)

    def _address(self, city: City, rnd: Random, building: bool | None) -> tuple[Address, bool]:
        if building is None:
            building = rnd.random() < 0.06
        if building:  # each city has its one building that everybody is in
            street = self._streets[city.name][0]
            name = _data()["buildings"][city.ibge % 5]
            floor = rnd.randint(1, 18)
            extra = f"{name}, sala {floor}{rnd.randint(1, 12):02d}"
            return Address(street.name, str(100 + city.ibge % 900), extra, street.district, street.cep), True
        street = rnd.choice(self._streets[city.name])
        extra = rnd.choice(
            ("", "", "", f"sala {rnd.randint(1, 120)}", f"loja {rnd.randint(1, 12)}", "casa", "sobreloja")
        )
        number = "S/N" if rnd.random() < 0.03 else str(rnd.randint(12, 2_900))
        return Address(street.name, number, extra, street.district, street.cep), False

    def _accountant(self, city: City, rnd: Random) -> tuple[tuple[str, ...], str]:
        """One of the city's three accountants: the telephone and e-mail that they put for their clients."""
        which = rnd.randint(1, 3)
        known = Random(f"{self._seed}/{city.ibge}/accountant/{which}")
        name = f"contabil{_slug(known.choice(_data()['surnames']))}"
        return (_landline(city, known),), f"legalizacao@{name}.example"

    # --- the web's side -----------------------------------------------------------------------

    def _on_the_web(
        self, made: SandboxCompany, activity: dict[str, Any], host: str | None, owner: str, mobile: str, landline: str,
        rnd: Random,
    ) -> SandboxCompany:  # fmt: skip
        traps = list(made.traps)
        gone = made.status != ACTIVE
        young = made.opened > AS_OF - timedelta(days=150)
        own_phone = made.phones[0] if made.phones and "shared_phone" not in traps else None
        printed = own_phone or landline
        if own_phone is None or rnd.random() < 0.25:
            printed = rnd.choice((mobile, landline))
        printed = _with_ninth(printed)
        site = (
            self._site(made, activity, host, owner, mobile, printed, gone, rnd)
            if host and not (young and rnd.random() < 0.6)
            else None
        )
        if site is not None and site.state != "ok":
            traps.append(f"site_{site.state}")
        elif site is not None and made.phones and _with_ninth(made.phones[0]) != printed:
            traps.append("phone_differs")
        instagram = None
        if rnd.random() < activity["insta"] * (0.5 if gone else 1):
            last = (
                _day(rnd, AS_OF - timedelta(days=900), AS_OF - timedelta(days=200))
                if gone or rnd.random() < 0.25
                else _day(rnd, AS_OF - timedelta(days=40), AS_OF)
            )
            last = max(last, made.opened)
            bio = f"{activity['category']} em {made.city.name}" + (
                f" | {site.host}" if site and rnd.random() < 0.5 else ""
            )
            followers = int(rnd.lognormvariate(7.2, 1.1)) + 40
            instagram = Instagram(self._handle(made), followers, followers // rnd.randint(3, 14) + 3, last, bio)
        linkedin = None
        office = activity["key"] in ("software", "advertising")
        if rnd.random() < (0.6 if made.size_code != 1 else 0.5 if office else 0):
            band = {1: "2-10", 3: "11-50", 5: "51-200"}[made.size_code]
            slug = _slug(f"{made.trade_name} {made.city.name}", "-")
            linkedin = LinkedIn(slug, f"{activity['category']} · {made.city.name}, {made.city.uf}", band)
        maps = None
        if rnd.random() < (0.45 if gone else 0.3 if made.mei else 0.78) and not young:
            closed = gone and rnd.random() < 0.55
            reviews = 0 if rnd.random() < 0.12 else max(1, int(rnd.lognormvariate(3.1, 1.2)))
            rating = None if reviews == 0 else round(min(5.0, max(2.2, rnd.gauss(4.5, 0.45))), 1)
            maps = MapsListing(
                _place_id(made.cnpj), made.trade_name, activity["category"], rating, reviews,
                _printed(printed) if rnd.random() < 0.85 else None, site.host if site and rnd.random() < 0.8 else None,
                _shown(made.address, made.city), *_near(made.city, rnd), closed,
            )  # fmt: skip
            if closed:
                traps.append("closed_on_maps")
            elif gone:
                traps.append("open_on_maps_but_closed")
        news = (
            self._news(made, activity, rnd)
            if rnd.random() < (0.03 if made.size_code == 1 else 0.16) and not gone
            else ()
        )
        if not (site or instagram or linkedin or maps or news):
            traps.append("no_web")
        return replace(
            made, website=site, instagram=instagram, linkedin=linkedin, maps=maps, news=news, traps=tuple(traps)
        )

    def _site(
        self, made: SandboxCompany, activity: dict[str, Any], host: str, owner: str, mobile: str, printed: str,
        gone: bool, rnd: Random,
    ) -> Website:  # fmt: skip
        state = rnd.choices(("ok", "parked", "down"), (30, 35, 35) if gone else (93, 3, 4))[0]
        services = tuple(rnd.sample(activity["services"], min(3 + rnd.randint(0, 2), len(activity["services"]))))
        years = max(1, AS_OF.year - made.opened.year)
        about = rnd.choice(_data()["about"]).format(
            name=made.trade_name, what=activity["category"].lower(), city=made.city.name,
            district=made.address.district, year=made.opened.year, first=services[0], second=services[1],
        )  # fmt: skip
        data = _data()
        team = [(owner, "Responsável técnica" if owner.split()[0] in data["women"] else "Responsável técnico")]
        if made.size_code != 1 and rnd.random() < 0.7:
            team.append((f"{rnd.choice(data['women'])} {rnd.choice(data['surnames'])}", "Atendimento"))
            team.append((f"{rnd.choice(data['men'])} {rnd.choice(data['surnames'])}", "Coordenador de marketing"))
        hiring = rnd.choice(data["positions"])
        phones = [_printed(printed)] if rnd.random() < 0.9 else []
        return Website(
            host=host,
            state=state,
            about=about,
            services=services,
            phones=tuple(phones),
            whatsapp=f"55{mobile}" if rnd.random() < 0.65 else None,
            email=rnd.choice((f"contato@{host}", f"atendimento@{host}", f"comercial@{host}"))
            if rnd.random() < 0.75
            else None,
            team=tuple(team) if rnd.random() < 0.45 else (),
            shows_cnpj=rnd.random() < 0.4,
            copyright_year=rnd.choice((2026, 2026, 2026, 2025, 2024, 2022, 2019, 2016))
            if years > 10
            else 2026 - rnd.randint(0, min(3, years)),
            mobile_ready=rnd.random() < 0.8,
            meta_pixel=rnd.random() < 0.28,
            hiring=hiring if rnd.random() < 0.1 and not gone else None,
            robots_closed=rnd.random() < 0.04,
        )

    def _news(self, made: SandboxCompany, activity: dict[str, Any], rnd: Random) -> tuple[News, ...]:
        outlet, host = rnd.choice([tuple(one) for one in _data()["outlets"]])
        years = AS_OF.year - made.opened.year
        title, summary = rnd.choice(_data()["news"][: None if years >= 5 else -1])
        told = {
            "name": made.trade_name, "city": made.city.name, "district": made.address.district, "years": years,
            "year": made.opened.year, "first": activity["services"][0], "second": activity["services"][1],
        }  # fmt: skip
        day = max(made.opened, _day(rnd, AS_OF - timedelta(days=400), AS_OF))
        return (News(day, outlet, host, title.format(**told), summary.format(**told)),)

    def _host(self, trade_name: str, city: City) -> str:
        slug = _slug(trade_name)
        for host in (
            f"{slug}.example",
            f"{slug}{_slug(city.name)}.example",
            *(f"{slug}{n}.example" for n in range(2, 99)),
        ):
            if host not in self._hosts:
                self._hosts.add(host)
                return host
        raise AssertionError(trade_name)

    def _handle(self, made: SandboxCompany) -> str:
        slug = _slug(made.trade_name, ".")[:24].strip(".")
        for handle in (slug, f"{slug}.{made.city.uf.lower()}", *(f"{slug}{n}" for n in range(2, 99))):
            if handle not in self._handles:
                self._handles.add(handle)
                return handle
        raise AssertionError(made.trade_name)


def _day(rnd: Random, first: date, last: date, late: float = 1.0) -> date:
    """A day of the span; the higher `late`, the nearer to its end."""
    if last <= first:
        return first
    return last - timedelta(days=int((last - first).days * rnd.random() ** late))


_ROOTS = ((1994, 100_000), (2000, 3_500_000), (2005, 7_200_000), (2010, 11_400_000), (2015, 21_700_000),
          (2020, 36_000_000), (2023, 49_000_000), (2027, 69_000_000))  # fmt: skip


def _root_about(opened: date) -> float:
    """Roots grew with the years since 1994; before that they were spread over another range."""
    year = opened.year + opened.timetuple().tm_yday / 366
    if year < _ROOTS[0][0]:
        return 42_000_000 + (year - 1975) * 900_000
    for (y0, r0), (y1, r1) in pairwise(_ROOTS):
        if year < y1:
            return r0 + (r1 - r0) * (year - y0) / (y1 - y0)
    raise AssertionError(opened)


def _mobile(city: City, rnd: Random) -> str:
    return f"{city.ddd}9{rnd.randint(6, 9)}{rnd.randint(0, 9_999_999):07d}"


def _landline(city: City, rnd: Random) -> str:
    return f"{city.ddd}3{rnd.randint(2_000_000, 9_999_999):07d}"


def _with_ninth(phone: str) -> str:
    """A mobile as it is dialled today."""
    return phone[:2] + "9" + phone[2:] if len(phone) == 10 and phone[2] in "6789" else phone


def _printed(phone: str) -> str:
    return f"({phone[:2]}) {phone[2:-4]}-{phone[-4:]}"


def _slug(text: str, between: str = "") -> str:
    return re.sub(r"[^a-z0-9]+", between, plain(text).lower().replace("&", " e ")).strip(between or " ")


def _shown(address: Address, city: City) -> str:
    extra = f", {address.extra}" if address.extra else ""
    cep = f"{address.cep[:5]}-{address.cep[5:]}"
    return f"{address.street}, {address.number}{extra} - {address.district}, {city.name} - {city.uf}, {cep}"


def _near(city: City, rnd: Random) -> tuple[float, float]:
    return round(city.latitude + rnd.uniform(-0.035, 0.035), 6), round(city.longitude + rnd.uniform(-0.035, 0.035), 6)


def _place_id(cnpj: str) -> str:
    rnd = Random(f"place/{cnpj}")
    return "ChIJ" + "".join(
        rnd.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") for _ in range(23)
    )
