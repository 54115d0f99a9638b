"""Money: an amount in the unit people say, with its currency, and Meta's whole-number form of it.

Meta's API takes and gives budgets as whole numbers in the currency's smallest unit, by its own offset table,
which is not ISO 4217: COP and CRC, for example, have an offset of 1. Figures such as spend come in the main unit.
Source: Marketing API, "Currencies" (the offsets of facebook-business 26.0.3's documentation).
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from core.errors import ArgumentsWrong

_OFFSET_ONE = frozenset("CLP COP CRC HUF ISK IDR JPY KRW PYG TWD VND".split())
_LARGEST = Decimal(10) ** 12


def meta_offset(currency: str) -> int:
    """How many of Meta's smallest units make one main unit: 1 or 100."""
    return 1 if currency in _OFFSET_ONE else 100


@dataclass(frozen=True, order=False)
class Money:
    """`amount` in the main unit (R$ 12,34 is Decimal("12.34")), `currency` an ISO code in capitals.

    Amounts of different currencies are never added or compared: ArgumentsWrong("currencies_mixed").
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"Money takes a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite() or abs(self.amount) > _LARGEST:
            raise ArgumentsWrong("amount_absurd", f"{self.amount} is no amount of money", amount=str(self.amount))
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            raise ArgumentsWrong("currency_unknown", f"{self.currency!r} is no currency", currency=self.currency)

    @classmethod
    def from_main_unit(cls, text: str | int | Decimal, currency: str) -> "Money":
        """From the API's form of spend and values: a decimal number in the main unit, "12.34"."""
        try:
            return cls(Decimal(str(text)), currency)
        except InvalidOperation:
            raise ArgumentsWrong("amount_absurd", f"{text!r} is no amount of money", amount=str(text)) from None

    @classmethod
    def from_meta_units(cls, raw: str | int, currency: str) -> "Money":
        """From the API's form of budgets: a whole number of smallest units, "1234" is R$ 12,34 and JPY 1234."""
        return cls(Decimal(int(raw)) / meta_offset(currency), currency)

    def meta_units(self) -> int:
        """The whole number that Meta takes for this amount. ArgumentsWrong("amount_too_fine") if it is not whole."""
        raw = self.amount * meta_offset(self.currency)
        if raw != raw.to_integral_value():
            raise ArgumentsWrong(
                "amount_too_fine",
                f"{self.amount} {self.currency} has more decimals than the currency",
                amount=str(self.amount),
            )
        return int(raw)

    def rounded(self) -> "Money":
        """To the currency's smallest unit, halves away from zero, as statements of account round."""
        step = Decimal(1) if meta_offset(self.currency) == 1 else Decimal("0.01")
        return Money(self.amount.quantize(step, ROUND_HALF_UP), self.currency)

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise ArgumentsWrong(
                "currencies_mixed",
                f"{self.currency} and {other.currency} cannot be added or compared",
                one=self.currency,
                other=other.currency,
            )

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.amount - other.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> "Money":
        return Money(self.amount * factor, self.currency)

    def __truediv__(self, divisor: Decimal | int) -> "Money":
        return Money(self.amount / divisor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount < other.amount

    def __le__(self, other: "Money") -> bool:
        self._same(other)
        return self.amount <= other.amount

    def __gt__(self, other: "Money") -> bool:
        return other < self

    def __ge__(self, other: "Money") -> bool:
        return other <= self

    def change_percent_to(self, other: "Money") -> Decimal | None:
        """How many percent `other` lies above this amount; None from zero."""
        self._same(other)
        return None if self.amount == 0 else (other.amount - self.amount) / self.amount * 100
