"""The sample company is there after the first start, once, and never outside the sandbox."""

import asyncio
import stat
from pathlib import Path

import pytest

from business.people.sample import CLIENT_ACCOUNT, demo_logins, ensure_sample_company
from business.people.service import People
from core.db import Database
from core.errors import Refused, SetupError
from core.settings import Settings
from core.tenancy import Role


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


async def test_it_is_made_once_however_many_processes_start(
    settings: Settings, people: People, database: Database
) -> None:
    made = await asyncio.gather(*(ensure_sample_company(settings, people, database) for _ in range(4)))
    assert len({tenant.id for tenant in made}) == 1
    assert [(tenant.slug, tenant.name) for tenant in await people.tenants()] == [("agencia-ipe", "Agência Ipê")]
    users = await people.users(made[0].id)
    assert {user.role for user in users} == {Role.ADMIN, Role.DIRETOR, Role.COMERCIAL, Role.CLIENTE}
    assert all(user.demo for user in users)


async def test_every_demo_user_can_log_in_with_the_shown_password(
    settings: Settings, people: People, database: Database
) -> None:
    await ensure_sample_company(settings, people, database)
    logins = demo_logins(settings)
    assert logins[0].email == "ana@ipe.example"
    for login in logins:
        identity = await people.login(login.email, login.password, "127.0.0.1")
        assert identity.role == login.role
        assert identity.accounts == ({CLIENT_ACCOUNT} if login.role == Role.CLIENTE else None)
    file = settings.data_dir / "secrets" / "demo.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_lost_password_file_gives_a_new_password(
    settings: Settings, people: People, database: Database
) -> None:
    await ensure_sample_company(settings, people, database)
    (settings.data_dir / "secrets" / "demo.json").unlink()
    await ensure_sample_company(settings, people, database)
    login = demo_logins(settings)[0]
    assert await people.login(login.email, login.password, "127.0.0.1")


async def test_outside_the_sandbox_there_is_none(tmp_path: Path, people: People, database: Database) -> None:
    production = Settings(mode="production", data_dir=tmp_path)
    with pytest.raises(Refused):
        await ensure_sample_company(production, people, database)
    with pytest.raises(Refused):
        demo_logins(production)
    assert list(tmp_path.iterdir()) == []


async def test_a_broken_password_file_is_told(settings: Settings, people: People, database: Database) -> None:
    (settings.data_dir / "secrets").mkdir()
    (settings.data_dir / "secrets" / "demo.json").write_text("{")
    with pytest.raises(SetupError) as told:
        await ensure_sample_company(settings, people, database)
    assert told.value.code == "secret_file_broken"
