from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import formats
from core.money import Money


@pytest.mark.parametrize(
    ("language", "amount", "currency", "written"),
    [
        ("pt-BR", "1234.56", "BRL", "R$ 1.234,56"),
        ("pt-BR", "-0.5", "BRL", "-R$ 0,50"),
        ("pt-BR", "1234567.895", "USD", "US$ 1.234.567,90"),
        ("pt-BR", "1234.5", "CLP", "CLP 1.235"),
        ("en", "1234.56", "BRL", "R$1,234.56"),
        ("en", "1234.56", "USD", "$1,234.56"),
        ("en", "1500", "COP", "COP 1,500"),
        ("es", "1234.56", "BRL", "R$ 1.234,56"),
        ("es", "-1234.56", "MXN", "-MXN 1.234,56"),
        ("pt-BR", "-0.001", "BRL", "R$ 0,00"),
    ],
)
def test_money_is_written_as_the_language_does(language: str, amount: str, currency: str, written: str) -> None:
    assert formats.money(Money(Decimal(amount), currency), language) == written


def test_halves_of_a_centavo_round_away_from_zero_like_a_statement_of_account() -> None:
    assert formats.money(Money(Decimal("0.125"), "BRL"), "pt-BR") == "R$ 0,13"
    assert formats.money(Money(Decimal("-0.125"), "BRL"), "pt-BR") == "-R$ 0,13"


def test_percent_counts_percent_and_can_show_its_sign() -> None:
    assert formats.percent(Decimal("12.34"), "pt-BR") == "12,3%"
    assert formats.percent(Decimal("12.35"), "en", signed=True) == "+12.4%"
    assert formats.percent(Decimal("-3"), "es", signed=True) == "-3,0%"
    assert formats.percent(Decimal("-0.01"), "pt-BR", signed=True) == "0,0%"
    assert formats.percent(Decimal("1.234"), "pt-BR", 2) == "1,23%"


def test_numbers_are_grouped_as_the_language_does() -> None:
    assert formats.number(1234567, "pt-BR") == "1.234.567"
    assert formats.number(Decimal("1234.5"), "en", 2) == "1,234.50"
    assert formats.number(Decimal("1234.5"), "es", 1) == "1.234,5"


def test_days_and_windows_are_written_as_the_language_does() -> None:
    first, last = date(2026, 11, 3), date(2026, 11, 9)
    assert formats.day(first, "pt-BR") == "03/11/2026"
    assert formats.day(first, "en") == "Nov 3, 2026"
    assert formats.window(first, last, "pt-BR") == "03/11/2026 a 09/11/2026"
    assert formats.window(first, last, "en") == "Nov 3, 2026 to Nov 9, 2026"
    assert formats.window(first, last, "es") == "03/11/2026 al 09/11/2026"
    assert formats.window(first, first, "pt-BR") == "03/11/2026"


def test_an_unknown_language_is_written_as_portuguese() -> None:
    assert formats.money(Money(Decimal(1), "BRL"), "xx") == "R$ 1,00"


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2), st.sampled_from(["pt-BR", "en", "es"]))
def test_an_amount_can_be_read_back_from_what_was_written(amount: Decimal, language: str) -> None:
    written = formats.money(Money(amount, "BRL"), language)
    digits = written.replace("R$", "").replace(" ", "")
    thousands, decimal = (",", ".") if language == "en" else (".", ",")
    assert Decimal(digits.replace(thousands, "").replace(decimal, ".")) == amount
    assert written.isprintable()
    assert "\u00a0" not in written


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("1936689288", "(19) 3668-9288"),
        ("19986331453", "(19) 98633-1453"),
        ("+55 19 3328-8678", "(19) 3328-8678"),
        ("https://api.whatsapp.com/send?phone=5519968667141", "(19) 96866-7141"),
        ("+351 912 345 678", "+351 912 345 678"),
        ("0800 123 4567", "0800 123 4567"),
        ("oi@ipe.example", "oi@ipe.example"),
        ("", ""),
    ],
)
def test_a_telephone_is_shown_as_people_write_it_and_with_no_digit_that_was_not_told(given: str, shown: str) -> None:
    assert formats.phone(given) == shown
