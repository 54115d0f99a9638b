"""Finding a record by pieces of what is known of it, under row-level security.

LIKE, @@ and the operators of arrays are not leakproof, so PostgreSQL will not use their indexes below a policy
(docs/decisions/0013). What is looked for therefore lies as plain words in a table, and a prefix is a range of a B-tree:
`word >= 'camp' AND word < 'camp…'`, which is leakproof.
"""

import re
from collections.abc import Iterable

from business.crm.access import TABLE, CrmPart, Row
from business.crm.identity import Key, KeyKind, phone
from business.crm.model import Found, Subject
from core.db import Connection
from core.tenancy import Identity
from core.words import folded

_LONGEST_WORD = 60  # characters
_MOST_WORDS = 80  # of one record
_MOST_ASKED = 6
_MOST_HITS = 2_000
"""Of the rarest word asked for; of more, the first in the alphabet are looked at."""
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
    for name in _NAMES[subject]:
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


async def write_words(conn: Connection, subject: Subject, words: dict[str, set[str]], *, fresh: bool = False) -> None:
    """Replace the words of these records (id → words); `fresh` ones have none yet."""
    if not fresh:
        await conn.execute("DELETE FROM crm_words WHERE subject_id = ANY(%s)", [list(words)])
    pairs = [(word, record_id) for record_id, of in words.items() for word in of]
    await conn.execute(
        """INSERT INTO crm_words (tenant_id, subject, word, subject_id)
           SELECT current_tenant(), %s, w, i FROM unnest(%s::text[], %s::text[]) AS u (w, i)""",
        [subject, [word for word, _ in pairs], [record_id for _, record_id in pairs]],
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

        At most `limit` (1 to 200) of each subject, by name.
        """
        own = self._reads(who)
        limit = max(1, min(limit, 200))
        found: list[Found] = []
        async with self._db.tenant(who.tenant_id) as conn:
            for subject in subjects:
                rows = await self._look(conn, subject, asked_words(text), own, tag, owner_id, limit)
                found += [_found(subject, row) for row in rows]
        return found

    async def _look(
        self,
        conn: Connection,
        subject: Subject,
        words: list[str],
        own: str | None,
        tag: str | None,
        owner_id: str | None,
        limit: int,
    ) -> list[Row]:
        name, other = _NAMES[subject]
        where, values = ["merged_into IS NULL"], []
        if own is not None:
            where.append("owner_id = %s")
            values.append(own)
        if owner_id is not None:
            where.append("owner_id = %s")
            values.append(owner_id)
        if tag is not None:
            where.append("%s = ANY(tags)")
            values.append(tag.casefold())
        narrowed = len(where) > 1
        for n, word in enumerate(await _rarest_first(conn, subject, words)):
            most = f" LIMIT {_MOST_HITS}" if n == 0 and not narrowed else ""
            where.append(
                f"""id IN (SELECT subject_id FROM crm_words
                           WHERE subject = '{subject}' AND word >= %s AND word < %s{most})"""
            )
            values += [word, word + _LAST]
        order = f"coalesce({name}, {other}), id" if words else "updated_at DESC, id"
        query = f"""SELECT id, {name} AS name, {other} AS other, city, tags, owner_id FROM {TABLE[subject]}
                    WHERE {" AND ".join(where)} ORDER BY {order} LIMIT {limit}"""
        return await (await conn.execute(query.encode(), values)).fetchall()


async def _rarest_first(conn: Connection, subject: Subject, words: list[str]) -> list[str]:
    """Only the rarest word's hits are all looked at, so it has to come first."""
    if len(words) < 2:
        return words
    counts = []
    for word in words:
        query = f"""SELECT count(*) AS n FROM (SELECT FROM crm_words WHERE subject = %s AND word >= %s AND word < %s
                                               LIMIT {_MOST_HITS}) AS hits"""
        row = await (await conn.execute(query.encode(), [subject, word, word + _LAST])).fetchone()
        counts.append((row["n"] if row else 0, word))
    return [word for _, word in sorted(counts)]


def _found(subject: Subject, row: Row) -> Found:
    company = row["other"] if subject is Subject.CONTACT else None
    called = row["name"] if subject is Subject.CONTACT else row["name"] or row["other"]
    return Found(subject, row["id"], called, company, row["city"], tuple(row["tags"]), row["owner_id"])
