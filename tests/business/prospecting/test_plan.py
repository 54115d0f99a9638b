"""What is asked where, in which order; who is left out; when it pays to look further. Pure."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from business.prospecting.checks import left_out
from business.prospecting.evidence import Evidence, Kind
from business.prospecting.model import AgeRange, IdealCustomer, Signal, Size, WantedActivity, WantedPlace, Wish
from business.prospecting.plan import Check, Pays, make_plan, pays, plan_from

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
DENTIST, GYM = WantedActivity("8630504", "dentista"), WantedActivity("9313100", "academia")
CAMPINAS, PARANA = WantedPlace("city", "Campinas", "SP", "3509502"), WantedPlace("state", "Paraná", "PR", "41")
ASKED = IdealCustomer((DENTIST, GYM), (CAMPINAS, PARANA))


def test_main_activities_come_first_place_by_place_and_further_ones_last() -> None:
    assert [step.key for step in make_plan(ASKED).steps] == [
        "8630504@3509502", "9313100@3509502", "8630504@41", "9313100@41",
        "8630504@3509502+", "9313100@3509502+", "8630504@41+", "9313100@41+",
    ]  # fmt: skip


def test_a_step_asks_the_registry_for_its_activity_and_place_alone() -> None:
    city, *_, state = make_plan(IdealCustomer((DENTIST,), (CAMPINAS, PARANA))).steps
    assert city.query.params() == [("municipio", "3509502"), ("cnae_fiscal", "8630504")]
    assert state.query.params() == [("uf", "PR"), ("cnae", "8630504")]
    (everywhere,) = make_plan(IdealCustomer((DENTIST,), nationwide=True)).steps
    assert everywhere.query.params() == [("cnae_fiscal", "8630504")] and everywhere.key == "8630504@BR"


def test_what_feedback_favours_is_asked_first() -> None:
    favoured = make_plan(ASKED, {("9313100", "41"): 5, ("8630504", "3509502"): -2})
    assert [step.key for step in favoured.steps][:4] == [
        "9313100@41",
        "9313100@3509502",
        "8630504@41",
        "8630504@3509502",
    ]


def test_only_what_was_asked_for_is_checked() -> None:
    plain = make_plan(ASKED).checks
    assert Check.TOO_YOUNG not in plain and Check.MEI not in plain and Check.BRANCH in plain
    strict = IdealCustomer((DENTIST,), (CAMPINAS,), mei=False, age=AgeRange(least_months=36), branches=True)
    assert {Check.TOO_YOUNG, Check.MEI} <= set(make_plan(strict).checks)
    assert Check.BRANCH not in make_plan(strict).checks


def test_a_plan_that_was_kept_comes_back_as_it_was_and_one_of_nothing_is_none() -> None:
    plan = make_plan(ASKED)
    assert plan_from(plan.record()) == plan
    with pytest.raises(ValueError):
        make_plan(IdealCustomer((DENTIST,)))


@pytest.mark.parametrize(
    ("score", "best", "wish_open", "to_contact", "why"),
    [
        (60, 90, False, False, Pays.CLOSE),
        (60, 69, True, False, None),  # nothing that could be found would make it qualify
        (80, 95, False, False, Pays.RANK),
        (60, 69, True, True, Pays.CONTACT),  # a person wants to write to it all the same
        (80, 95, False, True, Pays.CONTACT),
        (69, 95, True, False, Pays.WISH),
    ],
)
def test_it_pays_to_look_further_where_it_can_change_something(
    score: int, best: int, wish_open: bool, to_contact: bool, why: Pays | None
) -> None:
    assert pays(score, best, 70, wish_open=wish_open, to_contact=to_contact) is why


def piece(kind: Kind, value: Any) -> Evidence:
    return Evidence(kind, value, "Minha Receita", "https://registry.example/1", NOW)


STRICT = IdealCustomer(
    (DENTIST,),
    (CAMPINAS, PARANA),
    sizes=(Size.MICRO,),
    mei=False,
    age=AgeRange(least_months=36, least_strict=True, most_months=120),
    wishes=(Wish(Signal.EMAIL),),
    without_activities=(GYM,),
    without_places=(WantedPlace("city", "Curitiba", "PR", "4106902"),),
)
RIGHT = {
    Kind.ACTIVE: True, Kind.HEAD_OFFICE: True, Kind.ACTIVITY: "8630504", Kind.CITY: "3509502",
    Kind.OPENED: date(2020, 1, 1), Kind.SIZE: "micro", Kind.MEI: False, Kind.EMAIL: "a@b.example",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        (Kind.ACTIVE, False, Check.NOT_ACTIVE),
        (Kind.HEAD_OFFICE, False, Check.BRANCH),
        (Kind.ACTIVITY, "5611201", Check.OTHER_ACTIVITY),
        (Kind.CITY, "3550308", Check.OTHER_PLACE),
        (Kind.CITY, "4106902", Check.EXCLUDED_PLACE),
        (Kind.CITY, "4113700", None),  # Londrina, in Paraná
        (Kind.OPENED, date(2023, 11, 20), Check.TOO_YOUNG),
        (Kind.OPENED, date(2023, 11, 19), None),
        (Kind.OPENED, date(2016, 11, 19), Check.TOO_OLD),
        (Kind.OPENED, date(2016, 11, 20), None),
        (Kind.SIZE, "other", Check.OTHER_SIZE),
        (Kind.MEI, True, Check.MEI),
        (Kind.EMAIL, False, Check.WISH),
    ],
)
def test_who_is_known_to_be_none_of_those_asked_for_is_left_out_with_the_reason(
    kind: Kind, value: Any, why: Check | None
) -> None:
    assert left_out(STRICT, [piece(*one) for one in (RIGHT | {kind: value}).items()], TODAY) is why
    # Another source that says yes is enough; and what is not known is held against nobody.
    both = [*(piece(*one) for one in RIGHT.items()), piece(kind, value)]
    if kind not in (Kind.OPENED, Kind.CITY):
        assert left_out(STRICT, both, TODAY) is None
    assert left_out(STRICT, [piece(*one) for one in RIGHT.items() if one[0] is not kind], TODAY) is None


def test_an_excluded_main_activity_is_left_out_though_the_asked_one_is_among_the_further_ones() -> None:
    gym = [piece(Kind.ACTIVITY, "9313100"), piece(Kind.FURTHER_ACTIVITY, "8630504")]
    assert left_out(STRICT, gym, TODAY) is Check.EXCLUDED_ACTIVITY
    assert left_out(IdealCustomer((DENTIST,), (CAMPINAS,)), gym, TODAY) is None
