"""Two records become one, and one becomes two again.

Of each field the value stays that a person said, else the one told last: a rule that does not depend on which merge
came first. The other record is hidden, not deleted, and what hung on it follows; the merge keeps a list of what moved.
Undoing puts back what nobody has touched since; merges on top of it are undone first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from business.crm.access import TABLE, CrmPart, Row, row_of
from business.crm.events import Happened, emit
from business.crm.identity import Key
from business.crm.model import FIELDS, Subject
from business.crm.search import words_of, write_words
from business.crm.upsert import stored_keys, write_rows
from core.audit import audit
from core.db import Connection, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Identity

_HANGS_ON = {
    Subject.CONTACT: (("crm_deals", "contact_id"), ("crm_activities", "contact_id"), ("crm_tasks", "contact_id")),
    Subject.COMPANY: (
        ("crm_deals", "company_id"),
        ("crm_activities", "company_id"),
        ("crm_tasks", "company_id"),
        ("crm_contacts", "company_id"),
    ),
}
_MERGED = {Subject.CONTACT: Happened.CONTACT_MERGED, Subject.COMPANY: Happened.COMPANY_MERGED}
_UNMERGED = {Subject.CONTACT: Happened.CONTACT_UNMERGED, Subject.COMPANY: Happened.COMPANY_UNMERGED}


@dataclass(frozen=True)
class Merge:
    id: str
    subject: Subject
    kept_id: str
    other_id: str
    by_user: str
    at: datetime
    undone_at: datetime | None


class MergesPart(CrmPart):
    async def merge(self, who: Identity, subject: Subject, kept_id: str, other_id: str) -> str:
        """Let `other_id` go up in `kept_id`; the id of the merge, for `undo_merge`.

        Refused: crm_not_allowed, crm_unknown. ArgumentsWrong("crm_merge_self").
        """
        own = self._writes(who)
        if kept_id == other_id:
            raise ArgumentsWrong("crm_merge_self", "a record cannot be merged with itself")
        now = self._clock.now()
        merge_id = new_id("merge")
        async with self._db.tenant(who.tenant_id) as conn:
            rows = {id_: await row_of(conn, subject, id_, own, lock=True) for id_ in sorted((kept_id, other_id))}
            before, other = rows[kept_id], rows[other_id]
            after = {**joined(before, other, subject), "updated_at": now.isoformat()}
            moved = await _move(conn, subject, kept_id, other_id)
            await write_rows(conn, subject, [after, {**other, "merged_into": kept_id}])
            after = await row_of(conn, subject, kept_id, None)  # as the database writes it
            await conn.execute(
                """INSERT INTO crm_merges
                       (tenant_id, id, subject, kept_id, other_id, kept_before, kept_after, moved, by_user, at)
                   VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [merge_id, subject, kept_id, other_id, Jsonb(before), Jsonb(after), Jsonb(moved), who.user_id, now],
            )
            await _rewrite_words(conn, subject, [kept_id, other_id])
            await emit(conn, _MERGED[subject], kept_id, now, other_id=other_id, merge_id=merge_id)
            await audit(conn, who, "crm.merged", kept_id, {"other": other_id, "merge": merge_id})
        return merge_id

    async def undo_merge(self, who: Identity, merge_id: str) -> None:
        """Make two of one again. Nothing happens when it is undone already.

        Refused: crm_not_allowed, crm_merge_unknown, crm_merge_later_first (merge: the id of the one to undo before).
        """
        own = self._writes(who)
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            query = "SELECT * FROM crm_merges WHERE id = %s FOR UPDATE"
            found = await fetch_one(conn, query, [merge_id])
            if found is None:
                raise Refused("crm_merge_unknown", f"no merge {merge_id[:80]!r}")
            if found["undone_at"] is not None:
                return
            subject, kept_id, other_id = Subject(found["subject"]), found["kept_id"], found["other_id"]
            query = """SELECT id FROM crm_merges WHERE undone_at IS NULL AND seq > %s
                       AND (kept_id IN (%s, %s) OR other_id IN (%s, %s)) ORDER BY seq DESC LIMIT 1"""
            values = [found["seq"], kept_id, other_id, kept_id, other_id]
            later = await fetch_one(conn, query, values)
            if later is not None:
                raise Refused("crm_merge_later_first", f"undo {later['id']} before", merge=later["id"])
            current = await row_of(conn, subject, kept_id, own, lock=True)
            query = f"SELECT to_jsonb(r) AS row FROM {TABLE[subject]} r WHERE id = %s FOR UPDATE"
            other = await fetch_one(conn, query, [other_id])
            if other is None:
                raise Refused("crm_merge_unknown", f"the other record of {merge_id} is gone")
            restored = parted(found["kept_before"], found["kept_after"], current, subject, now.isoformat())
            await write_rows(conn, subject, [restored, {**other["row"], "merged_into": None}])
            await _move_back(conn, kept_id, other_id, found["moved"])
            await conn.execute(
                "UPDATE crm_merges SET undone_by = %s, undone_at = %s WHERE id = %s", [who.user_id, now, merge_id]
            )
            await _rewrite_words(conn, subject, [kept_id, other_id])
            await emit(conn, _UNMERGED[subject], kept_id, now, other_id=other_id, merge_id=merge_id)
            await audit(conn, who, "crm.unmerged", kept_id, {"other": other_id, "merge": merge_id})

    async def merges(self, who: Identity, subject: Subject, record_id: str) -> list[Merge]:
        """The merges of a record, latest first, undone ones too. Refused("crm_unknown")."""
        async with self._db.tenant(who.tenant_id) as conn:
            await row_of(conn, subject, record_id, self._reads(who))
            query = """SELECT id, subject, kept_id, other_id, by_user, at, undone_at FROM crm_merges
                       WHERE kept_id = %s OR other_id = %s ORDER BY seq DESC"""
            rows = await fetch_all(conn, query, [record_id, record_id])
        return [Merge(**{**row, "subject": Subject(row["subject"])}) for row in rows]


# --- rows -----------------------------------------------------------------------------------------


def joined(one: Row, other: Row, subject: Subject) -> Row:
    """`one` with what `other` knows better. Joining several gives the same in every order."""
    row = {**one, "facts": dict(one["facts"]), "custom": dict(one["custom"])}
    for name in FIELDS[subject]:
        if _better(other, one, name, other[name], one[name]):
            row[name] = other[name]
            _take_fact(row, other, name)
    for name, value in other["custom"].items():
        if _better(other, one, f"custom.{name}", value, one["custom"].get(name)):
            row["custom"][name] = value
            _take_fact(row, other, f"custom.{name}")
    row["tags"] = sorted({*one["tags"], *other["tags"]})
    row["created_at"] = min(one["created_at"], other["created_at"], key=datetime.fromisoformat)
    return row


def _better(a: Row, b: Row, name: str, value: Any, than: Any) -> bool:
    if value is None or than is None:
        return value is not None and than is None
    return _rank(a, name, value) > _rank(b, name, than)


def _rank(row: Row, name: str, value: Any) -> tuple[Any, ...]:
    """What a person said is before what was told last; what was told in one moment goes by its letters."""
    fact = row["facts"].get(name)
    if fact is None:
        return (False, "", str(value), "", "")
    at = datetime.fromisoformat(fact["at"]).isoformat()
    return (fact["by_person"], at, str(value), fact["source"], fact["reference"])


def _take_fact(row: Row, other: Row, name: str) -> None:
    row["facts"].pop(name, None)
    if name in other["facts"]:
        row["facts"][name] = other["facts"][name]


def parted(before: Row, after: Row, current: Row, subject: Subject, at: str) -> Row:
    """`current` without what the merge brought; what was changed since stays."""
    row = {**current, "facts": dict(current["facts"]), "custom": dict(current["custom"])}
    touched = False
    for name in FIELDS[subject]:
        if current[name] == after[name] and current["facts"].get(name) == after["facts"].get(name):
            row[name] = before[name]
            _take_fact(row, before, name)
        else:
            touched = True
    for name in {*before["custom"], *after["custom"], *current["custom"]}:
        fact = f"custom.{name}"
        same_value = current["custom"].get(name) == after["custom"].get(name)
        if not same_value or current["facts"].get(fact) != after["facts"].get(fact):
            touched = True
            continue
        row["custom"].pop(name, None)
        if name in before["custom"]:
            row["custom"][name] = before["custom"][name]
        _take_fact(row, before, fact)
    brought = {*after["tags"]} - {*before["tags"]}
    same_tags = {*current["tags"]} == {*after["tags"]}
    row["tags"] = before["tags"] if same_tags else sorted({*current["tags"]} - brought)
    row["created_at"] = before["created_at"]
    touched |= not same_tags or current["updated_at"] != after["updated_at"]
    row["updated_at"] = at if touched else before["updated_at"]
    return row


# --- what hangs on a record -----------------------------------------------------------------------


async def _move(conn: Connection, subject: Subject, kept_id: str, other_id: str) -> dict[str, Any]:
    """Hang everything of the other on the kept one; what was moved, for the way back."""
    swapped = await _swap(conn, kept_id, other_id, None)
    query = """UPDATE crm_keys k SET subject_id = %s WHERE subject_id = %s AND NOT EXISTS (
                   SELECT FROM crm_keys has WHERE has.subject_id = %s AND has.kind = k.kind AND has.value = k.value)
               RETURNING kind, value"""
    keys = await fetch_all(conn, query, [kept_id, other_id, kept_id])
    moved: dict[str, Any] = {"swapped": swapped, "keys": sorted([row["kind"], row["value"]] for row in keys)}
    for table, column in _HANGS_ON[subject]:
        update = f"UPDATE {table} SET {column} = %s WHERE {column} = %s RETURNING id"
        rows = await fetch_all(conn, update, [kept_id, other_id])
        moved[f"{table}.{column}"] = sorted(row["id"] for row in rows)
    return moved


async def _move_back(conn: Connection, kept_id: str, other_id: str, moved: dict[str, Any]) -> None:
    for place, ids in moved.items():
        if place == "keys":
            query = """UPDATE crm_keys SET subject_id = %s WHERE subject_id = %s AND (kind, value) IN (
                           SELECT * FROM unnest(%s::text[], %s::text[]))"""
            await conn.execute(query, [other_id, kept_id, [kind for kind, _ in ids], [value for _, value in ids]])
        elif place == "swapped":
            await _swap(conn, kept_id, other_id, ids)
        else:
            table, column = place.split(".")
            update = f"UPDATE {table} SET {column} = %s WHERE {column} = %s AND id = ANY(%s)"
            await conn.execute(update.encode(), [other_id, kept_id, ids])


async def _swap(conn: Connection, kept_id: str, other_id: str, only: list[list[str]] | None) -> list[list[str]]:
    """Of a key that both have, the kept record shows the writing that was known first; the other holds the second."""
    query = """
        UPDATE crm_keys a SET given = b.given, source = b.source, reference = b.reference, at = b.at
        FROM crm_keys b, crm_keys kept, crm_keys other
        WHERE a.kind = b.kind AND a.value = b.value
          AND kept.subject_id = %s AND other.subject_id = %s
          AND (kept.kind, kept.value) = (a.kind, a.value) AND (other.kind, other.value) = (a.kind, a.value)
          AND ((a.subject_id = kept.subject_id AND b.subject_id = other.subject_id)
            OR (a.subject_id = other.subject_id AND b.subject_id = kept.subject_id))
          AND CASE WHEN %s::text[] IS NULL
                   THEN (other.at, other.source, other.reference, other.given)
                      < (kept.at, kept.source, kept.reference, kept.given)
                   ELSE (a.kind || ' ' || a.value) = ANY(%s) END
        RETURNING a.kind, a.value"""
    names = None if only is None else [f"{kind} {value}" for kind, value in only]
    rows = await fetch_all(conn, query, [kept_id, other_id, names, names])
    return [list(pair) for pair in sorted({(row["kind"], row["value"]) for row in rows})]


async def _rewrite_words(conn: Connection, subject: Subject, ids: list[str]) -> None:
    """Words are of live records only."""
    query = f"SELECT to_jsonb(r) AS row FROM {TABLE[subject]} r WHERE id = ANY(%s)"
    words: dict[str, tuple[str | None, set[str]]] = {}
    for found in await fetch_all(conn, query, [ids]):
        row = found["row"]
        keys = [Key(key.kind, key.value, key.given) for key in await stored_keys(conn, row["id"])]
        words[row["id"]] = (row["owner_id"], set() if row["merged_into"] else words_of(row, keys, subject))
    await write_words(conn, subject, words)
