"""Whether a message may leave: stories of one lead, a table of every rule, and what holds for any message at all."""

import inspect
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business.messaging.attention import Attention, Held
from business.messaging.brazil import Place
from business.messaging.consent import Act, Entry, How, Scope, Standing
from business.messaging.failures import Block, Where
from business.messaging.model import Known, Outgoing, Verdict, explained, said, why_from
from business.messaging.pace import Portfolio, number_pace, pair_pace
from business.messaging.policy import RULES, decide
from business.messaging.settings import default_settings
from business.messaging.templates import Category, Filled, Purpose, Template, choose, value_for
from business.messaging.window import EntryPoint, closes, free_until, is_open, opens_window
from core.turn import LANGUAGES
from prompts.texts import Texts

RULES_OF_ACCOUNT = default_settings()
TEXTS = Texts.load()
NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)  # a Wednesday, noon in São Paulo
SP = Place("America/Sao_Paulo", "SP", "state")
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)

ANYTHING = frozenset(Purpose)
FIRST = Template("primeiro_contato", "pt_BR", Category.MARKETING, "Olá {{1}}, aqui é da Ipê.", purposes=ANYTHING)
NUDGE = Template("retomada", "pt_BR", Category.MARKETING, "Oi {{nome}}, ainda faz sentido?", purposes=ANYTHING)
REMINDER = Template("lembrete", "pt_BR", Category.UTILITY, "A reunião é {{quando}}.", purposes=ANYTHING)
HELLO = Filled(FIRST, (("1", "Ana"),))
VALUES = {"1": "Ana", "nome": "Ana", "quando": "amanhã às 10h"}

STOPPED = Standing(stopped=Entry(NOW - DAY, Act.STOPPED, Scope.ALL, How.WORDS, "parar"))
NO_ADS = Standing(marketing_stopped=Entry(NOW - DAY, Act.STOPPED, Scope.MARKETING, How.WHATSAPP, "131050"))
AGREED = Standing(consent=Entry(NOW - DAY, Act.CONSENTED, Scope.ALL, How.FORM, "Aceito receber mensagens"))


def known(**more: Any) -> Known:
    """A lead in São Paulo who wrote an hour ago."""
    base = Known(SP, messages=3, last_from_contact=NOW - HOUR, last_received_at=NOW - HOUR)
    return replace(base, **more)


SILENT: dict[str, Any] = {"messages": 0, "last_from_contact": None, "last_received_at": None}
CLOSED: dict[str, Any] = {"last_from_contact": NOW - 25 * HOUR, "last_received_at": NOW - 25 * HOUR}


def asked(message: Outgoing, about: Known, now: datetime = NOW) -> Any:
    return decide(message, about, RULES_OF_ACCOUNT, now)


ANSWER = Outgoing(Purpose.ANSWER, answers=3)
FOLLOW_UP = Outgoing(Purpose.FOLLOW_UP, values=VALUES)
NOTICE = Outgoing(Purpose.NOTICE, values=VALUES)
COLD = Outgoing(Purpose.FIRST_CONTACT, template=HELLO, approved=True)
CAMPAIGN = Outgoing(Purpose.CAMPAIGN, template=HELLO, approved=True)
GOODBYE = Outgoing(Purpose.GOODBYE)


# --- stories -----------------------------------------------------------------------------------


def test_an_answer_leaves_within_a_day_and_afterwards_only_a_template_does() -> None:
    wrote = datetime(2026, 11, 18, 2, 30, tzinfo=UTC)  # 23:30 of Tuesday in São Paulo
    lead = known(last_from_contact=wrote, last_received_at=wrote, templates=(REMINDER,))
    at_night = asked(ANSWER, lead, wrote + timedelta(minutes=1))
    assert at_night.verdict is Verdict.SEND and at_night.until == wrote + DAY - RULES_OF_ACCOUNT.window_margin
    assert asked(ANSWER, lead, wrote + DAY - timedelta(minutes=3)).verdict is Verdict.SEND
    late = asked(replace(ANSWER, values=VALUES), lead, wrote + DAY)
    assert (
        late.verdict is Verdict.TEMPLATE
        and late.rule == "window"
        and late.template.text == "A reunião é amanhã às 10h."
    )
    assert asked(ANSWER, lead, wrote + DAY).verdict is Verdict.ASK  # no values for the template


def test_the_day_counts_by_the_contacts_own_timestamp_not_by_our_reception() -> None:
    """After an outage of 25 hours WhatsApp delivers what was written before it."""
    old = known(last_from_contact=NOW - 25 * HOUR, last_received_at=NOW - SECOND)
    assert asked(ANSWER, old).verdict is Verdict.ASK
    # and a clock that runs ahead opens no window of days
    assert closes(NOW + 10 * DAY, NOW) == NOW + DAY + timedelta(minutes=5)
    assert not is_open(None, NOW)
    margin = RULES_OF_ACCOUNT.window_margin
    assert is_open(NOW - DAY + margin + SECOND, NOW, margin) and not is_open(NOW - DAY + margin, NOW, margin)


def test_what_meta_says_is_closed_is_closed_until_the_contact_writes_again() -> None:
    refused = Block(Where.PAIR, "free", NOW - timedelta(minutes=5), None, 131047)
    lead = known(blocks=(refused,), templates=(NUDGE,))
    assert asked(replace(ANSWER, values=VALUES), lead).verdict is Verdict.TEMPLATE
    assert asked(ANSWER, replace(lead, last_received_at=NOW - SECOND)).verdict is Verdict.SEND


def test_an_advertisement_makes_three_days_free_but_not_free_of_rules() -> None:
    came = NOW - 30 * HOUR
    lead = known(**CLOSED, entry=EntryPoint(came, came + HOUR), templates=(NUDGE,))
    told = asked(replace(ANSWER, values=VALUES), lead)
    assert told.verdict is Verdict.TEMPLATE and told.free_until == came + 73 * HOUR
    assert free_until(EntryPoint(came), NOW) is None  # not answered within a day: it never began
    assert free_until(EntryPoint(came, came + DAY), NOW) is None
    assert free_until(EntryPoint(NOW - HOUR), NOW) == NOW + 72 * HOUR
    assert free_until(EntryPoint(came - 50 * HOUR, came - 49 * HOUR), NOW) is None


def test_a_first_contact_is_approved_as_it_leaves_and_says_that_nobody_agreed() -> None:
    lead = known(**SILENT, templates=(FIRST,))
    drafted = asked(replace(COLD, template=None, approved=False, values=VALUES), lead)
    assert drafted.verdict is Verdict.ASK and drafted.rule == "approval" and drafted.template == HELLO
    assert [one.key for one in drafted.cautions] == ["messaging.caution.no_opt_in"]
    free_text_approved = asked(replace(COLD, template=None, values=VALUES), lead)
    assert free_text_approved.why.key == "messaging.why.approved_other_text"
    assert asked(COLD, lead).verdict is Verdict.SEND
    assert asked(COLD, replace(lead, standing=AGREED)).cautions == ()
    strict = replace(RULES_OF_ACCOUNT, first_contact_without_consent=False)
    assert decide(COLD, lead, strict, NOW).verdict is Verdict.NEVER


def test_at_night_and_on_a_holiday_a_first_contact_waits_for_the_leads_own_morning() -> None:
    thursday_night = datetime(2026, 11, 20, 1, tzinfo=UTC)
    expected = {
        "America/Sao_Paulo": datetime(2026, 11, 21, 13, tzinfo=UTC),  # Saturday 10:00, Friday is a holiday
        "America/Manaus": datetime(2026, 11, 21, 14, tzinfo=UTC),
        "America/Rio_Branco": datetime(2026, 11, 21, 15, tzinfo=UTC),
        "America/Noronha": datetime(2026, 11, 21, 12, tzinfo=UTC),
    }
    for zone, morning in expected.items():
        told = asked(COLD, known(**SILENT, place=Place(zone, None, "zone")), thursday_night)
        assert (told.verdict, told.until) == (Verdict.WAIT, morning), zone
    in_rio = asked(COLD, known(**SILENT, place=Place("America/Sao_Paulo", "RJ", "state")), thursday_night)
    assert in_rio.until == datetime(2026, 11, 23, 12, tzinfo=UTC)  # no Saturdays in Rio de Janeiro
    friday = asked(COLD, known(**SILENT), datetime(2026, 11, 20, 15, tzinfo=UTC))
    assert friday.why.key == "messaging.why.holiday"
    assert "Consciência Negra" in said(friday.why, partial(TEXTS.say, "pt-BR"), "America/Sao_Paulo")


def test_a_reminder_may_come_on_a_holiday_and_not_in_the_night() -> None:
    lead = known(last_from_contact=NOW + 40 * HOUR, place=Place("America/Manaus", "AM", "state"))
    holiday = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)  # 7:30 in Manaus
    assert asked(NOTICE, replace(lead, last_from_contact=holiday - HOUR), holiday).verdict is Verdict.SEND
    night = asked(NOTICE, replace(lead, last_from_contact=holiday - 3 * HOUR), holiday - 2 * HOUR)
    assert (night.rule, night.until) == ("quiet_hours", holiday - timedelta(minutes=30))
    by_hand = asked(
        replace(NOTICE, author="person"), replace(lead, last_from_contact=holiday - 3 * HOUR), holiday - 2 * HOUR
    )
    assert by_hand.verdict is Verdict.SEND and by_hand.cautions[0].key == "messaging.caution.quiet_hours"


def test_who_opted_out_is_left_alone_and_answered_when_they_write() -> None:
    lead = known(standing=STOPPED, last_from_contact=NOW - 25 * HOUR, templates=(NUDGE, REMINDER))
    for message in (ANSWER, FOLLOW_UP, NOTICE, COLD, CAMPAIGN, replace(FOLLOW_UP, author="person")):
        told = asked(message, lead)
        assert (told.verdict, told.rule) == (Verdict.NEVER, "opted_out"), message.purpose
    wrote = replace(lead, last_from_contact=NOW - HOUR, last_received_at=NOW - HOUR)
    answer = asked(ANSWER, wrote)
    assert answer.verdict is Verdict.SEND and answer.cautions[0].key == "messaging.caution.opted_out"
    assert asked(FOLLOW_UP, wrote).verdict is Verdict.NEVER
    the_opt_out_itself = known(standing=Standing(stopped=replace(STOPPED.stopped, at=NOW - HOUR)))  # type: ignore[type-var]
    assert asked(ANSWER, the_opt_out_itself).verdict is Verdict.NEVER
    long_ago = replace(STOPPED.stopped, at=NOW - 30 * DAY)  # type: ignore[type-var]
    assert (
        asked(ANSWER, known(**CLOSED, standing=Standing(stopped=long_ago), templates=(REMINDER,))).rule == "opted_out"
    )


def test_an_opt_out_is_confirmed_once_and_within_the_window() -> None:
    lead = known(standing=STOPPED)
    assert asked(GOODBYE, lead).verdict is Verdict.SEND
    assert asked(GOODBYE, replace(lead, goodbye_sent=True)).verdict is Verdict.NEVER
    assert asked(GOODBYE, replace(lead, **CLOSED, templates=(NUDGE, REMINDER))).verdict is Verdict.NEVER
    assert asked(GOODBYE, known()).verdict is Verdict.DROP  # came back in the meantime


def test_who_turned_promotions_off_still_gets_answers_and_reminders() -> None:
    lead = known(standing=NO_ADS, templates=(NUDGE, REMINDER))
    assert asked(ANSWER, lead).verdict is Verdict.SEND
    assert asked(FOLLOW_UP, lead).rule == "marketing_stopped"
    closed = replace(lead, **CLOSED)
    assert asked(NOTICE, closed).template.template is REMINDER
    assert asked(replace(ANSWER, values=VALUES), closed).template.template is REMINDER
    only_ads = replace(closed, templates=(NUDGE,))
    assert asked(replace(ANSWER, values=VALUES), only_ads).verdict is Verdict.ASK


def test_a_person_in_the_conversation_silences_the_bot_and_is_not_silenced() -> None:
    with_person = known(attention=Attention(Held.PERSON, NOW - HOUR, "u1"))
    assert asked(ANSWER, with_person).verdict is Verdict.DROP
    assert asked(replace(ANSWER, author="person"), with_person).verdict is Verdict.SEND
    assert asked(NOTICE, with_person).verdict is Verdict.SEND  # what was agreed is still kept
    fetching = known(attention=Attention(Held.FETCHING, NOW - HOUR))
    assert asked(ANSWER, fetching).verdict is Verdict.SEND
    assert asked(FOLLOW_UP, fetching).rule == "person_has_it"
    handed_back = known(attention=Attention(Held.BOT, NOW, segment=1))
    assert asked(ANSWER, handed_back).rule == "other_segment"
    assert asked(replace(ANSWER, segment=1), handed_back).verdict is Verdict.SEND


def test_a_newer_message_takes_the_place_of_an_answer_but_not_for_ever() -> None:
    lead = known(messages=5)
    told = asked(ANSWER, lead)
    assert (told.verdict, told.rule) == (Verdict.DROP, "newer_message") and told.why.params["count"] == 2
    flooded = asked(replace(ANSWER, superseded=RULES_OF_ACCOUNT.most_superseded), lead)
    assert flooded.verdict is Verdict.SEND and flooded.cautions[0].key == "messaging.caution.newer_message"
    assert asked(replace(ANSWER, author="person"), lead).verdict is Verdict.SEND


def test_a_cadence_stops_at_an_answer_and_after_enough_silence() -> None:
    step = replace(FOLLOW_UP, planned_at=NOW - 2 * HOUR)
    assert asked(step, known()).rule == "answered_meanwhile"
    assert asked(replace(step, planned_at=NOW - timedelta(minutes=1)), known()).verdict is Verdict.SEND
    monday = datetime(2026, 11, 16, 15, tzinfo=UTC)
    spaced = asked(FOLLOW_UP, known(touches=(monday,)), monday + DAY)
    assert (spaced.rule, spaced.until) == ("spacing", monday + 2 * DAY)
    quiet = tuple(NOW - days * DAY for days in (30, 20, 10, 5))
    assert asked(FOLLOW_UP, known(touches=quiet)).rule == "touches"
    by_hand = asked(replace(FOLLOW_UP, author="person"), known(touches=quiet))
    assert by_hand.verdict is Verdict.SEND and by_hand.cautions


def test_promotions_to_one_contact_are_counted_and_metas_own_cap_is_waited_for() -> None:
    sent = (NOW - 6 * DAY, NOW - 3 * DAY, NOW - 40 * DAY)
    told = asked(CAMPAIGN, known(standing=AGREED, marketing_sent=sent))
    assert (told.rule, told.until) == ("marketing_cap", NOW + DAY)
    capped = Block(Where.CONTACT, "marketing", NOW - HOUR, NOW + 23 * HOUR, 131049)
    held = known(standing=AGREED, blocks=(capped,), templates=(NUDGE, REMINDER))
    assert asked(CAMPAIGN, held).until == NOW + 23 * HOUR
    assert asked(ANSWER, held).verdict is Verdict.SEND
    closed = replace(held, **CLOSED)
    assert asked(replace(ANSWER, values=VALUES), closed).template.template is REMINDER
    assert asked(replace(ANSWER, values=VALUES), replace(closed, templates=(NUDGE,))).verdict is Verdict.ASK


def test_the_portfolios_limit_keeps_a_reserve_for_what_was_agreed() -> None:
    nearly = Portfolio(250, reached=225, frees_at=NOW + HOUR)
    told = asked(COLD, known(**SILENT, portfolio=nearly))
    assert (told.rule, told.until) == ("portfolio", NOW + HOUR)
    assert asked(NOTICE, known(**CLOSED, portfolio=nearly, templates=(REMINDER,))).verdict is Verdict.TEMPLATE
    full = replace(nearly, reached=250)
    assert asked(NOTICE, known(**CLOSED, portfolio=full, templates=(REMINDER,))).verdict is Verdict.WAIT
    assert asked(NOTICE, known(portfolio=full)).verdict is Verdict.SEND  # within the window nothing counts
    assert asked(COLD, known(**SILENT, portfolio=replace(full, has_contact=True))).verdict is Verdict.SEND
    assert asked(COLD, known(**SILENT, portfolio=replace(full, limit=None))).verdict is Verdict.SEND


def test_the_longest_wait_answers_and_says_when_the_window_ends_before_it() -> None:
    evening = datetime(2026, 11, 18, 23, tzinfo=UTC)  # 20:00 in São Paulo
    lead = known(last_from_contact=evening - 20 * HOUR, last_received_at=evening - 20 * HOUR,
                 pair_line=evening + 4 * SECOND)  # fmt: skip
    told = asked(FOLLOW_UP, lead, evening)
    assert told.rule == "quiet_hours" and told.until == datetime(2026, 11, 19, 12, tzinfo=UTC)
    assert [one.key for one in told.cautions] == ["messaging.caution.window_ends_first"]


def test_a_number_that_meta_stopped_asks_for_a_person_and_one_that_is_too_fast_waits() -> None:
    stopped = Block(Where.NUMBER, "all", NOW - HOUR, None, 131031)
    told = asked(ANSWER, known(blocks=(stopped,)))
    assert (told.verdict, told.rule) == (Verdict.ASK, "number")
    paused = replace(stopped, until=NOW + 2 * SECOND, code=130429)
    assert asked(ANSWER, known(blocks=(paused,))).until == NOW + 2 * SECOND
    assert asked(ANSWER, known(pair_line=NOW + 6 * SECOND)).rule == "pair_rate"
    assert asked(ANSWER, known(number_line=NOW + SECOND, per_second=20)).rule == "throughput"
    gone = Block(Where.CONTACT, "all", NOW - HOUR, None, 131026)
    assert asked(ANSWER, known(blocks=(gone,))).verdict is Verdict.NEVER


def test_a_template_that_meta_paused_since_its_approval_stays_here() -> None:
    paused = replace(FIRST, status="PAUSED")
    told = asked(COLD, known(**SILENT, templates=(paused,)))
    assert (told.verdict, told.rule) == (Verdict.ASK, "template") and told.why.params["status"] == "PAUSED"
    refused = Block(Where.TEMPLATE, "all", NOW, None, 132007, FIRST.name)
    assert asked(COLD, known(**SILENT, blocks=(refused,))).why.params["code"] == 132007
    draft = replace(COLD, template=None, values=VALUES)
    assert asked(draft, known(**SILENT, blocks=(refused,), templates=(FIRST, NUDGE))).template.template is NUDGE


def test_only_messages_and_calls_open_the_window() -> None:
    assert [kind for kind in ("text", "audio", "unsupported", "button", "reaction", "edit", "revoke", "system")
            if opens_window(kind)] == ["text", "audio", "unsupported", "button"]  # fmt: skip


# --- templates -----------------------------------------------------------------------------------


def test_the_template_is_the_one_of_the_right_kind_language_and_quality() -> None:
    def template(name: str, **more: Any) -> Template:
        return replace(Template(name, "pt_BR", Category.MARKETING, "Olá {{nome}}", purposes=ANYTHING), **more)

    offered = [
        template("b_other_variant", language="pt_PT"),
        template("c_yellow", quality="YELLOW"),
        template("d_red", quality="RED"),
        template("e_green", quality="GREEN"),
        template("f_english", language="en_US"),
        template("g_paused", status="PAUSED"),
        template("h_reminder", category=Category.UTILITY),
        template("i_for_campaigns", purposes=frozenset({Purpose.CAMPAIGN})),
        template("i_for_nothing", purposes=frozenset()),
        template("j_more", quality="GREEN", body="Olá {{nome}} da {{empresa}}"),
    ]
    found = choose(offered, Purpose.FOLLOW_UP, "pt_BR", {"nome": "Ana"})
    assert found.filled is not None and found.filled.template.name == "e_green"
    assert found.against == {
        "d_red (pt_BR)": "quality",
        "f_english (en_US)": "language",
        "g_paused (pt_BR)": "status",
        "h_reminder (pt_BR)": "category",
        "i_for_campaigns (pt_BR)": "purpose",
        "i_for_nothing (pt_BR)": "purpose",
        "j_more (pt_BR)": "values",
    }
    richer = choose(offered, Purpose.FOLLOW_UP, "pt-BR", {"nome": "Ana", "empresa": "Ipê"})
    assert richer.filled is not None and richer.filled.text == "Olá Ana da Ipê"
    assert choose(offered, Purpose.FOLLOW_UP, "pt_BR", {"nome": "Ana"}, marketing=False).filled is None
    assert choose(offered, Purpose.FOLLOW_UP, "pt_BR", {"nome": " \n "}).filled is None


@pytest.mark.parametrize(
    ("raw", "clean"),
    [("Ana\nMaria", "Ana Maria"), ("a\tb", "a b"), ("a          b", "a b"), ("\u200b\u202e", ""), ("  ", ""),
     ("{{2}} Ltda", "{{2}} Ltda")],
)  # fmt: skip
def test_a_value_comes_in_one_line_as_whatsapp_wants_it(raw: str, clean: str) -> None:
    assert value_for(raw) == clean


def test_a_value_that_looks_like_a_hole_is_not_filled_again() -> None:
    template = Template("x", "pt_BR", Category.UTILITY, "{{1}} e {{2}}")
    assert Filled(template, (("1", "{{2}}"), ("2", "b"))).text == "{{2}} e b"


# --- every rule, told in every language --------------------------------------------------------------

CASES: dict[str, tuple[Outgoing, Known, datetime]] = {
    "goodbye": (GOODBYE, known(standing=STOPPED, goodbye_sent=True), NOW),
    "opted_out": (FOLLOW_UP, known(standing=STOPPED), NOW),
    "marketing_stopped": (FOLLOW_UP, known(standing=NO_ADS), NOW),
    "unreachable": (ANSWER, known(blocks=(Block(Where.CONTACT, "all", NOW, None, 131026),)), NOW),
    "consent": (CAMPAIGN, known(), NOW),
    "person_has_it": (ANSWER, known(attention=Attention(Held.PERSON)), NOW),
    "other_segment": (ANSWER, known(attention=Attention(segment=2)), NOW),
    "newer_message": (ANSWER, known(messages=4), NOW),
    "answered_meanwhile": (replace(FOLLOW_UP, planned_at=NOW - DAY), known(), NOW),
    "too_late": (replace(NOTICE, until=NOW), known(), NOW),
    "touches": (FOLLOW_UP, known(touches=(NOW - 30 * DAY,) * 4), NOW),
    "window": (ANSWER, known(**CLOSED), NOW),
    "template": (COLD, known(**SILENT, templates=(replace(FIRST, status="DISABLED"),)), NOW),
    "approval": (replace(COLD, approved=False), known(**SILENT), NOW),
    "number": (ANSWER, known(blocks=(Block(Where.APP, "all", NOW, NOW + HOUR, 4),)), NOW),
    "quiet_hours": (COLD, known(**SILENT), datetime(2026, 11, 18, 4, tzinfo=UTC)),
    "spacing": (FOLLOW_UP, known(touches=(NOW - HOUR,)), NOW),
    "marketing_cap": (CAMPAIGN, known(standing=AGREED, marketing_sent=(NOW - DAY, NOW - 2 * DAY)), NOW),
    "portfolio": (COLD, known(**SILENT, portfolio=Portfolio(250, 250)), NOW),
    "pair_rate": (ANSWER, known(pair_line=NOW + 5 * SECOND), NOW),
    "throughput": (ANSWER, known(number_line=NOW + 5 * SECOND), NOW),
}


def test_every_rule_has_a_case_a_source_and_a_name_of_its_own() -> None:
    assert list(CASES) == [rule.name for rule in RULES]
    assert all(rule.source for rule in RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_that_stands_against_it_explains_itself(name: str) -> None:
    told = asked(*CASES[name])
    assert told.rule == name and not told.may_leave
    assert name not in told.passed and told.source
    assert (told.until is not None and told.until > CASES[name][2]) == (told.verdict is Verdict.WAIT)
    assert why_from(json.loads(json.dumps(told.record()))["why"]) == told.why
    for language in LANGUAGES:
        words = explained(told, partial(TEXTS.say, language), "America/Manaus")
        assert told.source in words and TEXTS.say(language, f"messaging.rule.{name}") in words


def test_every_reason_and_caution_has_its_words_and_no_words_are_left_over() -> None:
    source = Path(inspect.getfile(decide)).read_text(encoding="utf-8")
    named = set(re.findall(r'_(?:never|drop|ask|wait)\(\s*"(\w+)"', source))
    named |= set(re.findall(r'"messaging\.why\.(\w+)"', source))
    named |= {"marketing_capped", "pair_rate"}
    assert {f"messaging.why.{one}" for one in named} == {
        key for key in TEXTS.sources["en"] if ".why." in key and key.startswith("messaging")
    }
    cautions = set(re.findall(r'"messaging\.caution\.(\w+)"', source))
    assert cautions == {key.split(".")[2] for key in TEXTS.sources["en"] if key.startswith("messaging.caution.")}
    rules = {rule.name for rule in RULES} | {"all"}
    assert rules == {key.split(".")[2] for key in TEXTS.sources["en"] if key.startswith("messaging.rule.")}


def test_a_moment_is_told_in_the_zone_of_the_reader_and_never_too_early() -> None:
    told = asked(ANSWER, known(pair_line=NOW + timedelta(seconds=5, milliseconds=300)))
    assert "12:00:06" in said(told.why, partial(TEXTS.say, "pt-BR"), "America/Sao_Paulo")
    assert "10:00:06" in said(told.why, partial(TEXTS.say, "en"), "America/Rio_Branco")
    for language in LANGUAGES:  # in words, for who knows no codes
        words = said(told.why, partial(TEXTS.say, language), "America/Sao_Paulo")
        assert "131056" not in words and "segundos" in words.replace("seconds", "segundos")


def test_buttons_for_the_contact_fit_on_a_button() -> None:
    for language in LANGUAGES:
        assert all(len(TEXTS.say(language, f"messaging.to_contact.opt_out_{one}")) <= 20 for one in ("yes", "no"))


# --- what always holds --------------------------------------------------------------------------------

ages = st.integers(0, 60 * 24 * 5).map(lambda minutes: timedelta(minutes=minutes))
past = ages.map(lambda age: NOW - age)
entries = st.builds(Entry, past, st.just(Act.STOPPED), st.sampled_from(Scope), st.sampled_from(How), st.just("parar"))


def rarely(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 5).flatmap(lambda one: strategy if one == 5 else st.none())


messages = st.builds(
    Outgoing,
    st.sampled_from(Purpose),
    st.sampled_from(["bot", "person"]),
    st.sampled_from([None, HELLO, Filled(REMINDER, (("quando", "amanhã"),))]),
    answers=st.integers(0, 3),
    segment=st.integers(0, 1),
    superseded=st.integers(0, 4),
    planned_at=rarely(past),
    approved=st.booleans(),
    values=st.sampled_from([VALUES, {}]),
)
situations = st.builds(
    Known,
    st.sampled_from([SP, Place("America/Rio_Branco", "AC", "state"), Place("America/Noronha", None, "zone")]),
    messages=st.integers(0, 4),
    last_from_contact=st.none() | past,
    last_received_at=st.none() | past,
    entry=st.none() | st.builds(EntryPoint, past, st.none() | past),
    standing=st.builds(Standing, rarely(entries), rarely(entries), st.sampled_from([AGREED.consent, None])),
    attention=st.builds(Attention, st.sampled_from([Held.BOT, *Held]), segment=st.integers(0, 1)),
    touches=st.lists(past, max_size=2).map(tuple),
    marketing_sent=st.lists(past, max_size=3).map(tuple),
    pair_line=st.none() | past.map(lambda at: at + timedelta(hours=60)),
    number_line=st.none() | past,
    portfolio=st.builds(Portfolio, st.sampled_from([None, 250]), st.integers(0, 250), st.booleans(), st.none() | past),
    blocks=st.lists(
        st.builds(Block, st.sampled_from(Where), st.sampled_from(["all", "marketing", "free"]), past,
                  st.none() | past.map(lambda at: at + timedelta(hours=100)), st.integers(0, 140000)), max_size=1,
    ).map(tuple),
    templates=st.sampled_from([(FIRST, NUDGE, REMINDER), (), (replace(NUDGE, status="PAUSED"),)]),
    goodbye_sent=st.booleans(),
)  # fmt: skip


@settings(max_examples=200)
@given(messages, situations, st.integers(0, 24 * 7))
def test_whatever_is_asked_nothing_leaves_that_must_fail_and_waiting_ends(
    message: Outgoing, situation: Known, hours: int
) -> None:
    now = NOW + timedelta(hours=hours)
    told = asked(message, situation, now)
    standing = situation.standing
    if told.may_leave:
        if told.template is None:  # never a free text that must fail
            assert is_open(situation.last_from_contact, now, RULES_OF_ACCOUNT.window_margin)
            assert told.until is not None and told.until > now
        if standing.stopped and message.purpose not in (Purpose.ANSWER, Purpose.GOODBYE):
            raise AssertionError("opted out")
        if standing.marketing_stopped and told.template:
            assert told.template.template.category is not Category.MARKETING
        if message.purpose in (Purpose.FIRST_CONTACT, Purpose.CAMPAIGN):
            assert message.approved and told.template is message.template
        if message.author == "bot" and message.purpose in (Purpose.ANSWER, Purpose.FOLLOW_UP):
            assert situation.attention.held is not Held.PERSON
        assert situation.pair_line is None or now >= situation.pair_line
        assert told.verdict is (Verdict.SEND if told.template is message.template else Verdict.TEMPLATE)
    assert told.verdict is not Verdict.WAIT or (told.until and told.until > now)
    assert decide(message, situation, RULES_OF_ACCOUNT, now) == told
    json.dumps(told.record())
    for language in ("pt-BR", "es"):
        assert explained(told, partial(TEXTS.say, language), situation.place.zone)
    for _ in range(12):  # who waits as told is not sent in circles
        if told.verdict is not Verdict.WAIT:
            break
        now = told.until
        frees = situation.portfolio
        situation = replace(situation, portfolio=replace(frees, reached=0)) if told.rule == "portfolio" else situation
        told = asked(message, situation, now)
    assert told.verdict is not Verdict.WAIT


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20_000), max_size=60), st.sampled_from([(6.0, 1), (6.0, 5), (6.0, 45)]))
def test_any_stretch_of_time_sees_no_more_messages_to_one_contact_than_allowed(
    gaps: list[int], pace: tuple[float, int]
) -> None:
    own = pair_pace(pace[1])
    line, now, left = None, NOW, []
    for gap in gaps:
        now = own.earliest(line, now + timedelta(milliseconds=gap))
        line = own.after(line, now)
        left.append(now)
    for first in range(len(left)):
        for last in range(first, len(left)):
            allowed = own.burst + (left[last] - left[first]) / own.gap
            assert last - first + 1 <= allowed + 1e-6


@pytest.mark.parametrize("per_second", [20, 80, 1000])
def test_no_second_of_a_number_sees_more_than_its_throughput(per_second: int) -> None:
    own = number_pace(per_second)
    line, now, left = None, NOW, []
    for _ in range(per_second * 2):
        now = own.earliest(line, now)
        line = own.after(line, now)
        left.append(now)
    busiest = max(
        sum(1 for other in left[at : at + per_second + 5] if other - one < SECOND) for at, one in enumerate(left)
    )
    assert busiest <= per_second
    assert left[-1] - left[0] <= 2.5 * SECOND  # and it is used


def test_a_channel_without_a_window_says_everything_freely_and_keeps_all_other_rules() -> None:
    """E-mail, SMS, WhatsApp Web: no 24 hours, no templates, no portfolio; opt-outs, hours, approval as everywhere."""
    away = known(**CLOSED, windowed=False, portfolio=Portfolio(limit=1, reached=1))
    nudge = asked(Outgoing(Purpose.FOLLOW_UP, values=VALUES), away)
    assert (nudge.verdict, nudge.until) == (Verdict.SEND, datetime(2026, 11, 18, 22, tzinfo=UTC))
    first = known(**SILENT, windowed=False)
    assert asked(Outgoing(Purpose.FIRST_CONTACT), first).verdict is Verdict.ASK
    assert asked(Outgoing(Purpose.FIRST_CONTACT, approved=True), first).verdict is Verdict.SEND
    assert asked(Outgoing(Purpose.FOLLOW_UP), replace(away, standing=STOPPED)).rule == "opted_out"
    assert asked(Outgoing(Purpose.FOLLOW_UP), away, NOW + 10 * HOUR).rule == "quiet_hours"
    free_block = Block(Where.PAIR, "free", NOW - HOUR, None, 131047)
    assert asked(Outgoing(Purpose.ANSWER, answers=3), replace(away, blocks=(free_block,))).verdict is Verdict.SEND
