"""Which addresses may be asked: names of the public web on ports 80 and 443, and public IP addresses behind them.

Both are lists of what is allowed, not of what is known to be dangerous: a host is a name with a real ending (never an
IP address in any writing, so 2130706433, 0x7f.1, 127.1 and ①②⑦.⓪.⓪.① need no rule of their own), and an IP address
is of the ranges that IANA has given out for the public internet (Special-Purpose Address Registries, RFC 6890).
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from integrations.web_pages.errors import address_wrong, never_fetched, not_public

NEVER_FETCHED = ("linkedin.com", "lnkd.in")
"""Known from search results alone: their terms forbid reading by machines."""
LONGEST_URL = 2_000
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")
_INNER = frozenset("local localhost localdomain internal intranet lan home corp private arpa onion invalid".split())
"""Last labels of names that belong to private networks (RFC 6762 appendix G, RFC 8375, RFC 2606, clouds)."""

_V4_SPECIAL = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
        "192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 "
        "203.0.113.0/24 224.0.0.0/3 168.63.129.16/32"  # the last: Azure's inner services, behind a public number
    ).split()
)
_V6_PUBLIC = ipaddress.ip_network("2000::/3")
_V6_SPECIAL = tuple(
    ipaddress.ip_network(one)
    for one in "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split()  # 2002: 6to4; 2001: Teredo too
)
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: str) -> bool:
    """Whether that IP address is one of the public internet. False for anything that is no IP address.

    Forms that carry an IPv4 address (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) are never public: the machine
    they lead to is decided elsewhere.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in special for special in _V4_SPECIAL)
    if found.scope_id is not None or found not in _V6_PUBLIC:
        return False
    return not any(found in special for special in _V6_SPECIAL) and (int(found) >> 32) & 0xFFFFFFFF not in _ISATAP


@dataclass(frozen=True)
class WebAddress:
    """An address that may be asked, in one writing: what is checked is what is sent."""

    scheme: str
    host: str
    """Small ASCII letters (punycode), without a dot at the end."""
    port: int
    target: str
    """Path and query, as sent: begins with /."""

    @property
    def authority(self) -> str:
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.target}"


def web_address(url: str) -> WebAddress:
    """The address to ask for `url`; its fragment is left out, and https:// is put before a bare name.

    ArgumentsWrong("page_address_wrong", url) for what is no address of a web page (another scheme or port, user names
    in it, no real name); Refused("page_not_public") for IP addresses and names of private networks;
    Refused("page_never_fetched") for LinkedIn.
    """
    text = url.strip()
    if not text or len(text) > LONGEST_URL or "\\" in text or any(sign.isspace() or ord(sign) < 33 for sign in text):
        raise address_wrong(url, "empty, too long, or with signs that no address has")
    if "://" not in text.partition("?")[0]:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        given, port = parts.hostname or "", parts.port
    except ValueError:
        raise address_wrong(url, "not an address") from None
    if parts.scheme not in _PORTS:
        raise address_wrong(url, "neither http nor https")
    if "@" in parts.netloc:
        raise address_wrong(url, "a user name in it")
    host = _host(given, url)
    port = _PORTS[parts.scheme] if port is None else port
    if port not in _PORTS.values():
        raise address_wrong(url, "a port that no public site has")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]{}|^`")
    return WebAddress(parts.scheme, host, port, target if target.startswith("/") else f"/{target}")


def _host(given: str, url: str) -> str:
    if ":" in given or _looks_like_ip(given):
        raise not_public(given, "an IP address instead of a name")
    try:
        host = given.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise address_wrong(url, "not a name") from None
    if _looks_like_ip(host):
        raise not_public(host, "an IP address instead of a name")
    labels = host.split(".")
    if labels[-1] in _INNER:
        raise not_public(host, "a name of a private network")
    if not _NAME.fullmatch(host):
        raise address_wrong(url, "not a name of the public web")
    if any(host == one or host.endswith(f".{one}") for one in NEVER_FETCHED):
        raise never_fetched(host)
    return host


def _looks_like_ip(host: str) -> bool:
    """A host whose last part is a number is an IPv4 address to browsers and libc alike (WHATWG URL)."""
    last = host.rstrip(".").rpartition(".")[2]
    return bool(re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", last))
