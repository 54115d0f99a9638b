"""The simulator over HTTP on loopback, with control endpoints for tests and evals (all under `/__…`, no token needed).

GET  /__health     {"ready", "pid", "epoch", "now", "token_file"}
GET  /__ledger     ?account=&since=&until=: per ad and day the raw events that every figure is made of
GET  /__writes     the ledger of executed writes
GET  /__requests   {"count", "last": [{"method", "path"}]}: Graph requests since the start, the newest 200 listed
GET|POST|DELETE /__faults   what goes wrong next; see `Fault`
POST /__clock      {"now": ISO} moves a clock that was fixed with --now (forward only)
POST /__reset      {"now": ISO} begins a new world at that moment, with a new token, no writes and no faults; only with
                   --now. Answers {"token"}
"""

import asyncio
import json
import os
import re
import socket
import threading
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import Clock, FixedClock
from integrations import sandbox_http
from integrations.meta_ads.simulator import world
from integrations.meta_ads.simulator.graph import Graph
from integrations.meta_ads.simulator.state import ZONE, State
from integrations.meta_ads.simulator.wire import Answer, GraphFault, new_trace
from integrations.meta_ads.simulator.world import NOTHING, as_record
from integrations.sandbox_http import Cut, Lost, faults_wanted


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose method and path match.

    kind: "error" (Graph error: status, code, subcode, message, transient, headers), "html" (a page instead of JSON,
    with `status`), "cut" (a body that ends too early), "hang" (no answer for `seconds`, nothing executed), "drop"
    (connection lost, nothing executed), "slow" (executed and answered only after `seconds`, even when nobody waits any
    more), "lost" (executed, then the connection is lost), "hang_after" (executed, no
    answer for `seconds`), "missing" (the named `fields` are left out of the answer, at any depth), "usage" (a sound
    answer whose usage headers say `percent`, with `minutes` to wait).
    """

    kind: str
    times: int = 1
    path: str = ""
    """A regular expression searched in the path without version; empty matches all."""
    method: str = ""
    status: int = 400
    code: int = 1
    subcode: int | None = None
    message: str = "An unknown error occurred"
    title: str | None = None
    advice: str | None = None
    transient: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 60.0
    fields: list[str] = field(default_factory=list)
    percent: int = 97
    minutes: int = 0

    def meets(self, method: str, path: str) -> bool:
        return (not self.method or self.method.upper() == method) and re.search(self.path, path) is not None


KINDS = ("error", "html", "cut", "hang", "drop", "slow", "lost", "hang_after", "missing", "usage")


class Simulator:
    """One world behind HTTP."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.state = State(folder, clock.now().astimezone(ZONE).date())
        self.graph = Graph(self.state, clock.now)
        self.faults: list[Fault] = []
        self.count = 0
        self.last: list[dict[str, str]] = []
        self.app = Starlette(
            routes=[
                Route("/__health", self._health),
                Route("/__ledger", self._ledger),
                Route("/__writes", self._writes),
                Route("/__requests", self._requests),
                Route("/__faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/__clock", self._clock, methods=["POST"]),
                Route("/__reset", self._reset, methods=["POST"]),
                Route("/{path:path}", self._graph, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def warm(self) -> None:
        """Make the known days' figures now, so that the first question does not wait for them."""
        today = self.clock.now().astimezone(ZONE).date()
        for ad_id in list(self.state.world.places):
            for days in range(world.DAYS_BEFORE_EPOCH + 1):
                self.state.world.demand(ad_id, today - timedelta(days=days))

    # --- Graph --------------------------------------------------------------------------------

    async def _graph(self, request: Request) -> Response:
        params: dict[str, Any] = dict(request.query_params)
        if request.method == "POST":
            params |= await _body(request)
        path = request.url.path
        bare = re.sub(r"^/v\d+\.\d+", "", path) or "/"
        self.count += 1
        self.last = [*self.last[-199:], {"method": request.method, "path": bare}]
        header = request.headers.get("authorization", "")
        token = header[7:] if header.lower().startswith("bearer ") else params.get("access_token")
        fault = self._next_fault(request.method, bare)
        if fault is not None and fault.kind in ("error", "html", "hang", "drop"):
            return await self._fail(fault, request)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        method = str(params.pop("method", request.method)).upper() if request.method == "POST" else request.method
        base = f"{request.url.scheme}://{request.url.netloc}"
        answer = self.graph.answer(method, path, params, token, base)
        if fault is not None and fault.kind == "missing":
            answer = Answer(answer.status, _without(answer.body, set(fault.fields)), answer.headers)
        if fault is not None and fault.kind in ("lost", "hang_after"):
            if fault.kind == "hang_after":
                await asyncio.sleep(fault.seconds)
            return Lost()
        content = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = self._headers(fault, params) | answer.headers
        if fault is not None and fault.kind == "cut":
            return Cut(content, headers)
        return Response(content, answer.status, headers, media_type="application/json; charset=UTF-8")

    def _next_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.meets(method, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    async def _fail(self, fault: Fault, request: Request) -> Response:
        if fault.kind == "hang":
            await asyncio.sleep(fault.seconds)
            return Lost()
        if fault.kind == "drop":
            return Lost()
        if fault.kind == "html":
            page = "<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>"
            return Response(page, fault.status, media_type="text/html")
        answer = GraphFault(
            fault.message,
            code=fault.code,
            subcode=fault.subcode,
            status=fault.status,
            title=fault.title,
            advice=fault.advice,
            transient=fault.transient,
        ).answer(new_trace())
        return JSONResponse(answer.body, answer.status, self._headers(None, {}) | fault.headers)

    def _headers(self, fault: Fault | None, params: dict[str, Any]) -> dict[str, str]:
        percent, minutes = (fault.percent, fault.minutes) if fault is not None and fault.kind == "usage" else (0, 0)
        if not percent:
            percent = min(self.count // 200, 40)
        use = {
            "type": "ads_management",
            "call_count": percent,
            "total_cputime": percent // 2,
            "total_time": percent // 2,
            "estimated_time_to_regain_access": minutes,
            "ads_api_access_tier": "standard_access",
        }
        return {
            "facebook-api-version": "v26.0",
            "x-business-use-case-usage": json.dumps({world.BUSINESS_ID: [use]}),
            "x-fb-ads-insights-throttle": json.dumps(
                {"app_id_util_pct": percent, "acc_id_util_pct": percent, "ads_api_access_tier": "standard_access"}
            ),
        }

    # --- control ------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        return JSONResponse(
            {
                "ready": True,
                "pid": os.getpid(),
                "epoch": self.state.world.epoch.isoformat(),
                "now": self.clock.now().isoformat(),
                "token_file": str(self.state.folder / "token"),
            }
        )

    async def _ledger(self, request: Request) -> Response:
        try:
            account_id = request.query_params["account"]
            day = date.fromisoformat(request.query_params["since"])
            until = date.fromisoformat(request.query_params["until"])
        except (KeyError, ValueError):
            return JSONResponse({"error": "account, since and until (YYYY-MM-DD) are needed"}, 400)
        now = self.clock.now()
        rows = []
        while day <= until:
            for ad in self.state.of_account(account_id, "ad"):
                counts = self.graph.delivery.counts(ad, day, now)
                if counts is not NOTHING:
                    adset = ad.parent.id if ad.parent else ""
                    rows.append(
                        {"date": day.isoformat(), "campaign_id": ad.campaign.id, "adset_id": adset, "ad_id": ad.id}
                        | as_record(counts)
                    )
            day += timedelta(days=1)
        return JSONResponse({"account": account_id, "time_zone": world.TIME_ZONE, "currency": "BRL", "rows": rows})

    async def _writes(self, request: Request) -> Response:
        return JSONResponse({"writes": [write.as_json() for write in self.state.writes]})

    async def _requests(self, request: Request) -> Response:
        return JSONResponse({"count": self.count, "last": self.last})

    async def _faults(self, request: Request) -> Response:
        return await faults_wanted(request, self.faults, Fault, KINDS)

    async def _clock(self, request: Request) -> Response:
        advance = getattr(self.clock, "advance", None)
        asked = datetime.fromisoformat((await request.json())["now"])
        if advance is None or asked < self.clock.now():
            return JSONResponse({"error": "only a clock fixed with --now can be moved, and only forward"}, 400)
        advance(asked - self.clock.now())
        return JSONResponse({"now": self.clock.now().isoformat()})

    async def _reset(self, request: Request) -> Response:
        if not isinstance(self.clock, FixedClock):
            return JSONResponse({"error": "only a world whose clock was fixed with --now begins anew"}, 400)
        self.clock.at = datetime.fromisoformat((await request.json())["now"])
        before = self.state
        before.close()
        for name in ("token", "world.json", "writes.jsonl"):
            (before.folder / name).unlink()
        self.state = State(before.folder, self.clock.now().astimezone(ZONE).date())
        if self.state.world == before.world:
            self.state.world = before.world  # with the figures it has worked out already
        self.graph = Graph(self.state, self.clock.now)
        self.faults.clear()
        self.count, self.last = 0, []
        return JSONResponse({"token": self.state.token})


def serve(simulator: Simulator, server: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, as sandbox_http.serve does; the world's figures are worked out meanwhile."""
    warming = threading.Thread(target=simulator.warm, daemon=True)
    sandbox_http.serve(simulator.app, server, ready=warming.start)
    simulator.state.close()


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if "json" in request.headers.get("content-type", ""):
        try:
            found = json.loads(raw or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    if "multipart" in request.headers.get("content-type", ""):
        return {}
    return dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True))


def _without(body: Any, names: set[str]) -> Any:
    if isinstance(body, dict):
        return {name: _without(value, names) for name, value in body.items() if name not in names}
    if isinstance(body, list):
        return [_without(value, names) for value in body]
    return body
