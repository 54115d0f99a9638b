"""A conversation under way: who has it, bursts, statuses in any order, and what a refusal forbids."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business.messaging.attention import TABLE, Attention, Effect, Event, Held, step
from business.messaging.consent import Act, Scope
from business.messaging.failures import RETRIES, Block, Where, consequence, holding
from business.messaging.settings import default_settings
from business.messaging.statuses import RANK, Progress, Status, joined, joined_all, status_named
from business.messaging.turns import Arrival, Stage, Then, on_newer, turn_due, typing_again
from integrations.whatsapp_cloud.errors import RULES as CODES
from integrations.whatsapp_cloud.errors import Action

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
RULES = default_settings()

# --- who has it ----------------------------------------------------------------------------------


def test_a_lead_asks_for_a_person_who_comes_and_hands_back() -> None:
    asked = step(Attention(), Event.ASKED_FOR_PERSON, NOW)
    assert asked.after.held is Held.FETCHING
    assert set(asked.effects) == {Effect.STOP_TURN, Effect.TELL_CONTACT, Effect.SUMMARISE, Effect.NOTIFY}
    again = step(asked.after, Event.ASKED_FOR_PERSON, NOW + SECOND)
    assert again.effects == (Effect.NOTIFY,)  # told once
    came = step(again.after, Event.PERSON_WROTE, NOW + 2 * SECOND, by="u1")
    assert (came.after.held, came.after.by) == (Held.PERSON, "u1") and Effect.STOP_TURN in came.effects
    back = step(came.after, Event.HANDED_BACK, NOW + HOUR)
    assert back.after == Attention(Held.BOT, NOW + HOUR, None, 1) and back.effects == (Effect.CLEAN_START,)
    once_more = step(back.after, Event.ASKED_FOR_PERSON, NOW + 2 * HOUR)
    assert Effect.TELL_CONTACT in once_more.effects  # a new segment: told again


def test_a_message_from_the_app_pauses_at_once_and_a_late_echo_does_not() -> None:
    paused = step(Attention(), Event.PERSON_WROTE, NOW)
    assert paused.after.held is Held.PERSON and Effect.STOP_TURN in paused.effects
    back = step(paused.after, Event.HANDED_BACK, NOW + HOUR).after
    late = step(back, Event.PERSON_WROTE, NOW + HOUR - SECOND)
    assert late.ignored and late.after == back
    assert step(back, Event.PERSON_WROTE, NOW + HOUR + SECOND).after.held is Held.PERSON
    half_past = replace(back, since=NOW + timedelta(milliseconds=700))  # an echo's moment has no fractions
    assert step(half_past, Event.PERSON_WROTE, NOW).after.held is Held.PERSON


def test_the_table_knows_every_event_in_every_hand() -> None:
    assert {(event, held) for event, rows in TABLE.items() for held in rows} == set(product(Event, Held))
    for held in Held:
        assert TABLE[Event.PERSON_WROTE][held][0] is Held.PERSON
        assert TABLE[Event.HANDED_BACK][held][0] is Held.BOT


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(Event), st.integers(-5, 60)), max_size=15))
def test_whatever_happens_a_contact_is_told_once_in_a_segment(events: list[tuple[Event, int]]) -> None:
    state, told, clock = Attention(), {}, NOW
    for event, seconds in events:
        clock += timedelta(seconds=seconds)
        before = state
        done = step(before, event, clock)
        state = done.after
        told[before.segment] = told.get(before.segment, 0) + (Effect.TELL_CONTACT in done.effects)
        assert state.segment in (before.segment, before.segment + 1)
        assert state.segment == before.segment or state.held is Held.BOT
        if done.ignored:
            assert state == before
        elif event is Event.PERSON_WROTE:
            assert state.held is Held.PERSON
    assert all(count <= 1 for count in told.values())


# --- bursts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrivals", "due"),
    [
        ([(0, "text")], 4),
        ([(0, "text"), (3, "text"), (6, "text")], 10),
        ([(0, "button")], 0),
        ([(0, "text"), (2, "interactive")], 2),
        ([(0, "image")], 6),
        ([(second, "text") for second in range(0, 40, 3)], 15),  # who does not stop is answered all the same
        ([(6, "text"), (0, "text")], 10),  # handed in in any order
        ([], None),
    ],
)
def test_a_turn_begins_after_a_short_quiet_or_the_longest_wait(
    arrivals: list[tuple[int, str]], due: int | None
) -> None:
    found = turn_due([Arrival(NOW + at * SECOND, kind) for at, kind in arrivals], RULES)
    assert found == (None if due is None else NOW + due * SECOND)


@pytest.mark.parametrize(
    ("stage", "superseded", "then"),
    [
        (Stage.THINKING, 0, Then.RESTART),
        (Stage.THINKING, 3, Then.FINISH),
        (Stage.ACTED, 0, Then.REWRITE),
        (Stage.ACTED, 3, Then.FINISH),
    ],
)
def test_a_newer_message_does_to_a_turn_what_its_stage_allows(stage: Stage, superseded: int, then: Then) -> None:
    assert on_newer(stage, superseded, RULES) is then


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_a_burst_is_never_answered_before_its_last_message_nor_later_than_the_longest_wait(gaps: list[int]) -> None:
    at, arrivals = NOW, []
    for gap in gaps:
        at += gap * SECOND
        due = turn_due(arrivals, RULES) if arrivals else None
        if due is not None and at >= due:
            break  # the turn had begun before this one came
        arrivals.append(Arrival(at))
    due = turn_due(arrivals, RULES)
    assert due is not None and due <= arrivals[0].at + RULES.most_wait
    assert due >= arrivals[-1].at


def test_typing_is_shown_again_before_it_ends() -> None:
    assert typing_again(None, NOW)
    assert not typing_again(NOW - 10 * SECOND, NOW)
    assert typing_again(NOW - 23 * SECOND, NOW)


# --- statuses ------------------------------------------------------------------------------------


def test_all_orders_of_the_statuses_end_the_same_and_none_goes_back() -> None:
    told = [(Status.SENT, NOW, None), (Status.DELIVERED, NOW + SECOND, None), (Status.READ, NOW + 2 * SECOND, None),
            (Status.FAILED, NOW + 3 * SECOND, 131026)]  # fmt: skip
    ends = set()
    for order in permutations(told):
        known = Progress(Status.QUEUED, NOW - SECOND)
        for status, at, error in order:
            after = joined(known, status, at, error)
            assert RANK[after.status] >= RANK[known.status]
            known = after
        ends.add(known)
    assert ends == {Progress(Status.READ, NOW + 2 * SECOND, 131026, contradicted=True)}


@pytest.mark.parametrize(
    ("first", "second", "end", "contradicted"),
    [
        (Status.SENT, Status.FAILED, Status.FAILED, False),
        (Status.FAILED, Status.SENT, Status.FAILED, False),
        (Status.FAILED, Status.DELIVERED, Status.DELIVERED, True),
        (Status.DELIVERED, Status.FAILED, Status.DELIVERED, True),
        (Status.DELIVERED, Status.SENT, Status.DELIVERED, False),
        (Status.READ, Status.PLAYED, Status.PLAYED, False),
        (Status.ACCEPTED, Status.HELD, Status.HELD, False),
        (Status.HELD, Status.SENT, Status.SENT, False),
    ],
)
def test_what_proves_more_wins(first: Status, second: Status, end: Status, contradicted: bool) -> None:
    found = joined(joined(None, first, NOW), second, NOW + SECOND)
    assert (found.status, found.contradicted) == (end, contradicted)


def test_a_status_that_comes_twice_or_before_our_own_row_is_kept_as_first_told() -> None:
    early = joined_all([(Status.DELIVERED, NOW, None)])
    assert early is not None
    assert joined(early, Status.QUEUED, NOW - HOUR) == early
    assert joined(early, Status.DELIVERED, NOW + HOUR).at == NOW
    assert joined(early, Status.DELIVERED, NOW - HOUR).at == NOW - HOUR
    assert joined_all([]) is None


def test_whatsapps_words_for_a_status_are_known_and_others_change_nothing() -> None:
    assert status_named("Delivered ") is Status.DELIVERED
    assert status_named("held_for_quality_assessment") is Status.HELD
    assert status_named("teleported") is None


told = st.tuples(
    st.sampled_from(Status), st.integers(0, 5).map(lambda s: NOW + s * SECOND), st.none() | st.integers(1, 3)
)


@settings(max_examples=100)
@given(st.lists(told, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_statuses_never_matters(
    statuses: list[tuple[Status, datetime, int | None]], random: object
) -> None:
    shuffled = list(statuses)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert joined_all(statuses) == joined_all(shuffled)
    assert joined_all([*statuses, *shuffled]) == joined_all(statuses)


# --- what a refusal forbids ---------------------------------------------------------------------------


def after(code: int, **more: object) -> object:
    row = CODES[code]
    return consequence(code, row.action, row.scope, NOW, wait=row.wait, sure=row.sure, marketing=row.marketing, **more)  # type: ignore[arg-type]


def test_each_code_of_whatsapp_has_one_consequence() -> None:
    for code, row in CODES.items():
        done = consequence(
            code, row.action, row.scope, NOW, wait=row.wait, sure=row.sure, marketing=row.marketing, template="x"
        )
        assert done.again_at is None or done.again_at > NOW
        if row.action is Action.RETRY:
            assert done.again_at is not None and done.block is None
        elif row.action is Action.WAIT:
            assert done.block is not None and done.block.until == done.again_at
        elif row.action is Action.TEMPLATE:
            assert done.as_template and done.block is not None and done.block.covers == "free"
        elif row.action is Action.FIX:
            assert done.tell and done.again_at is None
        else:
            assert done.block is not None and done.block.until is None and done.again_at is None
            assert done.block.where is (Where.CONTACT if row.action is Action.STOP_CONTACT else Where(row.scope))


def test_who_stopped_promotions_in_whatsapp_goes_into_the_ledger() -> None:
    done = after(131050)
    assert done.entry is not None and (done.entry.act, done.entry.scope) == (Act.STOPPED, Scope.MARKETING)  # type: ignore[attr-defined]


def test_limits_are_waited_for_longer_each_time_and_not_for_ever() -> None:
    def waits(code: int) -> list[float]:
        return [(after(code, times=times).again_at - NOW).total_seconds() for times in range(1, 9)]  # type: ignore[attr-defined]

    assert waits(131049)[:3] == [24 * 3600, 48 * 3600, 96 * 3600] and waits(131049)[-1] == 7 * 24 * 3600
    assert waits(131056)[:4] == [6, 6, 16, 64] and waits(131056)[-1] == 600
    assert waits(130429)[:3] == [2, 4, 8]
    for code in (131049, 131056, 130429, 4):
        assert waits(code) == sorted(waits(code))


def test_what_passes_by_itself_is_tried_again_a_few_times_then_told() -> None:
    row = CODES[131016]
    for times in range(1, len(RETRIES) + 1):
        done = consequence(131016, row.action, row.scope, NOW, wait=row.wait, times=times)
        assert done.again_at is not None and done.again_at - NOW >= timedelta(seconds=10) and not done.tell
    over = consequence(131016, row.action, row.scope, NOW, times=len(RETRIES) + 1)
    assert over.again_at is None and over.tell


def test_a_first_contact_whose_outcome_nobody_knows_is_not_attempted_twice() -> None:
    unsure = after(2, once=True)
    assert unsure.again_at is None and unsure.tell  # type: ignore[attr-defined]
    assert after(2).again_at is not None  # type: ignore[attr-defined]  # an answer may


def test_blocks_end_and_the_one_without_end_comes_first() -> None:
    short = Block(Where.PAIR, "all", NOW, NOW + SECOND, 131056)
    longer = replace(short, until=NOW + HOUR)
    endless = replace(short, until=None, code=131026)
    assert holding([short, longer, endless], NOW) == (endless, longer, short)
    assert holding([short, longer, endless], NOW + 2 * SECOND) == (endless, longer)
    closed = Block(Where.PAIR, "free", NOW, None, 131047)
    assert holding([closed], NOW + HOUR) == (closed,) and holding([closed], NOW + HOUR, NOW + SECOND) == ()
