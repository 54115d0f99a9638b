"""The documents that answers to contacts may be taken from: text and Markdown files, kept in the long-term memory.

A file is cut into passages at its headings; each is found again by its words and its meaning and always told with the
file and the heading it is from. The folder of a company (business/sales/files.py) is brought in by `sync`, which also
forgets files that are gone; what was added by command stays until it is removed.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from business.sales.files import DOCUMENT_ENDINGS, LARGEST_DOCUMENT, SalesFiles
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong
from core.words import folded
from memory.long_term import Item, LongTermMemory, Subject
from memory.shelf import KINDS

COLLECTION = "documents"
JOB = "documents_sync"

_MOST_PASSAGE = 900  # letters: what fits on a telephone and into a prompt
_MOST_PASSAGES = 400  # of one file
_LONGEST_NAME = 200
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_COMMON = frozenset(
    """
    a o as os um uma de da do das dos para por com sem e ou que em no na nos nas ao se me meu minha voce voces vcs
    vc tem ter ha sao eh ser como qual quais quando onde quem porque pra pro isso esse essa este esta mais muito
    ja so eu tu ele ela eles elas the an of for to in on at is are does you your i we it how what when where which
    who there have has can el la los las un una y en con sin es son su sus cual cuando donde hay tiene tienen oi
    ola bom dia boa tarde noite favor gostaria queria saber pode podem fazem faz sobre ta ah ai entao tipo assim
    mesmo ne blz ok sim nao nossa hum and please alguem ninguem gente coisa preciso precisa quero aqui posso poderia
    consigo quiser quanto quantos quantas aceita aceitam existe possivel trabalha trabalham
    """.split()
)
_COST = "custa"
_COSTS = frozenset(
    "paga pago pagas pagos custa custam cobrada cobrado gratis gratuita gratuito free paid costs".split()
)
"""Words of one question, whether something costs anything: "a primeira conversa é paga?", "… não custa nada"."""
_HALF = 0.5
"""More than this share of what is asked has to stand in a passage that answers, or this where its heading says it."""
_TELLING = 2  # passages, of those found, that a word may stand in and still say which one is meant


@dataclass(frozen=True)
class Document:
    name: str
    title: str
    size: int
    passages: int
    from_folder: bool


@dataclass(frozen=True)
class Passage:
    """`source`: the file; `heading`: where in it. `answers`: the key words asked for stand in it, as far as rules can
    tell; who can read judges by the text."""

    text: str
    title: str
    heading: str
    source: str
    answers: bool


@dataclass(frozen=True)
class Search:
    """`available` False: there is no memory to look in right now."""

    passages: list[Passage]
    available: bool


@dataclass(frozen=True)
class Synced:
    added: int
    changed: int
    removed: int
    skipped: tuple[str, ...]
    """Files that could not be read as text."""


class Library:
    def __init__(self, db: Database, clock: Clock, memory: LongTermMemory, files: SalesFiles) -> None:
        self._db = db
        self._clock = clock
        self._memory = memory
        self._files = files

    async def search(self, tenant_id: str, query: str, most: int = 3) -> Search:
        """The passages that say most of what is asked, the best first. Raises nothing for a memory that is away."""
        recall = await self._memory.search(tenant_id, COLLECTION, query, limit=most * 5)
        wanted = _content(query)
        held = [_stems(f"{one.item.payload['heading']} {one.item.payload['text']}") for one in recall.found]
        standing = {word: sum(word in stems for stems in held) for word in wanted}
        passages = []
        for found, stems in zip(recall.found, held, strict=True):
            payload = found.item.payload
            share = _share(standing, stems)
            telling = {word for word in wanted if word in stems and standing[word] <= _TELLING}
            about = telling & _stems(payload["heading"])
            answers = bool(telling) and (share > _HALF or (share == _HALF and bool(about)))
            near = tuple(-round(found.why[kind][1], 3) if kind in found.why else 0.0 for kind in KINDS)
            key = (-share, *near, found.item.reference, payload["heading"])  # ties in one order, whoever asks again
            passages.append((key, Passage(payload["text"], payload["title"], payload["heading"], found.item.reference,
                                            answers)))  # fmt: skip
        passages.sort(key=lambda one: one[0])
        return Search([passage for _, passage in passages[:most]], recall.available)

    async def add(self, tenant_id: str, name: str, text: str) -> Document:
        """Keep a document under its name; one of that name is replaced.

        ArgumentsWrong: sales_document_name (endings), sales_document_empty (name), sales_document_long (name, most).
        """
        async with self._db.tenant(tenant_id) as conn:
            return await self._put(conn, tenant_id, name, text, from_folder=False)

    async def list(self, tenant_id: str) -> list[Document]:
        """All documents of a tenant by name."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(conn, "SELECT * FROM sales_documents ORDER BY name")
        return [Document(r["name"], r["title"], r["size"], len(r["passages"]), r["from_folder"]) for r in rows]

    async def remove(self, tenant_id: str, name: str) -> bool:
        """Forget a document. False when there is none of that name. One whose file still lies in the folder comes back
        with the next `sync`."""
        async with self._db.tenant(tenant_id) as conn:
            return await self._forget(conn, tenant_id, name)

    async def sync(self, tenant_id: str, slug: str) -> Synced:
        """Bring the folder of the company in: new and changed files are read, those that are gone forgotten."""
        folder = self._files.documents_folder(slug)
        read: dict[str, str] = {}
        skipped = []
        for path in self._files.documents(slug):
            name = path.relative_to(folder).as_posix()
            try:
                if path.stat().st_size > LARGEST_DOCUMENT:
                    raise ValueError("too large")
                text = path.read_bytes().decode("utf-8-sig")
            except (OSError, ValueError):
                skipped.append(name)
                continue
            if text.strip() and "\0" not in text:
                read[name] = text
            else:
                skipped.append(name)
        added = changed = removed = 0
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('documents ' || current_tenant(), 0))")
            rows = await fetch_all(conn, "SELECT name, sha256, from_folder FROM sales_documents")
            before = {row["name"]: row for row in rows}
            for name, row in before.items():
                if row["from_folder"] and name not in read and name not in skipped:
                    removed += await self._forget(conn, tenant_id, name)
            for name, text in read.items():
                known = before.get(name)
                if known is not None and (known["sha256"] == _digest(text) or not known["from_folder"]):
                    continue
                await self._put(conn, tenant_id, name, text, from_folder=True)
                added, changed = added + (known is None), changed + (known is not None)
        return Synced(added, changed, removed, tuple(skipped))

    async def run(self, tenant_id: str) -> None:
        """The body of the job `JOB`."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT slug FROM tenants WHERE id = %s", [tenant_id])
        if row is not None:
            await self.sync(tenant_id, row["slug"])

    async def catch_up(self, tenant_id: str) -> None:
        """Bring the index to what was kept, for a command that is not followed by a worker."""
        await self._memory.catch_up(tenant_id)

    async def _put(self, conn: Connection, tenant_id: str, name: str, text: str, *, from_folder: bool) -> Document:
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or PurePosixPath(name).suffix.lower() not in DOCUMENT_ENDINGS:
            endings = ", ".join(sorted(DOCUMENT_ENDINGS))
            raise ArgumentsWrong("sales_document_name", f"{name[:80]!r}: {endings}", endings=endings)
        if not text.strip() or "\0" in text:
            raise ArgumentsWrong("sales_document_empty", f"{name} has no text", name=name)
        if len(text.encode()) > LARGEST_DOCUMENT:
            raise ArgumentsWrong("sales_document_long", f"{name} is too long", name=name, most=LARGEST_DOCUMENT)
        title, passages = cut(text, PurePosixPath(name).stem)
        await self._forget(conn, tenant_id, name)
        items = [
            Item(
                f"{name}#{place}",
                f"{heading}\n{body}",
                "file",
                name,
                Subject("document", name),
                payload={"title": title, "heading": heading, "text": body},
            )
            for place, (heading, body) in enumerate(passages, 1)
        ]
        await self._memory.put(conn, tenant_id, COLLECTION, items)
        size = len(text.encode())
        await conn.execute(
            """INSERT INTO sales_documents (tenant_id, name, title, sha256, size, passages, from_folder, added_at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s)""",
            [tenant_id, name, title, _digest(text), size, [i.id for i in items], from_folder, self._clock.now()],
        )
        return Document(name, title, size, len(items), from_folder)

    async def _forget(self, conn: Connection, tenant_id: str, name: str) -> bool:
        row = await fetch_one(conn, "DELETE FROM sales_documents WHERE name = %s RETURNING passages", [name])
        if row is None:
            return False
        await self._memory.forget(conn, tenant_id, COLLECTION, row["passages"])
        return True


def cut(text: str, stem: str) -> tuple[str, list[tuple[str, str]]]:
    """(title, [(heading, passage)]): at headings, and long parts at paragraphs, then at sentences."""
    title, headings, body = "", [""] * 7, list[str]()
    parts: list[tuple[str, str]] = []

    def close() -> None:
        heading = " › ".join(one for one in headings[2:] if one) or headings[1]
        parts.extend((heading, one) for one in _portions("\n".join(body).strip()))
        body.clear()

    for line in text.replace("\r\n", "\n").split("\n"):
        if found := _HEADING.match(line):
            close()
            level = len(found[1])
            headings[level:] = [found[2][:200], *[""] * (6 - level)]
            title = title or found[2][:200]
        else:
            body.append(line)
    close()
    title = title or stem.replace("-", " ").replace("_", " ")
    return title, [(heading or title, one) for heading, one in parts[:_MOST_PASSAGES]]


def _portions(text: str) -> list[str]:
    portions: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        rest = paragraph.strip()
        while rest:
            if portions and len(portions[-1]) + len(rest) + 1 <= _MOST_PASSAGE:
                portions[-1] += f"\n{rest}"
                break
            if len(rest) <= _MOST_PASSAGE:
                portions.append(rest)
                break
            end = max(rest.rfind(mark, 0, _MOST_PASSAGE) for mark in (". ", "! ", "? ", "\n"))
            end = end + 1 if end > _MOST_PASSAGE // 3 else rest.rfind(" ", 1, _MOST_PASSAGE)
            end = end if end > 0 else _MOST_PASSAGE
            portions.append(rest[:end].strip())
            rest = rest[end:].strip()
    return portions


def _content(text: str) -> list[str]:
    return list(dict.fromkeys(_stem(word) for word in folded(text).split() if word not in _COMMON and len(word) > 1))


def _stems(text: str) -> set[str]:
    return {_stem(word) for word in folded(text).split()}


def _share(standing: Mapping[str, int], stems: set[str]) -> float:
    """Which part of the words asked for stands in a passage, where a word counts the less the more passages it stands
    in: "anúncio" says little in the documents of an agency. `standing`: word → in how many of those found."""
    weights = {word: 1 / max(1, count) for word, count in standing.items()}
    return sum(weight for word, weight in weights.items() if word in stems) / sum(weights.values()) if weights else 0.0


def _stem(word: str) -> str:
    """The first letters of a word, so that its forms agree: pagar, pagamento; fidelidade, fiel not."""
    if word in _COSTS:
        return _COST
    return word[:5] if len(word) > 5 else word[:-1] if len(word) > 3 and word.endswith("s") else word


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
