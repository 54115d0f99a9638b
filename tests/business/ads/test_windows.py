"""Periods as people name them. Today is Friday, 20 November 2026, noon in São Paulo."""

import unicodedata
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from business.ads.model import Window
from business.ads.windows import (
    META_MONTHS,
    PeriodRequest,
    default_window,
    last_days,
    parse_period,
    previous,
    today_in,
    window_of,
)
from core.errors import ArgumentsWrong

SAO_PAULO = "America/Sao_Paulo"
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)


def asked(text: str, now: datetime = NOW, zone: str = SAO_PAULO, default: Window | None = None) -> PeriodRequest | None:
    return parse_period(text, now=now, time_zone=zone, default=default)


def days(text: str, **options: object) -> tuple[str, str] | None:
    found = asked(text, **options)  # type: ignore[arg-type]
    return None if found is None else (found.window.since.isoformat(), found.window.until.isoformat())


def compared(text: str, **options: object) -> tuple[str, str] | None:
    found = asked(text, **options)  # type: ignore[arg-type]
    assert found is not None
    return None if found.compare is None else (found.compare.since.isoformat(), found.compare.until.isoformat())


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        # days
        ("hoje", "2026-11-20", "2026-11-20"),
        ("Como foi ontem?", "2026-11-19", "2026-11-19"),
        ("e anteontem", "2026-11-18", "2026-11-18"),
        ("how was yesterday", "2026-11-19", "2026-11-19"),
        ("¿cómo fue ayer?", "2026-11-19", "2026-11-19"),
        ("the day before yesterday", "2026-11-18", "2026-11-18"),
        ("antes de ayer", "2026-11-18", "2026-11-18"),
        ("ontem e hoje", "2026-11-19", "2026-11-20"),
        ("ontem e anteontem", "2026-11-18", "2026-11-19"),
        ("3 days ago", "2026-11-17", "2026-11-17"),
        ("hace 3 días", "2026-11-17", "2026-11-17"),
        ("dia 15", "2026-11-15", "2026-11-15"),
        ("dia 25", "2026-10-25", "2026-10-25"),
        ("dia 31", "2026-10-31", "2026-10-31"),
        ("on the 15th", "2026-11-15", "2026-11-15"),
        ("no dia 15 de outubro", "2026-10-15", "2026-10-15"),
        ("1º de novembro", "2026-11-01", "2026-11-01"),
        ("3/11", "2026-11-03", "2026-11-03"),
        ("03/11/2025", "2025-11-03", "2025-11-03"),
        ("25/12", "2025-12-25", "2025-12-25"),
        ("11/23", "2025-11-23", "2025-11-23"),
        ("2026-11-03", "2026-11-03", "2026-11-03"),
        ("Nov 3, 2026", "2026-11-03", "2026-11-03"),
        ("29/02", "2024-02-29", "2024-02-29"),
        # last N days
        ("Como foram minhas campanhas nos últimos 7 dias?", "2026-11-13", "2026-11-19"),
        ("ULTIMOS 7 DIAS", "2026-11-13", "2026-11-19"),
        ("nos últimos sete dias", "2026-11-13", "2026-11-19"),
        ("nos 7 últimos dias", "2026-11-13", "2026-11-19"),
        ("last 14 days", "2026-11-06", "2026-11-19"),
        ("over the past seven days", "2026-11-13", "2026-11-19"),
        ("los últimos 30 días", "2026-10-21", "2026-11-19"),
        ("últimos 7 dias incluindo hoje", "2026-11-14", "2026-11-20"),
        ("last 7 days including today", "2026-11-14", "2026-11-20"),
        ("últimos 7 días incluyendo hoy", "2026-11-14", "2026-11-20"),
        ("últimos 7 dias, sem hoje", "2026-11-13", "2026-11-19"),
        ("últimas 2 semanas", "2026-11-06", "2026-11-19"),
        ("últimos 3 meses", "2026-08-20", "2026-11-19"),
        ("na última semana", "2026-11-13", "2026-11-19"),
        ("no último mês", "2026-10-21", "2026-11-19"),
        ("previous 7 days", "2026-11-13", "2026-11-19"),
        # weeks
        ("essa semana", "2026-11-16", "2026-11-20"),
        ("nesta semana", "2026-11-16", "2026-11-20"),
        ("this week", "2026-11-16", "2026-11-20"),
        ("semana passada", "2026-11-09", "2026-11-15"),
        ("na semana passada", "2026-11-09", "2026-11-15"),
        ("na semana", "2026-11-16", "2026-11-20"),
        ("last week", "2026-11-09", "2026-11-15"),
        ("la semana pasada", "2026-11-09", "2026-11-15"),
        ("semana retrasada", "2026-11-02", "2026-11-08"),
        ("como foi a semana anterior?", "2026-11-09", "2026-11-15"),
        ("no fim de semana", "2026-11-14", "2026-11-15"),
        ("el fin de semana", "2026-11-14", "2026-11-15"),
        ("de segunda a quarta", "2026-11-16", "2026-11-18"),
        ("from Monday to Wednesday", "2026-11-16", "2026-11-18"),
        ("de lunes a viernes", "2026-11-16", "2026-11-20"),
        ("na segunda", "2026-11-16", "2026-11-16"),
        ("na quinta-feira", "2026-11-19", "2026-11-19"),
        ("na sexta", "2026-11-13", "2026-11-13"),
        ("desde segunda", "2026-11-16", "2026-11-20"),
        ("since Monday", "2026-11-16", "2026-11-20"),
        ("desde el lunes", "2026-11-16", "2026-11-20"),
        # months, quarters, years
        ("este mês", "2026-11-01", "2026-11-20"),
        ("quanto gastei no mês?", "2026-11-01", "2026-11-20"),
        ("this month", "2026-11-01", "2026-11-20"),
        ("mês passado", "2026-10-01", "2026-10-31"),
        ("last month", "2026-10-01", "2026-10-31"),
        ("el mes pasado", "2026-10-01", "2026-10-31"),
        ("em outubro", "2026-10-01", "2026-10-31"),
        ("em dezembro", "2025-12-01", "2025-12-31"),
        ("outubro de 2025", "2025-10-01", "2025-10-31"),
        ("in October 2025", "2025-10-01", "2025-10-31"),
        ("octubre del 2025", "2025-10-01", "2025-10-31"),
        ("out/25", "2025-10-01", "2025-10-31"),
        ("10/2026", "2026-10-01", "2026-10-31"),
        ("novembro", "2026-11-01", "2026-11-20"),
        ("de setembro a outubro", "2026-09-01", "2026-10-31"),
        ("desde outubro", "2026-10-01", "2026-11-20"),
        ("desde o início do mês", "2026-11-01", "2026-11-20"),
        ("desde o início do mês passado", "2026-10-01", "2026-11-20"),
        ("since the beginning of the year", "2026-01-01", "2026-11-20"),
        ("este trimestre", "2026-10-01", "2026-11-20"),
        ("trimestre passado", "2026-07-01", "2026-09-30"),
        ("segundo trimestre", "2026-04-01", "2026-06-30"),
        ("Q3 2026", "2026-07-01", "2026-09-30"),
        ("primeiro semestre", "2026-01-01", "2026-06-30"),
        ("this year", "2026-01-01", "2026-11-20"),
        ("ano passado", "2025-01-01", "2025-12-31"),
        ("em 2025", "2025-01-01", "2025-12-31"),
        # ranges
        ("de 3 a 9", "2026-11-03", "2026-11-09"),
        ("de 25 a 29", "2026-10-25", "2026-10-29"),
        ("de 18 a 24", "2026-10-18", "2026-10-24"),
        ("de 28 a 3", "2026-10-28", "2026-11-03"),
        ("de 3 a 9 de outubro", "2026-10-03", "2026-10-09"),
        ("de 3 a 9 de outubro de 2025", "2025-10-03", "2025-10-09"),
        ("de 3 a 9 do mês passado", "2026-10-03", "2026-10-09"),
        ("do dia 3 ao dia 9", "2026-11-03", "2026-11-09"),
        ("entre os dias 3 e 9", "2026-11-03", "2026-11-09"),
        ("entre 1 e 7 de novembro", "2026-11-01", "2026-11-07"),
        ("del 3 al 9 de octubre", "2026-10-03", "2026-10-09"),
        ("entre el 3 y el 9 de octubre", "2026-10-03", "2026-10-09"),
        ("October 3 to 9", "2026-10-03", "2026-10-09"),
        ("from October 28 to November 3", "2026-10-28", "2026-11-03"),
        ("between 1 and 7 of November", "2026-11-01", "2026-11-07"),
        ("3/10 a 9/10", "2026-10-03", "2026-10-09"),
        ("28/12 a 3/1", "2025-12-28", "2026-01-03"),
        ("de 01/11/2026 a 07/11/2026", "2026-11-01", "2026-11-07"),
        ("de 01.11.2026 até 07.11.2026", "2026-11-01", "2026-11-07"),
        ("2026-11-01 a 2026-11-07", "2026-11-01", "2026-11-07"),
        ("2026-11-01..2026-11-07", "2026-11-01", "2026-11-07"),
        ("2026-11-01/2026-11-07", "2026-11-01", "2026-11-07"),
        ("desde 3/11", "2026-11-03", "2026-11-20"),
        ("a partir de 10/11", "2026-11-10", "2026-11-20"),
        ("de 3/11 até hoje", "2026-11-03", "2026-11-20"),
        ("de 15/11/2026 a 30/11/2026", "2026-11-15", "2026-11-20"),
    ],
)
def test_a_period_is_understood_inside_a_sentence(text: str, since: str, until: str) -> None:
    assert days(text) == (since, until)
    for sentence in (
        f"Oi! me diz como foi {text}, por favor",
        f"Quanto gastei {text} na conta Aurora?",
        f"{text} por campanha",
        f"e {text}!!! 🙂",
    ):
        assert days(sentence) == (since, until), sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Como estão minhas campanhas?",
        "o que devo pausar?",
        "e a segunda?",
        "pausa a segunda campanha",
        "na segunda campanha",
        "e a anterior?",
        "the 3 worst campaigns",
        "the 2nd campaign",
        "de 3 a 9 campanhas",
        "aumenta o orçamento de 20 a 30",
        "aumenta o orçamento de 50 para 80 reais",
        "aumenta em 2000",
        "aumenta em 20%",
        "R$ 1.234,56",
        "teste 50/50",
        "24/7",
        "conta act_1234567890",
        "+55 11 98765-4321",
        "campanha Black Friday",
        "how are my campaigns doing?",
        "may I see it?",
        "every Monday",
        "\x00\ud800 😀😀😀",
    ],
)
def test_a_sentence_without_a_period_names_none(text: str) -> None:
    assert days(text) is None


@pytest.mark.parametrize(
    ("text", "window", "compare"),
    [
        (
            "Como foram minhas campanhas nos últimos 7 dias comparado com os 7 anteriores?",
            ("2026-11-13", "2026-11-19"),
            ("2026-11-06", "2026-11-12"),
        ),
        ("Compare os últimos 7 dias com os 7 anteriores", ("2026-11-13", "2026-11-19"), ("2026-11-06", "2026-11-12")),
        ("los últimos 7 días que los 7 anteriores", ("2026-11-13", "2026-11-19"), ("2026-11-06", "2026-11-12")),
        (
            "last 7 days compared with the previous week",
            ("2026-11-13", "2026-11-19"),
            ("2026-11-06", "2026-11-12"),
        ),
        ("esta semana vs semana passada", ("2026-11-16", "2026-11-20"), ("2026-11-09", "2026-11-15")),
        ("compare esta semana com a passada", ("2026-11-16", "2026-11-20"), ("2026-11-09", "2026-11-15")),
        ("semana passada comparada com a anterior", ("2026-11-09", "2026-11-15"), ("2026-11-02", "2026-11-08")),
        ("last week vs the week before", ("2026-11-09", "2026-11-15"), ("2026-11-02", "2026-11-08")),
        ("outubro em relação ao mês anterior", ("2026-10-01", "2026-10-31"), ("2026-09-01", "2026-09-30")),
        ("este mês em relação ao mês passado", ("2026-11-01", "2026-11-20"), ("2026-10-01", "2026-10-31")),
        ("outubro vs setembro", ("2026-10-01", "2026-10-31"), ("2026-09-01", "2026-09-30")),
        ("ontem foi melhor que anteontem?", ("2026-11-19", "2026-11-19"), ("2026-11-18", "2026-11-18")),
        ("yesterday compared to the day before", ("2026-11-19", "2026-11-19"), ("2026-11-18", "2026-11-18")),
        (
            "fim de semana vs fim de semana anterior",
            ("2026-11-14", "2026-11-15"),
            ("2026-11-07", "2026-11-08"),
        ),
        (
            "outubro comparado com o mesmo mês do ano passado",
            ("2026-10-01", "2026-10-31"),
            ("2025-10-01", "2025-10-31"),
        ),
        (
            "últimos 7 dias em relação ao mesmo período do ano passado",
            ("2026-11-13", "2026-11-19"),
            ("2025-11-13", "2025-11-19"),
        ),
        (
            "de 1 a 10 de novembro comparado com 1 a 10 de outubro",
            ("2026-11-01", "2026-11-10"),
            ("2026-10-01", "2026-10-10"),
        ),
        # only what it is compared with is named: the running unit, or the last 7 days
        ("Como estamos vs semana passada?", ("2026-11-16", "2026-11-20"), ("2026-11-09", "2026-11-15")),
        ("e em relação ao mês passado?", ("2026-11-01", "2026-11-20"), ("2026-10-01", "2026-10-31")),
        ("compared with the previous week", ("2026-11-13", "2026-11-19"), ("2026-11-06", "2026-11-12")),
        ("versus o período anterior", ("2026-11-13", "2026-11-19"), ("2026-11-06", "2026-11-12")),
    ],
)
def test_a_comparison_names_both_windows(text: str, window: tuple[str, str], compare: tuple[str, str]) -> None:
    assert days(text) == window
    assert compared(text) == compare


@pytest.mark.parametrize(
    "text", ["o que ontem deu errado?", "compare a campanha A com a B nos últimos 7 dias", "que foi ontem"]
)
def test_a_plain_word_that_may_compare_is_no_comparison(text: str) -> None:
    assert compared(text) is None


def test_accents_may_come_apart_from_their_letters() -> None:
    assert days(unicodedata.normalize("NFD", "mês passado")) == ("2026-10-01", "2026-10-31")
    assert days(unicodedata.normalize("NFD", "de 3 a 9 de março")) == ("2026-03-03", "2026-03-09")


def test_a_novel_is_read_from_its_beginning_only() -> None:
    assert days("ontem " + "a " * 40_000 + " hoje") == ("2026-11-19", "2026-11-19")


def test_a_follow_up_refers_to_the_last_answers_window() -> None:
    last = Window(date(2026, 10, 1), date(2026, 10, 31), SAO_PAULO)
    assert days("e comparado com o mês anterior?", default=last) == ("2026-10-01", "2026-10-31")
    assert compared("e comparado com o mês anterior?", default=last) == ("2026-09-01", "2026-09-30")
    assert days("e o mês anterior?", default=last) == ("2026-09-01", "2026-09-30")


def test_the_request_keeps_the_persons_own_words() -> None:
    found = asked("Como foi nos últimos 7 dias comparado com os 7 anteriores?")
    assert found is not None
    assert (found.said, found.compare_said) == ("últimos 7 dias", "7 anteriores")


def test_a_name_that_holds_a_month_or_weekday_gives_way_to_a_real_period() -> None:
    assert days("como está a campanha Novembro Azul ontem?") == ("2026-11-19", "2026-11-19")
    assert days("Feijoada de Sábado nos últimos 7 dias") == ("2026-11-13", "2026-11-19")


def test_only_a_window_that_ends_today_is_partial() -> None:
    for text, partial in [
        ("hoje", True),
        ("este mês", True),
        ("desde segunda", True),
        ("ontem", False),
        ("outubro", False),
    ]:
        found = asked(text)
        assert found is not None
        assert found.window.partial is partial, text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("31/02", "period_impossible"),
        ("29/02/2025", "period_impossible"),
        ("dia 32", "period_impossible"),
        ("dia 0", "period_impossible"),
        ("2026-13-01", "period_impossible"),
        ("de 9/10 a 3/10", "period_impossible"),
        ("de 9 a 3", "period_impossible"),
        ("2026-11-09 a 2026-11-03", "period_impossible"),
        ("últimos 0 dias", "period_impossible"),
        ("5º trimestre de 2026", "period_impossible"),
        ("30/12/2026", "period_future"),
        ("amanhã", "period_future"),
        ("na semana que vem", "period_future"),
        ("next month", "period_future"),
        ("dezembro de 2026", "period_future"),
        ("31/12/9999", "period_future"),
        ("de 01/12/2026 a 10/12/2026", "period_future"),
        ("01/01/0001", "period_too_old"),
        ("janeiro de 2020", "period_too_old"),
        ("últimos 99999999999 dias", "period_too_old"),
        ("últimos 999999 meses", "period_too_old"),
        ("ontem comparado com 01/01/2001", "period_too_old"),
    ],
)
def test_an_absurd_period_is_told_instead_of_guessed(text: str, code: str) -> None:
    with pytest.raises(ArgumentsWrong) as wrong:
        asked(text)
    assert wrong.value.code == code


def test_metas_limit_of_37_months_is_kept_to_the_day() -> None:
    oldest = date(2023, 10, 20)
    assert META_MONTHS == 37
    assert window_of(oldest, TODAY, SAO_PAULO, now=NOW).since == oldest
    with pytest.raises(ArgumentsWrong) as wrong:
        window_of(oldest - timedelta(days=1), TODAY, SAO_PAULO, now=NOW)
    assert wrong.value.params["oldest"] == oldest


def test_an_imported_file_may_be_older_than_metas_limit() -> None:
    found = parse_period("janeiro de 2020", now=NOW, time_zone=SAO_PAULO, months_back=None)
    assert found is not None
    assert found.window.since == date(2020, 1, 1)


# --- zones ---------------------------------------------------------------------------------------


def test_today_is_the_accounts_today() -> None:
    late = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)  # 23:30 of the 20th in São Paulo
    assert days("hoje", now=late) == ("2026-11-20", "2026-11-20")
    assert days("ontem", now=late) == ("2026-11-19", "2026-11-19")
    assert days("hoje", now=late, zone="UTC") == ("2026-11-21", "2026-11-21")
    assert days("hoje", now=late, zone="Asia/Tokyo") == ("2026-11-21", "2026-11-21")
    assert days("últimos 7 dias", now=late, zone="Pacific/Auckland") == ("2026-11-14", "2026-11-20")


def test_a_month_turns_at_the_accounts_midnight() -> None:
    turn = datetime(2026, 12, 1, 2, 59, tzinfo=UTC)
    assert days("este mês", now=turn) == ("2026-11-01", "2026-11-30")
    assert days("este mês", now=turn + timedelta(minutes=1)) == ("2026-12-01", "2026-12-01")


def test_the_days_of_a_daylight_saving_change_are_whole_days() -> None:
    # New York went back an hour on 1 November 2026: the day had 25 hours and is one day all the same.
    now = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    found = asked("ontem", now=now, zone="America/New_York")
    assert found is not None
    assert (found.window.since, found.window.days) == (date(2026, 11, 1), 1)
    assert days("hoje", now=datetime(2026, 11, 2, 4, 30, tzinfo=UTC), zone="America/New_York") == (
        "2026-11-01",
        "2026-11-01",
    )


def test_a_zone_that_is_none_is_told() -> None:
    for zone in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(ArgumentsWrong) as wrong:
            today_in(zone, NOW)
        assert wrong.value.code == "time_zone_unknown"


def test_weekends_on_a_sunday_are_the_running_one_and_passado_the_last() -> None:
    sunday = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
    assert days("no fim de semana", now=sunday) == ("2026-11-21", "2026-11-22")
    assert days("no fim de semana passado", now=sunday) == ("2026-11-14", "2026-11-15")


def test_on_a_monday_desde_segunda_is_a_week_ago() -> None:
    monday = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    assert days("desde segunda", now=monday) == ("2026-11-16", "2026-11-23")


# --- without words -------------------------------------------------------------------------------


def test_the_default_is_the_last_seven_days_up_to_yesterday() -> None:
    assert default_window(SAO_PAULO, now=NOW) == Window(date(2026, 11, 13), date(2026, 11, 19), SAO_PAULO)


# --- properties ----------------------------------------------------------------------------------

moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)).map(lambda d: d.replace(tzinfo=UTC))
zones = st.sampled_from(["America/Sao_Paulo", "UTC", "America/New_York", "Asia/Tokyo", "Pacific/Kiritimati"])
SAID = (
    "de a até entre e últimos last 7 30 dias days semana passada mês ontem hoje vs comparado com os anteriores desde "
    "segunda 3/11 31/02 dia 15 outubro 2025 trimestre que no fim anterior since 2026-11-01 99999 incluindo"
)
words = st.sampled_from(SAID.split())


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(max_size=60), st.lists(words, max_size=10).map(" ".join)), now=moments, zone=zones)
@example(text="primeiro trimestre de 0000", now=NOW, zone=SAO_PAULO)
def test_whatever_is_said_a_window_is_sound_or_the_reason_is_named(text: str, now: datetime, zone: str) -> None:
    try:
        found = parse_period(text, now=now, time_zone=zone)
    except ArgumentsWrong as wrong:
        found, code = None, wrong.code
    else:
        code = ""
    assert code in {"", "period_impossible", "period_future", "period_too_old"}
    if found is None:
        return
    today = today_in(zone, now)
    for window in (found.window, found.compare):
        if window is not None:
            assert window.since <= window.until <= today
            assert window.partial == (window.until == today)
            assert (today - window.since).days <= 37 * 31


@given(now=moments, zone=zones, count=st.integers(1, 400))
def test_last_n_days_are_n_days_up_to_yesterday(now: datetime, zone: str, count: int) -> None:
    window = last_days(count, zone, now=now)
    assert (window.days, window.until) == (count, today_in(zone, now) - timedelta(days=1))
    found = parse_period(f"últimos {count} dias", now=now, time_zone=zone)
    assert found is not None
    assert found.window == window


@given(now=moments, zone=zones, count=st.integers(1, 400))
def test_the_previous_window_touches_and_has_the_same_length(now: datetime, zone: str, count: int) -> None:
    window = last_days(count, zone, now=now)
    before = previous(window)
    assert before.until + timedelta(days=1) == window.since
    assert before.days == window.days
    assert not before.partial


MONTHS = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"


@given(day=st.dates(date(2024, 1, 1), date(2026, 11, 20)), length=st.integers(0, 60))
def test_a_date_means_the_same_in_every_way_of_writing_it(day: date, length: int) -> None:
    month_pt = MONTHS.split()[day.month - 1]
    for text in (
        day.isoformat(),
        f"{day.day}/{day.month}/{day.year}",
        f"{day:%d/%m/%Y}",
        f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"dia {day.day} de {month_pt} de {day.year}",
        f"{day:%B} {day.day}, {day.year}",
    ):
        assert days(text) == (day.isoformat(), day.isoformat()), text
    until = min(day + timedelta(days=length), TODAY)
    if until > day:
        for text in (f"de {day:%d/%m/%Y} a {until:%d/%m/%Y}", f"from {day.isoformat()} to {until.isoformat()}"):
            assert days(text) == (day.isoformat(), until.isoformat()), text
