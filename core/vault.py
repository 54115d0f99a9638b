"""Secrets at rest: sealed with AES-GCM under a key that lies in a file of its own, apart from the database."""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import SetupError
from core.processes import unwritable

_NONCE = 12  # bytes, NIST SP 800-38D; drawn at random, safe for 2^32 seals under one key


class Vault:
    """The keys of `data_dir/secrets/vault.json` (0600): one that seals, and older ones that still open.

    A copy of the database without this file gives no secret away; a database without it loses its secrets.
    """

    def __init__(self, folder: Path, keys: dict[str, bytes], current: str) -> None:
        self._folder = folder
        self._keys = keys
        self._current = current

    @classmethod
    def load(cls, data_dir: Path) -> "Vault":
        """Read the keys, making the first one when there is none.

        SetupError: data_dir_unwritable (path), secret_file_broken (path).
        """
        folder = data_dir / "secrets"
        text = _once(folder / "vault.json", _first_key)
        try:
            found = json.loads(text)
            keys = {key_id: base64.b64decode(key) for key_id, key in found["keys"].items()}
            if len(keys[found["current"]]) != 32:
                raise ValueError("a key has 32 bytes")
        except (ValueError, KeyError, TypeError, AttributeError):
            path = folder / "vault.json"
            raise SetupError("secret_file_broken", f"{path} cannot be read", path=str(path)) from None
        return cls(folder, keys, found["current"])

    def seal(self, secret: bytes, *, bound_to: str = "") -> tuple[str, bytes]:
        """(key id, sealed bytes). `bound_to` names the row it belongs to: under another name it does not open."""
        nonce = secrets.token_bytes(_NONCE)
        return self._current, nonce + AESGCM(self._keys[self._current]).encrypt(nonce, secret, bound_to.encode())

    def open(self, key_id: str, sealed: bytes, *, bound_to: str = "") -> bytes:
        """The secret. SetupError: vault_key_missing (key_id), vault_broken (changed, or sealed for something else)."""
        if key_id not in self._keys:
            raise SetupError("vault_key_missing", f"no key {key_id} in the vault", key_id=key_id)
        try:
            return AESGCM(self._keys[key_id]).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())
        except (InvalidTag, ValueError):
            raise SetupError("vault_broken", "a sealed secret does not open") from None

    def named_secret(self, name: str) -> str:
        """A random text of 256 bits that this data folder keeps: the chat's cookie key, a webhook's secret.

        `name` is lower case letters, digits and underscores; it is kept in `data_dir/secrets/<name>.txt` (0600).
        """
        if not name.replace("_", "").isalnum() or name != name.lower():
            raise ValueError(f"{name!r} is no name for a secret")
        return _once(self._folder / f"{name}.txt", lambda: secrets.token_urlsafe(32)).strip()


def _first_key() -> str:
    key_id = f"key_{secrets.token_hex(4)}"
    return json.dumps({"current": key_id, "keys": {key_id: base64.b64encode(secrets.token_bytes(32)).decode()}})


def _once(path: Path, make: Callable[[], str]) -> str:
    """The text of a private file, made at the first call; of two processes that make it at once, one wins."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (path.parent / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _replace(path, make())
        return path.read_text()
    except OSError as error:
        raise unwritable(path, error) from error


def _replace(path: Path, text: str) -> None:
    """Complete or not at all, and readable by us alone from its first byte."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
