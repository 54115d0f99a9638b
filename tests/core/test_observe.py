"""Finished turns are looked at in a thread of their own, and no turn waits for it or breaks by it."""

import io
import threading

from core.observe import Onlookers, SeenTurn
from tests.conftest import wait_until
from tests.core.finished import reply_to, turn_with


def test_every_onlooker_sees_every_turn_in_order_and_in_another_thread() -> None:
    onlookers, first, second = Onlookers(), [], []
    threads = set()

    def look(seen: SeenTurn) -> None:
        threads.add(threading.current_thread())
        first.append(seen.turn.id)

    onlookers.add("first", look)
    onlookers.add("second", lambda seen: second.append((seen.turn.id, seen.seconds >= 0)))
    for n in range(50):
        turn = turn_with(id=f"turn_{n}")
        onlookers.ended(turn, reply_to(turn))
    onlookers.close()
    assert first == [f"turn_{n}" for n in range(50)]
    assert second == [(f"turn_{n}", True) for n in range(50)]
    assert threading.current_thread() not in threads and len(threads) == 1


def test_an_onlooker_that_fails_is_logged_once_and_the_others_go_on(lines: io.StringIO) -> None:
    def fails(seen: SeenTurn) -> None:
        raise KeyError("a bug")

    onlookers, seen_ids = Onlookers(), []
    onlookers.add("fails", fails)
    onlookers.add("works", lambda seen: seen_ids.append(seen.turn.id))
    turn = turn_with()
    for _ in range(3):
        onlookers.ended(turn, reply_to(turn))
    onlookers.close()
    assert seen_ids == [turn.id] * 3
    assert lines.getvalue().count("onlooker_failed") == 1


def test_while_an_onlooker_hangs_turns_are_let_go_and_counted() -> None:
    hangs, taken = threading.Event(), threading.Event()

    def hang(seen: SeenTurn) -> None:
        taken.set()
        hangs.wait(20)

    onlookers, turn = Onlookers(most_waiting=2), turn_with()
    onlookers.add("hangs", hang)
    onlookers.ended(turn, reply_to(turn))
    assert taken.wait(20)
    for _ in range(5):
        onlookers.ended(turn, reply_to(turn))
    assert onlookers.missed == 3
    hangs.set()
    onlookers.close(20)


def test_without_an_onlooker_there_is_no_thread_and_nothing_is_kept() -> None:
    before, onlookers, turn = threading.active_count(), Onlookers(), turn_with()
    onlookers.ended(turn, reply_to(turn))
    assert threading.active_count() == before
    late: list[str] = []
    onlookers.add("late", lambda seen: late.append(seen.turn.id))
    onlookers.ended(turn_with(id="turn_2"), reply_to(turn))
    wait_until(lambda: late == ["turn_2"])
    onlookers.close()
