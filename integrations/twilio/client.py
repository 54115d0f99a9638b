"""Twilio: send one SMS. POST /2010-04-01/Accounts/{sid}/Messages.json; twilio.com/docs/messaging/api/message-resource,
read 2026-11. Sent once: Twilio has no idempotency key for messages, so a lost answer is unknown. Never run against the
real service; the simulator is written after the same pages."""

import re

import httpx

from core.errors import ArgumentsWrong
from integrations.reading import sent
from integrations.twilio.errors import of_answer, outcome_unknown, unavailable

TWILIO_URL = "https://api.twilio.com"
MOST_LETTERS = 1_600
"""Of one message (error 21617)."""
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


class Twilio:
    """One account's view. `http` is shared and closed by its owner."""

    def __init__(
        self, http: httpx.AsyncClient, sid: str, token: str, *, base_url: str = TWILIO_URL, timeout: float = 20.0
    ) -> None:
        self._http = http
        self._sid = sid
        self._token = token
        self._url = base_url.rstrip("/")
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    async def look(self) -> None:
        """Whether the account is there and active, asked without sending: GET /2010-04-01/Accounts/{sid}.json.

        Refused: sms_key_refused, sms_refused (suspended or closed); Unavailable: sms_busy, sms_unavailable.
        """
        if not self._sid.isalnum():
            raise of_answer(401, 20003, "no account")
        request = self._http.get(
            f"{self._url}/2010-04-01/Accounts/{self._sid}.json", auth=(self._sid, self._token), timeout=self._timeout,
            follow_redirects=False,
        )  # fmt: skip
        response, found = await sent(request, "Twilio", unavailable, unavailable)
        if response.status_code >= 500:
            raise unavailable(str(response.status_code))
        code, message = found.get("code"), str(found.get("message") or "").replace(self._token, "[…]")
        if not response.is_success:
            raise of_answer(response.status_code, code if isinstance(code, int) else 0, message)
        if found.get("status") != "active":
            raise of_answer(403, 0, f"the account is {found.get('status')}")

    async def send(self, sender: str, to: str, text: str) -> str:
        """Its id (SM…). `sender`: a number in E.164 or a messaging service (MG…); `to` in E.164.

        ArgumentsWrong("sms_malformed"), Refused: sms_key_refused, sms_sender_refused, sms_no_such_number,
        sms_country_refused, sms_opted_out, sms_refused; Unavailable: sms_busy, sms_unavailable (nothing left);
        OutcomeUnknown("sms_outcome_unknown").
        """
        if not _NUMBER.fullmatch(to) or not text.strip() or len(text) > MOST_LETTERS or not self._sid.isalnum():
            raise ArgumentsWrong("sms_malformed", "number or text", detail=f"+55…, 1–{MOST_LETTERS}")
        source = {"MessagingServiceSid": sender} if sender.startswith("MG") else {"From": sender}
        url = f"{self._url}/2010-04-01/Accounts/{self._sid}/Messages.json"
        request = self._http.post(
            url,
            data={"To": to, "Body": text, **source},
            auth=(self._sid, self._token),
            timeout=self._timeout,
            follow_redirects=False,
        )
        response, found = await sent(request, "Twilio", unavailable, outcome_unknown)
        if response.is_success:
            if isinstance(found.get("sid"), str) and found["sid"]:
                return str(found["sid"])
            raise outcome_unknown("the answer names no message")
        code = found.get("code")
        message = str(found.get("message") or "").replace(self._token, "[…]")
        raise of_answer(response.status_code, code if isinstance(code, int) else 0, message)
