"""The web door in this process: the real gate, Chainlit, database, people and approvals, and a scripted turn.

What the supervisor would do is written down by the test; everything else is what ships.
"""

import asyncio
import atexit
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from agents.approvals import proposal_card
from business.approvals.model import Change, Preview, ReadBack
from business.approvals.service import Approvals
from business.conversations.service import Conversations
from business.crm.service import Crm
from business.people.service import People
from channels.web import build_web_app, prepare_chainlit
from core.clock import FixedClock
from core.db import Database
from core.door import Chart, IncomingMessage, ProposalCard, Reply, Table, UsageTotals, View
from core.errors import ArgumentsWrong
from core.files import Files
from core.ids import new_id
from core.money import Money
from core.permissions import Permissions
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Progress
from core.vault import Vault
from prompts.texts import Texts
from tests.channels.outside import Outside
from tests.conftest import PASSWORD, Tenants

HOST = "http://localhost:8000"


# Chainlit reads its folder from the environment when it is first imported, once per process: before any test module.
_CHAINLIT = Path(tempfile.mkdtemp(prefix="mutirao-chainlit-"))
atexit.register(shutil.rmtree, _CHAINLIT, ignore_errors=True)
prepare_chainlit(_CHAINLIT, "a secret of the tests that is long enough")


@pytest.fixture(scope="session")
def texts() -> Texts:
    return Texts.load()


def _starters(role: Role) -> list[str]:
    return ["starter.overview"] if role is Role.CLIENTE else ["starter.overview", "starter.pause"]


class Budget:
    """A change of a number in memory: the smallest thing that can be approved, edited and undone."""

    kind = "test.budget"
    area = "ads"

    def __init__(self) -> None:
        self.amount = "100.00"
        self.writes = 0

    def effect(self, change: Change) -> str:
        return "SPEND"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        lines = [("chat.field.amount", Money(Decimal(change.data["after"]), "BRL"))]
        return Preview("chat.approve", lines, editable={"amount": change.data["after"]})

    async def recheck(self, tenant_id: str, change: Change) -> None: ...

    async def apply(self, tenant_id: str, change: Change) -> None:
        self.amount = change.data["after"]
        self.writes += 1

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        return ReadBack.APPLIED if self.amount == change.data["after"] else ReadBack.NOT_APPLIED

    def inverse(self, change: Change) -> Change:
        return Change(self.kind, change.target, {"before": change.data["after"], "after": change.data["before"]})

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        try:
            amount = Decimal(edits["amount"].replace(".", "").replace(",", "."))
        except ArithmeticError:
            raise ArgumentsWrong("amount_absurd", "no number", amount=edits["amount"]) from None
        return Change(change.kind, change.target, {**change.data, "after": f"{amount:.2f}"})


@dataclass
class Web:
    """The door and what stands behind it. `play` is what a turn does before it is answered with `text`."""

    app: FastAPI
    db: Database
    people: People
    approvals: Approvals
    conversations: Conversations
    files: Files
    budget: Budget
    tenants: Tenants
    settings: Settings
    crm: Crm
    outside: Outside
    heard: list[IncomingMessage] = field(default_factory=list)
    play: Callable[[IncomingMessage, Progress], Awaitable[None]] | None = None
    text: str = "Tudo certo."
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    drafts: bool = False
    """Whether each turn says that it used a tool which writes what only we see."""
    proposes: str = ""
    """The amount of a proposal that each turn makes; empty for none."""

    async def handle(self, message: IncomingMessage, progress: Progress) -> Reply:
        """As the supervisor does it: accept, work, save, reply."""
        who, turn = message.identity, new_id("turn")
        self.heard.append(message)
        attachments = [asdict(a) for a in message.attachments]
        await self.conversations.accept(who, message.conversation_id, "chat", message.text, turn, attachments)
        cards: list[ProposalCard] = []
        if self.proposes:
            cards = [await self.propose(who, message.conversation_id, turn)]
        text, ended = self.text, "done"
        try:
            if self.play:
                await self.play(message, progress)
        except asyncio.CancelledError:
            text, ended = "Parei aqui.", "stopped"
        extra = {
            "tables": [asdict(t) for t in self.tables],
            "charts": [asdict(c) for c in self.charts],
            "views": [asdict(v) for v in self.views],
        }
        async with self.db.tenant(who.tenant_id) as conn:
            message_id = await self.conversations.finish(
                who,
                message.conversation_id,
                turn,
                text=text,
                language="pt-BR",
                extra=extra,
                record={},
                state="done",
                conn=conn,
            )
        usage = UsageTotals(0, 0, 0, None, [])
        return Reply(
            turn,
            message.conversation_id,
            text,
            "pt-BR",
            [],
            [{"name": "find_companies", "arguments": {}, "effect": "DRAFT"}] if self.drafts else [],
            cards,
            self.tables,
            self.charts,
            usage,
            {},
            message_id,
            ended,
            self.views,
        )

    async def propose(self, who: Identity, conversation: str, turn: str | None = None) -> ProposalCard:
        proposal = await self.approvals.create(
            who,
            Change("test.budget", "c1", {"before": self.budget.amount, "after": self.proposes or "150.00"}),
            tool="set_budget",
            effect="SPEND",
            door="chat",
            conversation_id=conversation,
            turn_id=turn,
        )
        return proposal_card(proposal, Texts.load(), "pt-BR", "America/Sao_Paulo")

    def browser(self, address: str = "127.0.0.1", base: str = HOST) -> httpx.AsyncClient:
        """A browser of our own page: it says where it comes from, as browsers do."""
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=base, headers={"Origin": base}, timeout=20)

    @asynccontextmanager
    async def logged_in(self, who: Identity) -> AsyncIterator[httpx.AsyncClient]:
        async with self.browser() as browser:
            answer = await browser.post("/chat/login", data={"username": who.email, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            yield browser

    async def conversation_of(self, who: Identity, text: str = "Como foram minhas campanhas?") -> str:
        """A conversation with one question and its answer. Returns its id."""
        conversation = str(uuid.uuid4())
        await self.handle(IncomingMessage(who, conversation, text, "chat"), lambda _: None)
        return conversation

    @property
    def admin(self) -> Identity:
        return self.tenants.one[Role.ADMIN]

    @property
    def colleague(self) -> Identity:
        """Another person of the same company."""
        return self.tenants.one[Role.COMERCIAL]

    @property
    def stranger(self) -> Identity:
        """A person of another company."""
        return self.tenants.other[Role.ADMIN]


@pytest.fixture
async def outside(
    database: Database, clock: FixedClock, permissions: Permissions, tmp_path: Path
) -> AsyncIterator[Outside]:
    outside = await Outside.open(database, clock, permissions, Vault.load(tmp_path))
    yield outside
    await outside.close()


@pytest.fixture
async def web(
    database: Database,
    people: People,
    tenants: Tenants,
    permissions: Permissions,
    clock: FixedClock,
    texts: Texts,
    tmp_path: Path,
    outside: Outside,
) -> AsyncIterator[Web]:
    import chainlit.data

    async def allowed(*_: Any) -> None: ...

    settings = Settings(data_dir=tmp_path, upload_max_mb=1, allowed_origins=["https://chat.ipe.example"])
    budget = Budget()
    approvals = Approvals(database, permissions, clock, {budget.kind: budget}, check=allowed)
    files = Files(database, max_mb=1)
    conversations = Conversations(database, clock)
    crm = Crm(database, clock, permissions)

    async def tell(*_: Any) -> None: ...

    outside.attend(permissions, crm, people, texts, tell)
    web = Web(FastAPI(), database, people, approvals, conversations, files, budget, tenants, settings, crm, outside)
    services = SimpleNamespace(
        settings=settings,
        texts=texts,
        db=database,
        vault=Vault.load(tmp_path),
        files=files,
        people=people,
        approvals=approvals,
        clock=clock,
        permissions=permissions,
        crm=web.crm,
        messaging=outside,
        handle=web.handle,
    )
    chainlit.data._data_layer = None  # one process serves one chat; here it serves one per test
    chainlit.data._data_layer_initialized = False
    web.app = build_web_app(services, card=proposal_card, starters=_starters)  # type: ignore[arg-type]
    yield web
    await approvals.close()


class Socket:
    """A tab of the page, over socket.io's long polling: what it is told, and what it says."""

    def __init__(self, browser: httpx.AsyncClient, session_id: str | None = None) -> None:
        self.browser = browser
        self.session_id = session_id or str(uuid.uuid4())
        self.events: list[tuple[str, Any]] = []
        self.refused = ""
        self._address = ""
        self._reader: asyncio.Future[None] | None = None
        self._pongs: list[asyncio.Future[None]] = []
        self._closed = False

    async def open(self, thread_id: str | None = None) -> "Socket":
        first = await self.browser.get("/chat/ws/socket.io/", params={"EIO": "4", "transport": "polling"})
        assert first.status_code == 200, first.text
        self._address = f"/chat/ws/socket.io/?EIO=4&transport=polling&sid={json.loads(first.text[1:])['sid']}"
        hello = {"sessionId": self.session_id, "clientType": "webapp", "userEnv": "{}", "threadId": thread_id or ""}
        await self._post("40" + json.dumps(hello))
        answer = (await self.browser.get(self._address)).text
        if answer.startswith("44"):
            self.refused = answer
            return self
        self._take(answer)
        self._reader = asyncio.ensure_future(self._read())
        await self.say("connection_successful")
        return self

    async def say(self, event: str, *data: Any) -> None:
        await self._post("42" + json.dumps([event, *data]))

    async def message(self, text: str, files: list[str] | None = None) -> None:
        step = {"id": str(uuid.uuid4()), "threadId": "", "name": "me", "type": "user_message", "output": text}
        step["createdAt"] = "2026-11-20T15:00:00Z"
        await self.say("client_message", {"message": step, "fileReferences": [{"id": f} for f in files or []]})

    async def click(self, name: str, proposal_id: str) -> httpx.Response:
        action = {"name": name, "payload": {"proposal": proposal_id}, "id": str(uuid.uuid4()), "label": name}
        return await self.browser.post("/chat/project/action", json={"sessionId": self.session_id, "action": action})

    async def until(self, condition: Callable[["Socket"], Any], seconds: float = 20.0) -> Any:
        """Wait until the page has been told what the condition looks for, and return what it found."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (found := condition(self)):
            assert asyncio.get_running_loop().time() < deadline, f"never told: {self.told()}"
            await asyncio.sleep(0.01)
        return found

    def told(self, *names: str) -> list[Any]:
        return [data if names else (name, data) for name, data in self.events if not names or name in names]

    def texts(self) -> str:
        """Everything the messages on the page have said."""
        return "\n".join(step.get("output", "") for step in self.told("new_message", "update_message", "stream_start"))

    def buttons(self) -> set[str]:
        """The names of the buttons that stand on the page now, with their cards: `approve-card-…`."""
        standing: set[str] = set()
        for name, data in self.events:
            if name == "action":
                standing.add(data["id"])
            elif name == "remove_action":
                standing.discard(data["id"])
        return standing

    async def close(self) -> None:
        self._closed = True  # engineio swallows a cancellation, so the reader must know itself that it is over
        if self._reader:
            self._reader.cancel()
            await asyncio.gather(self._reader, *self._pongs, return_exceptions=True)
        await self._post("41")

    async def _post(self, packet: str) -> None:
        await self.browser.post(self._address, content=packet, headers={"Content-Type": "text/plain;charset=UTF-8"})

    async def _read(self) -> None:
        while not self._closed:
            answer = await self.browser.get(self._address)
            if answer.status_code != 200:
                return
            self._take(answer.text)

    def _take(self, text: str) -> None:
        for packet in text.split("\x1e"):
            if packet == "2":
                self._pongs.append(asyncio.ensure_future(self._post("3")))
            elif found := re.fullmatch(r"42\d*(\[.*\])", packet, re.DOTALL):
                name, *data = json.loads(found[1])
                self.events.append((name, data[0] if data else None))


@pytest.fixture
async def tab(web: Web) -> AsyncIterator[Callable[..., Awaitable[Socket]]]:
    """Opens tabs of the page for people, and closes them at the end."""
    async with AsyncExitStack() as stack:

        async def open_tab(who: Identity, thread_id: str | None = None, session_id: str | None = None) -> Socket:
            browser = await stack.enter_async_context(web.logged_in(who))
            socket = await Socket(browser, session_id).open(thread_id)
            stack.push_async_callback(socket.close)
            return socket

        yield open_tab
