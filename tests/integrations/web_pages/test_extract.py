"""What is taken from a page, form by form."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.web_pages.extract import LONGEST_TEXT, facts_of

URL = "https://ipe.example/pasta/"


def phones(text: str) -> dict[str, str]:
    return {one.value: one.given for one in facts_of(f"<p>{text}</p>", URL).phones}


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("(19) 3232-4455", "551932324455"),
        ("(19)3232-4455", "551932324455"),
        ("19 3232-4455", "551932324455"),
        ("19 3232 4455", "551932324455"),
        ("19.3232.4455", "551932324455"),
        ("+55 19 3232-4455", "551932324455"),
        ("+55 (19) 99876-5432", "5519998765432"),
        ("+5519998765432", "5519998765432"),
        ("(019) 3232-4455", "551932324455"),
        ("(19) 9 9876-5432", "5519998765432"),
        ("(19) 9876-5432", "551998765432"),
        ("0800 123 4567", "08001234567"),
        ("0800-123-4567", "08001234567"),
        ("4004-1234", "40041234"),
        ("Tel.:(19)&nbsp;3232&#8209;4455".replace("&#8209;", "-"), "551932324455"),
    ],
)
def test_telephones_are_found_as_people_print_them(printed: str, value: str) -> None:
    assert list(phones(f"Ligue {printed}, fale com a gente")) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "3232-4455", "123.456.789-09", "11.222.333/0001-81", "13025-001", "1932324455", "19998765432", "20261120",
        "R$ 19 3232",
        "(00) 3232-4455", "(20) 3232-4455", "(19) 0232-4455", "(19) 1111-1111", "12/3232-4455", "19 3232-44556",
        "v1.19.3232.4455",
        "5519998765432", "(19) 32324-4556",
    ],
)  # fmt: skip
def test_other_numbers_are_no_telephones(text: str) -> None:
    assert phones(text) == {}


@pytest.mark.parametrize(
    ("href", "value"),
    [
        ("tel:+551932324455", "551932324455"),
        ("tel:1932324455", "551932324455"),
        ("TEL:(19)%203232-4455", "551932324455"),
        ("tel:019998765432", "5519998765432"),
        ("tel:08001234567", "08001234567"),
        ("tel:123", None),
        ("tel:+15551234567890", None),
        ("tel:javascript", None),
    ],
)
def test_telephone_links_are_read(href: str, value: str | None) -> None:
    found = facts_of(f'<a href="{href}">ligue</a>', URL).phones
    assert [one.value for one in found] == ([value] if value else [])


@pytest.mark.parametrize(
    ("href", "value"),
    [
        ("https://wa.me/5519998765432", "5519998765432"),
        ("https://wa.me/+55%2019%2099876-5432?text=oi", "5519998765432"),
        ("http://api.whatsapp.com/send?phone=5519998765432&text=a", "5519998765432"),
        ("https://web.whatsapp.com/send/?phone=5519998765432", "5519998765432"),
        ("whatsapp://send?phone=5519998765432", "5519998765432"),
        ("https://wa.me/message/ABCDEF", None),
        ("https://chat.whatsapp.com/AbCdEf", None),
        ("https://wa.me/", None),
        ("https://wa.me.evil.example/5519998765432", None),
        ("https://api.whatsapp.com/send?" + "a=1&" * 400, None),
    ],
)
def test_whatsapp_links_are_read(href: str, value: str | None) -> None:
    found = facts_of(f'<a href="{href}">zap</a>', URL).whatsapp
    assert [one.value for one in found] == ([value] if value else [])


def test_emails_are_found_once_each_and_pictures_are_none() -> None:
    page = """<a href="mailto:Contato@Ipe.example?subject=x">x</a> contato@ipe.example, vendas@ipe.com.br. logo@2x.png
    a@sentry.io seu@email.com @ipe x@y joao..x@ipe.example <img src="b@c.jpg">"""
    found = facts_of(page, URL).emails
    assert [(one.value, one.where) for one in found] == [("contato@ipe.example", "link"), ("vendas@ipe.com.br", "text")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("CNPJ 11.222.333/0001-81", "11222333000181"),
        ("CNPJ: 11222333000181", "11222333000181"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("CNPJ 11.222.333/0001-82", None),
        ("00.000.000/0000-00", None),
        ("11222333000181", None),
    ],
)
def test_company_numbers_are_found_when_their_check_digits_are_right(text: str, value: str | None) -> None:
    assert [one.value for one in facts_of(f"<p>{text}</p>", URL).cnpjs] == ([value] if value else [])


def test_profiles_are_told_from_buttons_and_other_pages() -> None:
    hrefs = [
        "https://www.instagram.com/ipe.arq/?hl=pt", "https://instagram.com/p/XYZ/", "//facebook.com/ipearq",
        "https://facebook.com/sharer/sharer.php?u=x", "https://pt-br.facebook.com/profile.php?id=100001",
        "https://facebook.com/tr?id=1",
        "https://br.linkedin.com/company/ipe/about/", "https://linkedin.com/in/ana", "https://youtube.com/@ipe",
        "https://youtube.com/watch?v=1", "https://x.com/ipe", "https://twitter.com/intent/tweet?x=1", "https://tiktok.com/@ipe",
        "https://instagram.com/", "https://notinstagram.com/ipe", "https://INSTAGRAM.com/IPE.arq",
    ]  # fmt: skip
    page = "".join(f'<a href="{one}">x</a>' for one in hrefs)
    found = [(one.network, one.handle) for one in facts_of(page, URL).profiles]
    assert found == [
        ("instagram", "ipe.arq"), ("facebook", "ipearq"), ("facebook", "100001"), ("linkedin", "company/ipe"),
        ("youtube", "@ipe"), ("x", "ipe"), ("tiktok", "@ipe"),
    ]  # fmt: skip


def test_links_are_absolute_once_and_of_the_web_alone() -> None:
    page = """<base href="/outra/"><a href="contato#x">Fale <b>conosco</b></a><a href="contato">de novo</a>
    <a href="javascript:x()">j</a><a href="http://[">b</a><a href="">e</a>
    <a aria-label="Equipe" href="/equipe"><img></a>"""
    found = [(one.url, one.text) for one in facts_of(page, URL).links]
    assert found == [
        ("https://ipe.example/outra/contato", "Fale conosco"),
        ("https://ipe.example/equipe", "Equipe"),
    ]


def test_only_words_that_are_shown_are_words_of_the_page() -> None:
    page = """<html lang="pt"><head><title> Ipê &amp; Cia </title>
    <meta property="og:description" content="Casa"></head><body>
    <p>um<b>a</b> linha</p><div>outra<div style="display:none">oculta <p>funda</p></div> e mais</div><p hidden>nunca</p>
    <script>var x = "(19) 3232-4455"</script><style>p{}</style><noscript>sem</noscript><!-- (19) 3232-4456 -->
    <textarea>campo</textarea><p>zero\u200b largura\u202e</p></body></html>"""
    facts = facts_of(page, URL)
    assert facts.text == "uma linha\noutra\ne mais\nzero largura"
    assert (facts.title, facts.description, facts.language, facts.phones) == ("Ipê & Cia", "Casa", "pt", ())


def test_structured_data_tell_contacts_too_and_broken_ones_nothing() -> None:
    page = """<script type="application/ld+json">{"@graph": [{"telephone": "+55 19 3232-4455", "email": "a@ipe.example",
    "sameAs": ["https://instagram.com/ipe", 3]}]}</script><script type="application/ld+json">{"telephone": </script>"""
    facts = facts_of(page, URL)
    assert [one.where for one in (*facts.phones, *facts.emails)] == ["data", "data"]
    assert [one.handle for one in facts.profiles] == ["ipe"]


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("© 2024 Ipê", 2024),
        ("© 2019-2026", 2026),
        ("Copyright Ipê 2021", 2021),
        ("(c) 2020", 2020),
        ("desde 1998", None),
        ("© 1200", None),
    ],
)
def test_the_year_beside_a_copyright_sign_is_read(text: str, year: int | None) -> None:
    assert facts_of(f"<footer>{text}</footer>", URL).copyright_year == year


def test_plain_text_is_read_as_text() -> None:
    facts = facts_of("<b>Ligue</b>\n(19) 3232-4455\n\n\n fim", URL, html=False)
    assert facts.text == "<b>Ligue</b>\n(19) 3232-4455\nfim" and len(facts.phones) == 1


@given(st.text(max_size=400), st.booleans())
def test_any_text_is_read_without_failing(text: str, html: bool) -> None:
    facts = facts_of(text, URL, html=html)
    assert len(facts.text) <= LONGEST_TEXT and "\x00" not in facts.text


ODD = st.text(alphabet="\x00\u202e\ud800\n\t %0a%00@./:?=&<'\"5519998765432ipe", max_size=40)


@given(
    ODD,
    st.sampled_from(
        ["tel:", "mailto:", "https://wa.me/", "https://instagram.com/", "https://x.com/", "/", "whatsapp://send?phone="]
    ),
)
def test_no_sign_that_cannot_be_stored_or_seen_comes_out_of_a_link(text: str, start: str) -> None:
    quoted = text.replace('"', "").replace("'", "")
    data = json.dumps({"telephone": text, "email": f"a@b.{text}", "sameAs": [start + text]})
    page = (
        f"<a href='{start}{quoted}'>{text}</a><script type='application/ld+json'>{data}</script><title>{text}</title>"
    )
    facts = facts_of(page, URL)
    found = [one.value + one.given for one in (*facts.phones, *facts.whatsapp, *facts.emails)]
    found += [one.handle + one.url for one in facts.profiles] + [one.url + one.text for one in facts.links]
    assert all(one.isprintable() for one in [*found, facts.title or ""])


PIECES = "<div>|</div>|<a href='|'>|<!--|-->|<script>|</script|&#x0;|<p hidden|tel:|\ud800|19 3232-4455".split("|")


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_broken_markup_is_read_without_failing(parts: list[str]) -> None:
    facts_of("".join(parts), URL)


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 300_000,
        "<a " + " ".join(f"x{n}=1" for n in range(100_000)) + ">",
        "<a><p>" * 200_000,
        "<!--" * 300_000,
        "(19) 3232-" * 150_000,
        "a@a." * 300_000,
        "© 19 " * 200_000,
        "<script type='application/ld+json'>" + "[" * 150_000 + "</script>",
        "<a href='https://wa.me/5519998765432'>x</a>" * 40_000,
    ],
)
def test_a_page_made_to_hurt_costs_time_in_proportion_to_its_size(page: str) -> None:
    begun = time.monotonic()
    facts_of(page, URL)
    assert time.monotonic() - begun < 15  # about a second; what is quadratic takes minutes
