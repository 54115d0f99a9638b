"""Server processes to be killed. One process imports everything once and forks a server for each life: a start costs
half a second instead of ten. `python -m tests.chaos.nursery`; a line of JSON asks for a life, another gives its pid.

A life is the product's own composition (app.open_services) behind a web server with the door and two handles of ours:
/chaos/approve/<proposal> is a person's yes.
"""

import asyncio
import importlib
import json
import os
import random
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn

from app import open_services
from business.prospecting.contact import opening_of, plan_first_contact
from channels.whatsapp.door import in_front
from core import failpoints
from core.jobs import Jobs
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.fence import import_crewai, prepare
from crews.registry import CREWS, CrewEntry
from llm.messages import OnText
from tests.chaos.world import word
from tools.first_contact import FirstContacts
from wiring import floor


class ShiftedClock:
    """The real time, moved to another day: first messages leave in office hours only."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


async def answer_plainly(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
    """An answer that names what it answers, so that a witness can tell whether all was answered."""
    text = f"Recebi: {', '.join(turn.text.split())}."
    return CrewResult(text, by_model=False, reworded=lambda: text)


_LEAD = (
    """INSERT INTO prospect_searches (tenant_id, id, wish, sentence, language, profile, plan, rules_version, state,
           created_at, updated_at)
       VALUES (current_tenant(), 'srch_chaos', 'w', 's', 'pt-BR', '{}', '{}', '1', 'done', %(now)s, %(now)s)
       ON CONFLICT DO NOTHING""",
    """INSERT INTO crm_companies (tenant_id, id, trade_name, uf, created_at, updated_at)
       VALUES (current_tenant(), 'com_' || %(n)s, %(name)s, 'SP', %(now)s, %(now)s)""",
    """INSERT INTO prospect_candidates (tenant_id, id, search_id, company_key, group_key, score, verdict, scored,
           rules_version, state, step, found_at, updated_at, company_id)
       VALUES (current_tenant(), 'cand_' || %(n)s, 'srch_chaos', 'k' || %(n)s, 'g' || %(n)s, 80, 'qualified', '{}', '1',
           'saved', '1', %(now)s, %(now)s, 'com_' || %(n)s)""",
)
PLAIN = [CrewEntry(name="sdr", area="sdr", tools=[], run=answer_plainly, prompts=[], starters=[])]


async def live(wish: Mapping[str, Any]) -> None:
    """One life, until it is killed."""
    settings = Settings(
        data_dir=Path(wish["folder"]),
        database_url=wish["app_dsn"],
        database_owner_url=wish["owner_dsn"],
        port=int(wish["port"]),
        log_level="WARNING",
        ignore_provider_keys=True,
    )
    crews = PLAIN if wish["plain"] else CREWS
    if wish["hasty"]:  # a worker's death is noticed after a second instead of twenty
        floor.Jobs = lambda dsn, **more: Jobs(dsn, **{**more, "heartbeat": 0.2, "stalled": 1.0})  # type: ignore[misc,assignment]
    async with open_services(settings, ShiftedClock(wish["shift"]), "http://127.0.0.1:9", crews=crews) as made:
        await made.messaging.inbox.open()

        async def director() -> Identity:
            tenant = await made.people.tenant(None)
            return await made.people.identity_by_role(tenant.id, Role.DIRETOR)

        async def proposed(number: int) -> str:
            """A first message to a lead that a search found, waiting for a yes."""
            who, name, to = await director(), f"Estúdio {word(number).upper()}", f"+551998{number:07d}"
            messaging = made.messaging
            first = FirstContacts(
                made.db, made.clock, messaging.channels, messaging.outbox, messaging.rules, messaging.chats.hands
            )
            text = f"Olá! Aqui é Rui. Vi que {name} cuida de jardins em Campinas. Posso ligar?"
            values = {"sender": "Rui", "house": "Aurora", "source": "site", "name": name, "opening": opening_of(text)}
            way = await first.way(
                who.tenant_id, channel="whatsapp", to=to, sandbox=True, language="pt-BR", values=values
            )
            async with made.db.tenant(who.tenant_id) as conn:
                for statement in _LEAD:
                    await conn.execute(statement.encode(), {"n": number, "name": name, "now": made.clock.now()})
            change = plan_first_contact(
                company_id=f"com_{number}", candidate_id=f"cand_{number}", name=name, channel="whatsapp", to=to,
                keys=[("phone", to)], text=text, notice="Somos a Aurora. Responda SAIR.", known_from="website",
                known_on=made.clock.now().date(), reference="http://127.0.0.1:9/x", way=way, owner_id=who.user_id,
            )  # fmt: skip
            return (await made.approvals.create(who, change, tool="first_contact", effect="SEND", door="chat")).id

        async def handles(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            *_, what, which = scope["path"].split("/")
            try:
                if what == "approve":
                    text = (await made.approvals.approve(await director(), which, "chaos")).state.value
                else:
                    text = json.dumps([await proposed(number) for number in range(*map(int, which.split("-")))])
                status = 200
            except Exception as error:
                status, text = 409, repr(error)
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": text.encode()})

        config = uvicorn.Config(
            in_front(handles, made.messaging.door()), port=settings.port, log_level="error", lifespan="off"
        )
        stop = asyncio.Event()
        working, keeping = asyncio.ensure_future(made.work(stop)), asyncio.ensure_future(made.keep_promises())
        await uvicorn.Server(config).serve()  # until it is told to stop, which hardly any life is
        stop.set()
        await asyncio.gather(working, keeping, return_exceptions=True)


def main() -> None:
    folder = Path(sys.argv[1])
    if "--plain" not in sys.argv:
        prepare(folder)
        import_crewai()
    signal.signal(signal.SIGCHLD, _reap)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _begin(wish)
        print(json.dumps({"pid": pid}), flush=True)


def _begin(wish: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    _die_with_the_nursery()
    log = os.open(Path(wish["folder"]) / "lives.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (0, 1, 2):
        os.dup2(log, stream)
    random.seed()
    os.environ["MUTIRAO_FAILPOINT"] = wish["failpoint"]
    importlib.reload(failpoints)
    try:
        asyncio.run(live(wish))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(3)


def _die_with_the_nursery() -> None:
    """Nobody is left behind when the harness itself is killed. Linux alone can do that."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG (prctl(2))


def _reap(*_: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
