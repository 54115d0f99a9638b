"""The days that a call of an ads tool is about. Record dueno-con-tropiezos: a model splits what the sentence says."""

from dataclasses import replace
from datetime import date

import pytest

from business.ads.model import Account, Window
from business.ads.windows import parse_period
from core.permissions import Scope
from tests.tools.conftest import MakeTurn
from tools.ads_targets import windows_of
from tools.spec import ToolContext

ZONE = "America/Sao_Paulo"
AURORA = Account("act_1", "Loja Aurora", "BRL", ZONE)
FILE = replace(AURORA, id="file_1", source="file", data_from=date(2026, 10, 1), data_until=date(2026, 10, 31))

# The clock stands at Friday, 2026-11-20, noon.
WHOLE = {
    "pt-BR": (
        "{period} comparado com {other}",
        ("hoje", "ontem", "essa semana", "semana passada", "este mês", "mês passado", "outubro", "últimos 7 dias"),
        ("a passada", "o passado", "a anterior", "o anterior", "a semana passada", "a semana anterior",
         "o mês anterior", "os 7 anteriores", "anteontem", "o mesmo período do mês passado"),
    ),
    "en": (
        "{period} compared with {other}",
        ("today", "yesterday", "this week", "last week", "this month", "last month", "October", "last 7 days"),
        ("the previous one", "the last one", "the one before", "last week", "the week before", "last month",
         "the previous 7 days", "the day before yesterday", "the same period of last month"),
    ),
    "es": (
        "{period} comparado con {other}",
        ("hoy", "ayer", "esta semana", "la semana pasada", "este mes", "el mes pasado", "octubre", "últimos 7 días"),
        ("la pasada", "el pasado", "la anterior", "el anterior", "la semana pasada", "la semana anterior",
         "el mes anterior", "los 7 anteriores", "anteayer"),
    ),
}  # fmt: skip


@pytest.fixture
def ctx(make_turn: MakeTurn) -> ToolContext:
    return ToolContext(make_turn(), {}, Scope.ALL)


@pytest.mark.parametrize("language", WHOLE)
def test_a_period_and_what_to_compare_it_with_mean_what_the_whole_sentence_says(
    ctx: ToolContext, language: str
) -> None:
    sentence, periods, others = WHOLE[language]
    wrong = []
    for period in periods:
        for other in others:
            said = parse_period(sentence.format(period=period, other=other), now=ctx.turn.now, time_zone=ZONE)
            assert said is not None and said.compare is not None, (period, other)
            if windows_of(ctx, AURORA, period, other) != (said.window, said.compare):
                wrong.append((period, other))
    assert not wrong


@pytest.mark.parametrize(
    ("period", "others", "before"),
    [
        ("essa semana", "passada|a passada|a anterior|anterior|período anterior|previous", (9, 11, 15, 11)),
        ("this week", "last|the last|last one|previous|the previous one|before|previous period", (9, 11, 15, 11)),
        ("esta semana", "pasada|la pasada|la anterior|anterior|período anterior", (9, 11, 15, 11)),
        ("este mês", "o passado|passado|o anterior|anterior|previous", (1, 10, 31, 10)),
        ("this month", "last|the last one|the one before|previous", (1, 10, 31, 10)),
        ("este mes", "el pasado|pasado|el anterior|anterior", (1, 10, 31, 10)),
        ("últimos 7 dias", "previous|os anteriores|anterior", (6, 11, 12, 11)),
        ("2026-11-13..2026-11-19", "previous|anterior", (6, 11, 12, 11)),
        ("ontem", "previous|o anterior", (18, 11, 18, 11)),
    ],
)
def test_elliptic_words_are_the_one_before(
    ctx: ToolContext, period: str, others: str, before: tuple[int, int, int, int]
) -> None:
    first_day, first_month, last_day, last_month = before
    expected = Window(date(2026, first_month, first_day), date(2026, last_month, last_day), ZONE)
    assert {other: windows_of(ctx, AURORA, period, other)[1] for other in others.split("|")} == {
        other: expected for other in others.split("|")
    }


@pytest.mark.parametrize(
    "said", ["semana passada", "a semana passada", "la semana pasada", "last week", "2026-11-09..2026-11-15"]
)
def test_without_a_period_what_to_compare_with_says_which_one_is_meant(ctx: ToolContext, said: str) -> None:
    window, compare = windows_of(ctx, AURORA, None, said)
    assert compare == Window(date(2026, 11, 9), date(2026, 11, 15), ZONE)
    dates = said[0] == "2"  # dates say nothing of a running week
    assert (window.since, window.until) == (date(2026, 11, 13 if dates else 16), date(2026, 11, 19 if dates else 20))


def test_the_days_of_a_file_stand_against_what_is_named(ctx: ToolContext) -> None:
    window, compare = windows_of(ctx, FILE, None, "setembro")
    assert (window.since, window.until) == (FILE.data_from, FILE.data_until)
    assert compare == Window(date(2026, 9, 1), date(2026, 9, 30), ZONE)
