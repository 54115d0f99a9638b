"""Values of texts survive the database: what a preview or an outcome says later is what was known then."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from business.approvals.model import Change, Preview
from business.approvals.store import packed, preview_data, preview_from, read_outcome, unpacked, write_outcome
from core.money import Money

money = st.builds(
    Money, st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), st.just("BRL")
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | money
    | st.dates()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.just(UTC))
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(values)
def test_a_value_comes_back_as_it_went_in(value: Any) -> None:
    assert unpacked(json.loads(json.dumps(packed(value)))) == value


def test_a_preview_and_an_outcome_come_back_whole() -> None:
    preview = Preview(
        title="proposal.title.pause",
        title_params={"name": "Natal"},
        lines=[("proposal.line.daily_after", Money(Decimal("80.00"), "BRL")), ("proposal.line.account", "Aurora")],
        warnings=[("proposal.warning.big_change", {"percent": Decimal("60.0")})],
        editable={"amount": "80.00"},
    )
    assert preview_from(json.loads(json.dumps(preview_data(preview)))) == preview
    params = {"since": date(2026, 11, 1), "at": datetime(2026, 11, 1, 12, tzinfo=UTC)}
    assert read_outcome(write_outcome("period_future", params)) == ("period_future", params)
    assert read_outcome("") == ("", {})


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text()))
def test_an_approval_is_bound_to_every_part_of_its_change(kind: str, target: str, data: dict[str, Any]) -> None:
    change = Change(kind, target, data)
    bound = change.bound_hash("ten_1", "tool", "WRITE")
    others = [
        change.bound_hash("ten_2", "tool", "WRITE"),
        change.bound_hash("ten_1", "other", "WRITE"),
        change.bound_hash("ten_1", "tool", "SPEND"),
        Change(kind + "x", target, data).bound_hash("ten_1", "tool", "WRITE"),
        Change(kind, target + "x", data).bound_hash("ten_1", "tool", "WRITE"),
        Change(kind, target, {**data, "more": 1}).bound_hash("ten_1", "tool", "WRITE"),
    ]
    assert bound not in others
    assert Change(kind, target, dict(reversed(data.items()))).bound_hash("ten_1", "tool", "WRITE") == bound
