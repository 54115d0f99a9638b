"""Finding a record by pieces of what is known of it, under row-level security.

LIKE, @@ and the operators of arrays are not leakproof, so PostgreSQL will not use their indexes below a policy
(docs/decisions/0013). What is looked for therefore lies as plain words in a table, and a prefix is a range of a B-tree:
`word >= 'camp' AND word < 'camp…'`, which is leakproof.
"""

import re
from collections.abc import Iterable
from typing import Any

from business.crm.access import TABLE, CrmPart, Row
from business.crm.identity import Key, KeyKind, phone
from business.crm.model import Found, Subject
from core.db import Connection, fetch_all, fetch_one
from core.tenancy import Identity
from core.words import folded

_LONGEST_WORD = 60  # characters
_MOST_WORDS = 80  # of one record
_MOST_ASKED = 6
_MOST_HITS, _MOST_TOGETHER = 2_000, 20_000
"""Hits of the only word asked for, and of the longest of several: of more, the first in the alphabet are looked at."""
_MOST_RECORDS = 500
"""Of those that have every word, the newest, are read and put in order."""
_LAST = "\U0010ffff"
_DOMAIN = re.compile(r"(?:[\w-]+\.)+(?:com|net|org|info|app|io|[a-z]{3}\.br|br|ar|es|mx|example)(?:\.[a-z]{2})?")
_TELEPHONE = re.compile(r"[\d\s()+./-]{4,25}")
_NAMES = {Subject.CONTACT: ("name", "company_name"), Subject.COMPANY: ("trade_name", "legal_name")}


def words_of(row: Row, keys: Iterable[Key], subject: Subject) -> set[str]:
    """Everything by which a record may be looked for. "=ana lima" stands for a whole name (see `whole_name`)."""
    found: set[str] = set()
    texts = [*(row[name] for name in _NAMES[subject]), row["city"], row.get("uf"), *row["tags"]]
    for text in texts:
        found.update(folded(text or "").split())
    found |= {whole_tag(tag) for tag in row["tags"]}
    for name in _NAMES[subject] if subject is Subject.COMPANY else ("name",):
        if row[name]:
            found.add(whole_name(row[name]))
    if row.get("website"):
        found.add(re.sub(r"^(?:https?://)?(?:www\.)?", "", row["website"].casefold()).partition("/")[0])
    for key in keys:
        if key.kind in (KeyKind.PHONE, KeyKind.WA_ID):
            found |= _of_number(key.value)
        elif key.kind is KeyKind.EMAIL:
            found |= {key.value, key.value.partition("@")[2]}
        else:
            found.add(key.value.rpartition("/")[2].casefold())
    return {word[:_LONGEST_WORD] for word in sorted(found)[:_MOST_WORDS] if word}


def whole_name(name: str) -> str:
    """The word by which a record without any key is found again."""
    return f"={folded(name)}"[:_LONGEST_WORD]


def whole_tag(tag: str) -> str:
    return f"#{folded(tag)}"[:_LONGEST_WORD]


def _of_number(value: str) -> set[str]:
    """The beginnings at which people start to type a number: area code, number, number without its 9, last four."""
    if not value.startswith("+55"):
        return {value.lstrip("+?"), value[-4:]}
    national, local = value[3:], value[5:]
    return {national, local, local[-8:], local[-4:]}


def asked_words(text: str) -> list[str]:
    """The words of a search; a telephone in any writing is one word."""
    text = text.strip()[:200]
    if _TELEPHONE.fullmatch(text):
        value = phone(text)
        digits = re.sub(r"\D", "", text)
        return [value[3:] if value and value.startswith("+55") else value.lstrip("+?") if value else digits]
    if " " not in text and ("@" in text or _DOMAIN.fullmatch(text.casefold())):
        return [text.lstrip("@").casefold()]
    return [word[:_LONGEST_WORD] for word in dict.fromkeys(folded(text).split())][:_MOST_ASKED]


async def write_words(
    conn: Connection, subject: Subject, words: dict[str, tuple[str | None, set[str]]], *, fresh: bool = False
) -> None:
    """Replace the words of these records (id → owner and words); `fresh` ones have none yet. Words that stay are not
    written."""
    rows = [(word, record_id, owner) for record_id, (owner, of) in words.items() for word in of]
    columns = [[row[place] for row in rows] for place in range(3)]
    if not fresh:
        await conn.execute(
            """DELETE FROM crm_words d WHERE subject_id = ANY(%s) AND NOT EXISTS (
               SELECT FROM unnest(%s::text[], %s::text[]) AS u (w, i) WHERE u.w = d.word AND u.i = d.subject_id)""",
            [list(words), *columns[:2]],
        )
    await conn.execute(
        """INSERT INTO crm_words AS known (tenant_id, subject, word, subject_id, owner_id)
           SELECT current_tenant(), %s, w, i, o FROM unnest(%s::text[], %s::text[], %s::text[]) AS u (w, i, o)
           ON CONFLICT (tenant_id, subject, word, subject_id) DO UPDATE SET owner_id = excluded.owner_id
           WHERE known.owner_id IS DISTINCT FROM excluded.owner_id""",
        [subject, *columns],
    )


class SearchPart(CrmPart):
    async def search(
        self,
        who: Identity,
        text: str = "",
        *,
        subjects: tuple[Subject, ...] = (Subject.CONTACT, Subject.COMPANY),
        tag: str | None = None,
        owner_id: str | None = None,
        limit: int = 20,
    ) -> list[Found]:
        """Records in which every word of `text` begins a word: names, company, city, tags, e-mails, documents, handles,
        and telephones from their area code, their number or their last four digits on. Without `text`, the latest.

        At most `limit` (1 to 200) of each subject, by name; of more than 500 that fit, the newest 500 are put in order.
        """
        own = self._reads(who)
        limit = max(1, min(limit, 200))
        found: list[Found] = []
        if own is not None and owner_id not in (None, own):
            return found
        async with self._db.tenant(who.tenant_id) as conn:
            for subject in subjects:
                rows = await _look(conn, subject, asked_words(text), tag, own or owner_id, limit)
                found += [_found(subject, row) for row in rows]
        return found


async def _look(
    conn: Connection, subject: Subject, words: list[str], tag: str | None, owner_id: str | None, limit: int
) -> list[Row]:
    # A long word has few hits, so it comes first: its hits are what the others' are compared with.
    ranges = [(word, word + _LAST) for word in sorted(words, key=len, reverse=True)]
    where, values = ["r.merged_into IS NULL"], list[Any]()
    if owner_id is not None:
        where.append("r.owner_id = %s")
        values.append(owner_id)
    if tag is not None:
        whole = (whole_tag(tag), whole_tag(tag) + "\x01")
        if words or await _is_rare(conn, subject, whole, owner_id):
            ranges.append(whole)
        else:  # so many have it that going through the latest records finds enough of them soon
            where.append("%s = ANY(r.tags)")
            values.append(tag.casefold())
    if ranges:
        most = _MOST_HITS if len(ranges) == 1 else _MOST_TOGETHER
        hits = " INTERSECT ".join(
            f"(SELECT subject_id FROM crm_words WHERE {_in_range(owner_id)}{f' LIMIT {most}' if n == 0 else ''})"
            for n in range(len(ranges))
        )
        where.append(
            f"r.id = ANY(ARRAY(SELECT subject_id FROM ({hits}) AS h ORDER BY subject_id DESC LIMIT {_MOST_RECORDS}))"
        )
        values += [value for one in ranges for value in _range_values(subject, one, owner_id)]
    name, other = _NAMES[subject]
    order = f"coalesce(r.{name}, r.{other}), r.id" if words else "r.updated_at DESC, r.id"
    query = f"""SELECT r.id, r.{name} AS name, r.{other} AS other, r.city, r.tags, r.owner_id FROM {TABLE[subject]} r
                WHERE {" AND ".join(where)} ORDER BY {order} LIMIT {limit}"""
    return await fetch_all(conn, query, values)


async def _is_rare(conn: Connection, subject: Subject, one: tuple[str, str], owner_id: str | None) -> bool:
    query = f"""SELECT count(*) AS n FROM (
                    SELECT FROM crm_words WHERE {_in_range(owner_id)} LIMIT {_MOST_RECORDS}) AS hits"""
    row = await fetch_one(conn, query, _range_values(subject, one, owner_id))
    return row is not None and row["n"] < _MOST_RECORDS


def _in_range(owner_id: str | None) -> str:
    return "subject = %s AND word >= %s AND word < %s" + ("" if owner_id is None else " AND owner_id = %s")


def _range_values(subject: Subject, one: tuple[str, str], owner_id: str | None) -> list[Any]:
    return [subject, *one, *([] if owner_id is None else [owner_id])]


def _found(subject: Subject, row: Row) -> Found:
    company = row["other"] if subject is Subject.CONTACT else None
    called = row["name"] if subject is Subject.CONTACT else row["name"] or row["other"]
    return Found(subject, row["id"], called, company, row["city"], tuple(row["tags"]), row["owner_id"])
