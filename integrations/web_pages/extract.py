"""What a company's page tells: its words, telephones, e-mails, WhatsApp, profiles, and a few signs of how it is kept.

Everything is taken as it stands, with the way it was written (`given`), and nothing is completed: a telephone without
area code is no telephone here. Words are data of a stranger (origin "web").

Read with lxml's HTML parser as a stream of events (libxml2): no tree is built, so that pages made to hurt (300,000
nested elements, 150,000 attributes) take time in proportion to their size; tree builders after HTML5 do not.
"""

import html as entities
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

LONGEST_TEXT = 20_000
"""Characters of the page's words that are kept."""
_MOST_FOUND = 30
_MOST_LINKS = 300
_LONGEST_DATA = 200_000

AREA_CODES = frozenset(
    "11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 63 64 "
    "65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 95 96 97 98 99".split()
)
"""Anatel's national codes (DDD)."""
_PHONE = re.compile(
    r"(?<![\w./,-])(?P<given>(?P<country>\+ ?55[ .-]?|0055[ .-]?)?(?P<open>\()?0?(?P<area>[1-9][1-9])(?(open)\))"
    r"(?P<gap>[ .-]{0,2})(?P<first>9[ .]?[0-9]{4}|[0-9]{4})(?P<dash>[ .-]?)(?P<last>[0-9]{4}))(?![\w/-]?[0-9])"
)
_SERVICE = re.compile(
    r"(?<![\w./,-])(?P<given>0800[ .-]?[0-9]{3}[ .-]?[0-9]{4}|[43]00[0-9][ .-][0-9]{4})(?![\w/-]?[0-9])"
)
_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![\w-])"
)
_CNPJ = re.compile(
    r"(?<![\w.])[0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}(?!\w)|(?i:cnpj)\W{0,5}([0-9A-Z]{12}[0-9]{2})(?!\w)"
)
_COPYRIGHT = re.compile(
    r"(?:©|\(c\)|copyright)\D{0,40}?(?:((?:19|20)[0-9]{2})\s?[-–]\s?)?((?:19|20)[0-9]{2})(?![0-9])", re.IGNORECASE
)
_NO_MAIL = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|css|js)$|@(?:sentry|example|exemplo|dominio|seusite|email)\.|@.*\.wixpress\.com$",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])", re.IGNORECASE)

_SILENT = frozenset("script style noscript template svg math iframe object canvas select textarea title head".split())
_BLOCKS = frozenset(
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header "
    "hr li main nav ol p pre section table td th tr ul option label button".split()
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

_NETWORKS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "instagram.com": ("instagram", re.compile(r"/(?!p/|reel|explore|stories|accounts|share)([A-Za-z0-9._]{1,30})/?$")),
    "facebook.com": (
        "facebook",
        re.compile(r"/(?!sharer|share|dialog|plugins|tr\b|login|policies|help|watch|hashtag)((?:pages/|p/|groups/)?[^/?#]{2,80}(?:/[0-9]+)?)/?$"),
    ),
    "linkedin.com": ("linkedin", re.compile(r"/((?:company|school)/[^/?#]{1,100})(?:/.*)?$")),
    "youtube.com": ("youtube", re.compile(r"/(@[^/?#]{1,60}|(?:channel|c|user)/[^/?#]{1,60})(?:/.*)?$")),
    "tiktok.com": ("tiktok", re.compile(r"/(@[A-Za-z0-9._]{1,30})/?$")),
    "twitter.com": ("x", re.compile(r"/(?!intent|share|home|hashtag|search|i/)([A-Za-z0-9_]{1,15})/?$")),
    "x.com": ("x", re.compile(r"/(?!intent|share|home|hashtag|search|i/)([A-Za-z0-9_]{1,15})/?$")),
}  # fmt: skip

Where = Literal["link", "text", "data"]
"""A link made for it (tel:, mailto:, wa.me), the printed words, or structured data (schema.org) of the page."""


@dataclass(frozen=True)
class Found:
    """A telephone, e-mail, WhatsApp number or CNPJ of the page."""

    value: str
    """To compare by. Telephone: digits with 55 before the area code (0800… and 4004… without); nothing is added to the
    number, so old mobiles may lack their ninth digit. E-mail: small letters. CNPJ: 14 characters."""
    given: str
    """As it stands on the page."""
    where: Where


@dataclass(frozen=True)
class Profile:
    """A profile in a social network that the page links to."""

    network: str
    """instagram, facebook, linkedin, youtube, tiktok, x"""
    handle: str
    """As in its address: "ipe.arquitetura", "company/ipe"."""
    url: str


@dataclass(frozen=True)
class Link:
    url: str
    text: str


@dataclass(frozen=True)
class PageFacts:
    """What the page tells. None and empty: it does not tell."""

    title: str | None = None
    description: str | None = None
    language: str | None = None
    text: str = ""
    """Its visible words, one line for each block; at most LONGEST_TEXT characters."""
    phones: tuple[Found, ...] = ()
    whatsapp: tuple[Found, ...] = ()
    emails: tuple[Found, ...] = ()
    cnpjs: tuple[Found, ...] = ()
    profiles: tuple[Profile, ...] = ()
    links: tuple[Link, ...] = ()
    """Web links, absolute, without the fragment, each once."""
    copyright_year: int | None = None
    """The latest year beside a ©: a sign of when somebody last cared."""
    mobile_ready: bool = False
    """It says how it wants to be shown on a telephone (meta viewport)."""
    meta_pixel: bool = False
    """It carries Meta's pixel: somebody advertises, or did."""

    origin: ClassVar[Literal["web"]] = "web"


def facts_of(source: str, url: str, *, html: bool = True) -> PageFacts:
    """What the page at `url` tells. Never raises for what stands in it. Takes time in proportion to its size."""
    if not html:
        text = _lines(source)[:LONGEST_TEXT]
        return PageFacts(
            text=text,
            phones=tuple(_phones(text)),
            emails=tuple(_emails(text)),
            cnpjs=tuple(_cnpjs(text)),
            copyright_year=_copyright(text),
        )
    from lxml import etree

    collected = _Collector()
    parser = etree.HTMLParser(target=collected, encoding="utf-8", no_network=True)
    try:
        etree.fromstring(source.encode("utf-8", "replace"), parser)
    except etree.LxmlError:
        pass  # what came before the nonsense has been collected
    return collected.facts(url)


class _Collector:
    """Takes the parser's events."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.title: list[str] = []
        self.meta: dict[str, str] = {}
        self.language: str | None = None
        self.base: str | None = None
        self.links: list[tuple[str, list[str]]] = []
        self.data_blocks: list[list[str]] = []
        self.meta_pixel = False
        self._size = 0
        self._data_size = 0
        self._silent: list[str] = []
        """Open elements whose words are not shown, and those inside them."""
        self._depth = 0
        self._hidden_at: list[int] = []
        self._in_title = False
        self._in_data = False
        self._in_script = False
        self._link: list[str] | None = None

    # --- events -------------------------------------------------------------------------------

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag not in _VOID:
            self._depth += 1
            if tag in _SILENT or "hidden" in attributes or _HIDDEN.search(attributes.get("style", "")[:500]):
                self._hidden_at.append(self._depth)
        if tag in _BLOCKS:
            self._word("\n")
        if tag == "html":
            self.language = attributes.get("lang")
        elif tag == "base":
            self.base = self.base or attributes.get("href")
        elif tag == "title":
            self._in_title = not self.title
        elif tag == "meta":
            name = (attributes.get("name") or attributes.get("property") or "").strip().lower()[:40]
            if name and len(self.meta) < 100:
                self.meta.setdefault(name, attributes.get("content", "")[:1_000])
        elif tag == "a" and "href" in attributes and len(self.links) < _MOST_LINKS * 3:
            self._link = []
            self.links.append((attributes["href"][:2_000], self._link))
            if label := attributes.get("aria-label") or attributes.get("title"):
                self._link.append(label[:200])
        elif tag == "script":
            self._in_script = True
            if attributes.get("type", "").strip().lower() == "application/ld+json" and len(self.data_blocks) < 20:
                self._in_data = True
                self.data_blocks.append([])
            self.meta_pixel = self.meta_pixel or "connect.facebook.net" in attributes.get("src", "")
        elif tag == "img" and "facebook.com/tr" in attributes.get("src", ""):
            self.meta_pixel = True

    def end(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._word("\n")
        if tag == "title":
            self._in_title = False
        elif tag == "script":
            self._in_script = self._in_data = False
        elif tag == "a":
            self._link = None
        if tag not in _VOID:
            if self._hidden_at and self._hidden_at[-1] >= self._depth:
                self._hidden_at.pop()
            self._depth -= 1

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text[:500])
        elif self._in_script:
            if self._in_data and self._data_size < _LONGEST_DATA:
                self._data_size += len(text)
                self.data_blocks[-1].append(text)
            elif "fbq(" in text or "connect.facebook.net" in text:
                self.meta_pixel = True
        elif not self._hidden_at:
            self._word(text)
            if self._link is not None and len(self._link) < 20:
                self._link.append(text[:200])

    def comment(self, text: str) -> None:
        """Comments are not shown to anybody."""

    def close(self) -> None:
        """The end of the page."""

    def _word(self, text: str) -> None:
        if self._size < 10 * LONGEST_TEXT:  # footers with the contacts come late, and white space is much
            self.words.append(text)
            self._size += len(text) if text != "\n" else 0

    # --- what they amount to ------------------------------------------------------------------

    def facts(self, url: str) -> PageFacts:
        text = _lines("".join(self.words))
        base = _join(url, self.base) or url
        phones, whatsapp, emails = _List(), _List(), _List()
        profiles: dict[tuple[str, str], Profile] = {}
        links: dict[str, Link] = {}
        for href, inside in self.links:
            text_of_link = _line("".join(inside), 200) or ""
            self._read_link(href, text_of_link, base, phones, whatsapp, emails, profiles, links)
        for key, value in self._data():
            if key == "telephone":
                phones.add(_phone_of(value, "data"))
            elif key == "email":
                emails.add(_email_of(value.removeprefix("mailto:"), "data"))
            elif key == "sameAs" and (profile := _profile(value)):
                profiles.setdefault((profile.network, profile.handle.lower()), profile)
        for found in _phones(text):
            phones.add(found)
        for found in _emails(text):
            emails.add(found)
        return PageFacts(
            title=_line("".join(self.title), 300) or _line(self.meta.get("og:title", ""), 300),
            description=_line(self.meta.get("description", "") or self.meta.get("og:description", ""), 1_000),
            language=_line(self.language or "", 20),
            text=text[:LONGEST_TEXT],
            phones=phones.found(),
            whatsapp=whatsapp.found(),
            emails=emails.found(),
            cnpjs=tuple(_cnpjs(text)),
            profiles=tuple(profiles.values())[:_MOST_FOUND],
            links=tuple(links.values())[:_MOST_LINKS],
            copyright_year=_copyright(text),
            mobile_ready="width" in self.meta.get("viewport", ""),
            meta_pixel=self.meta_pixel,
        )

    def _read_link(
        self, href: str, text: str, base: str, phones: "_List", whatsapp: "_List", emails: "_List",
        profiles: dict[tuple[str, str], Profile], links: dict[str, Link],
    ) -> None:  # fmt: skip
        given = href.strip()
        scheme = given.partition(":")[0].lower()
        if scheme == "tel":
            phones.add(_phone_of(unquote(given[4:]), "link"))
        elif scheme == "mailto":
            emails.add(_email_of(unquote(given[7:].partition("?")[0]), "link"))
        elif number := _whatsapp(given):
            whatsapp.add(Found(number, _line(given, 300) or number, "link"))
        elif (target := _join(base, given)) is not None:
            if (number := _whatsapp(target)) is not None:
                whatsapp.add(Found(number, _line(given, 300) or number, "link"))
            elif (profile := _profile(target)) is not None:
                profiles.setdefault((profile.network, profile.handle.lower()), profile)
            bare = target.partition("#")[0]
            links.setdefault(bare, Link(bare, text))

    def _data(self) -> Iterator[tuple[str, str]]:
        """(key, text) of the structured data's keys that matter here, at any depth."""
        for block in self.data_blocks:
            try:
                pending: list[Any] = [json.loads("".join(block))]
            except (ValueError, RecursionError):
                continue
            seen = 0
            while pending and seen < 5_000:
                seen += 1
                one = pending.pop(0)
                if isinstance(one, list):
                    pending += one[:200]
                elif isinstance(one, dict):
                    for key, value in list(one.items())[:200]:
                        if key in ("telephone", "email", "sameAs"):
                            for text in value if isinstance(value, list) else [value]:
                                if isinstance(text, str):
                                    yield key, entities.unescape(text)[:500]
                        elif isinstance(value, dict | list):
                            pending.append(value)


@dataclass
class _List:
    """Findings, each value once: as it was met first."""

    _by_value: dict[str, Found] = field(default_factory=dict)

    def add(self, found: Found | None) -> None:
        if found is not None and len(self._by_value) < _MOST_FOUND:
            self._by_value.setdefault(found.value, found)

    def found(self) -> tuple[Found, ...]:
        return tuple(self._by_value.values())


# --- telephones, e-mails, numbers -----------------------------------------------------------------


def _phones(text: str) -> Iterator[Found]:
    """Brazilian telephones as people print them. Bare digits in a row are no telephone: they may be anything."""
    listed = _List()
    for match in _PHONE.finditer(text):
        if not (match["country"] or match["open"] or match["dash"] or match["gap"]):
            continue
        listed.add(_phone(match["area"], match["first"] + match["last"], match["given"], "text"))
    for match in _SERVICE.finditer(text):
        listed.add(Found(re.sub(r"\D", "", match["given"]), match["given"], "text"))
    return iter(listed.found())


def _phone_of(given: str, where: Where) -> Found | None:
    """The telephone of a tel: link or of structured data; it may be bare digits there."""
    shown = _line(given, 60) or ""
    digits = re.sub(r"\D", "", shown)
    if re.fullmatch(r"0800[0-9]{7}|[43]00[0-9]{5}", digits):
        return Found(digits, shown, where)
    if len(digits) in (12, 13) and digits.startswith("55"):
        digits = digits[2:]
    digits = digits.removeprefix("0")
    if len(digits) not in (10, 11) or re.search(r"[A-Za-z]", shown):
        return None
    return _phone(digits[:2], digits[2:], shown, where)


def _phone(area: str, number: str, given: str, where: Where) -> Found | None:
    digits = re.sub(r"\D", "", number)
    if area not in AREA_CODES or len(set(digits)) == 1:
        return None
    if (len(digits) == 9 and digits[0] == "9") or (len(digits) == 8 and digits[0] in "23456789"):
        return Found(f"55{area}{digits}", " ".join(given.split()), where)
    return None


def _emails(text: str) -> Iterator[Found]:
    listed = _List()
    for match in _EMAIL.finditer(text):
        listed.add(_email_of(match.group(), "text"))
    return iter(listed.found())


def _email_of(given: str, where: Where) -> Found | None:
    shown = given.strip()[:300].rstrip(".")
    if not _EMAIL.fullmatch(shown) or _NO_MAIL.search(shown) or ".." in shown:
        return None
    return Found(shown.lower(), shown, where)


def _whatsapp(link: str) -> str | None:
    """The number of a link that opens a WhatsApp conversation, digits with country code; None for other links."""
    try:
        parts = urlsplit(link)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    told = ""
    if host == "wa.me":
        told = unquote(parts.path.strip("/"))
    elif parts.scheme.lower() == "whatsapp" or (
        host in ("api.whatsapp.com", "web.whatsapp.com") and parts.path.rstrip("/") == "/send"
    ):
        told = _param(parts.query, "phone")
    digits = re.sub(r"[\s+().-]", "", told)
    return digits if re.fullmatch(r"[1-9][0-9]{9,14}", digits) else None


def _param(query: str, name: str) -> str:
    return dict(parse_qsl(query[:2_000])).get(name, "")


def _cnpjs(text: str) -> Iterator[Found]:
    listed = _List()
    for match in _CNPJ.finditer(text):
        bare = match.group(1) or re.sub(r"\W", "", match.group())
        if len(set(bare)) > 1 and all(_check_digit(bare[:count]) == bare[count] for count in (12, 13)):
            listed.add(Found(bare, match.group(1) or match.group(), "text"))
    return iter(listed.found())


def _check_digit(base: str) -> str:
    """Modulo 11, weights 2 to 9 from the right, a character counting its ASCII code minus 48 (letters since 2026)."""
    rest = sum((ord(sign) - 48) * (2 + place % 8) for place, sign in enumerate(reversed(base))) % 11
    return str(0 if rest < 2 else 11 - rest)


def _profile(url: str) -> Profile | None:
    if not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    for site, (network, pattern) in _NETWORKS.items():
        if host == site or host.endswith(f".{site}"):
            match = pattern.match(parts.path)
            if network == "facebook" and parts.path.rstrip("/") == "/profile.php":
                number = _param(parts.query, "id")
                return Profile(network, number, url) if re.fullmatch(r"[0-9]{1,20}", number) else None
            handle = unquote(match.group(1)) if match else ""
            return Profile(network, handle, url) if handle.isprintable() and handle.strip() else None
    return None


def _copyright(text: str) -> int | None:
    years = [int(match.group(2)) for match in _COPYRIGHT.finditer(text)]
    return max((year for year in years if 1995 <= year <= 2100), default=None)


# --- words ----------------------------------------------------------------------------------------


def _line(text: str, longest: int) -> str | None:
    return " ".join(_visible(text[: longest * 4]).split())[:longest] or None


def _lines(text: str) -> str:
    """Without invisible signs; single spaces; no empty lines."""
    lines = (" ".join(line.split()) for line in _visible(text).split("\n"))
    return "\n".join(line for line in lines if line)


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        sign
        if sign == "\n" or unicodedata.category(sign)[0] != "C"
        else ("" if unicodedata.category(sign) == "Cf" else " ")
        for sign in text
    )


def _join(base: str, href: str | None) -> str | None:
    """The absolute web address of a link; None for anything that is none."""
    if not href:
        return None
    try:
        # As browsers do: line breaks inside are nothing, spaces are written out.
        target = urljoin(base, re.sub(r"[\t\n\r]", "", href).strip().replace(" ", "%20"))
        parts = urlsplit(target)
        sound = parts.scheme in ("http", "https") and parts.hostname and target.isprintable() and len(target) <= 2_000
        return target if sound else None
    except ValueError:
        return None
