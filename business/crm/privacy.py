"""What the law gives a person (LGPD, arts. 9, 16 and 18): to know where their data is from, to have it, to be left
alone, and to be forgotten.

Forgetting leaves one thing behind, a hash of each telephone and address that must not be contacted: without it the next
file would bring the person back into the next campaign.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from business.crm.access import TABLE, CrmPart, Row, note_activity, row_of
from business.crm.events import Happened, emit
from business.crm.identity import Key, KeyKind, keys_in
from business.crm.model import StoredKey, Subject
from business.crm.names import words_in_name
from business.crm.rows import clean
from business.crm.upsert import stored_keys
from core.audit import audit
from core.db import Connection, fetch_all
from core.errors import ArgumentsWrong
from core.tenancy import Identity

REACHABLE = frozenset({KeyKind.PHONE, KeyKind.WA_ID, KeyKind.EMAIL, KeyKind.BSUID, KeyKind.LID, KeyKind.INSTAGRAM,
                       KeyKind.LINKEDIN})  # fmt: skip
"""Kinds of keys by which somebody can be written to or called."""
_FORGOTTEN = "[…]"
_WRITTEN_IN = (
    ("crm_activities", "text"), ("crm_tasks", "title"), ("crm_deals", "title"), ("crm_deals", "lost_reason")
)  # fmt: skip


class BlockReason(StrEnum):
    """Why a key is on the list; a word, because the list outlives the person's data."""

    OPTED_OUT = "opted_out"
    ERASED = "erased"
    BOUNCED = "bounced"
    ASKED = "asked"  # somebody here was asked to
    SAID = "said"  # in a conversation, whose ledger has it, and in which it may be taken back (tools/do_not_contact.py)


@dataclass(frozen=True)
class Origin:
    """What one source told: the names of fields ("name", "phone"), the source, where exactly, and when."""

    fields: tuple[str, ...]
    source: str
    reference: str
    by_person: bool
    at: datetime


@dataclass(frozen=True)
class WhereFrom:
    """The answer to "de onde vocês têm meus dados?"; `purpose` None when whoever brought the data did not say."""

    purpose: str | None
    since: datetime
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Blocked:
    """Why a key must not be contacted, and since when."""

    kind: KeyKind
    given: str
    reason: BlockReason
    since: datetime


class PrivacyPart(CrmPart):
    # --- to be left alone ---------------------------------------------------------------------

    async def opt_out(
        self, who: Identity, contact_id: str, *, words: str, reason: BlockReason = BlockReason.OPTED_OUT
    ) -> None:
        """The person wants no more messages: every key by which they can be reached goes on the list. `words` are what
        they wrote, or how it is known. Refused: crm_not_allowed, crm_unknown."""
        own = self._writes(who)
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            await row_of(conn, Subject.CONTACT, contact_id, own)
            await _block(conn, who.tenant_id, await stored_keys(conn, contact_id), reason, now)
            await note_activity(conn, who, "opted_out", now, text=clean(words)[:1_000], contact_id=contact_id)
            await emit(conn, Happened.OPTED_OUT, contact_id, now)
            await audit(conn, who, "crm.opted_out", contact_id, {})

    async def block(self, who: Identity, kind: KeyKind, given: str, *, reason: BlockReason) -> None:
        """Put a key on the list, whether or not anybody here has it. ArgumentsWrong("crm_key_invalid", value)."""
        self._writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await _block(conn, who.tenant_id, _keys(kind, given), reason, self._clock.now())
            await audit(conn, who, "crm.blocked", kind, {})

    def must_be_allowed_to_unblock(self, who: Identity) -> None:
        """Refused("crm_not_allowed") for who may not change everybody's records: the list is the whole house's."""
        self._writes_all(who)

    async def unblock(self, who: Identity, kind: KeyKind, given: str) -> bool:
        """Take a key from the list, because its person asked for it; whether it was there. Refused("crm_not_allowed")
        as above; ArgumentsWrong("crm_key_invalid", value)."""
        self.must_be_allowed_to_unblock(who)
        hashes = [_hash(who.tenant_id, key) for key in _keys(kind, given)]
        async with self._db.tenant(who.tenant_id) as conn:
            gone = await conn.execute("DELETE FROM crm_do_not_contact WHERE hash = ANY(%s)", [hashes])
            await audit(conn, who, "crm.unblocked", kind, {"was": gone.rowcount})
        return bool(gone.rowcount)

    async def blocked(
        self, tenant_id: str, keys: Sequence[tuple[KeyKind, str]], within: Connection | None = None
    ) -> list[Blocked]:
        """Which of these (kind, as given) must not be contacted. For whoever is about to send: it asks for no role.
        `within`: the caller's transaction of the tenant."""
        made = {_hash(tenant_id, key): key for kind, given in keys for key in keys_in(kind, given)}
        query = "SELECT hash, reason, since FROM crm_do_not_contact WHERE hash = ANY(%s)"
        async with self._db.tenant(tenant_id, within) as conn:
            rows = await fetch_all(conn, query, [list(made)])
        return [
            Blocked(made[row["hash"]].kind, made[row["hash"]].given, BlockReason(row["reason"]), row["since"])
            for row in rows
        ]

    # --- to know ------------------------------------------------------------------------------

    async def where_from(self, who: Identity, subject: Subject, record_id: str) -> WhereFrom:
        """Where each thing that is known of a record is from, oldest first. Refused("crm_unknown")."""
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, subject, record_id, self._reads(who))
            keys = await stored_keys(conn, record_id)
        told: dict[tuple[str, str, bool, datetime], set[str]] = {}
        for name, fact in row["facts"].items():
            if name in ("owner_id", "purpose"):
                continue
            at = datetime.fromisoformat(fact["at"])
            told.setdefault((fact["source"], fact["reference"], fact["by_person"], at), set()).add(name)
        for key in keys:
            near = [origin for origin in told if origin[:2] == (key.source, key.reference) and origin[3] == key.at]
            origin = near[0] if near else (key.source, key.reference, False, key.at)
            told.setdefault(origin, set()).add(str(key.kind))
        origins = [
            Origin(tuple(sorted(names)), source, reference, by_person, at)
            for (source, reference, by_person, at), names in told.items()
        ]
        since = datetime.fromisoformat(row["created_at"])
        return WhereFrom(row["purpose"], since, tuple(sorted(origins, key=lambda one: (one.at, one.source))))

    async def export_person(self, who: Identity, contact_id: str) -> dict[str, Any]:
        """Everything that is kept of a contact and of those merged into it, as JSON. Refused("crm_unknown")."""
        own = self._reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, Subject.CONTACT, contact_id, own)
            ids = await _members(conn, Subject.CONTACT, contact_id)
            keys = await stored_keys(conn, contact_id)
            everything: dict[str, Any] = {"contact": row}
            for name, (query, values) in _of_person(ids, own).items():
                everything[name] = [found["row"] for found in await fetch_all(conn, query, values)]
            query = "SELECT reason, since::text FROM crm_do_not_contact WHERE hash = ANY(%s)"
            hashes = [_hash(who.tenant_id, key) for key in keys]
            everything["do_not_contact"] = await fetch_all(conn, query, [hashes])
            await audit(conn, who, "crm.exported", contact_id, {})
        return everything

    # --- to be forgotten ----------------------------------------------------------------------

    def must_be_allowed_to_erase(self, who: Identity) -> None:
        """Refused("crm_not_allowed") for who may not change everybody's records."""
        self._writes_all(who)

    async def erase(self, who: Identity, subject: Subject, record_id: str, *, keep_out: bool = False) -> dict[str, int]:
        """Erase a contact or company with all that was merged into it, and what was written about it: its timeline, its
        tasks, the words of its deals (stage, amount and dates stay), the merges' copies, and its name and keys in what
        was written elsewhere. `keep_out` puts its keys on the list of those not to be contacted first.

        How many rows were erased or rewritten, by table. Refused: crm_not_allowed, crm_unknown.
        """
        self._writes_all(who)
        now = self._clock.now()
        column = f"{subject}_id"
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, subject, record_id, None, lock=True)
            ids = await _members(conn, subject, record_id)
            keys = [key for id_ in ids for key in await stored_keys(conn, id_)]
            if keep_out:
                await _block(conn, who.tenant_id, keys, BlockReason.ERASED, now)
            traces = _traces(await _names(conn, subject, ids), keys)
            deals = "SELECT id FROM crm_deals WHERE " + column + " = ANY(%(ids)s)"
            steps = {
                "crm_activities": f"DELETE FROM crm_activities WHERE {column} = ANY(%(ids)s) OR deal_id IN ({deals})",
                "crm_tasks": f"DELETE FROM crm_tasks WHERE {column} = ANY(%(ids)s) OR deal_id IN ({deals})",
                "crm_deals": f"""UPDATE crm_deals SET title = id, lost_reason = NULL, custom = '{{}}', tags = '{{}}',
                                 {column} = NULL WHERE {column} = ANY(%(ids)s)""",
                "crm_keys": "DELETE FROM crm_keys WHERE subject_id = ANY(%(ids)s)",
                "crm_words": "DELETE FROM crm_words WHERE subject_id = ANY(%(ids)s)",
                "crm_merges": "DELETE FROM crm_merges WHERE kept_id = ANY(%(ids)s) OR other_id = ANY(%(ids)s)",
                TABLE[subject]: f"DELETE FROM {TABLE[subject]} WHERE id = ANY(%(ids)s)",
            }
            erased: dict[str, int] = {}
            for table, statement in steps.items():
                erased[table] = (await conn.execute(statement.encode(), {"ids": ids})).rowcount
            erased["elsewhere"] = await _forget_elsewhere(conn, traces)
            await emit(conn, Happened.ERASED, record_id, now, subject=str(subject), ids=ids)
            await audit(conn, who, "crm.erased", record_id, {"rows": sum(erased.values()), "since": row["created_at"]})
        return erased


def _keys(kind: KeyKind, given: str) -> list[Key]:
    found = keys_in(kind, given)
    if not found:
        raise ArgumentsWrong("crm_key_invalid", f"{given[:80]!r} is no {kind}", value=given[:80])
    return found


def _hash(tenant_id: str, key: Key | StoredKey) -> str:
    """Of one tenant only, so that two tenants' lists cannot be compared. A telephone and its WhatsApp id are one."""
    kind = KeyKind.PHONE if key.kind is KeyKind.WA_ID else key.kind
    return hashlib.sha256(f"{tenant_id}\0{kind}\0{key.value}".encode()).hexdigest()


async def _block(
    conn: Connection, tenant_id: str, keys: Iterable[Key | StoredKey], reason: BlockReason, now: datetime
) -> None:
    """What was there stays, but for what was only said in a conversation: the house's own word outlasts that one."""
    for key in keys:
        if key.kind in REACHABLE:
            await conn.execute(
                """INSERT INTO crm_do_not_contact AS l (tenant_id, hash, kind, reason, since)
                   VALUES (current_tenant(), %s, %s, %s, %s) ON CONFLICT (tenant_id, hash) DO UPDATE
                   SET reason = excluded.reason, since = excluded.since
                   WHERE l.reason = 'said' AND excluded.reason NOT IN ('said', 'bounced')""",
                [_hash(tenant_id, key), key.kind, reason, now],
            )


async def _members(conn: Connection, subject: Subject, record_id: str) -> list[str]:
    """The record and all that were merged into it, directly or through another."""
    query = f"""WITH RECURSIVE m AS (
                    SELECT id FROM {TABLE[subject]} WHERE id = %s
                    UNION SELECT r.id FROM {TABLE[subject]} r JOIN m ON r.merged_into = m.id)
                SELECT id FROM m ORDER BY id"""
    return [row["id"] for row in await fetch_all(conn, query, [record_id])]


def _of_person(ids: list[str], own: str | None) -> dict[str, tuple[str, list[Any]]]:
    """What hangs on a contact: name in the export → query and its values. A colleague's deals are left out."""
    deals = "SELECT id FROM crm_deals WHERE contact_id = ANY(%s) AND (%s::text IS NULL OR owner_id = %s)"
    of_contact = "(contact_id = ANY(%s) AND deal_id IS NULL OR deal_id IN (" + deals + "))"
    mine = [ids, own, own]
    return {
        "merged_records": (
            "SELECT to_jsonb(r) AS row FROM crm_contacts r WHERE id = ANY(%s) AND merged_into IS NOT NULL", [ids]
        ),
        "keys": ("SELECT to_jsonb(r) AS row FROM crm_keys r WHERE subject_id = ANY(%s) ORDER BY at", [ids]),
        "deals": (f"SELECT to_jsonb(r) AS row FROM crm_deals r WHERE id IN ({deals}) ORDER BY created_at", mine),
        "activities": (f"SELECT to_jsonb(r) AS row FROM crm_activities r WHERE {of_contact} ORDER BY at", [ids, *mine]),
        "tasks": (f"SELECT to_jsonb(r) AS row FROM crm_tasks r WHERE {of_contact} ORDER BY created_at", [ids, *mine]),
        "merges": (
            "SELECT to_jsonb(r) AS row FROM crm_merges r WHERE kept_id = ANY(%s) OR other_id = ANY(%s) ORDER BY at",
            [ids, ids],
        ),
        "events": ("SELECT to_jsonb(r) - 'xid' AS row FROM crm_events r WHERE subject_id = ANY(%s) ORDER BY at", [ids]),
    }  # fmt: skip


async def _names(conn: Connection, subject: Subject, ids: list[str]) -> list[str]:
    columns = "name, NULL" if subject is Subject.CONTACT else "trade_name, legal_name"
    query = f"SELECT array_remove(ARRAY[{columns}], NULL) AS names FROM {TABLE[subject]} WHERE id = ANY(%s)"
    rows = await fetch_all(conn, query, [ids])
    return [name for row in rows for name in row["names"]]


def _traces(names: Iterable[str], keys: Iterable[StoredKey]) -> list[str]:
    """What would still tell of a person in another text: whole names of two words and more, and keys as given."""
    found = {name for name in names if words_in_name(name) > 1}
    found |= {text for key in keys for text in (key.given, key.value) if len(text) >= 6}
    return sorted(found, key=len, reverse=True)


async def _forget_elsewhere(conn: Connection, traces: list[str]) -> int:
    """Take names and keys out of what was written on other records."""
    changed = 0
    for table, column in _WRITTEN_IN:
        where = " OR ".join([f"position(lower(%s) IN lower({column})) > 0"] * len(traces)) or "false"
        query = f"SELECT id, {column} AS text FROM {table} WHERE {where}"
        rows: list[Row] = await fetch_all(conn, query, traces)
        for row in rows:
            text = row["text"]
            for trace in traces:
                text = _without(text, trace)
            update = f"UPDATE {table} SET {column} = %s WHERE id = %s"
            await conn.execute(update.encode(), [text, row["id"]])
            changed += 1
    return changed


def _without(text: str, trace: str) -> str:
    lowered, wanted = text.lower(), trace.lower()
    if len(lowered) != len(text):  # a letter whose small form is longer: places would not agree
        return text.replace(trace, _FORGOTTEN)
    at = lowered.find(wanted)
    while at >= 0:
        text = text[:at] + _FORGOTTEN + text[at + len(trace) :]
        lowered = text.lower()
        at = lowered.find(wanted, at + len(_FORGOTTEN))
    return text
