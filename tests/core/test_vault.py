"""Secrets at rest open with their key, in their place, and not otherwise."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import SetupError
from core.vault import Vault


def test_a_sealed_secret_opens_after_a_restart_and_shows_nothing_of_itself(tmp_path: Path) -> None:
    key_id, sealed = Vault.load(tmp_path).seal(b"EAAB-token", bound_to="tenant_1 meta")
    assert b"EAAB" not in sealed
    assert Vault.load(tmp_path).open(key_id, sealed, bound_to="tenant_1 meta") == b"EAAB-token"


def test_the_same_secret_never_seals_alike(tmp_path: Path) -> None:
    vault = Vault.load(tmp_path)
    assert len({vault.seal(b"x")[1] for _ in range(50)}) == 50


@pytest.mark.parametrize("change", ["place", "byte", "cut", "empty"])
def test_a_changed_or_moved_secret_does_not_open(tmp_path: Path, change: str) -> None:
    vault = Vault.load(tmp_path)
    key_id, sealed = vault.seal(b"secret", bound_to="tenant_1")
    place = "tenant_2" if change == "place" else "tenant_1"
    broken = {"byte": sealed[:-1] + bytes([sealed[-1] ^ 1]), "cut": sealed[:-3], "empty": b""}.get(change, sealed)
    with pytest.raises(SetupError) as told:
        vault.open(key_id, broken, bound_to=place)
    assert told.value.code == "vault_broken"


def test_the_files_are_ours_alone(tmp_path: Path) -> None:
    vault = Vault.load(tmp_path)
    vault.named_secret("webhook")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for name in ("vault.json", "webhook.txt"):
        assert stat.S_IMODE((tmp_path / "secrets" / name).stat().st_mode) == 0o600


def test_a_named_secret_stays_and_differs_from_another(tmp_path: Path) -> None:
    first = Vault.load(tmp_path).named_secret("chat_cookie")
    assert Vault.load(tmp_path).named_secret("chat_cookie") == first
    assert Vault.load(tmp_path).named_secret("webhook") != first
    assert len(first) >= 40


def test_two_that_begin_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _: Vault.load(tmp_path), range(16)))
    key_id, sealed = vaults[0].seal(b"x")
    assert [vault.open(key_id, sealed) for vault in vaults] == [b"x"] * 16


def test_a_missing_key_and_a_broken_file_are_told(tmp_path: Path) -> None:
    vault = Vault.load(tmp_path)
    with pytest.raises(SetupError) as told:
        vault.open("key_other", b"x" * 40)
    assert told.value.code == "vault_key_missing"
    for text in ("", "{", "[]", json.dumps({"current": "a", "keys": {"a": "c2hvcnQ="}})):
        (tmp_path / "secrets/vault.json").write_text(text)
        with pytest.raises(SetupError) as told:
            Vault.load(tmp_path)
        assert told.value.code == "secret_file_broken"
