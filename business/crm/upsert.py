"""Bringing people and companies in, once each: found by what identifies them, made when they are new, asked about when
it is not clear.

Whoever brings a key in holds a lock on it until the commit, so two writers with one person's telephone come one after
the other, and the second finds the first one's record.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from business.crm.access import TABLE, CrmPart, Row, row_of
from business.crm.custom import checked_custom, fields_of
from business.crm.identity import Evidence, Key, KeyKind, Match, Record, Verdict, key, keys_in, match
from business.crm.model import (
    Candidate,
    Company,
    CompanyData,
    Contact,
    ContactData,
    Data,
    Outcome,
    Source,
    StoredKey,
    Subject,
    Upserted,
)
from business.crm.names import Likeness, compare_companies, compare_people
from business.crm.rows import (
    Folded,
    as_company,
    as_contact,
    clean,
    clean_tags,
    empty_row,
    fold,
    name_of,
    record_of,
    subject_of,
)
from business.crm.search import whole_name, words_of, write_words
from core.db import Connection, fetch_all
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.ids import new_id
from core.tenancy import Identity

_LOCKS = 256
"""Per tenant. A file's batch takes most of them, a single person's keys two or three."""
_ONES_OWN = frozenset({KeyKind.CPF, KeyKind.BSUID, KeyKind.LID})
_MOST_KEYS = 40
_MOST_HOLDERS = 50
"""Of one key are compared. What more have (a call centre's number) is nobody's; those of the same name come besides."""
_CERTAINTY = (Verdict.SAME, Verdict.ASK, Verdict.DIFFERENT)


@dataclass
class Told:
    """Data made ready: its keys in the compared form, and the words by which a record without keys is found."""

    data: Data
    keys: list[Key]
    ignored: list[tuple[KeyKind, str, str]]
    name: str | None
    handles: set[str] = field(default_factory=set)
    """What it shares with whatever may be the same: values of keys, or its whole name."""


@dataclass
class Known:
    """A record that shares something with what is told. `version` changes with every writing of its row."""

    row: Row
    keys: list[Key]
    version: str


def made_ready(data: Data, into: str | None = None) -> Told:
    """`into`: the record that is meant, which then needs no name and no key. ArgumentsWrong: crm_nothing_told,
    crm_too_many_keys (most)."""
    keys: list[Key] = []
    ignored: list[tuple[KeyKind, str, str]] = []
    for kind, given in data.keys:
        given = clean(given)
        if not given:
            continue
        found = keys_in(kind, given[:300])
        keys += found
        if not found:
            ignored.append((kind, given, f"crm.key.{kind}_invalid"))
    name = data.name if isinstance(data, ContactData) else data.trade_name or data.legal_name
    name = clean(name or "") or None
    if not keys and not name and into is None:
        raise ArgumentsWrong("crm_nothing_told", "neither a name nor a key")
    if len(keys) > _MOST_KEYS:
        raise ArgumentsWrong("crm_too_many_keys", f"more than {_MOST_KEYS} keys", most=_MOST_KEYS)
    handles = {found.value for found in keys if not found.value.startswith("?")}
    return Told(data, keys, ignored, name, handles or {whole_name(name or into or "")})


class UpsertPart(CrmPart):
    # --- bringing in --------------------------------------------------------------------------

    async def upsert_contact(
        self, who: Identity, data: ContactData, *, dry_run: bool = False, into: str | None = None, as_new: bool = False
    ) -> Upserted:
        """Bring a person in. `into` says who it is, `as_new` that it is nobody who is known.

        Nothing is written when nothing is new (UNCHANGED), when it is not clear who is meant (AMBIGUOUS, with the
        candidates and why), or with `dry_run`, which says what would be.
        Refused: crm_not_allowed, crm_unknown (`into`, company_id), crm_of_another (it is a colleague's, for a role that
        sees only its own), crm_key_taken. ArgumentsWrong: crm_nothing_told, crm_text_too_long, crm_field_unknown,
        crm_field_wrong, crm_owner_unknown, crm_too_many_tags, crm_too_many_keys.
        """
        return await self._upsert_one(who, data, dry_run, into, as_new)

    async def upsert_company(
        self, who: Identity, data: CompanyData, *, dry_run: bool = False, into: str | None = None, as_new: bool = False
    ) -> Upserted:
        """Bring a company in; as `upsert_contact`. The CNPJ is a key."""
        return await self._upsert_one(who, data, dry_run, into, as_new)

    async def _upsert_one(self, who: Identity, data: Data, dry_run: bool, into: str | None, as_new: bool) -> Upserted:
        self._writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            told = await self._ready(conn, who, data, into)
            (found,) = await self.upsert_batch(conn, who, [told], write=not dry_run, into=into, as_new=as_new)
        if isinstance(found, MutiraoError):
            raise found
        return found

    async def _ready(self, conn: Connection, who: Identity, data: Data, into: str | None) -> Told:
        own = self._writes(who)
        if own is not None and data.owner_id not in (None, own):
            raise Refused("crm_not_allowed", "records of one's own only")
        if data.custom:
            known = await fields_of(conn, subject_of(data))
            data = replace(data, custom=checked_custom(known, data.custom))
        if isinstance(data, ContactData) and data.company_id:
            company = await row_of(conn, Subject.COMPANY, data.company_id, own)
            data = replace(data, company_name=data.company_name or name_of(company, Subject.COMPANY))
        return made_ready(data, into)

    async def upsert_batch(
        self,
        conn: Connection,
        who: Identity,
        batch: Sequence[Told],
        *,
        write: bool,
        into: str | None = None,
        as_new: bool = False,
    ) -> list[Upserted | MutiraoError]:
        """What becomes of each, in their order, within the caller's transaction. All are of one subject.

        Those that share something with an earlier one of the batch are looked at after it was written.
        """
        own = self._writes(who)
        results: dict[int, Upserted | MutiraoError] = {}
        waiting = list(enumerate(batch))
        async with conn.pipeline():  # what needs no answer does not wait for one
            if write:
                await _lock(conn, who.tenant_id, {handle for told in batch for handle in told.handles})
            while waiting:
                wave: list[tuple[int, Told]] = []
                later: list[tuple[int, Told]] = []
                taken: set[str] = set()
                for place, told in waiting:
                    (later if told.handles & taken else wave).append((place, told))
                    taken |= told.handles
                found = await self._wave(conn, who, own, [told for _, told in wave], write, into, as_new)
                results |= {place: result for (place, _), result in zip(wave, found, strict=True)}
                waiting = later
        return [results[place] for place in range(len(batch))]

    async def _wave(
        self,
        conn: Connection,
        who: Identity,
        own: str | None,
        wave: list[Told],
        write: bool,
        into: str | None,
        as_new: bool,
    ) -> list[Upserted | MutiraoError]:
        subject = subject_of(wave[0].data)
        at = self._clock.now().isoformat()
        if subject is Subject.CONTACT:
            await _link_companies(conn, own, wave)
        if into is not None:
            await row_of(conn, subject, into, own)
        while True:
            known = await _known(conn, subject, wave, into)
            results, writing = self._decided(who, subject, at, own, wave, known, into, as_new)
            # Rows are locked only to be changed: a lock is a write, and what is known already writes nothing.
            if not write or await writing.hold(conn):
                break
        if write:
            await writing.write(conn)
        return results

    def _decided(
        self,
        who: Identity,
        subject: Subject,
        at: str,
        own: str | None,
        wave: list[Told],
        known: list[Known],
        into: str | None,
        as_new: bool,
    ) -> "tuple[list[Upserted | MutiraoError], _Writing]":
        target = next((one for one in known if one.row["id"] == into), None)
        if into is not None and target is None:
            raise Refused("crm_unknown", f"no {subject} {into[:80]!r} any more")
        by_handle: dict[str, dict[str, Known]] = {}
        for one in known:
            for handle in _handles(one, subject):
                by_handle.setdefault(handle, {})[one.row["id"]] = one
        writing = _Writing(who, subject, at)
        results: list[Upserted | MutiraoError] = []
        for told in wave:
            try:
                touching = {id_: one for handle in told.handles for id_, one in by_handle.get(handle, {}).items()}
                touching.pop(into or "", None)
                candidates = [touching[id_] for id_ in sorted(touching)]
                results.append(_decide(told, candidates, target, as_new, own, writing))
            except MutiraoError as error:
                results.append(error)
        return results, writing

    # --- looking ------------------------------------------------------------------------------

    async def contact(self, who: Identity, contact_id: str) -> Contact:
        """Refused("crm_unknown")."""
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, Subject.CONTACT, contact_id, self._reads(who))
            return as_contact(row, await stored_keys(conn, contact_id))

    async def company(self, who: Identity, company_id: str) -> Company:
        """Refused("crm_unknown")."""
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, Subject.COMPANY, company_id, self._reads(who))
            return as_company(row, await stored_keys(conn, company_id))

    async def contacts_with(self, who: Identity, kind: KeyKind, given: str) -> list[Contact]:
        """The contacts that have this key, in any of its writings; a telephone finds a WhatsApp id and back."""
        own = self._reads(who)
        made = key(kind, given)
        async with self._db.tenant(who.tenant_id) as conn:
            found = await _with_key(conn, Subject.CONTACT, made, own)
            return [as_contact(row, await stored_keys(conn, row["id"])) for row in found]

    async def companies_with(self, who: Identity, kind: KeyKind, given: str) -> list[Company]:
        """The companies that have this key."""
        own = self._reads(who)
        made = key(kind, given)
        async with self._db.tenant(who.tenant_id) as conn:
            found = await _with_key(conn, Subject.COMPANY, made, own)
            return [as_company(row, await stored_keys(conn, row["id"])) for row in found]

    async def contacts_of_company(self, who: Identity, company_id: str) -> list[Contact]:
        """Refused("crm_unknown") for the company; of its contacts those that the user may see."""
        own = self._reads(who)
        query = """SELECT to_jsonb(r) AS row FROM crm_contacts r WHERE company_id = %s AND merged_into IS NULL
                   AND (%s::text IS NULL OR owner_id = %s) ORDER BY name, id LIMIT 500"""
        async with self._db.tenant(who.tenant_id) as conn:
            await row_of(conn, Subject.COMPANY, company_id, own)
            rows = await fetch_all(conn, query, [company_id, own, own])
            return [as_contact(found["row"], await stored_keys(conn, found["row"]["id"])) for found in rows]

    # --- changing by hand ---------------------------------------------------------------------

    async def clear_fields(self, who: Identity, subject: Subject, record_id: str, names: Sequence[str]) -> None:
        """Make plain or custom ("custom.<name>") fields unknown again. ArgumentsWrong("crm_field_unknown", field)."""
        own = self._writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, subject, record_id, own, lock=True)
            plain = {*empty_row("", "", subject, "")} - {
                "tenant_id", "id", "custom", "tags", "facts", "merged_into", "created_at", "updated_at"
            }  # fmt: skip
            if own is not None:
                plain -= {"owner_id"}
            for name in names:
                if name.startswith("custom."):
                    row["custom"].pop(name.removeprefix("custom."), None)
                elif name in plain:
                    row[name] = None
                else:
                    raise ArgumentsWrong("crm_field_unknown", f"no field {name!r}", field=name)
                row["facts"].pop(name, None)
            await self._rewrite(conn, subject, row)

    async def tag(
        self, who: Identity, subject: Subject, record_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """The tags as they are then. ArgumentsWrong: crm_text_too_long, crm_too_many_tags."""
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, subject, record_id, self._writes(who), lock=True)
            tags = sorted(({*row["tags"]} - {*clean_tags(remove)}) | {*clean_tags(add)})
            if len(tags) > 50:
                raise ArgumentsWrong("crm_too_many_tags", "more than 50 tags", most=50)
            if tags != sorted(row["tags"]):
                row["tags"] = tags
                await self._rewrite(conn, subject, row)
        return tuple(tags)

    async def remove_key(self, who: Identity, subject: Subject, record_id: str, kind: KeyKind, given: str) -> bool:
        """Whether there was such a key, in any of its writings."""
        made = key(kind, given)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await row_of(conn, subject, record_id, self._writes(who), lock=True)
            gone = await conn.execute(
                "DELETE FROM crm_keys WHERE subject_id = %s AND kind = %s AND value = %s",
                [record_id, kind, made.value if made else ""],
            )
            if gone.rowcount:
                await self._rewrite(conn, subject, row)
        return bool(gone.rowcount)

    async def _rewrite(self, conn: Connection, subject: Subject, row: Row) -> None:
        row["updated_at"] = self._clock.now().isoformat()
        await write_rows(conn, subject, [row])
        keys = [Key(found.kind, found.value, found.given) for found in await stored_keys(conn, row["id"])]
        await write_words(conn, subject, {row["id"]: (row["owner_id"], words_of(row, keys, subject))})


# --- deciding -------------------------------------------------------------------------------------


def _decide(
    told: Told, candidates: list[Known], target: Known | None, as_new: bool, own: str | None, writing: "_Writing"
) -> Upserted:
    subject = writing.subject
    compared = [] if as_new else [(one, _compared(told, one, subject)) for one in candidates]
    same = [one for one, found in compared if found.verdict is Verdict.SAME]
    unclear = [(one, found) for one, found in compared if found.verdict is not Verdict.DIFFERENT]
    if target is None and len(same) == 1 and len(unclear) == 1:
        (target,) = same
        if own is not None and target.row["owner_id"] != own:
            raise Refused("crm_of_another", "this record belongs to a colleague")
    elif (target is None and unclear) or (target is not None and same):
        return Upserted(
            Outcome.AMBIGUOUS,
            None,
            candidates=tuple(
                Candidate(one.row["id"], name_of(one.row, subject), found)
                if own is None or one.row["owner_id"] == own
                else Candidate("", None, Match(found.verdict, (), found.rule))
                for one, found in unclear
            ),
            ignored=tuple(told.ignored),
        )
    if target is not None:
        folded = fold(target.row, target.keys, told.data, told.keys, writing.at)
        if folded.changes:
            writing.update(target, folded, told.data)
        outcome = Outcome.UPDATED if folded.changes else Outcome.UNCHANGED
        return Upserted(outcome, target.row["id"], folded.changes, kept=tuple(folded.kept), ignored=tuple(told.ignored))
    data = told.data if told.data.owner_id or own is None else replace(told.data, owner_id=own)
    row = empty_row(writing.who.tenant_id, new_id("con" if subject is Subject.CONTACT else "com"), subject, writing.at)
    folded = fold(row, [], data, told.keys, writing.at)
    writing.create(folded.row, folded.new_keys, told.data)
    return Upserted(Outcome.CREATED, row["id"], folded.changes, ignored=tuple(told.ignored))


def _handles(one: Known, subject: Subject) -> set[str]:
    """By what a known record may be meant: its keys, its whole name."""
    name = name_of(one.row, subject)
    return {found.value for found in one.keys} | ({whole_name(name)} if name else set())


def _compared(told: Told, one: Known, subject: Subject) -> Match:
    """The matcher's verdict. A company is known by two names, so the nearest pair of them counts."""
    records = [_as_told(told, name) for name in _names_told(told.data)]
    others = [record_of(one.row, one.keys, subject)]
    if subject is Subject.COMPANY:
        names = {one.row["trade_name"], one.row["legal_name"]} - {None} or {None}
        others = [replace(others[0], company=name) for name in sorted(names, key=str)]
    found = min((match(a, b) for a in records for b in others), key=lambda m: _CERTAINTY.index(m.verdict))
    if not told.keys and _identical(told, one, subject):
        return Match(Verdict.SAME, (Evidence("nothing_differs", 2, {"value": told.name or ""}),), "nothing_differs")
    shared = {(found.kind, found.value) for found in told.keys} & {(found.kind, found.value) for found in one.keys}
    if found.verdict is Verdict.DIFFERENT and any(kind in _ONES_OWN for kind, _ in shared):
        return Match(Verdict.ASK, found.evidence, "keys_agree_but_names_do_not")
    return found


def _names_told(data: Data) -> list[str | None]:
    if isinstance(data, ContactData):
        return [data.name]
    return sorted({data.trade_name, data.legal_name} - {None}, key=str) or [None]


def _as_told(told: Told, name: str | None) -> Record:
    data = told.data
    if isinstance(data, ContactData):
        return Record(data.name, data.company_name, data.city, data.address, tuple(told.keys))
    return Record(None, name, data.city, data.address, tuple(told.keys))


def _identical(told: Told, one: Known, subject: Subject) -> bool:
    """The same name, company and city, and there is more than a name or nothing else is known: the same line again."""
    data = told.data
    same_city = (data.city or "").casefold() == (one.row["city"] or "").casefold()
    if isinstance(data, ContactData):
        company = compare_companies(data.company_name, one.row["company_name"])
        same_company = company is Likeness.SAME or not (data.company_name or one.row["company_name"])
        same_name = compare_people(told.name, name_of(one.row, subject)) is Likeness.SAME
        more = bool(data.company_name or data.city)
    else:
        same_company, more = True, bool(data.city)
        same_name = compare_companies(told.name, name_of(one.row, subject)) is Likeness.SAME
    return same_name and same_company and same_city and (more or not one.keys)


# --- the database ---------------------------------------------------------------------------------


class _Writing:
    """What a wave writes, in a handful of statements however many records it has."""

    def __init__(self, who: Identity, subject: Subject, at: str) -> None:
        self.who, self.subject, self.at = who, subject, at
        self._created: list[Row] = []
        self._updated: list[Row] = []
        self._before: dict[str, str] = {}  # id → version
        self._keys: list[Row] = []
        self._words: dict[str, tuple[str | None, set[str]]] = {}
        self._new_words: dict[str, tuple[str | None, set[str]]] = {}
        self._activities: list[Row] = []

    def create(self, row: Row, keys: list[Key], data: Data) -> None:
        self._created.append(row)
        self._add_keys(row["id"], keys, data.source)
        self._new_words[row["id"]] = (row["owner_id"], words_of(row, keys, self.subject))

    def update(self, known: Known, folded: Folded, data: Data) -> None:
        self._before[known.row["id"]] = known.version
        self._updated.append(folded.row)
        self._add_keys(known.row["id"], folded.new_keys, data.source)
        words = (folded.row["owner_id"], words_of(folded.row, [*known.keys, *folded.new_keys], self.subject))
        if words != (known.row["owner_id"], words_of(known.row, known.keys, self.subject)):
            self._words[known.row["id"]] = words
        names = [name.partition(" ")[0] for name in folded.changes]  # of a key its kind, not itself
        facts = {"fields": names, "source": data.source.name, "reference": data.source.reference}
        self._activities.append(
            {
                "tenant_id": self.who.tenant_id, "id": new_id("act"), f"{self.subject}_id": known.row["id"],
                "kind": "changed", "text": "", "data": facts, "actor": self.who.user_id, "at": self.at,
            }
        )  # fmt: skip

    def _add_keys(self, record_id: str, keys: list[Key], source: Source) -> None:
        for found in keys:
            self._keys.append(
                {
                    "tenant_id": self.who.tenant_id, "subject": self.subject, "subject_id": record_id,
                    "kind": found.kind, "value": found.value, "given": found.given, "source": source.name,
                    "reference": source.reference, "at": source.at.isoformat() if source.at else self.at,
                }
            )  # fmt: skip

    async def hold(self, conn: Connection) -> bool:
        """Lock the rows that will be changed; False when one of them is not any more what was decided upon."""
        if not self._before:
            return True
        query = f"SELECT id, xmin::text AS version FROM {TABLE[self.subject]} WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
        rows = await fetch_all(conn, query, [list(self._before)])
        return {row["id"]: row["version"] for row in rows} == self._before

    async def write(self, conn: Connection) -> None:
        try:
            async with conn.pipeline():  # in one round trip
                if self._created:
                    await _insert(conn, TABLE[self.subject], self._created)
                if self._updated:
                    await write_rows(conn, self.subject, self._updated)
                if self._keys:
                    await _insert(conn, "crm_keys", self._keys)
                if self._new_words:
                    await write_words(conn, self.subject, self._new_words, fresh=True)
                if self._words:
                    await write_words(conn, self.subject, self._words)
                if self._activities:
                    await _insert(conn, "crm_activities", self._activities)
        except psycopg.errors.UniqueViolation:
            raise Refused("crm_key_taken", "a document or id of this record belongs to another one") from None
        except psycopg.errors.ForeignKeyViolation:
            raise ArgumentsWrong("crm_owner_unknown", "no such user") from None


async def _insert(conn: Connection, table: str, rows: list[Row]) -> None:
    query = f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, %s)"
    await conn.execute(query.encode(), [Jsonb(rows)])


async def write_rows(conn: Connection, subject: Subject, rows: list[Row]) -> None:
    """Put whole rows in the place of what they were."""
    table = TABLE[subject]
    names = [name for name in rows[0] if name not in ("tenant_id", "id")]
    query = f"""UPDATE {table} t SET {", ".join(f"{name} = n.{name}" for name in names)}
                FROM jsonb_populate_recordset(NULL::{table}, %s) n WHERE t.id = n.id"""
    await conn.execute(query.encode(), [Jsonb(rows)])


async def _lock(conn: Connection, tenant_id: str, handles: set[str]) -> None:
    """Hold the handles' locks to the end of the transaction; always in one order, so that nobody waits in a circle."""
    buckets = {int.from_bytes(hashlib.blake2b(handle.encode(), digest_size=2).digest()) % _LOCKS for handle in handles}
    locks = sorted(_lock_number(f"crm {tenant_id} {bucket}") for bucket in buckets)
    await conn.execute("SELECT pg_advisory_xact_lock(lock) FROM unnest(%s::bigint[]) AS lock", [locks])


def _lock_number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


async def _known(conn: Connection, subject: Subject, wave: list[Told], into: str | None) -> list[Known]:
    """Every live record that shares a key with one of these, or the whole name with one that has no key."""
    values = sorted({handle for told in wave if told.keys for handle in told.handles})
    names = sorted({handle for told in wave if not told.keys for handle in told.handles})
    both = [
        (whole_name(told.name), value) for told in wave if told.name and told.keys for value in sorted(told.handles)
    ]
    query = f"""
        SELECT to_jsonb(r) AS row, r.xmin::text AS version,
               (SELECT jsonb_agg(jsonb_build_array(k.kind, k.value, k.given)) FROM crm_keys k
                WHERE k.subject_id = r.id) AS keys
        FROM {TABLE[subject]} r
        WHERE r.merged_into IS NULL AND r.id = ANY(ARRAY(
            SELECT h.subject_id FROM unnest(%s::text[]) AS v CROSS JOIN LATERAL (
                SELECT subject_id FROM crm_keys WHERE subject = '{subject}' AND value = v LIMIT {_MOST_HOLDERS}) AS h
            UNION SELECT h.subject_id FROM unnest(%s::text[]) AS n CROSS JOIN LATERAL (
                SELECT subject_id FROM crm_words WHERE subject = '{subject}' AND word = n LIMIT {_MOST_HOLDERS}) AS h
            UNION SELECT h.subject_id FROM unnest(%s::text[], %s::text[]) AS b (n, v) CROSS JOIN LATERAL (
                SELECT w.subject_id FROM crm_words w JOIN crm_keys k ON k.subject_id = w.subject_id AND k.value = v
                WHERE w.subject = '{subject}' AND w.word = n LIMIT {_MOST_HOLDERS}) AS h
            UNION SELECT %s))
        ORDER BY r.id"""
    asked = [values, names, [name for name, _ in both], [value for _, value in both], into]
    rows = await fetch_all(conn, query, asked)
    return [
        Known(
            row["row"], [Key(KeyKind(kind), value, given) for kind, value, given in row["keys"] or []], row["version"]
        )
        for row in rows
    ]


async def _link_companies(conn: Connection, own: str | None, wave: list[Told]) -> None:
    """A contact with a CNPJ belongs to the company that has it, when that is known here and may be seen."""
    wanted = {
        found.value
        for told in wave
        for found in told.keys
        if found.kind is KeyKind.CNPJ and isinstance(told.data, ContactData) and not told.data.company_id
    }
    if not wanted:
        return
    query = """SELECT k.value, r.id, coalesce(r.trade_name, r.legal_name) AS name
               FROM crm_keys k JOIN crm_companies r ON r.id = k.subject_id
               WHERE k.subject = 'company' AND k.kind = 'cnpj' AND k.value = ANY(%s) AND r.merged_into IS NULL
                     AND (%s::text IS NULL OR r.owner_id = %s)"""
    rows = await fetch_all(conn, query, [sorted(wanted), own, own])
    companies = {row["value"]: row for row in rows}
    for told in wave:
        company = next((companies[found.value] for found in told.keys if found.value in companies), None)
        if company and isinstance(told.data, ContactData) and not told.data.company_id:
            name = told.data.company_name or company["name"]
            told.data = replace(told.data, company_id=company["id"], company_name=name)


async def _with_key(conn: Connection, subject: Subject, made: Key | None, own: str | None) -> list[Row]:
    if made is None:
        return []
    kinds = ["phone", "wa_id"] if made.kind in (KeyKind.PHONE, KeyKind.WA_ID) else [str(made.kind)]
    query = f"""SELECT to_jsonb(r) AS row FROM {TABLE[subject]} r
                WHERE merged_into IS NULL AND (%s::text IS NULL OR owner_id = %s) AND id = ANY(ARRAY(
                    SELECT subject_id FROM crm_keys WHERE subject = '{subject}' AND value = %s AND kind = ANY(%s)))
                ORDER BY id LIMIT 100"""
    rows = await fetch_all(conn, query, [own, own, made.value, kinds])
    return [row["row"] for row in rows]


async def stored_keys(conn: Connection, record_id: str) -> list[StoredKey]:
    query = "SELECT kind, value, given, source, reference, at FROM crm_keys WHERE subject_id = %s"
    rows: list[dict[str, Any]] = await fetch_all(conn, query, [record_id])
    return [StoredKey(**{**row, "kind": KeyKind(row["kind"])}) for row in rows]
