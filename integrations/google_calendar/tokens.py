"""Access tokens of Google: of a service account (a signed JWT, RFC 7523) or of a person who gave a refresh token.

developers.google.com/identity/protocols/oauth2/service-account and …/oauth2/web-server, read 2026-11. A token is good
for an hour and is asked for anew five minutes before.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from core.clock import Clock
from core.errors import ArgumentsWrong, Refused, Unavailable

TOKEN_URL = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/calendar"
_EARLY = timedelta(minutes=5)


class Tokens:
    """`credentials`: Google's file of a service account (type, client_email, private_key), with `subject` for whom it
    acts, or {"client_id", "client_secret", "refresh_token"}. `url`: another address than Google's (the sandbox).

    ArgumentsWrong("calendar_credentials") for neither.
    """

    def __init__(
        self, http: httpx.AsyncClient, credentials: Mapping[str, Any], clock: Clock, *, url: str = TOKEN_URL
    ) -> None:
        if not ({"client_email", "private_key"} <= set(credentials) or "refresh_token" in credentials):
            raise ArgumentsWrong("calendar_credentials", "neither a service account nor a refresh token")
        self._http = http
        self._credentials = dict(credentials)
        self._clock = clock
        self._url = url
        self._token: tuple[str, datetime] | None = None
        self._one_at_a_time = asyncio.Lock()

    def forget(self) -> None:
        """Google does not take the present one."""
        self._token = None

    async def token(self) -> str:
        """Refused("calendar_key_refused"), Unavailable("calendar_unavailable"), ArgumentsWrong
        ("calendar_credentials")."""
        async with self._one_at_a_time:
            now = self._clock.now()
            if self._token is not None and now < self._token[1] - _EARLY:
                return self._token[0]
            try:
                response = await self._http.post(self._url, data=self._asked(now), timeout=15, follow_redirects=False)
            except httpx.HTTPError as error:
                raise Unavailable("calendar_unavailable", f"no token ({type(error).__name__})") from None
            try:
                answer = json.loads(response.content)
                if response.status_code == 200:
                    seconds = int(answer.get("expires_in", 3600))
                    self._token = (str(answer["access_token"]), now + timedelta(seconds=seconds))
                    return self._token[0]
                reason = str(answer.get("error", ""))
            except (ValueError, KeyError, TypeError, AttributeError):
                reason = "unreadable"
            if response.status_code in (400, 401, 403):  # invalid_grant, invalid_client …
                raise Refused("calendar_key_refused", f"{response.status_code} {reason[:100]}")
            raise Unavailable("calendar_unavailable", f"no token: {response.status_code}")

    def _asked(self, now: datetime) -> dict[str, str]:
        given = self._credentials
        if "refresh_token" in given:
            return {
                "grant_type": "refresh_token",
                "client_id": str(given.get("client_id", "")),
                "client_secret": str(given.get("client_secret", "")),
                "refresh_token": str(given["refresh_token"]),
            }
        claims = {
            "iss": given["client_email"],
            "scope": SCOPE,
            "aud": TOKEN_URL,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 3600,
        }
        if given.get("subject"):
            claims["sub"] = given["subject"]
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed(claims, given)}


def signed(claims: Mapping[str, Any], credentials: Mapping[str, Any]) -> str:
    """A JWT with RS256 (RFC 7515). ArgumentsWrong("calendar_credentials") for a key that is none."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    header = {"alg": "RS256", "typ": "JWT"}
    if credentials.get("private_key_id"):
        header["kid"] = str(credentials["private_key_id"])
    body = b".".join(_part(json.dumps(one, separators=(",", ":")).encode()) for one in (header, claims))
    try:
        key = serialization.load_pem_private_key(str(credentials["private_key"]).encode(), password=None)
    except (ValueError, TypeError):
        raise ArgumentsWrong("calendar_credentials", "the private key cannot be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ArgumentsWrong("calendar_credentials", "the private key is no RSA key")
    signature = key.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return (body + b"." + _part(signature)).decode()


def _part(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
