"""Brazil's days and hours: holidays by rule, zones by place, the next moment at which somebody may be bothered."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business.messaging.brazil import Place, easter, holiday_on, holidays, place, state_of_phone
from business.messaging.hours import (
    Calendar,
    Hours,
    after_business_days,
    business_days_between,
    closed_because,
    closes_at,
    next_open,
)
from business.messaging.settings import default_settings, default_text, parse_settings
from core.errors import ArgumentsWrong
from integrations.brasil_places.cities import check_digit_right

SP = Place("America/Sao_Paulo", "SP", "state")
NINE_TO_SIX = Hours({day: (time(9), time(18)) for day in range(5)})


def calendar(zone: str = "America/Sao_Paulo", state: str | None = "SP", **more: object) -> Calendar:
    return Calendar(Place(zone, state, "zone"), **more)  # type: ignore[arg-type]


def local(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC)


# --- holidays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "month", "day"),
    # The outermost dates that Easter can have, and the years around now (BrasilAPI, /feriados/v1).
    [(1818, 3, 22), (1943, 4, 25), (2019, 4, 21), (2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28),
     (2028, 4, 16), (2038, 4, 25), (2285, 3, 22)],
)  # fmt: skip
def test_easter_falls_where_the_church_says(year: int, month: int, day: int) -> None:
    assert easter(year) == date(year, month, day)


def test_the_holidays_of_2026_are_those_that_the_country_keeps() -> None:
    by_law = [(str(one.day), one.name) for one in holidays(2026) if not one.optional]
    assert by_law == [
        ("2026-01-01", "Confraternização Universal"),
        ("2026-04-03", "Sexta-feira da Paixão"),
        ("2026-04-05", "Páscoa"),
        ("2026-04-21", "Tiradentes"),
        ("2026-05-01", "Dia do Trabalho"),
        ("2026-09-07", "Independência do Brasil"),
        ("2026-10-12", "Nossa Senhora Aparecida"),
        ("2026-11-02", "Finados"),
        ("2026-11-15", "Proclamação da República"),
        ("2026-11-20", "Dia Nacional de Zumbi e da Consciência Negra"),
        ("2026-12-25", "Natal"),
    ]
    optional = [str(one.day) for one in holidays(2026) if one.optional]
    assert optional == ["2026-02-16", "2026-02-17", "2026-02-18", "2026-06-04"]
    assert all(one.source for one in holidays(2026, "SP"))


def test_the_day_of_zumbi_is_national_since_2024_only() -> None:
    assert holiday_on(date(2023, 11, 20)) is None
    assert holiday_on(date(2024, 11, 20)) is not None


def test_a_states_own_day_counts_there_and_nowhere_else() -> None:
    assert (found := holiday_on(date(2026, 7, 9), "SP")) and found.state == "SP"
    assert holiday_on(date(2026, 7, 9), "RJ") is None and holiday_on(date(2026, 7, 9)) is None
    assert holiday_on(date(2026, 7, 9), "XX") is None  # an unknown state has the country's days


def test_an_account_adds_days_off_and_works_on_others() -> None:
    eve, july = date(2026, 12, 24), date(2026, 7, 9)
    own = calendar(extra={eve: "Véspera de Natal"}, working=frozenset({july}), optional=False)
    assert (found := own.holiday(eve)) and found.name == "Véspera de Natal"
    assert own.holiday(july) is None and own.business_day(july)
    assert own.holiday(date(2026, 2, 17)) is None  # Carnaval is optional
    assert not own.business_day(date(2026, 12, 25))


# --- where somebody lives ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "zone", "state", "by"),
    [
        ({"phone": "+55 92 99999-0000"}, "America/Manaus", "AM", "area_code"),
        ({"phone": "5568999990000"}, "America/Rio_Branco", "AC", "area_code"),
        ({"phone": "551932324455"}, "America/Sao_Paulo", "SP", "area_code"),
        ({"phone": "5581999990000"}, "America/Recife", "PE", "area_code"),
        ({"phone": "5581999990000", "city": "2605459"}, "America/Noronha", "PE", "city"),
        ({"phone": "5597999990000", "city": "1304062"}, "America/Eirunepe", "AM", "city"),
        ({"phone": "5511999990000", "state": "AM"}, "America/Manaus", "AM", "state"),
        ({"phone": "5511999990000", "city": "5103403"}, "America/Cuiaba", "MT", "city"),
        ({"phone": "5511999990000", "zone": "America/Noronha", "state": "PE"}, "America/Noronha", "PE", "zone"),
        ({"zone": "America/Nowhere", "state": "AC"}, "America/Rio_Branco", "AC", "state"),
        ({"zone": "../../etc/passwd"}, "America/Sao_Paulo", None, "account"),
        ({"phone": "14155550000"}, "America/Sao_Paulo", None, "account"),
        ({"phone": "5520999990000"}, "America/Sao_Paulo", None, "account"),  # no such area code
        ({"city": "9999999", "state": "??"}, "America/Sao_Paulo", None, "account"),
        ({}, "America/Sao_Paulo", None, "account"),
    ],
)
def test_the_zone_is_told_by_the_best_that_is_known(known: dict[str, str], zone: str, state: str, by: str) -> None:
    assert place(**known) == Place(zone, state, by)  # type: ignore[arg-type]


def test_without_anything_known_it_is_the_accounts_own_zone() -> None:
    assert place(account_zone="America/Manaus").zone == "America/Manaus"


def test_every_area_code_of_the_crm_has_its_state_and_every_state_its_zone() -> None:
    from business.crm.identity import AREA_CODES

    states = {code: state_of_phone(f"55{code}999990000") for code in AREA_CODES}
    assert None not in states.values() and len(set(states.values())) == 27
    for state in states.values():
        assert state and place(state=state).known_by == "state"


def test_the_cities_with_a_clock_of_their_own_have_codes_that_check() -> None:
    from business.messaging.brazil import _city_zones

    assert len(_city_zones()) == 14
    assert [code for code in _city_zones() if not check_digit_right(code)] == []


def test_one_moment_is_four_hours_of_the_day_in_brazil() -> None:
    at = datetime(2026, 11, 18, 12, tzinfo=UTC)
    hours = {zone: at.astimezone(ZoneInfo(zone)).hour for zone in
             ("America/Noronha", "America/Sao_Paulo", "America/Manaus", "America/Rio_Branco")}  # fmt: skip
    assert list(hours.values()) == [10, 9, 8, 7]


# --- hours and business days -----------------------------------------------------------------------


def test_nine_o_clock_comes_at_another_moment_in_each_zone() -> None:
    night = datetime(2026, 11, 18, 3, tzinfo=UTC)
    opens = {
        zone: next_open(calendar(zone, None), NINE_TO_SIX, night)
        for zone in ("America/Noronha", "America/Sao_Paulo", "America/Manaus", "America/Rio_Branco")
    }
    assert [one.hour for one in opens.values() if one] == [11, 12, 13, 14]  # UTC


@pytest.mark.parametrize(
    ("now", "reason", "opens"),
    [
        ((2026, 11, 18, 9, 0), None, (2026, 11, 18, 9, 0)),
        ((2026, 11, 18, 17, 59), None, (2026, 11, 18, 17, 59)),
        ((2026, 11, 18, 18, 0), "hour", (2026, 11, 19, 9, 0)),
        ((2026, 11, 18, 8, 59), "hour", (2026, 11, 18, 9, 0)),
        ((2026, 11, 19, 22, 0), "hour", (2026, 11, 23, 9, 0)),  # Friday the 20th is a holiday
        ((2026, 11, 20, 10, 0), "holiday", (2026, 11, 23, 9, 0)),
        ((2026, 11, 21, 10, 0), "weekday", (2026, 11, 23, 9, 0)),
        ((2026, 2, 13, 20, 0), "hour", (2026, 2, 19, 9, 0)),  # over Carnaval and Ash Wednesday
        ((2026, 4, 2, 20, 0), "hour", (2026, 4, 6, 9, 0)),  # over Good Friday
        ((2026, 7, 8, 20, 0), "hour", (2026, 7, 10, 9, 0)),  # 9 July in São Paulo
        ((2025, 12, 31, 20, 0), "hour", (2026, 1, 2, 9, 0)),  # into the next year
    ],
)
def test_what_is_closed_says_why_and_opens_on_the_next_working_day(
    now: tuple[int, ...], reason: str | None, opens: tuple[int, ...]
) -> None:
    at = local("America/Sao_Paulo", *now)
    assert closed_because(calendar(), NINE_TO_SIX, at) == reason
    assert next_open(calendar(), NINE_TO_SIX, at) == local("America/Sao_Paulo", *opens)


def test_a_day_that_is_open_until_midnight_ends_with_it() -> None:
    always = Hours({day: (time(0), time(23, 59)) for day in range(7)})
    at = local("America/Sao_Paulo", 2026, 11, 18, 23, 59)
    assert closed_because(calendar(), always, at + timedelta(seconds=59)) is None
    assert closes_at(calendar(), always, at) == local("America/Sao_Paulo", 2026, 11, 19, 0, 0)
    assert closes_at(calendar(), NINE_TO_SIX, at) is None


def test_who_never_opens_is_told_so_instead_of_being_waited_for() -> None:
    assert next_open(calendar(), Hours({}), datetime(2026, 11, 18, tzinfo=UTC)) is None


def test_days_before_2019_keep_the_summer_time_they_had() -> None:
    # On 2018-11-04 midnight did not exist in São Paulo; today it does.
    monday = local("America/Sao_Paulo", 2018, 11, 5, 9, 0)
    assert monday.hour == 11
    assert next_open(calendar(), NINE_TO_SIX, local("America/Sao_Paulo", 2018, 11, 3, 12, 0)) == monday
    all_day = Hours({6: (time(0), time(2))})
    start = next_open(calendar(), all_day, local("America/Sao_Paulo", 2018, 11, 3, 12, 0))
    assert start is not None and start.astimezone(ZoneInfo("America/Sao_Paulo")).date() == date(2018, 11, 4)


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ((2026, 11, 18, 10, 0), 0, (2026, 11, 18, 10, 0)),
        ((2026, 11, 18, 10, 0), 1, (2026, 11, 19, 10, 0)),
        ((2026, 11, 18, 10, 0), 2, (2026, 11, 23, 10, 0)),  # over the 20th and the weekend
        ((2026, 11, 21, 10, 0), 0, (2026, 11, 23, 10, 0)),
        ((2026, 11, 21, 10, 0), 1, (2026, 11, 23, 10, 0)),
        ((2026, 12, 24, 10, 0), 5, (2027, 1, 4, 10, 0)),
    ],
)
def test_business_days_skip_weekends_and_holidays(start: tuple[int, ...], days: int, end: tuple[int, ...]) -> None:
    begun = local("America/Sao_Paulo", *start)
    assert after_business_days(calendar(), begun, days) == local("America/Sao_Paulo", *end)


def test_business_days_are_those_of_the_lead_not_of_the_account() -> None:
    wednesday = local("America/Sao_Paulo", 2026, 7, 8, 22, 30)
    assert after_business_days(calendar(), wednesday, 1) == local("America/Sao_Paulo", 2026, 7, 10, 22, 30)
    in_acre = calendar("America/Rio_Branco", "AC")
    assert after_business_days(in_acre, wednesday, 1) == local("America/Rio_Branco", 2026, 7, 9, 20, 30)
    assert business_days_between(calendar(), wednesday, wednesday + timedelta(days=7)) == 4
    assert business_days_between(in_acre, wednesday, wednesday + timedelta(days=7)) == 5
    assert business_days_between(in_acre, wednesday, wednesday - timedelta(days=7)) == 0


zones = st.sampled_from(
    ["America/Manaus", "America/Rio_Branco", "America/Noronha", "America/Sao_Paulo", "Europe/Lisbon"]
)
moments = st.datetimes(datetime(2018, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))


@settings(max_examples=80)
@given(moments, zones, st.integers(0, 8))
def test_the_next_opening_is_open_never_earlier_and_asked_again_gives_itself(
    now: datetime, zone: str, days: int
) -> None:
    own, hours = calendar(zone, "SP"), default_settings().contact_hours
    opens = next_open(own, hours, now)
    assert opens is not None and opens >= now
    assert closed_because(own, hours, opens) is None
    assert next_open(own, hours, opens) == opens
    if closed_because(own, hours, now) is None:
        assert opens == now and (ends := closes_at(own, hours, now)) and ends > now
    later = after_business_days(own, now, days)
    assert later >= now and (days == 0 or own.business_day(own.day_of(later)))
    assert business_days_between(own, now, later) >= min(days, 1)


# --- the account's file --------------------------------------------------------------------------------


def test_an_accounts_file_changes_what_it_names_and_leaves_the_rest() -> None:
    own = parse_settings(
        'most_touches: 2\nbusiness_hours: {mon: ["08:00", "24:00"]}\nextra_holidays: {2026-12-24: Véspera}'
    )
    assert own.most_touches == 2 and own.business_hours.on(0) == (time(8), time(23, 59))
    assert own.extra_holidays == {date(2026, 12, 24): "Véspera"}
    assert own.contact_hours == default_settings().contact_hours
    assert own.version != default_settings().version
    assert parse_settings(default_text()) == default_settings()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("most_touches: 0", "most_touches"),
        ("most_touches: yes", "most_touches"),
        ("contact_hours: {mon: [09:00, 18:00]}", "contact_hours.mon"),  # without quotes YAML reads minutes
        ('contact_hours: {mon: ["18:00", "09:00"]}', "contact_hours.mon"),
        ('contact_hours: {monday: ["09:00", "18:00"]}', "contact_hours.monday"),
        ("contact_hours: {}", "contact_hours"),
        ("contact_hours: {mon: null}", "contact_hours"),
        ('contact_hours_by_state: {ZZ: {mon: ["09:00", "18:00"]}}', "contact_hours_by_state.ZZ"),
        ("extra_holidays: {natal: x}", "extra_holidays"),
        ("house_state: XX", "house_state"),
        ("working_holidays: 2026-12-24", "working_holidays"),
        ("marketing: {most: 2, weeks: 1}", "marketing.weeks"),
        ("first_contact_without_consent: always", "first_contact_without_consent"),
        ("window: 48", "window"),  # WhatsApp's own limits are nobody's to change
    ],
)
def test_a_wrong_file_is_refused_with_the_place_of_the_mistake(text: str, where: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        parse_settings(text)
    assert refused.value.code == "messaging_rules_field" and refused.value.params["where"] == where


@pytest.mark.parametrize("text", ["- a\n- b", "a: [", "x" * 60_000, ""])
def test_what_is_no_file_of_rules_is_refused(text: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        parse_settings(text)
    assert refused.value.code == "messaging_rules_unreadable"
