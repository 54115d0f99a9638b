"""The CRM at 100,000 contacts under row-level security: a part of `make bench`, alone `python -m bench.crm`.

On a database server of its own, written to disk as in production: the import of a list (with its progress and memory),
upserts one after the other and from eight processes at once, and searches as an administrator and as a seller who sees
their own tenth. Another tenant holds a fifth as much, which nobody may meet. `--explain` prints the plans of a search.
"""

import argparse
import asyncio
import csv
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg

from bench.machine import ForeignLoad, Machine
from bench.report import Figure, median, p95, read_json, table, write_json
from business.crm.identity import KeyKind
from business.crm.imports import CrmImports
from business.crm.model import CompanyData, ContactData, Outcome, Source, Subject
from business.crm.service import Crm
from business.people.service import People
from core.clock import SystemClock
from core.db import Database
from core.files import Files
from core.migrate import migrate
from core.permissions import Permissions
from core.postgres import Postgres
from core.tenancy import Identity, Role

CONTACTS = 100_000
UPSERT, SEARCH, MEMORY = 10.0, 50.0, 200.0
"""What is promised on two cores: milliseconds, milliseconds, MB above what the process had."""
TIMES = 300  # upserts of each kind, searches of each kind
WRITERS = 8
_ROOT = Path(__file__).parents[1]
_SOURCE = Source("bench", "python -m bench.crm")
_FIRST = (
    "Ana Maria João José Antônio Francisco Carlos Paulo Pedro Lucas Luiz Marcos Gabriel Rafael Daniel Marcelo "
    "Bruno Eduardo Felipe Rodrigo Fernanda Juliana Márcia Patrícia Aline Sandra Camila Amanda Bruna Jéssica "
    "Letícia Vera Luciana Vanessa Mariana Beatriz Ricardo Sérgio Jorge Cláudia Sílvia Regina Túlio Zélia Otávio "
    "Ivone"
).split()
_LAST = (
    "Silva Santos Oliveira Souza Rodrigues Ferreira Alves Pereira Lima Gomes Costa Ribeiro Martins Carvalho "
    "Almeida Lopes Soares Fernandes Vieira Barbosa Rocha Dias Nascimento Andrade Moreira Nunes Marques Machado "
    "Mendes Freitas Cardoso Ramos Gonçalves Teixeira Araújo Pinto Moura Cruz Melo Kuhn Zanella Bonatto Piovesan "
    "Tanaka"
).split()
_CITIES = ("Campinas", "São Paulo", "Belo Horizonte", "Curitiba", "Recife", "Salvador", "Sorocaba", "Santos", "Natal",
           "Manaus", "Porto Alegre", "Florianópolis", "Goiânia", "Vitória", "Fortaleza", "Londrina")  # fmt: skip
_TRADES = ("Arquitetura", "Odontologia", "Padaria", "Academia", "Fotografia", "Advocacia", "Estética", "Restaurante")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.crm", description=__doc__)
    arguments.add_argument("--contacts", type=int, default=CONTACTS, help=f"lines of the list ({CONTACTS})")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments.add_argument("--explain", action="store_true", help="print the plans of a search")
    arguments.add_argument("--write", nargs=3, metavar=("DSN", "TENANT", "USER"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.write:
        asyncio.run(write(*chosen.write))
        return
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        others = ForeignLoad(Path(name))
        with Postgres.start(Path(name) / "var") as postgres:
            migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
            figures = asyncio.run(measure(postgres, Path(name), chosen.contacts, chosen.explain))
            figures.append(Figure("the machine", "others meanwhile", "cores", others.cores()))
    print(table(machine, figures))
    if chosen.json:
        write_json(chosen.json, machine, figures)


def in_a_process_of_its_own(folder: Path, contacts: int = CONTACTS) -> list[Figure]:
    """The figures as another process measures them: what this one holds in memory would blur the import's."""
    file = folder / "crm.json"
    command = [sys.executable, "-m", "bench.crm", "--contacts", str(contacts), "--json", str(file)]
    subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return read_json(file)


async def measure(postgres: Postgres, folder: Path, contacts: int, explain: bool) -> list[Figure]:
    """All figures, in the order in which they are shown."""
    db = Database(postgres.app_dsn)
    await db.open()
    clock = SystemClock()
    try:
        async with db.system() as conn:
            permissions = await Permissions.load(conn)
        people = People(db, clock, sandbox=True)
        admin, seller = await _tenant(people, "um")
        stranger, _ = await _tenant(people, "dois")
        crm = Crm(db, clock, permissions)
        lists = CrmImports(db, clock, permissions, Files(db), None, people.identity)
        await _bring(lists, Files(db), stranger, _list(folder / "other.csv", contacts // 5, seed=2))
        figures = await _import(lists, Files(db), admin, _list(folder / "list.csv", contacts, seed=1))
        with psycopg.connect(postgres.owner_dsn, autocommit=True) as conn_of_owner:
            conn_of_owner.execute(
                "UPDATE crm_contacts SET owner_id = %s WHERE tenant_id = %s AND hashtext(id) %% 10 = 0",
                [seller.user_id, admin.tenant_id],
            )
            conn_of_owner.execute(
                """UPDATE crm_words w SET owner_id = r.owner_id FROM crm_contacts r
                   WHERE w.tenant_id = r.tenant_id AND w.subject_id = r.id AND r.owner_id IS NOT NULL"""
            )
            conn_of_owner.execute("VACUUM ANALYZE")  # autovacuum would, a minute later
            size = conn_of_owner.execute("SELECT pg_database_size(current_database())").fetchone()
        figures.append(
            Figure("the import of a list", f"{contacts:,} lines", "database MB", size[0] / 1e6 if size else 0)
        )
        figures += await _upserts(crm, admin)
        figures += await _searches(crm, admin, seller)
        figures += await _writers(postgres, db, admin)
        if explain:
            await _explain(postgres, db, admin)
        return figures
    finally:
        await db.close()


async def _tenant(people: People, slug: str) -> tuple[Identity, Identity]:
    tenant = await people.add_tenant(slug)
    made = [
        await people.add_user(tenant.id, f"{role.lower()}@{slug}.example", str(role), role, None)
        for role in (Role.ADMIN, Role.COMERCIAL)
    ]
    admin, seller = [await people.identity(tenant.id, user.id) for user in made]
    return admin, seller


# --- the import ---------------------------------------------------------------------------------------


def _list(path: Path, contacts: int, seed: int) -> Path:
    random = Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Nome", "Celular", "E-mail", "Empresa", "Cidade", "Etiquetas"])
        for n in range(contacts):
            first, middle, last = random.choice(_FIRST), random.choice(_LAST), random.choice(_LAST)
            firm = f"{random.choice(_TRADES)} {random.choice(_LAST)} {n % 5_000}"
            mobile = f"({random.choice((11, 19, 31, 81))}) 9{6 + n % 4}{n * 37 % 10_000_000:07d}"
            writer.writerow([
                f"{first} {middle} {last}", mobile,
                f"{first}.{last}.{n}@exemplo{n % 900}.com.br".lower() if n % 3 else "", firm, random.choice(_CITIES),
                random.choice(("feira", "site", "indicação", "")),
            ])  # fmt: skip
    return path


async def _bring(
    lists: CrmImports, files: Files, who: Identity, path: Path, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    stored = await files.store_path(who, path, mime="text/csv")
    started = await lists.start(who, stored.id, purpose="bench")
    done = await lists.run(who.tenant_id, started.id, progress)
    if done.state != "done":
        raise RuntimeError(f"the import ended as {done.state}: {done.error}")
    return done.outcomes


async def _import(lists: CrmImports, files: Files, who: Identity, path: Path) -> list[Figure]:
    told: list[float] = []
    began = time.monotonic()
    with _peak() as peak:
        outcomes = await _bring(lists, files, who, path, lambda _: told.append(time.monotonic()))
    seconds = time.monotonic() - began
    rows = sum(outcomes.values())
    silence = max(b - a for a, b in zip([began, *told], told, strict=False))
    print(f"imported: {outcomes}", file=sys.stderr)
    group, row = "the import of a list", f"{rows:,} lines"
    return [
        Figure(group, row, "seconds", seconds),
        Figure(group, row, "lines a second", rows / seconds),
        Figure(group, row, "MB above the base", peak[0], MEMORY),
        Figure(group, row, "longest without progress, s", silence),
    ]


@contextmanager
def _peak() -> Iterator[list[float]]:
    """The most memory of this process above what it had, in MB, looked at 50 times a second."""
    process, over = psutil.Process(), threading.Event()
    base = process.memory_info().rss
    most = [0.0]

    def look() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], (process.memory_info().rss - base) / 1e6)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


# --- upserts and searches -----------------------------------------------------------------------------


async def _upserts(crm: Crm, who: Identity) -> list[Figure]:
    def someone(n: int, **more: Any) -> ContactData:
        keys = ((KeyKind.PHONE, f"(21) 98{n:07d}"), (KeyKind.EMAIL, f"pessoa{n}@bench.com.br"))
        return ContactData(_SOURCE, name=f"Pessoa Kuhn {n}", city="Niterói", keys=keys, **more)

    def firm(n: int) -> CompanyData:
        keys = ((KeyKind.PHONE, f"(21) 32{n:06d}"), (KeyKind.EMAIL, f"contato@firma{n}.com.br"))
        return CompanyData(_SOURCE, legal_name=f"Firma Zanella {n} Ltda", city="Niterói", keys=keys)

    kinds: dict[str, tuple[Outcome, Callable[[int], Awaitable[Any]]]] = {
        "a new contact": (Outcome.CREATED, lambda n: crm.upsert_contact(who, someone(n))),
        "nothing new": (Outcome.UNCHANGED, lambda n: crm.upsert_contact(who, someone(n))),
        "a change": (Outcome.UPDATED, lambda n: crm.upsert_contact(who, someone(n, title="Sócia", tags=("x",)))),
        "a dry run": (Outcome.UNCHANGED, lambda n: crm.upsert_contact(who, someone(n), dry_run=True)),
        "a new company": (Outcome.CREATED, lambda n: crm.upsert_company(who, firm(n))),
    }
    figures = []
    for row, (expected, upsert) in kinds.items():
        taken = []
        for n in range(TIMES):
            began = time.perf_counter()
            found = await upsert(n)
            taken.append((time.perf_counter() - began) * 1000)
            if found.outcome is not expected:
                raise RuntimeError(f"{row}: {found.outcome} instead of {expected}")
        figures += _times("an upsert (ms)", row, taken, UPSERT)
    return figures


async def _searches(crm: Crm, admin: Identity, seller: Identity) -> list[Figure]:
    random = Random(3)
    asked: dict[str, Callable[[], str]] = {
        "first name and surname": lambda: f"{random.choice(_FIRST)} {random.choice(_LAST)}",
        "three words of a name": lambda: f"{random.choice(_FIRST)} {random.choice(_LAST)} {random.choice(_LAST)}",
        "three letters": lambda: random.choice(_FIRST)[:3],
        "one letter": lambda: random.choice(_LAST)[:1],
        "name and city": lambda: f"{random.choice(_LAST)} {random.choice(_CITIES)}",
        "company": lambda: f"{random.choice(_TRADES)} {random.choice(_LAST)} {random.randrange(5_000)}",
        "city": lambda: random.choice(_CITIES),
        "tag": lambda: "indicação",
        "beginning of a number": lambda: f"(19) 9{random.randrange(6, 10)}{random.randrange(10**4):04d}",
        "last four digits": lambda: f"{random.randrange(10_000):04d}",
        "e-mail": lambda: f"{random.choice(_FIRST)}.{random.choice(_LAST)}.{random.randrange(999)}@".lower(),
        "nothing that is there": lambda: "xylophon quux",
    }
    figures = []
    for group, who in (("a search of everything (ms)", admin), ("a search of one's own tenth (ms)", seller)):
        for row, ask in asked.items():
            taken = []
            for _ in range(TIMES // 3):
                text = ask()
                began = time.perf_counter()
                await crm.search(who, text)
                taken.append((time.perf_counter() - began) * 1000)
            figures += _times(group, row, taken, SEARCH)
        taken = []
        for _ in range(TIMES // 3):
            began = time.perf_counter()
            await crm.search(who, "", tag="site", subjects=(Subject.CONTACT,))
            taken.append((time.perf_counter() - began) * 1000)
        figures += _times(group, "the latest of a tag", taken, SEARCH)
    return figures


def _times(group: str, row: str, taken: list[float], target: float) -> list[Figure]:
    return [
        Figure(group, row, "median", median(taken)),
        Figure(group, row, "p95", p95(taken), target),
        Figure(group, row, "longest", max(taken)),
    ]


async def _explain(postgres: Postgres, db: Database, who: Identity) -> None:
    """The plans of the ways to search that were weighed, each with an index made for it."""
    made = (
        "CREATE INDEX bench_like ON crm_contacts (tenant_id, lower(name) text_pattern_ops)",
        "CREATE INDEX bench_tags ON crm_contacts USING gin (tags)",
        "CREATE INDEX bench_text ON crm_contacts USING gin (to_tsvector('simple', coalesce(name, '')))",
        "ANALYZE crm_contacts",
    )
    queries = {
        "a prefix in crm_words": """SELECT subject_id FROM crm_words
                                    WHERE subject = 'contact' AND word >= 'zanel' AND word < 'zanel\U0010ffff'""",
        "a key": "SELECT subject_id FROM crm_keys WHERE subject = 'contact' AND value = ANY(ARRAY['+5519987654329'])",
        "LIKE": "SELECT id FROM crm_contacts WHERE lower(name) LIKE 'zélia zan%'",
        "array @>": "SELECT id FROM crm_contacts WHERE tags @> ARRAY['nobody']",
        "tsvector @@": """SELECT id FROM crm_contacts
                          WHERE to_tsvector('simple', coalesce(name, '')) @@ 'zan:*'::tsquery""",
    }
    with psycopg.connect(postgres.owner_dsn, autocommit=True) as owner:
        for statement in made:
            owner.execute(statement.encode())
    async with db.tenant(who.tenant_id) as conn:
        for name, query in queries.items():
            asked = f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) {query}"
            rows = await (await conn.execute(asked.encode())).fetchall()
            print(f"--- {name}", *(row["QUERY PLAN"] for row in rows), sep="\n", file=sys.stderr)


# --- eight at once --------------------------------------------------------------------------------------


async def _writers(postgres: Postgres, db: Database, who: Identity) -> list[Figure]:
    """Eight processes bring the same hundred people in, each in another order."""
    began = time.monotonic()
    command = [sys.executable, "-m", "bench.crm", "--write", postgres.app_dsn, who.tenant_id, who.user_id]
    processes = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(WRITERS)]
    outputs = [(await process.communicate())[0].decode().split() for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("a writer failed")
    taken = [float(text) for output in outputs for text in output]
    async with db.tenant(who.tenant_id) as conn:
        query = (
            "SELECT count(DISTINCT subject_id) AS n FROM crm_keys WHERE value LIKE 'mesma%%' OR value LIKE '+5522%%'"
        )
        row = await (await conn.execute(query.encode(), [])).fetchone()
    group = "eight processes bring the same 100 people in"
    return [
        Figure(group, "contacts made", "count", row["n"] if row else 0, 100),
        Figure(group, "an upsert (ms)", "median", median(taken)),
        Figure(group, "an upsert (ms)", "p95", p95(taken)),
        Figure(group, "in all", "seconds", time.monotonic() - began),
    ]


async def write(dsn: str, tenant_id: str, user_id: str) -> None:
    """One of the eight: prints the milliseconds of each upsert."""
    db = Database(dsn)
    await db.open()
    async with db.system() as conn:
        permissions = await Permissions.load(conn)
    clock = SystemClock()
    who = await People(db, clock, sandbox=True).identity(tenant_id, user_id)
    crm = Crm(db, clock, permissions)
    order = list(range(100))
    Random().shuffle(order)
    for n in order:
        keys = ((KeyKind.PHONE, f"(22) 98765-4{n:03d}"), (KeyKind.EMAIL, f"mesma{n}@bench.com.br"))
        began = time.perf_counter()
        await crm.upsert_contact(who, ContactData(_SOURCE, name=f"Mesma Pessoa {n}", keys=keys))
        print((time.perf_counter() - began) * 1000)
    await db.close()


if __name__ == "__main__":
    main()
