from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ArgumentsWrong
from core.money import Money, meta_offset

CURRENCIES = ["BRL", "USD", "EUR", "ARS", "MXN", "PEN", "UYU", "CLP", "COP", "CRC", "JPY", "PYG", "KWD"]


def brl(amount: str) -> Money:
    return Money(Decimal(amount), "BRL")


@pytest.mark.parametrize(
    ("raw", "currency", "amount"),
    [
        ("30000", "TWD", "30000"),
        ("30000", "BRL", "300"),
        ("1234", "JPY", "1234"),
        ("5", "BRL", "0.05"),
        ("7", "COP", "7"),
    ],
)
def test_metas_whole_numbers_become_money_by_metas_own_offsets(raw: str, currency: str, amount: str) -> None:
    money = Money.from_meta_units(raw, currency)
    assert money.amount == Decimal(amount)
    assert money.meta_units() == int(raw)


def test_colombian_pesos_have_offset_one_at_meta_though_not_in_iso_4217() -> None:
    assert meta_offset("COP") == 1
    assert meta_offset("BRL") == 100


@given(st.integers(min_value=0, max_value=10**11), st.sampled_from(CURRENCIES))
def test_a_budget_survives_the_way_to_money_and_back(raw: int, currency: str) -> None:
    assert Money.from_meta_units(raw, currency).meta_units() == raw


def test_an_amount_finer_than_the_currency_is_refused_instead_of_rounded() -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        brl("10.005").meta_units()
    assert refused.value.code == "amount_too_fine"
    with pytest.raises(ArgumentsWrong):
        Money(Decimal("10.5"), "CLP").meta_units()


def test_different_currencies_are_neither_added_nor_compared() -> None:
    dollars = Money(Decimal(1), "USD")
    for mix in (lambda: brl("1") + dollars, lambda: brl("1") < dollars, lambda: brl("1").change_percent_to(dollars)):
        with pytest.raises(ArgumentsWrong) as refused:
            mix()
        assert refused.value.code == "currencies_mixed"


def test_floats_infinities_and_words_are_no_money() -> None:
    with pytest.raises(TypeError):
        Money(1.5, "BRL")  # type: ignore[arg-type]
    for absurd in (Decimal("NaN"), Decimal("Infinity"), Decimal(10) ** 13):
        with pytest.raises(ArgumentsWrong):
            Money(absurd, "BRL")
    with pytest.raises(ArgumentsWrong):
        Money.from_main_unit("doze", "BRL")
    for currency in ("R$", "brl", "REAL", ""):
        with pytest.raises(ArgumentsWrong):
            Money(Decimal(1), currency)


def test_the_change_in_percent_is_unknown_from_zero() -> None:
    assert brl("100").change_percent_to(brl("125")) == 25
    assert brl("0").change_percent_to(brl("1")) is None


def test_rounding_goes_to_the_smallest_unit_halves_away_from_zero() -> None:
    assert brl("0.125").rounded() == brl("0.13")
    assert Money(Decimal("1.5"), "JPY").rounded().amount == 2
