"""Sums of the ledger's columns, put into a formula: how a scenario works out a figure without the product's help."""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from integrations.meta_ads.simulator.world import EVENTS

_OPERATORS: dict[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_NAMED = {
    "purchases": " + ".join(f"purchase.{source}" for source in ("click_1d", "click_7d", "view_1d")),
    "revenue": " + ".join(f"purchase_value.{source}" for source in ("click_1d", "click_7d", "view_1d")),
    "form_leads": "form_lead.click_1d + form_lead.click_7d",
    "site_leads": "site_lead.click_1d + site_lead.click_7d",
    "talks": "conversation.click_1d + conversation.click_7d",
}
"""Sums that are wanted often. The attribution of Loja Aurora is 7 days after a click and 1 day after a view, that of
Clínica Vitória 7 days after a click."""


class Formula:
    """An arithmetic expression over columns: + - * / and brackets, numbers, column names such as purchase.click_1d."""

    def __init__(self, text: str) -> None:
        """ValueError when it is not one."""
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            raise ValueError(f"{text!r} is no formula") from None
        self._check(self._tree)

    @staticmethod
    def checked(text: str) -> str:
        """The text itself, when it is a formula; ValueError otherwise."""
        Formula(text)
        return text

    def of(self, rows: Iterable[Mapping[str, Any]]) -> Decimal | None:
        """The figure of the ledger's rows; None where it divides by nothing or there are no rows: no data."""
        sums: dict[str, Decimal] = {}
        for row in rows:
            for name, count in row.items():
                if isinstance(count, int):
                    sums[name] = sums.get(name, Decimal(0)) + count
        try:
            return self._value(self._tree, sums) if sums else None
        except (ZeroDivisionError, ArithmeticError):
            return None

    def _value(self, node: ast.expr, sums: Mapping[str, Decimal]) -> Decimal:
        match node:
            case ast.BinOp(left, op, right):
                return _OPERATORS[type(op)](self._value(left, sums), self._value(right, sums))
            case ast.Constant(value):
                return Decimal(str(value))
            case ast.Name(name) if name in _NAMED:
                return self._value(ast.parse(_NAMED[name], mode="eval").body, sums)
            case _:
                return sums.get(ast.unparse(node), Decimal(0))

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
                self._check(left)
                self._check(right)
            case ast.Constant(int() | float()):
                pass
            case ast.Name() | ast.Attribute() if ast.unparse(node) in (*EVENTS, *_NAMED):
                pass
            case _:
                known = ", ".join((*EVENTS, *_NAMED))
                raise ValueError(f"{ast.unparse(node)!r} is no number, + - * / or column; columns: {known}")
