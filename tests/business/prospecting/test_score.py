"""Scores: arithmetic over evidence by a rule file, explained to the last point. What always holds is a property."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from business.prospecting.evidence import Evidence, Kind, evidence_from
from business.prospecting.lessons import Lesson, Said, Trait, favours, lessons_from
from business.prospecting.model import AgeRange, IdealCustomer, Signal, Size, WantedActivity, WantedPlace, Wish
from business.prospecting.rules import default_rules, default_text, parse_rules
from business.prospecting.score import Outcome, Score, Verdict, explain, reasons, score
from core.errors import ArgumentsWrong

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ARCHITECTURE = WantedActivity("7111100", "escritório de arquitetura")
CAMPINAS = WantedPlace("city", "Campinas", "SP", "3509502")
WANTED = IdealCustomer((ARCHITECTURE,), (CAMPINAS,), age=AgeRange(least_months=36, least_strict=True))
RULES = default_rules()


def known(kind: Kind, value: Any, source: str = "Minha Receita") -> Evidence:
    return Evidence(kind, value, source, "https://registry.example/1", NOW)


FITTING = (
    known(Kind.ACTIVE, True),
    known(Kind.ACTIVITY, "7111100"),
    known(Kind.CITY, "3509502"),
    known(Kind.OPENED, date(2015, 3, 2)),
    known(Kind.HEAD_OFFICE, True),
    known(Kind.SIZE, "micro"),
    known(Kind.PHONE, "1932324455"),
)


def scored(*evidence: Evidence, profile: IdealCustomer = WANTED) -> Score:
    return score(profile, evidence, RULES, TODAY)


# --- stories --------------------------------------------------------------------------------------


def test_a_company_that_is_what_was_asked_for_and_has_a_telephone_qualifies_on_the_registry_alone() -> None:
    found = scored(*FITTING)
    assert found.verdict is Verdict.QUALIFIED and found.total >= RULES.qualified
    assert found.best > found.total


def test_without_any_way_to_reach_it_a_person_has_to_look() -> None:
    assert scored(*FITTING[:-1]).verdict is Verdict.PERSON


def test_a_company_that_has_the_activity_among_its_further_ones_fits_less() -> None:
    beside = (known(Kind.ACTIVITY, "7112000"), known(Kind.FURTHER_ACTIVITY, "7111100"))
    partly = scored(*FITTING[:1], *beside, *FITTING[2:])
    assert scored(*FITTING).total > partly.total > scored(*FITTING[:1], beside[0], *FITTING[2:]).total
    assert next(one.outcome for one in partly.rules if one.rule.id == "activity") is Outcome.PARTLY


def test_what_was_asked_for_and_is_not_known_keeps_a_company_from_qualifying() -> None:
    unsure = scored(*(one for one in FITTING if one.kind is not Kind.OPENED), known(Kind.WHATSAPP, "5519999998888"))
    assert unsure.total < RULES.qualified and unsure.best >= RULES.qualified
    assert unsure.limits[0].why == "unknown" and unsure.limits[0].rule == "age"


def test_what_is_known_to_be_otherwise_than_asked_keeps_it_below_a_person() -> None:
    young = scored(*(one for one in FITTING if one.kind is not Kind.OPENED), known(Kind.OPENED, date(2025, 1, 1)))
    assert young.verdict is Verdict.BELOW and young.best < RULES.person
    assert young.limits[0].why == "failed" and young.limits[0].rule == "age"


def test_a_company_that_the_map_says_is_closed_goes_to_a_person() -> None:
    found = scored(*FITTING, known(Kind.CLOSED_ON_MAP, True, "SerpAPI"))
    assert found.verdict is Verdict.PERSON and found.limits[0].why == "closed_on_map"


def test_lacking_a_website_shows_need_unless_a_website_was_asked_for() -> None:
    lacking = known(Kind.WEBSITE, False, "SerpAPI")
    having = known(Kind.WEBSITE, "https://ipe.example", "SerpAPI")
    assert scored(*FITTING, lacking).total > scored(*FITTING).total > scored(*FITTING, having).total
    wishing = IdealCustomer((ARCHITECTURE,), (CAMPINAS,), wishes=(Wish(Signal.WEBSITE),))
    assert scored(*FITTING, having, profile=wishing).total > scored(*FITTING, lacking, profile=wishing).total
    assert scored(*FITTING, having, profile=wishing).verdict is Verdict.QUALIFIED
    assert scored(*FITTING, profile=wishing).total == RULES.qualified - 1
    none = IdealCustomer((ARCHITECTURE,), (CAMPINAS,), wishes=(Wish(Signal.WEBSITE, False),))
    assert scored(*FITTING, lacking, profile=none).total > scored(*FITTING, having, profile=none).total


def test_the_points_that_are_explained_sum_up_to_the_score_and_name_their_evidence() -> None:
    found = scored(*FITTING, known(Kind.WEBSITE, False, "SerpAPI"))
    lines = explain(found)
    parts = [line.params for line in lines if line.key == "prospecting.explain.part"]
    assert [one["part"] for one in parts] == ["fit", "need", "timing", "reachability"]
    assert abs(sum((Decimal(one["points"]) for one in parts), Decimal(0)) - found.total) <= 1
    rules = {line.params["rule"]: line.params for line in lines if line.key == "prospecting.explain.rule"}
    phone = rules["phone"]["evidence"][0].params
    assert (phone["value"], phone["source"]) == ("1932324455", "Minha Receita")
    assert (phone["reference"], phone["at"]) == ("https://registry.example/1", TODAY)
    assert rules["hiring"]["outcome"] == "unknown" and rules["hiring"]["evidence"] == []
    assert "size" not in rules  # nobody asked for a size
    assert lines[0].params["version"] == RULES.version


def test_sources_that_disagree_are_told() -> None:
    found = scored(*FITTING, known(Kind.OPENED, date(2026, 1, 1), "site"))
    age = next(one for one in found.rules if one.rule.id == "age")
    assert age.outcome is Outcome.YES and age.disagreeing


def test_the_reason_of_a_verdict_begins_with_what_speaks_most_for_it() -> None:
    told = reasons(scored(*FITTING))
    assert told[0].key == "prospecting.reason.as_asked", "activity, place and age in one: that tells nobody apart"
    assert told[1].params["rule"] == "phone"
    young = reasons(scored(*FITTING[:3], known(Kind.OPENED, date(2026, 1, 1)), *FITTING[4:]))
    assert young[0].params["rule"] == "activity"
    assert {line.key for line in told[1:]} <= {
        "prospecting.reason.for",
        "prospecting.reason.against",
        "prospecting.reason.open",
    }


# --- what always holds ----------------------------------------------------------------------------

_WANTED_PIECES = [
    known(Kind.ACTIVE, True), known(Kind.ACTIVITY, "7111100"), known(Kind.FURTHER_ACTIVITY, "7111100"),
    known(Kind.CITY, "3509502"), known(Kind.OPENED, date(2010, 1, 1)), known(Kind.SIZE, "micro"),
    known(Kind.MEI, False), known(Kind.HEAD_OFFICE, True), known(Kind.PHONE, "1933334444"),
    known(Kind.WHATSAPP, "5519999998888", "site"), known(Kind.EMAIL, "a@b.example", "site"),
    known(Kind.LINKEDIN, "company/x", "site"), known(Kind.MOBILE_READY, False, "site"),
    known(Kind.META_PIXEL, False, "site"), known(Kind.COPYRIGHT_YEAR, 2015, "site"), known(Kind.REVIEWS, 3, "map"),
    known(Kind.HIRING, "vaga", "site"), known(Kind.NEWS, date(2026, 11, 1), "news"),
    known(Kind.CHANGED, date(2026, 9, 1)), known(Kind.LIKENESS, Decimal("0.95"), "memory"),
]  # fmt: skip
_UNWANTED_PIECES = [
    known(Kind.ACTIVE, False), known(Kind.ACTIVITY, "5611201"), known(Kind.CITY, "2611606"),
    known(Kind.OPENED, date(2026, 6, 1)), known(Kind.SIZE, "other"), known(Kind.MEI, True),
    known(Kind.HEAD_OFFICE, False), known(Kind.PHONE, False, "map"), known(Kind.WHATSAPP, False, "map"),
    known(Kind.EMAIL, False, "map"), known(Kind.MOBILE_READY, True, "site"), known(Kind.META_PIXEL, True, "site"),
    known(Kind.COPYRIGHT_YEAR, 2026, "site"), known(Kind.REVIEWS, 900, "map"), known(Kind.HIRING, False, "site"),
    known(Kind.NEWS, date(2020, 1, 1), "news"), known(Kind.CHANGED, date(2011, 1, 1)),
    known(Kind.LIKENESS, Decimal("0.1"), "memory"), known(Kind.CLOSED_ON_MAP, True, "map"),
]  # fmt: skip
_SITE_HAS, _SITE_LACKS = known(Kind.WEBSITE, "https://x.example", "map"), known(Kind.WEBSITE, False, "map")

wanted = st.sampled_from(_WANTED_PIECES)
anything = st.lists(st.sampled_from([*_WANTED_PIECES, *_UNWANTED_PIECES, _SITE_HAS, _SITE_LACKS]), max_size=14)
profiles = st.builds(
    IdealCustomer,
    st.just((ARCHITECTURE,)),
    st.sampled_from([(), (CAMPINAS,), (WantedPlace("state", "São Paulo", "SP", "35"),)]),
    sizes=st.sampled_from([(), (Size.MICRO,), (Size.MICRO, Size.SMALL)]),
    mei=st.sampled_from([None, False]),
    age=st.sampled_from([AgeRange(), AgeRange(least_months=36, least_strict=True)]),
    wishes=st.sampled_from([(), (Wish(Signal.PHONE),), (Wish(Signal.WHATSAPP), Wish(Signal.EMAIL))]),
)


@given(profiles, anything, wanted)
def test_more_evidence_of_a_wanted_kind_never_lowers_a_score(
    profile: IdealCustomer, evidence: list[Evidence], more: Evidence
) -> None:
    before, after = (score(profile, pieces, RULES, TODAY) for pieces in (evidence, [*evidence, more]))
    assert after.total >= before.total


@given(profiles, anything, st.sampled_from(_UNWANTED_PIECES))
def test_unknown_never_counts_as_no(profile: IdealCustomer, evidence: list[Evidence], no: Evidence) -> None:
    unknown = [one for one in evidence if one.kind is not no.kind]
    assert score(profile, unknown, RULES, TODAY).total >= score(profile, [*unknown, no], RULES, TODAY).total
    for one in score(profile, unknown, RULES, TODAY).rules:
        if one.outcome is Outcome.UNKNOWN:
            assert one.points > 0


@given(profiles, anything, st.integers(0, 2**32))
def test_the_order_of_evidence_and_saying_it_twice_do_not_matter(
    profile: IdealCustomer, evidence: list[Evidence], seed: int
) -> None:
    mixed = evidence + evidence[:3]
    random.Random(seed).shuffle(mixed)
    assert score(profile, mixed, RULES, TODAY) == score(profile, evidence, RULES, TODAY)


lessons = st.lists(
    st.builds(
        Lesson,
        st.builds(Trait, st.sampled_from(["activity", "size", "age"]), st.sampled_from(["7111100", "micro", "10-20"])),
        st.integers(0, 50),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    max_size=4,
)  # fmt: skip


@given(profiles, anything, lessons)
def test_a_score_is_always_from_0_to_100_and_never_above_its_best(
    profile: IdealCustomer, evidence: list[Evidence], taught: list[Lesson]
) -> None:
    found = score(profile, evidence, RULES, TODAY, taught)
    assert 0 <= found.total <= found.best <= 100
    assert abs(found.lesson_points) <= RULES.feedback.most
    assert explain(found) and reasons(found)


@given(profiles, anything)
def test_the_best_is_reached_when_all_that_is_unknown_turns_out_well(
    profile: IdealCustomer, evidence: list[Evidence]
) -> None:
    kinds = {one.kind for one in evidence}
    missing = [one for one in _WANTED_PIECES if one.kind not in kinds and one.kind is not Kind.FURTHER_ACTIVITY]
    # A website shows need by its lack, an Instagram profile, too.
    missing += [known(kind, False, "map") for kind in (Kind.WEBSITE, Kind.INSTAGRAM) if kind not in kinds]
    found = score(profile, evidence, RULES, TODAY)
    assert score(profile, [*evidence, *missing], RULES, TODAY).total <= found.best


# --- evidence -------------------------------------------------------------------------------------


def test_what_was_told_at_night_is_of_the_day_that_it_was_in_brasilia() -> None:
    late = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)  # half past ten in the evening there
    assert Evidence(Kind.PHONE, "1932324455", "Minha Receita", "https://registry.example/1", late).day == TODAY


@given(st.sampled_from([*_WANTED_PIECES, *_UNWANTED_PIECES, _SITE_HAS, _SITE_LACKS]))
def test_evidence_that_was_kept_comes_back_as_it_was(piece: Evidence) -> None:
    assert evidence_from(piece.record()) == piece


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.OPENED, "2015"), (Kind.ACTIVE, "sim"), (Kind.PHONE, True), (Kind.PHONE, ""), (Kind.REVIEWS, True),
     (Kind.CAPITAL, 3.5), (Kind.OPENED, NOW), (Kind.LIKENESS, Decimal("NaN"))],
)  # fmt: skip
def test_evidence_of_a_wrong_type_is_none(kind: Kind, value: Any) -> None:
    with pytest.raises(ValueError):
        known(kind, value)


# --- feedback -------------------------------------------------------------------------------------


def test_what_was_won_raises_its_like_and_what_was_no_customer_lowers_it_by_the_stated_points() -> None:
    micro, old = Trait("size", "micro"), Trait("age", "10-20")
    plain = scored(*FITTING)
    won = score(WANTED, FITTING, RULES, TODAY, lessons_from([(Said.WON, [micro, old]), (Said.WON, [micro])]))
    assert won.total - plain.total == 6  # two for each of three shared traits
    refused = score(WANTED, FITTING, RULES, TODAY, lessons_from([(Said.NOT_THIS_KIND, [micro])]))
    assert plain.total - refused.total == 3
    told = next(line for line in explain(refused) if line.key == "prospecting.explain.feedback")
    assert [lesson.params["not_this_kind"] for lesson in told.params["lessons"]] == [1]


def test_a_trait_that_the_search_itself_asks_for_teaches_nothing() -> None:
    lost = lessons_from([(Said.LOST, [Trait("activity", "7111100"), Trait("city", "3509502")])] * 9)
    assert score(WANTED, FITTING, RULES, TODAY, lost).total == scored(*FITTING).total


def test_feedback_orders_the_queries_of_the_next_search() -> None:
    two = IdealCustomer((ARCHITECTURE,), (CAMPINAS, WantedPlace("city", "Valinhos", "SP", "3556206")))
    taught = lessons_from([(Said.WON, [Trait("city", "3556206")]), (Said.LOST, [Trait("city", "3509502")])])
    assert favours(two, taught, RULES.feedback) == {("7111100", "3509502"): -1, ("7111100", "3556206"): 2}


# --- rule files -----------------------------------------------------------------------------------


def test_a_tenant_may_weigh_otherwise_and_name_rules_of_its_own() -> None:
    text = default_text().replace("fit: 40 ", "fit: 60 ").replace("need: 20 ", "need: 0  ")
    text = text.replace(
        "  - {id: hiring,",
        "  - {id: rich, part: timing, points: 6, test: at_least, about: capital, value: 100000, label: Capital alto}\n"
        "  - {id: hiring,",
    )
    rules = parse_rules(text)
    assert rules.weights["fit"] == 60 and rules.version != RULES.version
    rich = score(WANTED, [*FITTING, known(Kind.CAPITAL, Decimal(500_000))], rules, TODAY)
    assert next(one for one in rich.rules if one.rule.id == "rich").outcome is Outcome.YES


@pytest.mark.parametrize(
    ("old", "new", "code", "params"),
    [
        ("version: 1", "version: [", "score_rules_unreadable", {}),
        ("fit: 40", "fit: 50", "score_rules_weights", {"total": "110"}),
        ("id: phone,", "id: email,", "score_rules_twice", {"id": "email"}),
        ("points: 14", "points: many", "score_rules_field", {"where": "rules[17].points", "given": "many"}),
        ("test: is_true", "test: is_nice", "score_rules_field", {"where": "rules[6].test", "given": "is_nice"}),
        ("about: phone", "about: colour", "score_rules_field", {"where": "rules[17].about", "given": "colour"}),
        ("person: 50", "person: 80", "score_rules_field", {"where": "verdicts.person", "given": "80"}),
        ("unknown_counts: 0.5", "unknown_counts: 0", "score_rules_field", {"where": "unknown_counts", "given": "0"}),
        ("{won: 2", "{win: 2", "score_rules_field", {"where": "feedback.win"}),
        ("id: hiring", "id: vagas", "score_rules_field", {"where": "rules[15].label"}),
        ("test: absent, about: website", "test: present, about: linkedin", None, {}),
        ("about: linkedin}", "about: website}", "score_rules_opposed", {"about": "website"}),
    ],
)  # fmt: skip
def test_a_wrong_rule_file_is_refused_with_where_and_what(
    old: str, new: str, code: str | None, params: dict[str, str]
) -> None:
    assert old in default_text()
    text = default_text().replace(old, new, 1)
    if code is None:
        assert parse_rules(text).rules
        return
    with pytest.raises(ArgumentsWrong) as caught:
        parse_rules(text)
    assert caught.value.code == code
    assert params.items() <= caught.value.params.items()


@pytest.mark.parametrize("text", ["", "[]", "x", "a: &a [*a]", "rules: 3", "!!python/object:os.system {}"])
def test_what_is_no_rule_file_is_told_so(text: str) -> None:
    with pytest.raises(ArgumentsWrong):
        parse_rules(text)


def test_the_age_of_a_company_moves_its_band() -> None:
    from business.prospecting.lessons import traits_of

    for days, band in ((100, "0-2"), (1_200, "2-5"), (3_000, "5-10"), (5_000, "10-20"), (9_000, "20+")):
        assert traits_of([known(Kind.OPENED, TODAY - timedelta(days=days))], TODAY) == (Trait("age", band),)


def test_only_lessons_that_can_set_companies_of_a_search_apart_are_told_of_it() -> None:
    from business.prospecting.lessons import may_matter
    from business.prospecting.profile import read_profile

    architects = [
        Lesson(Trait(kind, value), 0, 0, 1)
        for kind, value in (("activity", "7111100"), ("city", "3509502"), ("size", "micro"), ("age", "5-10"))
    ]
    told = {
        sentence: {
            one.trait.kind for one in architects if may_matter(one, read_profile(sentence, "pt-BR", TODAY).profile)
        }
        for sentence in (
            "arquitetos em Campinas",
            "dentistas em Sorocaba",
            "arquitetos e dentistas no estado de São Paulo",
        )
    }
    assert list(told.values()) == [{"size", "age"}, {"size", "age"}, {"activity", "city", "size", "age"}]
