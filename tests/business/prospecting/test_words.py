"""Everything that this part has to say can be said in all three languages, from what was kept."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial

import pytest

from business.prospecting.evidence import Evidence, Kind
from business.prospecting.lessons import Lesson, Trait, told
from business.prospecting.lines import Line, line_from, said
from business.prospecting.model import (
    AgeRange,
    Doubt,
    IdealCustomer,
    Signal,
    Size,
    Unclear,
    WantedActivity,
    WantedPlace,
    Wish,
)
from business.prospecting.plan import Check, make_plan
from business.prospecting.profile import read_profile
from business.prospecting.rules import default_rules
from business.prospecting.score import Verdict, explain, reasons, record, score
from prompts.texts import Texts

TEXTS = Texts.load()
TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
ASKED = IdealCustomer(
    (WantedActivity("7111100", "escritório de arquitetura"),),
    (WantedPlace("city", "Campinas", "SP", "3509502"), WantedPlace("state", "Paraná", "PR", "41")),
    sizes=(Size.MICRO,),
    mei=False,
    age=AgeRange(least_months=36),
    wishes=(Wish(Signal.WEBSITE), Wish(Signal.EMAIL, False)),
    without_activities=(WantedActivity("1091102", "padaria"),),
    wants_contact=True,
)


def evidence() -> list[Evidence]:
    return [
        Evidence(kind, value, "Minha Receita", "https://registry.example/1", NOW)
        for kind, value in (
            (Kind.ACTIVE, False), (Kind.ACTIVITY, "7111100"), (Kind.OPENED, date(2015, 3, 2)), (Kind.WEBSITE, False),
            (Kind.CAPITAL, Decimal(1000)), (Kind.REVIEWS, 3), (Kind.CLOSED_ON_MAP, True), (Kind.PHONE, "1932324455"),
        )
    ]  # fmt: skip


def everything() -> Iterator[Line]:
    seen = ("activity", "8630504"), ("city", "3556206"), ("city", "9999999"), ("size", "other"), ("age", "10-20")
    lessons = [Lesson(Trait(kind, value), 3, 1, 0) for kind, value in seen]
    made = score(ASKED, evidence(), default_rules(), TODAY, lessons)
    yield from (*explain(made), *reasons(made))
    yield from (told(one, Decimal(points)) for one in lessons for points in (4, -4))
    yield from (told(one) for one in lessons)
    yield from make_plan(ASKED).explained()
    yield from make_plan(IdealCustomer(ASKED.activities, nationwide=True)).explained()
    branches = read_profile("dentistas só MEI em Recife desde 2020, incluindo filiais", "pt-BR", TODAY).profile
    for profile in (ASKED, IdealCustomer(), branches):
        yield from profile.described(TODAY)
    for doubt in Doubt:
        both: tuple[WantedPlace | WantedActivity, ...] = (*ASKED.places, *ASKED.activities)
        for choices in ((), both):
            if choices or doubt is not Doubt.PLACE_NAMESAKES:
                yield Unclear(doubt, "palavras", choices).line()
    yield from (Line(f"prospecting.check.{one}") for one in Check)
    yield from (Line(f"prospecting.kind.{one}") for one in Kind)
    yield from (Line(f"prospecting.verdict.{one}") for one in Verdict)
    yield from (Line(f"prospecting.rule.{one.id}") for one in default_rules().rules)
    yield from (Line(f"prospecting.ended.{one}") for one in ("enough", "enough_to_look_at", "plan_end"))
    for why in ("unknown", "failed"):
        yield Line(f"prospecting.limit.{why}", {"at": 69, "name": Line("prospecting.rule.active")})


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_every_line_can_be_said(language: str) -> None:
    for line in everything():
        sentence = said(line, partial(TEXTS.say, language))
        assert sentence and "{" not in sentence and "Line(" not in sentence and "None" not in sentence


def test_a_kept_score_is_explained_as_it_was_made() -> None:
    made = score(ASKED, evidence(), default_rules(), TODAY)
    assert [line_from(one) for one in record(made)["explained"]] == explain(made)


def test_no_text_of_this_part_is_unused() -> None:
    def keys(line: Line) -> Iterator[str]:
        yield line.key
        for value in line.params.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, Line):
                    yield from keys(one)

    used = {key for line in everything() for key in keys(line)}
    ours = {key for key in TEXTS.sources["pt-BR"] if key.startswith("prospecting.")}
    by_data = {"prospecting.rule_own", "prospecting.outcome.partly", "prospecting.trait.mei", "prospecting.size.small",
               "prospecting.size.other", "prospecting.profile.opened_between", "prospecting.verdict.below",
               "prospecting.evidence.yes", "prospecting.reason.partly", "prospecting.reason.as_asked"}  # fmt: skip
    assert ours - used <= by_data


def test_the_explanation_of_a_score_reads_as_a_person_would_say_it() -> None:
    profile = IdealCustomer(ASKED.activities, ASKED.places)
    email = Evidence(Kind.EMAIL, "contato@ipe.example", "site", "https://ipe.example", NOW)
    made = score(profile, [*evidence()[1:4], *evidence()[-1:], email, Evidence(Kind.CITY, "3509502", "x", "y", NOW)],
                 default_rules(), TODAY)  # fmt: skip
    say = partial(TEXTS.say, "pt-BR")
    told_lines = [said(line, say) for line in explain(made)]
    assert told_lines[0] == f"Nota {made.total} de 100: para você olhar (regras {default_rules().version})."
    phone = next(line for line in told_lines if line.startswith("tem telefone: sim – "))
    assert "1932324455 (Minha Receita, 20/11/2026)" in phone
    assert "Não passa de 69 enquanto não se sabe: situação no cadastro." in told_lines
