"""Files are kept whole or not at all, under their tenant, in bounded memory."""

import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.files import CHUNK, Files, clean_name
from core.tenancy import Role
from tests.conftest import Tenants


@pytest.fixture
def files(database: Database) -> Files:
    return Files(database, max_mb=5)


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
async def test_what_is_stored_comes_back_byte_for_byte(
    files: Files, tenants: Tenants, size: int, tmp_path: Path
) -> None:
    admin = tenants.one[Role.ADMIN]
    content = hashlib.shake_256(b"seed").digest(size)
    stored = await files.store(admin, content, name="dados.csv", mime="text/csv")
    assert (stored.size, stored.name, stored.created_by) == (size, "dados.csv", admin.user_id)
    assert stored.sha256 == hashlib.sha256(content).hexdigest()
    assert await files.read(admin.tenant_id, stored.id) == content
    await files.copy_to(admin.tenant_id, stored.id, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


async def test_a_stream_of_odd_pieces_and_a_path_are_stored_alike(
    files: Files, tenants: Tenants, tmp_path: Path
) -> None:
    admin = tenants.one[Role.ADMIN]
    content = b"0123456789" * 200_000

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 77_777):
            yield content[start : start + 77_777]

    (tmp_path / "relatório.xlsx").write_bytes(content)
    streamed = await files.store(admin, pieces(), name="a.bin", mime="x/y")
    from_path = await files.store_path(admin, tmp_path / "relatório.xlsx", mime="x/y")
    assert streamed.sha256 == from_path.sha256 == hashlib.sha256(content).hexdigest()
    assert from_path.name == "relatório.xlsx"


async def test_too_large_and_empty_files_leave_nothing(files: Files, tenants: Tenants, database: Database) -> None:
    admin = tenants.one[Role.ADMIN]
    for content, code in ((b"x" * (5 * CHUNK + 1), "file_too_large"), (b"", "file_empty")):
        with pytest.raises(ArgumentsWrong) as told:
            await files.store(admin, content, name="a.csv", mime="text/csv")
        assert (told.value.code, told.value.params["name"]) == (code, "a.csv")
    async with database.tenant(admin.tenant_id) as conn:
        assert await (await conn.execute("SELECT count(*) AS n FROM file_chunks")).fetchone() == {"n": 0}


async def test_another_tenant_finds_no_file(files: Files, tenants: Tenants) -> None:
    stored = await files.store(tenants.one[Role.ADMIN], b"ours", name="a.csv", mime="text/csv")
    for ask in (files.info, files.read):
        with pytest.raises(Refused) as told:
            await ask(tenants.other.id, stored.id)
        assert told.value.code == "file_gone"
    await files.delete(tenants.other.id, stored.id)
    assert await files.read(tenants.one.id, stored.id) == b"ours"
    await files.delete(tenants.one.id, stored.id)
    with pytest.raises(Refused):
        await files.info(tenants.one.id, stored.id)


async def test_an_unreadable_path_is_told(files: Files, tenants: Tenants, tmp_path: Path) -> None:
    with pytest.raises(ArgumentsWrong) as told:
        await files.store_path(tenants.one[Role.ADMIN], tmp_path / "none.csv", mime="text/csv")
    assert told.value.code == "file_unreadable"


async def test_memory_stays_small_for_a_large_file(database: Database, tenants: Tenants) -> None:
    files = Files(database, max_mb=50)
    admin = tenants.one[Role.ADMIN]

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(CHUNK)

    tracemalloc.start()
    stored = await files.store(admin, pieces(), name="big", mime="x/y")
    total = 0
    async for piece in files.stream(admin.tenant_id, stored.id):
        total += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 40 * CHUNK
    assert peak < 16 * CHUNK


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ana\\relatório.csv", "relatório.csv"),
        ("a\x00b\u202e.csv", "ab.csv"),
        ("...", "file"),
        ("", "file"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
        ("meia\ud83d.csv", "meia\ufffd.csv"),
    ],
)
def test_names_are_safe_to_show(given: str, kept: str) -> None:
    assert clean_name(given) == kept
