"""The stand-in for the Graph API v26.0, without HTTP: a request (method, path, parameters, token) in, an Answer out."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.money import meta_offset
from integrations.meta_ads.simulator import world
from integrations.meta_ads.simulator.delivery import Delivery
from integrations.meta_ads.simulator.insights import LEVELS, Asked, Insights, read_filtering, read_request
from integrations.meta_ads.simulator.state import ZONE, State, Thing
from integrations.meta_ads.simulator.wire import (
    Answer,
    GraphFault,
    as_list,
    bad_parameter,
    matches,
    missing_object,
    new_trace,
    page,
)
from integrations.meta_ads.simulator.world import Account

_log = logging.getLogger(__name__)

SCOPES = ["ads_read", "ads_management", "public_profile"]
"""What an agency's token needs and no more."""
_BUSINESS_FIELDS = frozenset(
    ("business", "owner", "owner_business", "funding_source", "funding_source_details", "is_prepay_account")
)
"""Without business_management Meta refuses a request that names any of them (PostHog/posthog#80771)."""
LEAST_DAILY_BUDGET = 600
"""Meta's units (R$ 6.00): below it Meta refuses; its own minimum moves with the exchange rate."""
STATUSES = ("ACTIVE", "PAUSED", "ARCHIVED", "DELETED")
_EDGES = {"campaigns": "campaign", "adsets": "adset", "ads": "ad"}
_TOKEN_DAYS = 60


class Graph:
    """Answers requests. `now` is asked for each request."""

    def __init__(self, state: State, now: Callable[[], datetime]) -> None:
        self.state = state
        self.now = now
        self.delivery = Delivery(state)
        self._insights = Insights(state, self.delivery)
        self._accounts = {account.id: account for account in state.world.accounts}
        self._reports: dict[str, tuple[str, dict[str, Any], int]] = {}
        self._rows: dict[tuple[Any, ...], tuple[list[dict[str, Any]], dict[str, Any] | None]] = {}

    def answer(self, method: str, path: str, params: dict[str, Any], token: str | None, base_url: str = "") -> Answer:
        """`path` with or without a version; `params` of the query and the body together."""
        trace = new_trace()
        try:
            parts = [part for part in path.split("/") if part]
            version = parts.pop(0) if parts and _is_version(parts[0]) else "v26.0"
            self._check_token(token, params)
            if method == "POST" and not parts and "batch" in params:
                return Answer(200, self._batch(params, token, base_url))
            return Answer(200, self._route(method, parts, params, f"{base_url}/{version}", trace))
        except GraphFault as fault:
            return fault.answer(trace)
        except (ValueError, TypeError, KeyError, AttributeError):
            _log.exception("a request of a shape nobody thought of: %s %s", method, path)
            return bad_parameter("Invalid parameter").answer(trace)

    # --- who asks -----------------------------------------------------------------------------

    def _check_token(self, token: str | None, params: dict[str, Any]) -> None:
        if not token:
            raise GraphFault("An access token is required to request this resource.", code=104)
        if not token.startswith("EAA"):
            raise GraphFault("Invalid OAuth access token - Cannot parse access token", code=190)
        if not hmac.compare_digest(token.encode(), self.state.token.encode()):
            raise GraphFault("Error validating access token: The session is invalid.", code=190, subcode=467)
        if proof := params.get("appsecret_proof"):
            right = hmac.new(self.state.app_secret.encode(), token.encode(), hashlib.sha256).hexdigest()
            if not hmac.compare_digest(str(proof).encode(), right.encode()):
                raise GraphFault(
                    "Invalid appsecret_proof provided in the API argument", code=100, kind="GraphMethodException"
                )

    def _batch(self, params: dict[str, Any], token: str | None, base_url: str) -> list[dict[str, Any]]:
        try:
            calls = json.loads(params["batch"])
        except ValueError:
            raise bad_parameter("batch must be a JSON list") from None
        answers = []
        for call in calls:
            url = urlsplit(call["relative_url"])
            inner = dict(parse_qsl(url.query)) | dict(parse_qsl(call.get("body", "")))
            answer = self.answer(call.get("method", "GET"), url.path, inner, inner.get("access_token", token), base_url)
            answers.append({"code": answer.status, "headers": [], "body": json.dumps(answer.body)})
        return answers

    # --- what is asked ------------------------------------------------------------------------

    def _route(self, method: str, parts: list[str], params: dict[str, Any], base: str, trace: str) -> Any:
        if not parts:
            raise GraphFault("Unsupported get request.", code=100, kind="GraphMethodException")
        node, edge = parts[0], "/".join(parts[1:])
        url = f"{base}/{'/'.join(parts)}"
        if method == "GET" and node == "debug_token":
            return self._debug_token(params)
        if node == "me":
            return self._me(method, edge, params, url)
        if node in self._reports:
            return self._report(node, edge, params, url)
        account = self._accounts.get(node)
        thing = self.state.things.get(node)
        if account is None and thing is None:
            raise missing_object(node, method.lower())
        if edge == "insights":
            if method == "POST":
                return self._start_report(node, params)
            return self._rows_page(node, params, url)
        if method == "GET" and not edge:
            wanted = as_list(params.get("fields"))
            return self._account(account, wanted) if account else self._thing(thing, wanted)  # type: ignore[arg-type]
        if method == "GET" and edge in _EDGES:
            return self._edge(node, account, thing, _EDGES[edge], params, url)
        if method == "GET" and edge == "adaccounts":
            raise missing_object(node)
        if method == "POST" and not edge and thing is not None:
            return self._change(thing, params, trace)
        if method == "DELETE" and not edge and thing is not None:
            return self._change(thing, {"status": "DELETED"}, trace)
        raise missing_object(node, method.lower())

    def _me(self, method: str, edge: str, params: dict[str, Any], url: str) -> Any:
        if method != "GET":
            raise missing_object("me", method.lower())
        if edge == "":
            known = {"id": world.USER_ID, "name": world.USER_NAME}
            return _pick(known, as_list(params.get("fields")) or ["id", "name"], "User")
        if edge == "permissions":
            return {"data": [{"permission": scope, "status": "granted"} for scope in SCOPES]}
        if edge == "adaccounts":
            rows = [self._account(account, as_list(params.get("fields"))) for account in self._accounts.values()]
            return page(rows, url, params, {"total_count": len(rows)} if params.get("summary") else None)
        raise GraphFault(f"(#2500) Unknown path components: /{edge}", code=2500)

    def _debug_token(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("input_token") != self.state.token:
            return {
                "data": {
                    "error": {"code": 190, "message": "Invalid OAuth access token."},
                    "is_valid": False,
                    "scopes": [],
                }
            }
        issued = datetime.combine(self.state.world.epoch, datetime.min.time(), ZONE)
        return {
            "data": {
                "app_id": self.state.app_id,
                "type": "SYSTEM_USER",
                "application": "Mutirão (sandbox)",
                "data_access_expires_at": 0,
                # The sandbox's token is renewed in silence, so that a newcomer's first token never dies on him.
                "expires_at": int((max(issued, self.now()) + timedelta(days=_TOKEN_DAYS)).timestamp()),
                "is_valid": True,
                "issued_at": int(issued.timestamp()),
                "scopes": SCOPES,
                "user_id": world.USER_ID,
            }
        }

    # --- accounts, campaigns, ad sets, ads ----------------------------------------------------

    def _account(self, account: Account, wanted: list[str]) -> dict[str, Any]:
        number = account.id.removeprefix("act_")
        if {wish.partition("{")[0] for wish in wanted} & _BUSINESS_FIELDS:
            raise GraphFault(
                "(#200) Requires business_management permission to manage the object", code=200, status=403
            )
        known = {
            "id": account.id,
            "account_id": number,
            "name": account.name,
            "currency": "BRL",
            "timezone_name": world.TIME_ZONE,
            "timezone_id": 25,
            "timezone_offset_hours_utc": -3,
            "account_status": 1,
            "disable_reason": 0,
            "min_daily_budget": LEAST_DAILY_BUDGET,
            "attribution_spec": [{"event_type": kind, "window_days": str(days)} for kind, days in account.attribution],
            "business_name": world.BUSINESS_NAME,
            "business_country_code": "BR",
            "created_time": _moment(self._created()),
            "spend_cap": "0",
            "user_tasks": ["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"],
        }
        return _pick(known, wanted or ["account_id", "id"], "AdAccount")

    def _created(self) -> datetime:
        day = self.state.world.first_day - timedelta(days=30)
        return datetime.combine(day, datetime.min.time(), ZONE) + timedelta(hours=9, minutes=30)

    def _thing(self, thing: Thing, wanted: list[str]) -> dict[str, Any]:
        spec: Any = thing.spec
        campaign: Any = thing.campaign.spec
        account = self._accounts[thing.account_id]
        known: dict[str, Any] = {
            "id": thing.id,
            "account_id": thing.account_id.removeprefix("act_"),
            "name": thing.name,
            "status": thing.status,
            "configured_status": thing.status,
            "effective_status": thing.effective_status,
            "created_time": _moment(self._created()),
            "updated_time": _moment(thing.updated),
        }
        if thing.kind in ("campaign", "adset"):
            known["start_time"] = _moment(self._created())
            if thing.daily_budget is not None:
                known["daily_budget"] = str(thing.daily_budget)
                known["budget_remaining"] = str(thing.daily_budget)
            if thing.lifetime_budget is not None:
                known["lifetime_budget"] = str(thing.lifetime_budget)
                end = datetime.combine(self.state.world.epoch + timedelta(days=60), datetime.min.time(), ZONE)
                known["stop_time" if thing.kind == "campaign" else "end_time"] = _moment(end)
        if thing.kind == "campaign":
            known |= {"objective": spec.objective, "buying_type": "AUCTION", "special_ad_categories": []}
            if thing.daily_budget is not None or thing.lifetime_budget is not None:
                known["bid_strategy"] = "LOWEST_COST_WITHOUT_CAP"
            known["smart_promotion_type"] = "GUIDED_CREATION"
        if thing.kind == "adset":
            known |= {
                "campaign_id": thing.campaign.id,
                "optimization_goal": campaign.goal,
                "destination_type": campaign.destination,
                "billing_event": "IMPRESSIONS",
                "attribution_spec": [{"event_type": kind, "window_days": days} for kind, days in account.attribution],
                "promoted_object": _promoted(thing, campaign),
                "targeting": {"age_min": 18, "age_max": 65, "geo_locations": {"countries": ["BR"]}},
            }
        if thing.kind == "ad":
            known |= {
                "campaign_id": thing.campaign.id,
                "adset_id": thing.parent.id,  # type: ignore[union-attr]
                "creative": {"id": "121" + thing.id[3:]},
            }
        nested = {above.kind: above for above in list(thing.above())[1:]}
        plain = []
        found: dict[str, Any] = {}
        for name in wanted or ["id"]:
            word, brace, inside = name.partition("{")
            if word in nested:
                found[word] = self._thing(nested[word], as_list(inside.rstrip("}")) if brace else ["id"])
            else:
                plain.append(word)
        kinds = {"campaign": "Campaign", "adset": "AdSet", "ad": "Ad"}
        return _pick(known, plain, kinds[thing.kind]) | found | {"id": thing.id}

    def _edge(
        self, node: str, account: Account | None, thing: Thing | None, kind: str, params: dict[str, Any], url: str
    ) -> dict[str, Any]:
        if account is not None:
            found = self.state.of_account(account.id, kind)
        else:
            assert thing is not None
            if LEVELS.index(kind) <= LEVELS.index(thing.kind):
                raise GraphFault(
                    f"(#100) Tried accessing nonexisting field ({kind}s) on node type ({thing.kind})", code=100
                )
            found = [one for one in self.state.of_account(thing.account_id, kind) if thing in one.above()]
        asked = as_list(params.get("effective_status"))
        filtering = read_filtering(params.get("filtering"))
        told = any(str(one["field"]).endswith("effective_status") for one in filtering)
        if asked:
            found = [one for one in found if one.effective_status in asked]
        elif not told:  # what is archived or deleted must be asked for
            found = [one for one in found if one.effective_status not in ("ARCHIVED", "DELETED")]
        for one in filtering:
            name = str(one["field"]).rpartition(".")[2]
            found = [thing_ for thing_ in found if matches(self._thing(thing_, [name]).get(name), one)]
        rows = [self._thing(one, as_list(params.get("fields"))) for one in found]
        return page(rows, url, params, {"total_count": len(rows)} if params.get("summary") else None)

    # --- writes -------------------------------------------------------------------------------

    def _change(self, thing: Thing, params: dict[str, Any], trace: str) -> dict[str, Any]:
        body = {
            name: value for name, value in params.items() if name not in ("access_token", "appsecret_proof", "fields")
        }
        options = as_list(body.get("execution_options"))
        changed = {}
        if thing.status == "DELETED":
            raise bad_parameter(
                "the object is deleted",
                subcode=1487056,
                title="Cannot Edit Deleted Object",
                advice="The object you tried to edit was deleted. Deleted objects can no longer be changed.",
            )
        if "status" in body:
            if body["status"] not in STATUSES:
                raise bad_parameter(f"Param status must be one of {{{', '.join(STATUSES)}}}")
            changed["status"] = body["status"]
        for setting in ("daily_budget", "lifetime_budget"):
            if setting in body:
                changed[setting] = self._budget(thing, setting, body[setting])
        if "name" in body:
            changed["name"] = str(body["name"])
        if not changed:
            raise bad_parameter("No parameter of the request changes this object")
        if "validate_only" not in options:
            self.state.write(thing.id, body, changed, self.now(), trace)
            self._rows.clear()
        return {"success": True}

    def _budget(self, thing: Thing, setting: str, raw: Any) -> int:
        if thing.kind == "ad":
            raise bad_parameter(f"The parameter {setting} does not exist on an ad")
        if not str(raw).isascii() or not str(raw).isdigit():
            raise bad_parameter(f"Param {setting} must be an integer")
        amount = int(raw)
        others = thing.children if thing.kind == "campaign" else [thing.campaign]
        if any(other.daily_budget is not None or other.lifetime_budget is not None for other in others):
            raise bad_parameter(
                "budget conflict",
                subcode=1885621,
                title="Budgets on Two Levels",
                advice="You can only set an ad set budget or a campaign budget, and the other level has one already.",
            )
        other = "lifetime_budget" if setting == "daily_budget" else "daily_budget"
        if getattr(thing, other) is not None:
            raise bad_parameter(
                f"{setting}: the object has a {other}; its kind cannot be changed after it was published"
            )
        if amount < LEAST_DAILY_BUDGET * (1 if setting == "daily_budget" else 7):
            least = LEAST_DAILY_BUDGET / meta_offset("BRL")
            raise bad_parameter(
                "budget too low",
                subcode=1885272,
                title="Budget Is Too Low",
                advice=f"The budget must be at least R${least:.2f} for each day. Please increase your budget.",
            )
        if amount > 10**11:
            raise bad_parameter(f"Param {setting} must be at most 100000000000")
        return amount

    # --- insights -----------------------------------------------------------------------------

    def _rows_page(self, node: str, params: dict[str, Any], url: str) -> dict[str, Any]:
        rows, summary = self._rows_of(node, params)
        return page(rows, url, params, summary)

    def _rows_of(self, node: str, params: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        thing = self.state.things.get(node)
        account = self._accounts[thing.account_id if thing else node]
        now = self.now()
        asked = read_request(thing.kind if thing else "account", params, now, self.state.world.first_day)
        # Pages of one question come from one calculation; with today in it, for a minute at most.
        key = (
            node,
            repr(asked),
            now.replace(second=0, microsecond=0) if asked.until >= now.astimezone(ZONE).date() else 0,
        )
        known = self._rows.get(key)
        if known is None:
            known = self._calculate(thing, account, asked, now)
            if len(self._rows) >= 16:
                self._rows.pop(next(iter(self._rows)))
            self._rows[key] = known
        return known

    def _calculate(
        self, thing: Thing | None, account: Account, asked: Asked, now: datetime
    ) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        ads = self.state.of_account(account.id, "ad")
        if thing is not None:
            ads = [ad for ad in ads if thing in ad.above()]
        rows = self._insights.rows(ads, account, asked, now)
        summary = self._insights.summary(ads, account, asked, now) if asked.summary is not None else None
        return rows, summary

    def _start_report(self, node: str, params: dict[str, Any]) -> dict[str, Any]:
        self._rows_of(node, params)  # a wrong question is refused at once
        report_id = str(600_000_000_000_000 + len(self._reports) + 1)
        self._reports[report_id] = (node, dict(params), 0)
        return {"report_run_id": report_id}

    def _report(self, report_id: str, edge: str, params: dict[str, Any], url: str) -> Any:
        node, question, looks = self._reports[report_id]
        if edge == "insights":
            if looks < 2:
                raise GraphFault(
                    "(#2601) Loading Async Ads Insights Report: job is not completed",
                    code=2601,
                    subcode=1815107,
                    transient=True,
                )
            rows, summary = self._rows_of(node, question)
            return page(rows, url, params, summary)
        self._reports[report_id] = (node, question, looks + 1)
        done = looks >= 1
        known = {
            "id": report_id,
            "account_id": (self.state.things[node].account_id if node in self.state.things else node).removeprefix(
                "act_"
            ),
            "async_status": "Job Completed" if done else "Job Running",
            "async_percent_completion": 100 if done else 60,
            "time_ref": int(self.now().timestamp()),
        }
        return _pick(known, as_list(params.get("fields")) or list(known), "AdReportRun")


def _promoted(thing: Thing, campaign: world.Campaign) -> dict[str, str]:
    if campaign.purchase_rate:
        return {"pixel_id": world.PIXEL_IDS[thing.account_id], "custom_event_type": "PURCHASE"}
    if campaign.site_lead_rate:
        return {"pixel_id": world.PIXEL_IDS[thing.account_id], "custom_event_type": "LEAD"}
    return {"page_id": world.PAGE_IDS[thing.account_id]}


def _pick(known: dict[str, Any], wanted: list[str], kind: str) -> dict[str, Any]:
    """The asked fields, `field{inner,…}` cut down to the inner ones; one without a value is left out, as Graph does;
    a misspelt one is refused."""
    picked = {}
    for wish in wanted:
        name, brace, inner = wish.partition("{")
        if not name.replace("_", "").isalnum():
            raise GraphFault(f"Syntax error \"Expected name\" at: '{name}'", code=2500)
        if name not in known and name not in _FIELDS_WITHOUT_VALUE:
            raise GraphFault(f"(#100) Tried accessing nonexisting field ({name}) on node type ({kind})", code=100)
        if name in known:
            value = known[name]
            nested = brace and isinstance(value, dict)
            picked[name] = {one: value[one] for one in as_list(inner.rstrip("}")) if one in value} if nested else value
    return picked | {"id": known["id"]}


_FIELDS_WITHOUT_VALUE = frozenset(
    """
    daily_budget lifetime_budget budget_remaining bid_strategy bid_amount spend_cap stop_time end_time issues_info
    recommendations adlabels amount_spent balance tax_id pacing_type learning_stage_info
    destination_type objective promoted_object preview_shareable_link conversion_domain
    date_start date_stop error_code error_message error_subcode error_user_msg error_user_title is_running
    campaign_id adset_id
    """.split()
)


def _moment(moment: datetime) -> str:
    """2026-11-20T09:30:00-0300, Graph's form of a moment."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%dT%H:%M:%S%z")


def _is_version(part: str) -> bool:
    return part.startswith("v") and part[1:].replace(".", "", 1).isdigit()
