"""Which addresses may be asked: every writing of an inner one is refused, whoever invents it."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations.web_pages.addresses import is_public, web_address
from integrations.web_pages.resolver import Endpoint, PublicResolver

INNER_V4 = [
    ipaddress.ip_network(one)
    for one in "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4 "
    "240.0.0.0/4 198.18.0.0/15 192.0.2.0/24".split()
]
inner_v4 = st.sampled_from(INNER_V4).flatmap(lambda net: st.ip_addresses(v=4, network=net))
any_v4 = st.ip_addresses(v=4)


# --- IP addresses ---------------------------------------------------------------------------------


@given(inner_v4)
def test_no_inner_ipv4_address_is_public(address: ipaddress.IPv4Address) -> None:
    assert not is_public(str(address))


@given(any_v4)
def test_no_form_that_carries_an_ipv4_address_is_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    carriers = [
        f"::ffff:{address}",
        f"::ffff:0:{address}",
        f"::{address}",
        f"64:ff9b::{address}",
        f"64:ff9b:1::{address}",
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)),
        str(ipaddress.IPv6Address((0x2001 << 112) | (number ^ 0xFFFFFFFF))),
        str(ipaddress.IPv6Address((0x2606_4700 << 96) | (0x5EFE << 32) | number)),
        str(ipaddress.IPv6Address((0x2606_4700 << 96) | (0x0200_5EFE << 32) | number)),
    ]
    assert not any(is_public(one) for one in carriers)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_ipv6_is_public(address: ipaddress.IPv6Address) -> None:
    if is_public(str(address)):
        assert address in ipaddress.ip_network("2000::/3")
        assert not (address.is_private or address.is_multicast or address.is_reserved or address.sixtofour)


@given(any_v4)
def test_what_is_public_here_is_global_to_python_too(address: ipaddress.IPv4Address) -> None:
    if is_public(str(address)):
        assert address.is_global and not address.is_multicast


@pytest.mark.parametrize("address", ["8.8.8.8", "200.160.2.3", "177.1.1.1", "2606:4700::1111", "2804:14c::1"])
def test_addresses_of_the_public_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["", "x", "fe80::1%eth0", "2606:4700::1%1", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "08.8.8.8"],
)
def test_odd_and_cloud_inner_addresses_are_not(address: str) -> None:
    assert not is_public(address)


# --- URLs -----------------------------------------------------------------------------------------


def writings(address: ipaddress.IPv4Address) -> list[str]:
    """An IPv4 address in the forms that browsers and libc understand."""
    number, parts = int(address), str(address).split(".")
    a, b, c, d = (int(part) for part in parts)
    return [
        str(address), f"{address}.", str(number), hex(number), f"0X{number:x}", f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}", f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"[::ffff:{address}]", f"[::ffff:{a:02x}{b:02x}:{c:02x}{d:02x}]", f"[{ipaddress.IPv6Address(number)}]",
        "".join(chr(ord(sign) + 0xFEE0) if sign.isdigit() else sign for sign in str(address)),  # full-width digits
        str(address).replace(".", "。"), str(address).replace(".", "．"), str(address).replace(".", "%2e"),
        "".join(f"%{ord(sign):02x}" for sign in str(address)),
    ]  # fmt: skip


@given(any_v4, st.sampled_from(["http", "https", "HTTP"]))
def test_an_ip_address_in_no_writing_is_taken_for_a_site(address: ipaddress.IPv4Address, scheme: str) -> None:
    for writing in writings(address):
        with pytest.raises((Refused, ArgumentsWrong)):
            web_address(f"{scheme}://{writing}/")


@given(st.ip_addresses(v=6))
def test_nor_is_an_ipv6_address(address: ipaddress.IPv6Address) -> None:
    for writing in (f"[{address}]", f"[{address.exploded}]", f"[{address}%25eth0]"):
        with pytest.raises((Refused, ArgumentsWrong)):
            web_address(f"http://{writing}/")


@given(st.text(max_size=60))
def test_whatever_is_taken_is_a_plain_name_on_a_web_port(text: str) -> None:
    for url in (
        text,
        f"http://{text}",
        f"https://{text}/x",
        f"http://{text}@ipe.example/",
        f"http://ipe.example:{text}",
    ):
        try:
            address = web_address(url)
        except MutiraoError:
            continue
        assert address.scheme in ("http", "https") and address.port in (80, 443)
        assert address.host.isascii() and address.host == address.host.lower() and "." in address.host
        assert address.target.startswith("/") and address.target.isascii() and " " not in address.target
        assert web_address(address.url) == address
        with pytest.raises(OSError):
            socket.inet_aton(address.host)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ipe.example/", "file:///etc/passwd", "gopher://ipe.example/", "javascript:alert(1)", "data:text/html,x",
        "//ipe.example", "http:ipe.example", "http:///x", "http://", "", "   ", "https://ipe.example:8080/",
        "https://ipe.example:22/",
        "http://ipe.example:0/", "http://ipe.example:99999/", "http://user:pw@ipe.example/", "http://user@ipe.example/",
        "http://ipe.example\\@evil.example/", "http://ipe.example\t/", "http://ipe .example/",
        "http://ipe.example\r\nHost: x/",
        "http://ipe/", "http://-ipe.example/", "http://ipe..example/", "http://[::1",
        f"http://ipe.example/{'x' * 2_000}",
        "http://ipe.example#@127.0.0.1/ x", "http://a.b_c/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_public_page_is_the_callers_to_mend(url: str) -> None:
    with pytest.raises(ArgumentsWrong) as failed:
        web_address(url)
    assert failed.value.code == "page_address_wrong"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "router.lan",
        "metadata.google.internal",
        "db.local",
        "x.corp",
        "x.onion",
    ],
)
def test_names_of_private_networks_are_refused(host: str) -> None:
    with pytest.raises(Refused) as failed:
        web_address(f"http://{host}/")
    assert failed.value.code == "page_not_public"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/company/ipe",
        "linkedin.com",
        "http://BR.LinkedIn.com./x",
        "https://ｌinkedin.com/",
        "https://lnkd.in/x",
    ],
)
def test_linkedin_is_never_fetched_however_it_is_written(url: str) -> None:
    with pytest.raises(Refused) as failed:
        web_address(url)
    assert failed.value.code == "page_never_fetched"


@pytest.mark.parametrize(
    ("given_url", "asked"),
    [
        ("ipe.example", "https://ipe.example/"),
        ("HTTP://WWW.Ipe.Example./Contato?a=ção#x", "http://www.ipe.example/Contato?a=%C3%A7%C3%A3o"),
        ("https://padaria-são-joão.example/pão", "https://xn--padaria-so-joo-yhbe.example/p%C3%A3o"),
        ("https://ipe.example:443/a%20b", "https://ipe.example/a%20b"),
        ("http://ipe.example:443/", "http://ipe.example:443/"),
        ("ipe.example/?next=http://127.0.0.1/", "https://ipe.example/?next=http://127.0.0.1/"),
        ("https://notlinkedin.com/", "https://notlinkedin.com/"),
    ],
)
def test_an_address_is_asked_in_one_writing(given_url: str, asked: str) -> None:
    assert web_address(given_url).url == asked


# --- names ----------------------------------------------------------------------------------------


@given(st.lists(any_v4, max_size=3), inner_v4, st.integers(0, 3))
async def test_one_inner_address_spoils_the_name(
    public: list[ipaddress.IPv4Address], inner: ipaddress.IPv4Address, place: int
) -> None:
    addresses = [str(one) for one in public]
    addresses.insert(place, str(inner))

    async def lookup(host: str) -> list[str]:
        return addresses

    with pytest.raises(Refused) as failed:
        await PublicResolver(lookup).resolve("ipe.example", 443)
    assert failed.value.code == "page_not_public"


async def test_a_public_name_gives_the_addresses_that_were_looked_up_ipv4_first() -> None:
    asked: list[str] = []

    async def lookup(host: str) -> list[str]:
        asked.append(host)
        return ["2606:4700::1111", "200.160.2.3", "200.160.2.3"]

    found = await PublicResolver(lookup).resolve("ipe.example", 443)
    assert found == (Endpoint("200.160.2.3", 443), Endpoint("2606:4700::1111", 443)) and asked == ["ipe.example"]


async def test_a_name_that_does_not_exist_or_takes_too_long_is_unreachable() -> None:
    import asyncio

    async def nothing(host: str) -> list[str]:
        return []

    async def never(host: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    for resolver in (PublicResolver(nothing), PublicResolver(never, timeout=0.01)):
        with pytest.raises(Unavailable) as failed:
            await resolver.resolve("ipe.example", 443)
        assert failed.value.code == "page_unreachable"


async def test_this_machines_own_name_is_looked_up_and_refused() -> None:
    with pytest.raises((Refused, Unavailable)):
        await PublicResolver().resolve("www.localhost", 80)
