"""What the doctor says, in words, of folders and databases in good and bad shape."""

from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.doctor import Access, DatabaseCheck, DataFolder, Finding, Models, RedisCheck, examine, floor_checks, healthy
from core.errors import SetupError
from core.postgres import Postgres
from core.settings import Settings
from prompts.texts import Texts
from tests.conftest import Dsns

TEXTS = Texts.load()
SAY = partial(TEXTS.say, "en")
EXPLAIN = partial(TEXTS.error, "en")


def said(findings: list[Finding], words: str) -> str:
    """The state of the one finding that has these words."""
    states = [finding.state for finding in findings if words in finding.text]
    assert len(states) == 1, [finding.text for finding in findings]
    return states[0]


async def test_a_fresh_machine_is_healthy_and_is_told_what_comes(tmp_path: Path) -> None:
    findings = await examine(floor_checks(Settings(data_dir=tmp_path / "var"), SAY), EXPLAIN)
    assert healthy(findings)
    assert said(findings, "does not exist yet") == "note"
    assert said(findings, "No Redis") == "note"
    assert said(findings, "No key of an AI model") == "note"
    assert not (tmp_path / "var").exists(), "looking must not make anything"


async def test_the_applications_login_is_bound_by_row_level_security(dsns: Dsns) -> None:
    findings = await DatabaseCheck(Settings(database_url=dsns.app), SAY).run(live=False)
    assert said(findings, "up to date") == "ok"
    assert said(findings, "sees its own data only") == "ok"
    assert healthy(findings)


async def test_a_superuser_as_the_applications_login_is_told(dsns: Dsns) -> None:
    findings = await DatabaseCheck(Settings(database_url=dsns.owner), SAY).run(live=False)
    assert said(findings, "ignores the separation of companies") == "broken"


async def test_a_table_without_forced_policies_is_told(dsns: Dsns) -> None:
    with psycopg.connect(dsns.owner) as conn:
        conn.execute("CREATE TABLE leaks (tenant_id text)")
    findings = await DatabaseCheck(Settings(database_url=dsns.app), SAY).run(live=False)
    assert said(findings, "The table leaks does not enforce") == "broken"


async def test_a_database_of_a_newer_version_and_one_never_prepared_are_told(dsns: Dsns, server: Postgres) -> None:
    with psycopg.connect(dsns.owner) as conn:
        conn.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_from_the_future', 'x')")
    findings = await DatabaseCheck(Settings(database_url=dsns.app), SAY).run(live=False)
    assert said(findings, "newer Mutirão (9999_from_the_future)") == "broken"

    empty = make_conninfo(server.app_dsn, dbname="postgres")
    findings = await DatabaseCheck(Settings(database_url=empty), SAY).run(live=False)
    assert said(findings, "has not been prepared yet") == "missing"


async def test_servers_that_do_not_answer_are_each_one_sentence() -> None:
    nowhere = Settings(database_url="postgresql://u:p@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0")
    findings = await DatabaseCheck(nowhere, SAY).run(live=False) + await RedisCheck(nowhere, SAY).run(live=False)
    assert said(findings, "PostgreSQL does not answer") == "broken"
    assert said(findings, "conversations go on from PostgreSQL") == "broken"


async def test_a_running_redis_is_named_with_its_version(redis_url: str) -> None:
    findings = await RedisCheck(Settings(redis_url=redis_url), SAY).run(live=False)
    assert [finding.state for finding in findings] == ["ok"]


async def test_a_secret_that_others_can_read_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for name, mode in (("vault.json", 0o600), ("demo.json", 0o644)):
        (tmp_path / "secrets" / name).write_text("x")
        (tmp_path / "secrets" / name).chmod(mode)
    findings = await DataFolder(Settings(data_dir=tmp_path), SAY).run(live=False)
    assert said(findings, "secrets/demo.json") == "broken"
    assert not any("vault.json" in finding.text for finding in findings)


async def test_what_was_opened_for_the_database_server_is_told(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "changed-modes.json").write_text(
        '[{"path": "/home/ana", "before": "0700", "after": "0701", "at": "2026-11-20T15:00:00+00:00"}]'
    )
    findings = await DataFolder(Settings(data_dir=tmp_path), SAY).run(live=False)
    assert said(findings, "/home/ana went from 0700 to 0701") == "note"


@pytest.mark.parametrize(
    ("settings", "words", "state"),
    [
        (Settings(), "on this computer only", "ok"),
        (Settings(host="0.0.0.0"), "Sandbox open to the network", "broken"),
        (Settings(host="0.0.0.0", mode="production"), "put HTTPS in front", "note"),
        (Settings(mode="production", allowed_origins=["*"]), "any page of the internet", "broken"),
        (Settings(meta_ads="live"), "without the app's proof", "note"),
    ],
)
async def test_who_can_reach_the_server_is_judged_by_mode(settings: Settings, words: str, state: str) -> None:
    assert said(await Access(settings, SAY).run(live=False), words) == state


async def test_a_key_is_named_but_never_shown() -> None:
    findings = await Models(Settings(openai_api_key="sk-very-secret"), SAY).run(live=False)
    assert said(findings, "There is a key for openai") == "unverified"
    assert "sk-very-secret" not in repr(findings)


class Failing:
    area = "other"

    async def run(self, live: bool) -> list[Finding]:
        raise SetupError("reset_external", "outside")


class Buggy:
    area = "buggy"

    async def run(self, live: bool) -> list[Finding]:
        raise ZeroDivisionError("password=hunter2")


async def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    findings = await examine([Failing(), Buggy(), Models(Settings(), SAY)], EXPLAIN)
    assert [finding.state for finding in findings] == ["broken", "broken", "note"]
    assert "Mutirão does not delete it" in findings[0].text
    assert "hunter2" not in findings[1].text
    assert not healthy(findings)
