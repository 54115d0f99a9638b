"""The Graph API of Meta, as far as ads need it: accounts, campaigns, ad sets, ads, insights; pause, resume, budget.

Works unchanged against https://graph.facebook.com and against the simulator beside it. Facts about the wire:
Marketing API v26.0 as facebook-business 26.0.3 speaks it.

Reads are retried, a few times and only when a retry can help. Writes are sent once: when the answer to a write is lost,
the outcome is unknown and somebody must look (OutcomeUnknown), never send it again.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from core.errors import ArgumentsWrong, MutiraoError
from integrations.meta_ads import payloads
from integrations.meta_ads.errors import (
    answer_broken,
    bad_request,
    clean,
    from_graph,
    outcome_unknown,
    transient,
    unavailable,
    usage_percent,
    window_dead,
)
from integrations.meta_ads.payloads import Ad, AdAccount, Adset, Campaign, InsightsRow, Person, TokenInfo

GRAPH_URL = "https://graph.facebook.com"
VERSION = "v26.0"
DEAD_WINDOWS = ("7d_view", "28d_view")
STATUSES = ("ACTIVE", "PAUSED")

ACCOUNT_FIELDS = (
    "id,account_id,name,currency,timezone_name,account_status,attribution_spec,business_name,min_daily_budget"
)
"""Only what a token with ads_read may see. One field such as `business`, `owner` or `is_prepay_account` makes Meta
refuse the whole request with (#200) when the token lacks business_management (PostHog/posthog#80771)."""
CAMPAIGN_FIELDS = (
    "id,name,account_id,status,effective_status,objective,daily_budget,lifetime_budget,created_time,updated_time"
)
ADSET_FIELDS = (
    "id,name,account_id,campaign_id,status,effective_status,destination_type,optimization_goal,attribution_spec,"
    "daily_budget,lifetime_budget,created_time,updated_time"
)
AD_FIELDS = "id,name,account_id,campaign_id,adset_id,status,effective_status,created_time,updated_time"

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_MOST_PAGES = 2_000


@dataclass
class Usage:
    """How much of Meta's allowance the last answer said is used up."""

    percent: float = 0.0
    """0 to 100, the highest of all limits that were told."""
    requests: int = 0
    """Requests that this client sent."""


class MetaAdsClient:
    """One token's view of Meta's ads.

    `http` is shared and closed by its owner. The token travels in the Authorization header only. `page_limit` rows are
    asked for at once. `retries` (further attempts of a read), `pause` (seconds before the first, doubled each time),
    `patience` (the longest wait in seconds that a throttle may ask of a read before it is given back to the caller) and
    `timeout` (seconds without a byte) bound how long a call takes. Near the end of Meta's allowance calls slow down by
    up to `slowest` seconds each. Every failure is one of `errors.py`.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        token: str,
        *,
        base_url: str = GRAPH_URL,
        version: str = VERSION,
        app_secret: str | None = None,
        page_limit: int = 200,
        retries: int = 2,
        pause: float = 0.5,
        patience: float = 5.0,
        timeout: float = 30.0,
        slowest: float = 2.0,
    ) -> None:
        self.usage = Usage()
        self._http = http
        self._token = token
        self._url = f"{base_url.rstrip('/')}/{version}"
        self._proof = hmac.new(app_secret.encode(), token.encode(), hashlib.sha256).hexdigest() if app_secret else None
        self._page_limit = page_limit
        self._retries = retries
        self._pause = pause
        self._patience = patience
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))
        self._slowest = slowest

    # --- whose token, which accounts ----------------------------------------------------------

    async def me(self) -> Person:
        """Whose token it is; the cheapest way to learn that it works."""
        return payloads.person(await self._read("me", {"fields": "id,name"}))

    async def check_token(self) -> TokenInfo:
        """Scopes and expiry of the token. Refused("meta_token_…") when it does not work at all.

        Meta tells the expiry only to some tokens (see TokenInfo.expiry_known).
        """
        owner = await self.me()
        granted = await self._read("me/permissions", {})
        scopes = tuple(
            str(one.get("permission"))
            for one in _rows(granted)
            if one.get("status", "granted") == "granted" and one.get("permission")
        )
        told = await self._debug_token()
        if told is None:
            return TokenInfo(True, scopes, None, False, owner)
        expires = payloads.whole(told, "expires_at")
        return TokenInfo(
            valid=told.get("is_valid") is not False,
            scopes=scopes or tuple(str(one) for one in told.get("scopes", [])),
            expires=datetime.fromtimestamp(expires, UTC) if expires else None,
            expiry_known=expires is not None,
            owner=owner,
        )

    async def _debug_token(self) -> Mapping[str, Any] | None:
        # A batch, because debug_token takes the token as a parameter, and a batch's parameters travel in the body.
        call = {"method": "GET", "relative_url": "debug_token?" + urlencode({"input_token": self._token})}
        answer = await self._attempts("POST", "", {"batch": json.dumps([call]), "include_headers": "false"})
        try:
            part = answer[0]
            return dict(json.loads(part["body"])["data"]) if part["code"] == 200 else None
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    async def ad_accounts(self) -> list[AdAccount]:
        """All ad accounts that the token reaches."""
        return [payloads.ad_account(raw) async for raw in self._pages("me/adaccounts", {"fields": ACCOUNT_FIELDS})]

    async def ad_account(self, account_id: str) -> AdAccount:
        """One account, `act_…`. ArgumentsWrong("meta_not_found") when the token does not reach it."""
        return payloads.ad_account(await self._read(_id(account_id), {"fields": ACCOUNT_FIELDS}))

    # --- campaigns, ad sets, ads --------------------------------------------------------------

    async def campaigns(self, account_id: str) -> list[Campaign]:
        """All campaigns of the account that are neither archived nor deleted."""
        found = self._pages(f"{_id(account_id)}/campaigns", {"fields": CAMPAIGN_FIELDS})
        return [payloads.campaign(raw) async for raw in found]

    async def adsets(self, account_id: str) -> list[Adset]:
        """All ad sets of the account (or of the campaign whose id is given)."""
        found = self._pages(f"{_id(account_id)}/adsets", {"fields": ADSET_FIELDS})
        return [payloads.adset(raw) async for raw in found]

    async def ads(self, account_id: str) -> list[Ad]:
        """All ads of the account (or of the campaign or ad set whose id is given)."""
        return [payloads.ad(raw) async for raw in self._pages(f"{_id(account_id)}/ads", {"fields": AD_FIELDS})]

    async def campaign(self, campaign_id: str) -> Campaign:
        return payloads.campaign(await self._read(_id(campaign_id), {"fields": CAMPAIGN_FIELDS}))

    async def adset(self, adset_id: str) -> Adset:
        return payloads.adset(await self._read(_id(adset_id), {"fields": ADSET_FIELDS}))

    async def ad(self, ad_id: str) -> Ad:
        return payloads.ad(await self._read(_id(ad_id), {"fields": AD_FIELDS}))

    async def get(self, object_id: str, fields: list[str]) -> dict[str, Any]:
        """The object's fields as Graph words them; absent ones are left out."""
        return dict(await self._read(_id(object_id), {"fields": ",".join(fields)}))

    # --- insights -----------------------------------------------------------------------------

    async def insights(
        self,
        object_id: str,
        *,
        level: str,
        fields: list[str],
        since: date,
        until: date,
        also: Sequence[tuple[date, date]] = (),
        time_increment: int | str = "all_days",
        breakdowns: list[str] | None = None,
        filtering: list[dict[str, Any]] | None = None,
        action_attribution_windows: list[str] | None = None,
        use_account_attribution_setting: bool | None = None,
        use_unified_attribution_setting: bool | None = None,
        sort: list[str] | None = None,
        limit: int | None = None,
    ) -> list[InsightsRow]:
        """Figures of an account, campaign, ad set or ad, one row per entity of `level` and time step, every page.

        `since` and `until` are days in the account's time zone, both included. `time_increment`: days per row (1 to
        90), "monthly" or "all_days". `also`: further periods (since, until), each with rows of its own, in the same
        request; only for "all_days" (time_ranges of the Insights API). Entities and days without delivery have no row.
        Without attribution windows the counts follow the ad sets' own settings. When Meta finds the question too big
        for an answer at once, it is asked as a report job. ArgumentsWrong("meta_window_dead", window) for 7d_view and
        28d_view.
        """
        for window in action_attribution_windows or []:
            if window in DEAD_WINDOWS:
                raise window_dead(window)
        periods = [{"since": first.isoformat(), "until": last.isoformat()} for first, last in [(since, until), *also]]
        params: dict[str, Any] = {
            "level": level,
            "fields": ",".join(fields),
            **({"time_ranges": json.dumps(periods)} if also else {"time_range": json.dumps(periods[0])}),
            **({} if also else {"time_increment": str(time_increment)}),
            "limit": str(limit or self._page_limit),
        }
        for name, value in (
            ("breakdowns", breakdowns),
            ("filtering", filtering),
            ("action_attribution_windows", action_attribution_windows),
            ("sort", sort),
        ):
            if value:
                params[name] = json.dumps(value)
        for name, wish in (
            ("use_account_attribution_setting", use_account_attribution_setting),
            ("use_unified_attribution_setting", use_unified_attribution_setting),
        ):
            if wish is not None:
                params[name] = "true" if wish else "false"
        path = f"{_id(object_id)}/insights"
        try:
            rows = [row async for row in self._pages(path, params)]
        except ArgumentsWrong as error:
            if error.code != "meta_too_much_data":
                raise
            rows = await self._report(path, params)
        return [payloads.insights_row(row, fields, breakdowns or []) for row in rows]

    async def _report(self, path: str, params: dict[str, Any], *, looks: int = 60) -> list[dict[str, Any]]:
        """The same question as a job at Meta: start it, look until it is done, fetch its rows."""
        question = {name: value for name, value in params.items() if name != "limit"}
        started = await self._attempts("POST", path, question)
        report_id = payloads.text(started, "report_run_id")
        for look in range(looks):
            run = await self._read(report_id, {})
            status = str(run.get("async_status") or "")
            # 100 % alone is not enough: jobs stay at "Job Running" for a while after it.
            if status == "Job Completed":
                # A finished job may still answer 2601/1815107 for a moment; that is transient, and reads are retried.
                return [row async for row in self._pages(f"{report_id}/insights", {"limit": params["limit"]})]
            if status in ("Job Failed", "Job Skipped"):
                raise from_graph(
                    400,
                    {"code": run.get("error_code") or 2, "error_subcode": run.get("error_subcode"), "message": status},
                    {},
                )
            await asyncio.sleep(min(self._pause * (1 + look / 4), 5.0))
        raise unavailable("the report job does not end")

    # --- writes -------------------------------------------------------------------------------

    async def set_status(self, object_id: str, status: str, *, validate_only: bool = False) -> None:
        """Pause ("PAUSED") or resume ("ACTIVE") a campaign, ad set or ad. Sent once.

        `validate_only` lets Meta check it without doing it. OutcomeUnknown("meta_outcome_unknown", object_id) when the
        answer is lost: read the object back before anything else.
        """
        if status not in STATUSES:
            raise ArgumentsWrong(
                "meta_bad_request", f"status is {' or '.join(STATUSES)}", detail=status, trace="", wait=0
            )
        await self._write(object_id, {"status": status}, validate_only)

    async def set_budget(
        self,
        object_id: str,
        *,
        daily_budget: int | None = None,
        lifetime_budget: int | None = None,
        validate_only: bool = False,
    ) -> None:
        """Change the budget of a campaign or ad set, a whole number of Meta's smallest units. Sent once.

        Exactly one of the two is given. ArgumentsWrong("meta_budget_conflict") when the budget lives on the other
        level, ("meta_budget_too_low") below Meta's minimum; OutcomeUnknown as for `set_status`.
        """
        if (daily_budget is None) == (lifetime_budget is None):
            raise ArgumentsWrong(
                "meta_bad_request",
                "give a daily or a lifetime budget",
                detail="daily_budget|lifetime_budget",
                trace="",
                wait=0,
            )
        amount = daily_budget if daily_budget is not None else lifetime_budget
        if not isinstance(amount, int) or isinstance(amount, bool) or amount <= 0:
            raise bad_request("a budget is a whole number above zero, in Meta's smallest units")
        setting = "daily_budget" if daily_budget is not None else "lifetime_budget"
        await self._write(object_id, {setting: str(amount)}, validate_only)

    async def _write(self, object_id: str, change: dict[str, str], validate_only: bool) -> None:
        body = dict(change)
        if validate_only:
            body["execution_options"] = json.dumps(["validate_only"])
        await self._pace()
        try:
            response = await self._send("POST", _id(object_id), body)
        except _NEVER_SENT as error:
            raise unavailable(f"no connection to Meta ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise outcome_unknown(f"the answer was lost ({type(error).__name__})", object_id) from None
        try:
            answer = self._understand(response)
        except MutiraoError as error:
            if transient(error) and error.code != "meta_throttled":
                # Behind a 5xx or a garbled answer the change may have been made.
                raise outcome_unknown(str(error), object_id) from None
            raise
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise outcome_unknown("the answer does not say whether it was done", object_id)

    # --- requests -----------------------------------------------------------------------------

    async def _pages(self, path: str, params: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        asked = {"limit": str(self._page_limit)} | params
        for _ in range(_MOST_PAGES):
            answer = await self._read(path, asked)
            for row in _rows(answer):
                yield row
            paging = answer.get("paging")
            if not isinstance(paging, dict) or not paging.get("next"):
                return
            after = (paging.get("cursors") or {}).get("after")
            if not after or after == asked.get("after"):
                raise answer_broken("there is a next page but no way to it")
            asked = asked | {"after": str(after)}
        raise answer_broken("the pages do not end")

    async def _read(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = await self._attempts("GET", path, params)
        if not isinstance(answer, dict):
            raise answer_broken("the answer is no object")
        return answer

    async def _attempts(self, method: str, path: str, params: dict[str, Any]) -> Any:
        """A read (also one that Graph wants as POST), tried again when that can help."""
        pause = self._pause
        for attempt in range(self._retries + 1):
            await self._pace()
            try:
                return self._understand(await self._send(method, path, params))
            except httpx.HTTPError as error:
                failure: MutiraoError = unavailable(f"no answer from Meta ({type(error).__name__})")
            except MutiraoError as error:
                failure = error
            wait = max(pause, failure.retry_after or 0.0)
            if attempt == self._retries or not transient(failure) or wait > self._patience:
                raise failure from None
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable")

    async def _send(self, method: str, path: str, params: dict[str, Any]) -> httpx.Response:
        self.usage.requests += 1
        proof = {"appsecret_proof": self._proof} if self._proof else {}
        headers = {"authorization": f"Bearer {self._token}", "accept": "application/json"}
        url = f"{self._url}/{path}"
        if method == "GET":
            # Encoded here: httpx would parse the address twice, half a millisecond for each of a dozen requests.
            return await self._http.get(f"{url}?{urlencode(params | proof)}", headers=headers, timeout=self._timeout)
        return await self._http.post(url, data=params | proof, headers=headers, timeout=self._timeout)

    def _understand(self, response: httpx.Response) -> Any:
        """The JSON of the answer; a Graph error as its named failure."""
        self.usage.percent = usage_percent(response.headers)
        try:
            answer = json.loads(response.content)
        except ValueError:
            if response.status_code >= 500:
                raise unavailable(f"HTTP {response.status_code} without a Graph answer") from None
            raise answer_broken(f"HTTP {response.status_code}, not JSON") from None
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            error = {
                name: value.replace(self._token, "[…]") if isinstance(value, str) else value
                for name, value in answer["error"].items()
            }
            raise from_graph(response.status_code, error, response.headers)
        if response.status_code >= 500:
            raise unavailable(f"HTTP {response.status_code}")
        if response.status_code >= 400:
            raise answer_broken(clean(f"HTTP {response.status_code} without an error"))
        return answer

    async def _pace(self) -> None:
        """Slow down over the last quarter of the allowance, so that it is not used up in one go."""
        over = (self.usage.percent - 75.0) / 25.0
        if over > 0:
            await asyncio.sleep(self._slowest * min(over, 1.0))


def _id(object_id: str) -> str:
    """An object's id as a path may hold it. ArgumentsWrong("meta_not_found") for anything that is no id."""
    if not object_id or not object_id.replace("_", "").isascii() or not object_id.replace("_", "").isalnum():
        raise ArgumentsWrong("meta_not_found", "that is no id of Meta's", detail=object_id[:40], trace="", wait=0)
    return object_id


def _rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = answer.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise answer_broken("the answer has no list of rows")
    return rows
