"""Resend: send one e-mail. POST /emails; resend.com/docs/api-reference/emails/send-email, read 2026-11.

A request carries an Idempotency-Key (kept by Resend for 24 hours), so one whose answer was lost is asked again: the
second is the same mail. Never run against the real service; the simulator is written after the same pages.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import MutiraoError, OutcomeUnknown, Unavailable
from integrations.reading import sent
from integrations.resend.errors import of_answer, outcome_unknown, unavailable

RESEND_URL = "https://api.resend.com"


@dataclass(frozen=True)
class Mail:
    """`sender` as "Name <address>" or an address. `text` is plain; lines end with \\n."""

    sender: str
    to: str
    subject: str
    text: str
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Resend:
    """One key's view. `http` is shared and closed by its owner; `retries` of a lost answer, `pause` seconds between."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        key: str,
        *,
        base_url: str = RESEND_URL,
        retries: int = 2,
        pause: float = 0.5,
        timeout: float = 20.0,
    ) -> None:
        self._http = http
        self._key = key
        self._url = base_url.rstrip("/")
        self._retries = retries
        self._pause = pause
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    async def send(self, mail: Mail, *, key: str) -> str:
        """Its id at Resend. `key` (≤ 256 characters) makes the same mail one.

        ArgumentsWrong("mail_malformed"), Refused: mail_key_refused, mail_sender_refused, mail_refused; Unavailable:
        mail_busy, mail_unavailable (nothing left); OutcomeUnknown("mail_outcome_unknown").
        """
        body: dict[str, Any] = {
            "from": mail.sender,
            "to": [mail.to],
            "subject": mail.subject,
            "text": mail.text,
        }
        if mail.reply_to:
            body["reply_to"] = mail.reply_to
        if mail.headers:
            body["headers"] = dict(mail.headers)
        failure: MutiraoError = outcome_unknown("not asked")
        for attempt in range(self._retries + 1):
            if attempt:
                await asyncio.sleep(self._pause * 2 ** (attempt - 1))
            try:
                return await self._once(body, key[:256])
            except OutcomeUnknown as error:
                failure = error
            except Unavailable as error:
                # Before this attempt another one may have been taken: then nobody knows, whatever this one says.
                if attempt and isinstance(failure, OutcomeUnknown):
                    continue
                failure = error
                if error.code == "mail_busy":
                    raise
        raise failure

    async def look(self, domain: str) -> None:
        """Whether this key would send for `domain`, asked without sending: GET /domains. A key that may send and do
        nothing else is told so, and is a good one; whether the domain is verified is not known then.

        Refused: mail_key_refused, mail_sender_refused (the domain is not verified); Unavailable: mail_busy,
        mail_unavailable.
        """
        request = self._http.get(
            f"{self._url}/domains", headers={"authorization": f"Bearer {self._key}"}, timeout=self._timeout,
            follow_redirects=False,
        )  # fmt: skip
        response, found = await sent(request, "Resend", unavailable, unavailable)
        name, message = str(found.get("name") or ""), str(found.get("message") or "")
        if name == "restricted_api_key":
            return
        if response.status_code >= 500:
            raise unavailable(f"{response.status_code} {name}")
        if not response.is_success:
            raise of_answer(response.status_code, name, message.replace(self._key, "[…]"))
        listed = found.get("data")
        known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        if not any(one.get("name") == domain and one.get("status") == "verified" for one in known):
            raise of_answer(403, "invalid_from_address", f"{domain} is not verified")

    async def _once(self, body: dict[str, Any], key: str) -> str:
        headers = {"authorization": f"Bearer {self._key}", "idempotency-key": key}
        request = self._http.post(
            f"{self._url}/emails", json=body, headers=headers, timeout=self._timeout, follow_redirects=False
        )
        response, found = await sent(request, "Resend", unavailable, outcome_unknown)
        if response.is_success:
            if isinstance(found.get("id"), str) and found["id"]:
                return str(found["id"])
            raise outcome_unknown("the answer names no mail")
        name, message = str(found.get("name") or ""), str(found.get("message") or "")
        raise of_answer(response.status_code, name, message.replace(self._key, "[…]"))
