"""Whether a webhook is Meta's: HMAC-SHA256 of the raw body with the app's secret, and the handshake of a new address.

Meta signs no moment, so a copy of a signed body is as good as the first one: who takes webhooks in keeps each message
once, by its id. Only the bytes as they came are signed; JSON that was read and written again is another body.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from core.errors import Refused, SetupError

HEADER = "X-Hub-Signature-256"
_PREFIX = "sha256="


def sign(secret: str, body: bytes) -> str:
    """The value of the header for `body`. SetupError("whatsapp_secret_missing") for an empty secret."""
    return _PREFIX + hmac.new(_key(secret), body, hashlib.sha256).hexdigest()


def verify(secret: str, body: bytes, given: str | Sequence[str] | None) -> None:
    """Refused("whatsapp_signature_wrong") unless `given`, all values of the header, is the one signature of `body`.

    The comparison takes the same time wherever the first difference is. SetupError("whatsapp_secret_missing") for an
    empty secret: without one nothing is ever let in.
    """
    values = [given] if isinstance(given, str) else list(given or ())
    wanted = sign(secret, body)
    told = values[0] if len(values) == 1 else ""
    if not hmac.compare_digest(wanted.encode(), told.encode("utf-8", "replace")):
        raise Refused("whatsapp_signature_wrong", "the webhook is not signed with this app's secret")


def challenge(verify_token: str, query: Mapping[str, str]) -> str:
    """The answer to the handshake of a new address: GET with hub.mode, hub.verify_token, hub.challenge, unsigned.

    Refused("whatsapp_handshake_wrong") for another token or no challenge; SetupError("whatsapp_secret_missing") when
    ours is empty.
    """
    if not verify_token:
        raise SetupError("whatsapp_secret_missing", "no verify token is set")
    same = hmac.compare_digest(verify_token.encode(), query.get("hub.verify_token", "").encode("utf-8", "replace"))
    answer = query.get("hub.challenge", "")
    if not same or query.get("hub.mode") != "subscribe" or not answer.isascii() or not 0 < len(answer) <= 200:
        raise Refused("whatsapp_handshake_wrong", "the handshake does not carry our verify token")
    return answer


def _key(secret: str) -> bytes:
    if not secret:
        raise SetupError("whatsapp_secret_missing", "no app secret is set")
    return secret.encode()
