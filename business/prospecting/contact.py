"""The first message to a lead, as a change that a person approves: planned, shown, edited, checked again.

There is no way of sending yet. A yes is refused before anything is claimed (`ready`), so the message stays where it is,
waiting; nothing here pretends that something was sent. Whoever connects a door hands in `send`.

Every message ends with a notice that code adds and nobody edits away: who writes, where the contact is from and since
when, how to be left alone (LGPD, Lei 13.709/2018, art. 9º and art. 18).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from business.approvals.model import Change, Preview, ReadBack
from business.prospecting.searches import AREA
from core import formats
from core.db import Database
from core.errors import ArgumentsWrong, Refused

KIND = "first_contact"
MOST_LETTERS = 1_000
"""Of a text that a stranger shall read; WhatsApp takes 4,096, and nobody reads them."""

Channel = Literal["whatsapp", "phone", "email"]
"""`phone`: a telephone of which nobody knows whether it has WhatsApp."""
KnownFrom = Literal["registry", "map", "website", "web"]

Blocked = Callable[[str, Sequence[tuple[str, str]]], Awaitable[bool]]
"""(tenant id, [(kind of key, as given)]): whether one of them is on the list of those not to be contacted."""


def plan_first_contact(
    *,
    company_id: str,
    candidate_id: str,
    name: str,
    channel: Channel,
    to: str,
    keys: Sequence[tuple[str, str]],
    text: str,
    notice: str,
    known_from: KnownFrom,
    known_on: date,
    reference: str,
) -> Change:
    """A message to a company of the CRM: `to` by `channel`, known from where since when (`reference`, an address).

    `keys` are all by which the company is known: a block of any of them counts. `notice` goes below the text.
    ArgumentsWrong("first_contact_text", most).
    """
    return Change(
        KIND,
        company_id,
        {
            "candidate": candidate_id,
            "name": name,
            "channel": channel,
            "to": to,
            "keys": [list(key) for key in keys],
            "text": _checked(text),
            "notice": notice,
            "known_from": known_from,
            "known_on": known_on.isoformat(),
            "sandbox": simulated(reference),
        },
    )


def whole_text(change: Change) -> str:
    """What would be sent: the text and the notice."""
    return f"{change.data['text']}\n\n{change.data['notice']}"


def simulated(reference: str) -> bool:
    """Whether an address is of a simulator: then the company does not exist, and its number may be somebody's."""
    host = urlsplit(reference).hostname or ""
    return host in ("127.0.0.1", "::1", "localhost") or host.endswith((".example", ".test", ".invalid"))


class FirstContactHandler:
    """Changes of kind "first_contact". app.py registers it with Crm.blocked as `blocked` (tools/leads.py)."""

    kind = KIND
    area = AREA

    def __init__(self, db: Database, blocked: Blocked) -> None:
        self._db = db
        self._blocked = blocked

    def effect(self, change: Change) -> str:
        return "SEND"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        """Company, channel, number or address, where that is from, the text, and what code adds to it."""
        data = change.data
        warnings: list[tuple[str, dict[str, Any]]] = [("first_contact.no_door", {})]
        if data["sandbox"]:
            warnings.append(("first_contact.sandbox", {}))
        return Preview(
            title="first_contact.title",
            title_params={"name": data["name"]},
            lines=[
                ("first_contact.company", data["name"]),
                ("first_contact.channel", (f"first_contact.channel.{data['channel']}", {})),
                ("first_contact.to", data["to"] if data["channel"] == "email" else formats.phone(data["to"])),
                ("first_contact.source", (f"first_contact.known_from.{data['known_from']}", {})),
                ("first_contact.since", date.fromisoformat(data["known_on"])),
                ("first_contact.text", data["text"]),
                ("first_contact.notice", data["notice"]),
            ],
            warnings=warnings,
            editable={"text": data["text"]},
        )

    async def ready(self, tenant_id: str, change: Change) -> None:
        """Refused("no_door_to_send"): nothing is connected by which a message could leave."""
        raise Refused("no_door_to_send", "no channel is connected by which a first message could be sent")

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Refused: sandbox_never_sends, lead_gone (rejected, lost, erased since), lead_blocked."""
        data = change.data
        if data["sandbox"]:
            raise Refused("sandbox_never_sends", "the company is simulated")
        if not await self._is_lead(tenant_id, data["candidate"], change.target):
            raise Refused("lead_gone", "the company is no lead any more")
        if await self._blocked(tenant_id, [(kind, given) for kind, given in data["keys"]]):
            raise Refused("lead_blocked", "the company is on the do-not-contact list")

    async def apply(self, tenant_id: str, change: Change) -> None:
        raise Refused("no_door_to_send", "no channel is connected by which a first message could be sent")

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        return ReadBack.NOT_APPLIED  # nothing can have left

    def inverse(self, change: Change) -> Change | None:
        """A message that was read cannot be taken back."""
        return None

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """Another text. ArgumentsWrong: edit_not_possible (field), first_contact_text (most)."""
        if wrong := set(edits) - {"text"}:
            raise ArgumentsWrong("edit_not_possible", f"cannot edit {sorted(wrong)}", field=min(wrong))
        if not edits:
            return change
        return replace(change, data={**change.data, "text": _checked(edits["text"])})

    async def _is_lead(self, tenant_id: str, candidate_id: str, company_id: str) -> bool:
        """Saved to the CRM, and neither rejected nor decided since: won, lost, "not this kind"."""
        async with self._db.tenant(tenant_id) as conn:
            row = await (
                await conn.execute(
                    """SELECT 1 FROM prospect_candidates c WHERE c.id = %s AND c.company_id = %s AND c.state = 'saved'
                       AND NOT EXISTS (SELECT 1 FROM prospect_feedback f WHERE f.candidate_id = c.id)""",
                    [candidate_id, company_id],
                )
            ).fetchone()
        return row is not None


def _checked(text: str) -> str:
    text = text.strip()
    if not text or len(text) > MOST_LETTERS:
        raise ArgumentsWrong("first_contact_text", f"1 to {MOST_LETTERS} letters", most=MOST_LETTERS)
    return text
