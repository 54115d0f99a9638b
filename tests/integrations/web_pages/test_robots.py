"""robots.txt as RFC 9309 says it, and files that mean harm."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.web_pages.robots import read_robots

CASES = [
    ("", "/x", True),
    ("User-agent: *\nDisallow: /", "/", False),
    ("User-agent: *\nDisallow: /", "/robots.txt", True),
    ("User-agent: *\nDisallow:", "/x", True),
    ("user-AGENT : *\n disallow : /a # why", "/ab", False),
    ("User-agent: mutirao\nDisallow: /a\n\nUser-agent: *\nDisallow: /", "/b", True),
    ("User-agent: *\nDisallow: /\n\nUser-agent: Mutirao/2.0\nAllow: /", "/b", True),
    ("User-agent: mutirao-extra\nDisallow: /", "/b", True),
    ("User-agent: googlebot\nUser-agent: mutirao\nDisallow: /x\nUser-agent: other\nDisallow: /y", "/x", False),
    ("User-agent: googlebot\nUser-agent: mutirao\nDisallow: /x\nUser-agent: other\nDisallow: /y", "/y", True),
    ("User-agent: mutirao\nDisallow: /a\nUser-agent: x\nDisallow: /\nUser-agent: mutirao\nDisallow: /b", "/b", False),
    ("User-agent: *\nDisallow: /example/\nAllow: /example/page", "/example/page", True),
    ("User-agent: *\nAllow: /example/page\nDisallow: /example/", "/example/other", False),
    ("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True),
    ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf", False),
    ("User-agent: *\nDisallow: /*.pdf$", "/x/y.pdf?x", True),
    ("User-agent: *\nDisallow: *privado", "/area/privado/x", False),
    ("User-agent: *\nDisallow: /a*b*c$", "/a--b--c", False),
    ("User-agent: *\nDisallow: /a*b*c$", "/a--c--b", True),
    ("User-agent: *\nDisallow: /x$", "/xy", True),
    ("User-agent: *\nDisallow: /p%C3%A3o", "/pão".encode().decode("latin-1").replace("Ã£", "%c3%A3"), False),
    ("User-agent: *\nDisallow: /pao%2Abom", "/pao*bom", True),
    ("User-agent: *\nSitemap: x\nDisallow: /a", "/a", False),
    ("\ufeffUser-agent: *\r\nDisallow: /a\r\n", "/a", False),
    ("Disallow: /\nUser-agent: *\nAllow: /", "/a", True),
    ("<html><body>Disallow: /</body></html>", "/a", True),
]


@pytest.mark.parametrize(("text", "path", "allowed"), CASES)
def test_what_may_be_read_follows_the_rules(text: str, path: str, allowed: bool) -> None:
    assert read_robots(text).allows(path) is allowed


def test_a_wish_for_time_between_requests_is_read() -> None:
    assert read_robots("User-agent: *\nCrawl-delay: 2.5").crawl_delay == 2.5
    assert read_robots("User-agent: *\nCrawl-delay: -1\nCrawl-delay: 1e9\nCrawl-delay: nan").crawl_delay == 0


@given(st.text(alphabet="Usreragntdialow: /*$#\n%2a", max_size=300), st.text(alphabet="/a*$%?", max_size=20))
def test_any_file_is_read_without_failing(text: str, path: str) -> None:
    read_robots(text).allows(f"/{path}")
    read_robots(f"User-agent: *\n{text}").allows(f"/{path}")


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"User-agent: a{n}\n" for n in range(20_000)) + "Disallow: /a\n" * 20_000,
        "User-agent: *\n" * 20_000 + "Disallow: /a\n" * 20_000,
        "User-agent: *\nDisallow: /" + "*a" * 200_000 + "b",
        "User-agent: *\n" + "Disallow: /*a*a*a*a*a*a*a*a*b\n" * 20_000,
        "User-agent: *\n" + "Crawl-delay: " + "9" * 500_000,
    ],
)
def test_a_file_that_means_harm_costs_no_time(text: str) -> None:
    begun = time.monotonic()
    read_robots(text).allows("/" + "a" * 1_900)
    assert time.monotonic() - begun < 10  # the libraries at hand take minutes; this takes some tenths of a second
