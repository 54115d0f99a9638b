"""What is true after the killing, from the witness and the database and nothing else."""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.world import World

_RANK = {name: rank for rank, name in enumerate(("queued", "accepted", "held", "sent", "delivered", "read", "played"))}


@dataclass
class Findings:
    """Counts. All but the first three and `unknown…` must be 0."""

    written: int
    """Messages that contacts wrote."""
    sent: int
    """Messages that WhatsApp was asked to send."""
    approved: int
    lost: int = 0
    """Written and in no conversation."""
    doubled: int = 0
    """Written once and there twice."""
    unanswered: int = 0
    """In a conversation and in no answer that left, or may have left."""
    answered_twice: int = 0
    """In two answers that left."""
    attempts_twice: int = 0
    """Rows of the outbox that WhatsApp was asked for twice."""
    unrecorded: int = 0
    """Asked of WhatsApp without a row of the outbox, or with a row that says it never left."""
    phantom: int = 0
    """Rows that say "sent" of which WhatsApp knows nothing."""
    out_of_order: int = 0
    """Replies of one conversation that left before one that stood before them."""
    statuses_back: int = 0
    approvals_wrong: int = 0
    """Approved and not sent exactly once (or, of unknown outcome, more than once)."""
    handed_over: int = 0
    """In a conversation to which a person was called, and the contact told so: its turn had died too often."""
    unknown_left: int = 0
    """Of unknown outcome to us: one attempt, and it did leave."""
    unknown_not_left: int = 0
    """Of unknown outcome to us: one attempt at most, and it did not leave; a person is told."""

    def wrong(self) -> dict[str, int]:
        """What must not be, by name."""
        allowed = ("written", "sent", "approved", "handed_over", "unknown_left", "unknown_not_left")
        return {name: count for name, count in asdict(self).items() if count and name not in allowed}


def examine(world: World) -> Findings:
    """Look at everything, when nothing is to be done any more."""
    witness = world.witness()
    chats = {row["address"]: row for row in world.rows("SELECT id, address, held FROM chats")}
    outbox = {row["id"]: row for row in world.rows("SELECT * FROM outbox")}
    seen = Counter(
        row["external_id"] for row in world.rows("SELECT external_id FROM chat_messages WHERE direction = 'in'")
    )
    found = Findings(len(world.words), len(witness), len(world.proposals))
    found.lost = sum(one not in seen for one in world.words)
    found.doubled = sum(seen[one] > 1 for one in world.words)

    asked = Counter(str(body.get("biz_opaque_callback_data")) for body in witness)
    found.attempts_twice = sum(count > 1 for count in asked.values())
    found.unrecorded = sum(one not in outbox or outbox[one]["state"] in ("waiting", "dropped", "ask") for one in asked)
    found.phantom = sum(row["state"] == "sent" and one not in asked for one, row in outbox.items())
    for one, row in outbox.items():
        if row["state"] == "unknown":
            found.unknown_left += one in asked
            found.unknown_not_left += one not in asked

    if world.plain:
        _answers(world, witness, outbox, chats, found)
    _order(witness, outbox, found)
    for row in world.rows("SELECT before, after FROM chaos_statuses"):
        found.statuses_back += _RANK.get(row["after"], 9) < _RANK.get(row["before"] or "queued", 9)
    _approvals(world, outbox, asked, found)
    return found


def _answers(
    world: World, witness: list[dict[str, Any]], outbox: dict[str, Any], chats: dict[str, Any], found: Findings
) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for body in witness:
        if body.get("type") == "text":
            for said in set(body["text"]["body"].removeprefix("Recebi: ").rstrip(".").split(", ")):
                told[body["to"], said] += 1
    maybe = defaultdict(set)  # of unknown outcome, and not left: it was answered as far as we may
    for row in outbox.values():
        if row["state"] in ("unknown", "failed"):
            text = row["content"].get("payload", row["content"])
            maybe[row["chat_id"]] |= set(str(text).replace("'", " ").replace(".", " ").replace(",", " ").split())
    for contact, ids in world.written.items():
        chat = chats.get(contact, {"id": "", "held": "bot"})
        for one in ids:
            count = told[contact, world.words[one]]
            found.answered_twice += count > 1
            if count == 0 and world.words[one] not in maybe[chat["id"]]:
                found.handed_over += chat["held"] != "bot"
                found.unanswered += chat["held"] == "bot"


def _order(witness: list[dict[str, Any]], outbox: dict[str, Any], found: Findings) -> None:
    last: dict[str, int] = {}
    for body in witness:
        row = outbox.get(str(body.get("biz_opaque_callback_data")))
        if row is not None and row["purpose"] == "answer":
            found.out_of_order += row["seq"] < last.get(row["chat_id"], 0)
            last[row["chat_id"]] = row["seq"]


def _approvals(world: World, outbox: dict[str, Any], asked: Counter[str], found: Findings) -> None:
    if not world.proposals:
        return
    first = [row for row in outbox.values() if row["purpose"] == "first_contact"]
    states = {row["id"]: row["state"] for row in world.rows("SELECT id, state FROM proposals")}
    found.approvals_wrong = sum(states.get(one) != "executed" for one in world.proposals)
    per_chat = Counter(row["chat_id"] for row in first)
    found.approvals_wrong += abs(len(world.proposals) - len(first)) + sum(count > 1 for count in per_chat.values())
    found.approvals_wrong += sum(asked[row["id"]] != 1 and row["state"] != "unknown" for row in first)
