"""What is true after the killing, from the witness and the database and nothing else.

`gather` reads, `judge` counts. Each message of the load has its own fate: it was answered, or it was superseded by a
newer one that was, or it is unanswered. That its words lie in a row that failed, or in a conversation that went to a
person for another reason, answers nothing.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prompts.texts import Texts
from tests.chaos.world import World

_RANK = {
    name: rank
    for rank, name in enumerate(("queued", "accepted", "held", "sent", "failed", "delivered", "read", "played"))
}
"""As business/messaging/statuses.py: "failed" overwrites what only says that it left, never what says it arrived."""
_ARRIVED = ("delivered", "read", "played")
_UNSENT = ("waiting", "dropped", "ask")
_TOLD_AFTER = timedelta(minutes=20)
"""An unknown outcome is told to a person after three minutes; its job, once lost, is made again after fifteen."""
_WORD = re.compile(r"[a-z]+")

Row = Mapping[str, Any]


@dataclass
class Findings:
    """Counts. All but those that `wrong` lets pass must be 0."""

    written: int
    """Messages that contacts wrote."""
    sent: int
    """Messages that WhatsApp was asked to send."""
    approved: int
    lost: int = 0
    """Written and in no conversation."""
    doubled: int = 0
    """Written once and there twice."""
    set_aside: int = 0
    """Items of webhooks that were kept and could not be sorted."""
    shuffled: int = 0
    """Messages that stand in a conversation before one that was there to be sorted before them."""
    overtaken: int = 0
    """Messages that came into sight after later ones: their commit was in doubt, and nobody had acknowledged them."""
    unanswered: int = 0
    """In a conversation, and in no answer that left; nor given up to a person who was told."""
    answered_twice: int = 0
    """In two answers that left."""
    misdirected: int = 0
    """In somebody else's conversation, or in an answer to somebody else."""
    attempts_twice: int = 0
    """Rows of the outbox that WhatsApp was asked for twice."""
    unrecorded: int = 0
    """Asked of WhatsApp without a row of the outbox, or with a row that says it never left."""
    phantom: int = 0
    """Rows that say "sent" of which WhatsApp knows nothing."""
    failed: int = 0
    """Rows that ended as refused: this WhatsApp refuses nothing."""
    out_of_order: int = 0
    """Replies of one conversation that left before one that stood before them."""
    statuses_back: int = 0
    statuses_lost: int = 0
    """Sent and, as WhatsApp told us, delivered; and we do not know it."""
    approvals_wrong: int = 0
    """Approved and not sent exactly once (or, of unknown outcome, more than once)."""
    untold: int = 0
    """Of unknown outcome for long, and nobody was told."""
    handed_over: int = 0
    """Given up to a person, who was told, and the contact, too: its turn had died too often."""
    unknown_answers: int = 0
    """Messages whose one answer is of unknown outcome, and did not leave."""
    unknown_left: int = 0
    """Of unknown outcome to us: one attempt, and it did leave, as its statuses should have told us."""
    unknown_not_left: int = 0
    """Of unknown outcome to us: one attempt at most, and it did not leave; a person is told."""

    def wrong(self) -> dict[str, int]:
        """What must not be, by name."""
        allowed = ("written", "sent", "approved", "overtaken", "handed_over", "unknown_answers", "unknown_not_left")
        return {name: count for name, count in asdict(self).items() if count and name not in allowed}


@dataclass
class Evidence:
    """What `judge` goes by. Rows as the tables have them, the bodies in the order of their coming."""

    plain: bool
    written: Mapping[str, Sequence[str]]
    """contact → ids of what it wrote"""
    words: Mapping[str, str]
    """id → its word"""
    proposals: Sequence[str]
    witness: Sequence[Row]
    chats: Sequence[Row]
    messages: list[Any]
    outbox: Sequence[Row]
    notices: Sequence[str]
    """Keys of what people of the house were told."""
    set_aside: int = 0
    statuses: Sequence[Row] = ()
    """Every change of a status: before, after."""
    approved: Mapping[str, str] = field(default_factory=dict)
    """proposal → its state"""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """By the house's clock."""


def examine(world: World) -> Findings:
    """Look at everything, when nothing is to be done any more."""
    return judge(gather(world))


def gather(world: World) -> Evidence:
    aside = "SELECT count(*) AS n FROM inbox WHERE outcome LIKE 'dead:%%' OR kind = 'unread'"
    messages = """SELECT m.*, i.id AS received, i.sorted_at AS seen FROM chat_messages m
                  LEFT JOIN inbox i ON i.key = m.external_id AND i.kind = 'message' ORDER BY m.chat_id, m.seq"""
    return Evidence(
        plain=world.plain,
        written=world.written,
        words=world.words,
        proposals=world.proposals,
        witness=world.witness(),
        chats=world.rows("SELECT id, address, held FROM chats"),
        messages=world.rows(messages),
        outbox=world.rows("SELECT * FROM outbox ORDER BY seq"),
        notices=[row["key"] for row in world.rows("SELECT DISTINCT key FROM notices")],
        set_aside=world.rows(aside)[0]["n"],
        statuses=world.rows("SELECT before, after FROM chaos_statuses"),
        approved={row["id"]: row["state"] for row in world.rows("SELECT id, state FROM proposals")},
        now=datetime.now(UTC) + timedelta(seconds=world.shift),
    )


def judge(seen: Evidence) -> Findings:
    """All of it counted."""
    outbox = {row["id"]: row for row in seen.outbox}
    asked = Counter(str(body.get("biz_opaque_callback_data")) for body in seen.witness)
    found = Findings(len(seen.words), len(seen.witness), len(seen.proposals), set_aside=seen.set_aside)
    _received(seen, found)
    if seen.plain:
        _answers_by_words(seen, asked, found)
    else:
        _answers_by_count(seen, asked, found)
    _sent(seen, outbox, asked, found)
    _order(seen, outbox, found)
    _statuses(seen, asked, found)
    _unknown(seen, asked, found)
    _approvals(seen, asked, found)
    return found


def _received(seen: Evidence, found: Findings) -> None:
    whose = {one: contact for contact, ids in seen.written.items() for one in ids}
    address = {row["id"]: row["address"] for row in seen.chats}
    there = Counter(row["external_id"] for row in seen.messages if row["direction"] == "in")
    found.lost = sum(one not in there for one in seen.words)
    found.doubled = sum(there[one] > 1 for one in seen.words)
    last: dict[str, tuple[datetime, int]] = {}
    for row in seen.messages:
        if row["direction"] != "in":
            continue
        contact = whose.get(row["external_id"])
        found.misdirected += contact is not None and not _same(address[row["chat_id"]], contact)
        before = last.get(row["chat_id"], (row["seen"], 0))
        found.shuffled += (row["seen"], row["received"]) < before
        found.overtaken += before[0] < row["seen"] and row["received"] < before[1]
        last[row["chat_id"]] = row["seen"], row["received"]


def _answers_by_words(seen: Evidence, asked: Counter[str], found: Findings) -> None:
    """The plain crew's answers name what they answer."""
    told: Counter[tuple[str, str]] = Counter()
    own = {contact: {seen.words[one] for one in ids} for contact, ids in seen.written.items()}
    known = set(seen.words.values())
    for body in seen.witness:
        if body.get("type") == "text":
            said = set(_WORD.findall(body["text"]["body"])) & known
            found.misdirected += len(said - own.get(body["to"], set()))
            told.update((body["to"], one) for one in said)
    maybe: dict[str, set[str]] = defaultdict(set)
    for row in seen.outbox:
        if row["state"] == "unknown" and not asked[row["id"]]:
            maybe[row["chat_id"]] |= set(_WORD.findall(str(row["content"])))
    given_up = _given_up(seen)
    chats = {row["address"]: row["id"] for row in seen.chats}
    nth = _nth(seen)
    for contact, ids in seen.written.items():
        chat = chats.get(contact, "")
        for one in ids:
            count = told[contact, seen.words[one]]
            found.answered_twice += count > 1
            if count:
                continue
            if seen.words[one] in maybe[chat]:
                found.unknown_answers += 1
            elif any(first < nth.get(one, 0) <= last for first, last in given_up[chat]):
                found.handed_over += 1
            else:
                found.unanswered += 1


def _answers_by_count(seen: Evidence, asked: Counter[str], found: Findings) -> None:
    """The SDR crew says what it likes. But each answer knows how many messages of the contact it has taken into
    account, so that what is not counted by one that left, or may have, nobody has answered."""
    turn = {row["id"]: row["turn_id"] for row in seen.messages}
    covered: dict[str, int] = defaultdict(int)
    turns = defaultdict(set)
    unknown: dict[str, int] = defaultdict(int)
    for row in seen.outbox:
        if row["purpose"] not in ("answer", "goodbye"):
            continue
        answers = row["facts"].get("answers", 0)
        if asked[row["id"]]:
            covered[row["chat_id"]] = max(covered[row["chat_id"]], answers)
            turns[row["chat_id"], answers].add(turn[row["message_id"]])
        elif row["state"] == "unknown":
            unknown[row["chat_id"]] = max(unknown[row["chat_id"]], answers)
    found.answered_twice = sum(len(those) - 1 for those in turns.values())
    nth = _nth(seen)
    for row in seen.messages:
        if row["direction"] == "in" and nth[row["external_id"]] > covered[row["chat_id"]]:
            late = nth[row["external_id"]] > unknown[row["chat_id"]]
            found.unanswered += late
            found.unknown_answers += not late


def _nth(seen: Evidence) -> dict[str, int]:
    """id of a message → the how many-th of its contact it is, in the conversation."""
    counts: Counter[str] = Counter()
    nth = {}
    for row in seen.messages:
        if row["direction"] == "in":
            counts[row["chat_id"]] += 1
            nth[row["external_id"]] = counts[row["chat_id"]]
    return nth


def _given_up(seen: Evidence) -> dict[str, list[tuple[int, int]]]:
    """chat → [(after which message, until which)] of the bursts that were given up to a person: the contact was told so
    (or the one attempt to is of unknown outcome), and the house, too. What an answer before covers is not of them, be
    it one that failed; only what was thrown away opens its messages again."""
    said = Texts.load().say("pt-BR", "messaging.to_contact.cannot_answer")
    text = {row["id"]: row["text"] for row in seen.messages}
    told = {key.split(":")[1] for key in seen.notices if key.startswith("person:")}
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    before: dict[str, int] = {}
    for row in seen.outbox:
        if row["purpose"] != "answer" or row["state"] == "dropped":
            continue
        chat, answers = row["chat_id"], row["facts"].get("answers", 0)
        if text[row["message_id"]] == said and row["state"] in ("sent", "unknown") and chat in told:
            found[chat].append((before.get(chat, 0), answers))
        before[chat] = max(before.get(chat, 0), answers)
    return found


def _sent(seen: Evidence, outbox: Mapping[str, Row], asked: Counter[str], found: Findings) -> None:
    address = {row["id"]: row["address"] for row in seen.chats}
    found.attempts_twice = sum(count > 1 for count in asked.values())
    found.unrecorded = sum(one not in outbox or outbox[one]["state"] in _UNSENT for one in asked)
    found.phantom = sum(row["state"] == "sent" and not asked[one] for one, row in outbox.items())
    found.failed = sum(row["state"] == "failed" for row in outbox.values())
    for body in seen.witness:
        row = outbox.get(str(body.get("biz_opaque_callback_data")))
        found.misdirected += row is not None and not _same(address[row["chat_id"]], str(body["to"]))


def _order(seen: Evidence, outbox: Mapping[str, Row], found: Findings) -> None:
    last: dict[str, int] = {}
    for body in seen.witness:
        row = outbox.get(str(body.get("biz_opaque_callback_data")))
        if row is not None and row["purpose"] in ("answer", "goodbye"):
            found.out_of_order += row["seq"] < last.get(row["chat_id"], 0)
            last[row["chat_id"]] = row["seq"]


def _statuses(seen: Evidence, asked: Counter[str], found: Findings) -> None:
    """None goes back, and the last word of each message that left is known: all are delivered in this world."""
    for row in seen.statuses:
        before, after = row["before"] or "queued", row["after"]
        if "dropped" in (before, after):  # what was thrown away had not left, and never will
            found.statuses_back += before != "queued"
        else:
            found.statuses_back += _RANK.get(after, -1) < _RANK[before]
    status = {row["id"]: row["status"] for row in seen.messages}
    for row in seen.outbox:
        left = row["state"] == "sent" and asked[row["id"]]
        found.statuses_lost += bool(left) and status[row["message_id"]] not in _ARRIVED


def _unknown(seen: Evidence, asked: Counter[str], found: Findings) -> None:
    for row in seen.outbox:
        if row["state"] != "unknown":
            continue
        found.unknown_left += bool(asked[row["id"]])
        found.unknown_not_left += not asked[row["id"]]
        over = row["finished_at"] is not None
        old = seen.now - row["claimed_at"] > _TOLD_AFTER
        found.untold += (over or old) and f"unknown:{row['id']}:0" not in seen.notices


def _approvals(seen: Evidence, asked: Counter[str], found: Findings) -> None:
    if not seen.proposals:
        return
    first = [row for row in seen.outbox if row["purpose"] == "first_contact"]
    per_chat = Counter(row["chat_id"] for row in first)
    found.approvals_wrong = sum(seen.approved.get(one) != "executed" for one in seen.proposals)
    found.approvals_wrong += abs(len(seen.proposals) - len(first)) + sum(count > 1 for count in per_chat.values())
    found.approvals_wrong += sum(asked[row["id"]] != 1 and row["state"] != "unknown" for row in first)


def _same(one: str, other: str) -> bool:
    """Whether two telephones are one: WhatsApp may leave the ninth digit of a Brazilian mobile out."""
    return one[-8:] == other[-8:]
