"""What the harness counts is counted: a world in which all is well, and then each thing that can go wrong in it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prompts.texts import Texts
from tests.chaos.findings import Evidence, judge

ANA, BIA = "5519970000001", "5519970000002"
NOON = datetime(2026, 11, 17, 15, 0, tzinfo=UTC)
GIVEN_UP = Texts.load().say("pt-BR", "messaging.to_contact.cannot_answer")


def said(row: str, to: str, text: str) -> dict[str, Any]:
    return {"type": "text", "to": to, "text": {"body": text}, "biz_opaque_callback_data": row}


def came(chat: str, seq: int, id: str) -> dict[str, Any]:
    return {
        "id": f"m{seq}", "chat_id": chat, "direction": "in", "external_id": id, "received": seq, "seen": NOON,
        "text": "", "status": None, "turn_id": None,
    }  # fmt: skip


def went(chat: str, seq: int, text: str, status: str = "delivered") -> dict[str, Any]:
    return {
        "id": f"m{seq}", "chat_id": chat, "direction": "out", "external_id": f"wamid.{seq}", "received": None,
        "text": text, "status": status, "turn_id": f"t{seq}",
    }  # fmt: skip


def row(id: str, chat: str, seq: int, message: str, answers: int, **more: Any) -> dict[str, Any]:
    return {
        "id": id, "chat_id": chat, "seq": seq, "message_id": message, "purpose": "answer", "state": "sent",
        "content": {}, "facts": {"answers": answers}, "finished_at": NOON, "claimed_at": NOON,
    } | more  # fmt: skip


def well(*, plain: bool = True) -> Evidence:
    """Ana wrote twice, one answer to both, and a third time, whose turns died; Bia's answer is of unknown outcome; a
    first message was approved."""
    return Evidence(
        plain=plain,
        written={ANA: ["a1", "a2", "a3"], BIA: ["b1"]},
        words={"a1": "qaz", "a2": "qbz", "a3": "qcz", "b1": "qdz"},
        proposals=["p1"],
        witness=[
            said("o1", ANA, "Recebi: qaz, qbz."),
            said("o2", ANA, GIVEN_UP),
            {"type": "template", "to": "5519880000000", "biz_opaque_callback_data": "o4"},
        ],
        chats=[
            {"id": "A", "address": ANA, "held": "fetching"},
            {"id": "B", "address": BIA, "held": "bot"},
            {"id": "C", "address": "551980000000", "held": "bot"},  # learnt without its ninth digit
        ],
        messages=[
            came("A", 1, "a1"), came("A", 2, "a2"), went("A", 3, "Recebi: qaz, qbz."), came("A", 4, "a3"),
            went("A", 5, GIVEN_UP), came("B", 6, "b1"), went("B", 7, "Recebi: qdz.", "queued"), went("C", 8, "Olá!"),
        ],
        outbox=[
            row("o1", "A", 1, "m3", 2),
            row("o2", "A", 2, "m5", 3),
            row("o3", "B", 3, "m7", 1, state="unknown", content={"text": {"body": "Recebi: qdz."}}),
            row("o4", "C", 4, "m8", 0, purpose="first_contact"),
        ],
        notices=["person:A:0:3", "unknown:o3:0"],
        statuses=[{"before": "queued", "after": "accepted"}, {"before": "accepted", "after": "delivered"}],
        approved={"p1": "executed"},
        now=NOON + timedelta(hours=1),
    )  # fmt: skip


def test_a_world_in_which_all_is_well() -> None:
    for plain in (True, False):
        found = judge(well(plain=plain))
        assert found.wrong() == {}
        assert (found.written, found.approved, found.unknown_answers, found.unknown_not_left) == (4, 1, 1, 1)
    assert judge(well()).handed_over == 1
    late = well()
    late.messages[1].update(received=0, seen=NOON + timedelta(seconds=1))
    late.messages[3].update(seen=NOON + timedelta(seconds=2))
    assert judge(late).wrong() == {} and judge(late).overtaken == 1


def _row(seen: Any, n: int, **more: Any) -> None:
    seen.outbox[n].update(more)


def _lost_in_a_row_that_failed(seen: Any) -> None:
    _row(seen, 0, state="failed", content={"text": {"body": "Recebi: qaz, qbz."}})
    del seen.witness[0]


def _not_in_the_answer(seen: Any) -> None:
    """Its conversation went to a person, but for another message."""
    seen.witness[0] = said("o1", ANA, "Recebi: qbz.")


WRONG: list[tuple[str, Callable[[Any], Any], dict[str, int]]] = [
    ("in no conversation", lambda seen: seen.messages.pop(5), {"lost": 1}),
    ("twice in a conversation", lambda seen: seen.messages.append(came("B", 9, "b1")), {"doubled": 1}),
    ("could not be sorted", lambda seen: setattr(seen, "set_aside", 2), {"set_aside": 2}),
    ("in another order", lambda seen: seen.messages[1].update(received=0), {"shuffled": 1}),
    ("in a row that failed", _lost_in_a_row_that_failed, {"unanswered": 2, "failed": 1}),
    ("not in the answer", _not_in_the_answer, {"unanswered": 1}),
    ("given up, and nobody told", lambda seen: seen.notices.remove("person:A:0:3"), {"unanswered": 1}),
    (
        "given up, and the contact not told",
        lambda seen: (seen.outbox[1].update(state="dropped"), seen.witness.pop(1)),
        {"unanswered": 1},
    ),
    ("unknown, and it left", lambda seen: seen.witness.append(said("o3", BIA, "Recebi: qdz.")), {"unknown_left": 1}),
    (
        "answered in two answers",
        lambda seen: seen.witness.__setitem__(1, said("o2", ANA, "Recebi: qbz, qcz.")),
        {"answered_twice": 1},
    ),
    (
        "answered to somebody else",
        lambda seen: seen.witness.__setitem__(1, said("o2", ANA, "Recebi: qcz, qdz.")),
        {"misdirected": 1},
    ),
    ("to another number", lambda seen: seen.witness[2].update(to=BIA), {"misdirected": 1}),
    (
        "in another's conversation",
        lambda seen: seen.messages[5].update(chat_id="C"),
        {"misdirected": 1},
    ),
    ("asked twice", lambda seen: seen.witness.append(seen.witness[2]), {"attempts_twice": 1, "approvals_wrong": 1}),
    ("sent and thrown away", lambda seen: _row(seen, 3, state="dropped"), {"unrecorded": 1}),
    ("sent without a row", lambda seen: seen.outbox.pop(3), {"unrecorded": 1, "approvals_wrong": 1}),
    ("said to be sent", lambda seen: seen.witness.pop(2), {"phantom": 1, "approvals_wrong": 1}),
    ("the second before the first", lambda seen: seen.witness.reverse(), {"out_of_order": 1}),
    ("back", lambda seen: seen.statuses.append({"before": "delivered", "after": "failed"}), {"statuses_back": 1}),
    (
        "thrown away late",
        lambda seen: seen.statuses.append({"before": "sent", "after": "dropped"}),
        {"statuses_back": 1},
    ),
    ("its status never came", lambda seen: seen.messages[2].update(status="sent"), {"statuses_lost": 1}),
    ("not carried out", lambda seen: seen.approved.update(p1="approved"), {"approvals_wrong": 1}),
    ("nobody was told", lambda seen: seen.notices.remove("unknown:o3:0"), {"untold": 1}),
    (
        "for long, and nobody was told",
        lambda seen: (seen.outbox[2].update(finished_at=None), seen.notices.remove("unknown:o3:0")),
        {"untold": 1},
    ),
]


@pytest.mark.parametrize(("what", "goes_wrong", "counted"), WRONG, ids=[one[0] for one in WRONG])
def test_whatever_goes_wrong_is_counted(what: str, goes_wrong: Callable[[Any], Any], counted: dict[str, int]) -> None:
    seen = well()
    goes_wrong(seen)
    assert judge(seen).wrong() == counted


def test_of_a_crew_that_says_what_it_likes_no_message_is_left_over() -> None:
    seen = well(plain=False)
    seen.messages.append(came("A", 9, "a4"))
    assert judge(seen).wrong() == {"unanswered": 1}
    seen = well(plain=False)
    _row(seen, 1, facts={"answers": 2})
    assert judge(seen).wrong() == {"unanswered": 1, "answered_twice": 1}
