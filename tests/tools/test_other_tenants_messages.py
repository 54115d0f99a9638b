"""Nobody reaches another company's conversations, messages, numbers, files, templates, cadences, documents or meetings;
and of one's own company, who sees only their own reaches no colleague's.

As in test_other_tenants.py, what is tried is listed per method and per button, and the lists are held against what
there is. Methods that take a transaction instead of a person run in the tenant's own, where row-level security holds.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from business.crm.model import ContactData
from business.messaging.arrivals import Echoed, Seen, TemplateTold, Who
from business.messaging.channels import Channels
from business.messaging.chats import Chats
from business.messaging.consent import Act
from business.messaging.ledger import Ledger
from business.messaging.outbox import Draft, Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.settling import Settling
from business.messaging.templates import Purpose
from business.messaging.templates_store import TemplateStore, templates_of
from business.outreach.cadence import shipped, shipped_text
from business.outreach.rounds import Rounds
from business.outreach.runs import Cadences, Lead
from business.sales.calendar import Guest
from business.sales.evidence import Evidence, Slot
from business.sales.google_calendar import LinkedCalendar
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from business.sales.score import default_rules
from business.sales.stages import Stage
from channels.inbox_acts import InboxActs
from channels.inbox_views import InboxViews
from core.tenancy import Identity, Role
from integrations.whatsapp_cloud import messages as say
from tests.channels.outside import Outside
from tests.conftest import PASSWORD, Dsns
from tests.journeys.conftest import House, houses
from tests.tools.other_tenants import SAID, Scene, Told, told_by
from tools.library import Library
from tools.messages import MESSAGE_TOOLS
from tools.opening import Opening

Try = Callable[[Any, Identity, Told, Any], Awaitable[Any]]
REFUSED, EMPTY, OWN = "refused", "empty", "own"
"""What the other company must get: a refusal; an answer that tells nothing; what it has or makes itself."""
LEAD, WORDS, ANSWER = "Zuleica do Tremembé", "minha senha do portão é araucária", "resposta da casa sobre o jardim"


def within(call: Callable[[Any, Any, Told, Any], Awaitable[Any]]) -> Try:
    """A method that takes a transaction: in one of the tenant that tries."""

    async def tried(service: Any, who: Identity, told: Told, scene: Scene) -> Any:
        async with scene.house.services.db.tenant(who.tenant_id) as conn:
            return await call(service, conn, told, scene)

    return tried


CHATS: dict[str, tuple[str, Try]] = {
    "list": (EMPTY, lambda c, w, t, s: c.list(w, search=t["name"], channel_id=t["channel"], state="all")),
    "counts": (EMPTY, lambda c, w, t, s: c.counts(w)),
    "get": (REFUSED, lambda c, w, t, s: c.get(w, t["chat"])),
    "of_contact": (EMPTY, lambda c, w, t, s: c.of_contact(w, t["contact"])),
    "messages": (REFUSED, lambda c, w, t, s: c.messages(w, t["chat"])),
    "quick_replies": (OWN, lambda c, w, t, s: c.quick_replies(w)),
    "watch": (EMPTY, lambda c, w, t, s: _hears(s, c, w)),
    "take_over": (REFUSED, lambda c, w, t, s: c.take_over(w, t["chat"])),
    "hand_back": (REFUSED, lambda c, w, t, s: c.hand_back(w, t["chat"])),
    "close": (REFUSED, lambda c, w, t, s: c.close(w, t["chat"])),
    "assign": (REFUSED, lambda c, w, t, s: c.assign(w, t["chat"], w.user_id)),
    "note": (REFUSED, lambda c, w, t, s: c.note(w, t["chat"], "x")),
    "mark_read": (REFUSED, lambda c, w, t, s: c.mark_read(w, t["chat"])),
    "tag": (REFUSED, lambda c, w, t, s: c.tag(w, t["chat"], ["x"])),
    "react": (REFUSED, lambda c, w, t, s: c.react(w, t["chat"], t["external"], "👍", key="k")),
    "consent": (REFUSED, lambda c, w, t, s: c.consent(w, t["chat"], Act.STOPPED, "x")),
    "reply": (REFUSED, lambda c, w, t, s: c.reply(w, t["chat"], "oi", key="k", reply_to=t["external"])),
}

OUTBOX: dict[str, tuple[str, Try]] = {
    "resolve": (REFUSED, lambda c, w, t, s: c.resolve(w, t["outbox"], "send")),
    "blocks": (EMPTY, lambda c, w, t, s: c.blocks(w, t["channel"])),
    "lift": (EMPTY, lambda c, w, t, s: c.lift(w, t["channel"], block_id=t["block"])),
    "put": (REFUSED, within(lambda c, conn, t, s: c.put(conn, s.other.tenant_id, t["chat"], s.things["draft"]))),
    "drop": (EMPTY, within(lambda c, conn, t, s: c.drop(conn, t["chat"], "x"))),
    "reconsider": (EMPTY, within(lambda c, conn, t, s: c.reconsider(conn, s.other.tenant_id, t["channel"], ["r"]))),
    "waiting": (EMPTY, within(lambda c, conn, t, s: c.waiting(conn, ""))),
    "take_back": (EMPTY, within(lambda c, conn, t, s: c.take_back(conn, t["outbox"], "x"))),
    "finish": (EMPTY, within(lambda c, conn, t, s: c.finish(conn, s.things["row"], "x"))),
}  # fmt: skip

SETTLING: dict[str, tuple[str, Try]] = {
    # A status of nobody's is kept for a message that may still come: of their own.
    "settle": (OWN, within(lambda c, conn, t, s: c.settle(
        conn, s.other.tenant_id, t["channel"], Seen(t["external"], "read", s.now, callback=t["outbox"])
    ))),
    "adopt": (EMPTY, within(lambda c, conn, t, s: c.adopt(
        conn, s.other.tenant_id, t["chat"], Echoed(t["external"], s.things["who"], s.now, "text", WORDS)
    ))),
}  # fmt: skip

TEMPLATES: dict[str, tuple[str, Try]] = {
    "list": (REFUSED, lambda c, w, t, s: c.list(w, t["channel"])),
    "use": (REFUSED, lambda c, w, t, s: c.use(w, t["template"], "pt_BR", [], channel_id=t["channel"])),
    "create": (REFUSED, lambda c, w, t, s: c.create(w, None, channel_id=t["channel"])),
    "sync": (REFUSED, lambda c, w, t, s: c.sync(w.tenant_id, t["channel"])),
    "run": (EMPTY, lambda c, w, t, s: c.run(w.tenant_id, t["channel"])),
    "told": (EMPTY, within(lambda c, conn, t, s: c.told(
        conn, s.other.tenant_id, t["channel"], TemplateTold(t["template"], "pt_BR", "status", "PAUSED")
    ))),
}  # fmt: skip

CHANNELS: dict[str, tuple[str, Try]] = {
    "of": (EMPTY, lambda c, w, t, s: c.of(w.tenant_id)),
    "default": (EMPTY, lambda c, w, t, s: c.default(w.tenant_id)),
    "bring_home": (EMPTY, lambda c, w, t, s: c.bring_home(w.tenant_id)),
    "get": (REFUSED, lambda c, w, t, s: c.get(w.tenant_id, t["channel"])),
    # With the other's row in hand, as no caller can have it: the credentials are bound to it, too.
    "secrets": (
        REFUSED,
        lambda c, w, t, s: c.secrets(replace(s.things["channel"], id=t["channel"], tenant_id=w.tenant_id)),
    ),
    "save": (REFUSED, lambda c, w, t, s: c.save(w, "whatsapp_cloud", t["number"], secrets={"token": "mine"})),
    "pause": (REFUSED, lambda c, w, t, s: c.pause(w, t["channel"])),
    "resume": (REFUSED, lambda c, w, t, s: c.resume(w, t["channel"])),
}

CADENCES: dict[str, tuple[str, Try]] = {
    "list": (EMPTY, lambda c, w, t, s: c.list(w)),
    "names": (OWN, lambda c, w, t, s: c.names(w)),
    "cadence": (REFUSED, lambda c, w, t, s: c.cadence(w.tenant_id, t["cadence"])),
    "stop": (REFUSED, lambda c, w, t, s: c.stop(w, t["run"])),
    "get": (EMPTY, within(lambda c, conn, t, s: c.get(conn, t["run"]))),
    "approved": (EMPTY, within(lambda c, conn, t, s: c.approved(conn, t["run"], 0, "x", ""))),
    "end_of_first": (EMPTY, within(lambda c, conn, t, s: c.end_of_first(conn, t["chat"], "out_1", "by_person"))),
    "locked": (EMPTY, within(lambda c, conn, t, s: c.locked(conn, t["run"]))),
    "start": (REFUSED, within(lambda c, conn, t, s: c.start(
        conn, s.other.tenant_id, shipped("padrao"), Lead("x", contact_id=t["contact"], chat_id=t["chat"]), by="x"
    ))),
    "save": (OWN, lambda c, w, t, s: c.save(w, s.things["cadence"])),
}  # fmt: skip

ROUNDS: dict[str, tuple[str, Try]] = {"run": (EMPTY, lambda c, w, t, s: c.run(w.tenant_id))}

LIBRARY: dict[str, tuple[str, Try]] = {
    "search": (EMPTY, lambda c, w, t, s: _passages(c, w)),
    "list": (EMPTY, lambda c, w, t, s: c.list(w.tenant_id)),
    "remove": (EMPTY, lambda c, w, t, s: c.remove(w.tenant_id, t["document"])),
}

CALENDAR: dict[str, tuple[str, Try]] = {
    "coming": (EMPTY, lambda c, w, t, s: c.coming(w.tenant_id, chat_id=t["chat"])),
    "get": (REFUSED, lambda c, w, t, s: c.get(w.tenant_id, t["meeting"])),
    "by_key": (EMPTY, lambda c, w, t, s: c.by_key(w.tenant_id, t["key"])),
    "starts": (EMPTY, lambda c, w, t, s: c.starts(w.tenant_id, [t["meeting"]])),
    "held": (EMPTY, lambda c, w, t, s: c.held(w.tenant_id, timedelta(0))),
    "settle": (REFUSED, lambda c, w, t, s: c.settle(w.tenant_id, t["meeting"], "x", "https://x.example", at=s.free)),
    "left_outside": (EMPTY, lambda c, w, t, s: c.left_outside(w.tenant_id)),
    "gone_outside": (EMPTY, lambda c, w, t, s: c.gone_outside(w.tenant_id, t["meeting"])),
    "untold": (EMPTY, lambda c, w, t, s: c.untold(w.tenant_id)),
    "news": (EMPTY, within(lambda c, conn, t, s: c.news(conn, t["meeting"]))),
    "move": (REFUSED, lambda c, w, t, s: c.move(w.tenant_id, t["meeting"], s.free + timedelta(hours=1))),
    "cancel": (REFUSED, lambda c, w, t, s: c.cancel(w.tenant_id, t["meeting"])),
    "remind": (EMPTY, lambda c, w, t, s: c.remind(w.tenant_id, _nothing)),
    "free": (OWN, lambda c, w, t, s: c.free(w.tenant_id, since=s.free, until=s.free + timedelta(hours=1))),
    # The same hour, with the other's conversation: their calendars do not know of each other.
    "hold": (REFUSED, lambda c, w, t, s: c.hold(
        w.tenant_id, s.free, guest=Guest("x", chat_id=t["chat"]), title="x", key="k", host_id=None, minutes=30
    )),
    "book": (REFUSED, lambda c, w, t, s: c.book(
        w.tenant_id, s.free, guest=Guest("x", chat_id=t["chat"]), title="x", key="k"
    )),
}  # fmt: skip
LINKED = {name: CALENDAR[name] for name in ("coming", "move", "cancel", "free", "book")} | {
    "mend": (EMPTY, lambda c, w, t, s: c.mend(w.tenant_id))
}

SALES: dict[str, tuple[str, Try]] = {
    "known": (EMPTY, lambda c, w, t, s: _evidence(c, w, t)),
    "said": (EMPTY, lambda c, w, t, s: c.said(w.tenant_id, t["chat"])),
    "note": (REFUSED, lambda c, w, t, s: c.note(w.tenant_id, t["chat"], Evidence(Slot.NEED, "clear", "x"), "turn_x")),
    "go": (REFUSED, lambda c, w, t, s: c.go(w.tenant_id, t["chat"], Stage.LOST, "x", None)),
}

ACTS: dict[str, dict[str, Any]] = {
    "reply": {"text": "oi"}, "note": {"text": "x"}, "read": {}, "take_over": {}, "hand_back": {}, "close": {},
    "assign": {"user": ""}, "tag": {"tags": ["x"]}, "resolve": {"outbox": "{outbox}", "send": True},
    "template": {"name": "{template}", "language": "pt_BR"}, "consent": {"what": "stopped", "words": "x"},
    "cancel_meeting": {"meeting": "{chat}"},
    "react": {"message": "{external}", "emoji": "👍"},
}  # fmt: skip
"""What the inbox's page may ask for; all of it is refused for a conversation that is not there for who asks."""
VIEWS: dict[str, Callable[[InboxViews, Identity, Told], Awaitable[Any]]] = {
    "chat": lambda v, w, t: v.chat(w, t["chat"]),
    "messages": lambda v, w, t: v.messages(w, t["chat"], 10**9),
    "templates": lambda v, w, t: v.templates(w, t["chat"]),
    "media": lambda v, w, t: v.media(w, t["media"], t["chat"]),
}
TOOLS: dict[str, list[dict[str, Any]]] = {
    "show_conversation": [{"conversation": "{chat}"}, {"conversation": "{name}"}, {"conversation": "1"}],
    "list_conversations": [{}, {"search": "{name}"}, {"search": "99731-2468"}, {"show": "waiting"}, {"days": 90}],
    "list_templates": [{}],
    "whatsapp_status": [{}],
}
"""What the chat may be asked (tools/messages.py); none of it tells of a conversation that is not there for who asks."""
LISTS = {"list", "counts", "start", "link"}
"""Parts of the page that name no conversation: they must tell nothing of the other's."""

TRIED: dict[type, tuple[dict[str, tuple[str, Try]], set[str]]] = {
    # with the methods that are no person's and name nothing: they get rows of the transaction, or go over all tenants
    Chats: (CHATS, set()),
    Outbox: (OUTBOX, {"tell", "wake", "wake_channel"}),
    Outcomes: ({}, {"left", "accepted", "refused", "undeliverable", "unknown"}),
    Settling: (SETTLING, {"early"}),
    TemplateStore: (TEMPLATES, {"sync_all"}),
    Channels: (CHANNELS, {"environment"}),
    Cadences: (CADENCES, {"end", "move_on", "schedule", "touch", "wait"}),
    Rounds: (ROUNDS, set()),
    Library: (LIBRARY, {"add", "catch_up", "run", "sync"}),
    HouseCalendar: (CALENDAR, set()),
    LinkedCalendar: (LINKED, set()),
    SalesRecords: (SALES, {"keep_score", "told", "hot_told"}),
}


async def _nothing(*_: Any) -> None: ...


async def _hears(scene: Scene, chats: Chats, who: Identity) -> list[str]:
    """What somebody who looks on hears of while the other's conversation changes, until one of their own does."""
    changes = aiter(chats.watch(who))
    assert await anext(changes) == "", "anything may have changed before"
    heard: list[str] = []

    async def until_own() -> None:
        async for chat_id in changes:
            if chat_id:
                heard.append(chat_id)
            if chat_id == "own":
                return

    async with asyncio.TaskGroup() as both:
        listening = both.create_task(until_own())
        while not listening.done():  # what is told while nobody listens yet is lost
            for tenant_id, chat_id in ((scene.one.tenant_id, scene.told["chat"]), (who.tenant_id, "own")):
                async with scene.house.services.db.tenant(tenant_id) as conn:
                    await conn.execute("SELECT pg_notify('chats', %s)", [f"{tenant_id} {chat_id}"])
            await asyncio.wait([listening], timeout=0.1)
    return [one for one in heard if one != "own"]


async def _passages(library: Library, who: Identity) -> list[Any]:
    return list((await library.search(who.tenant_id, WORDS)).passages)


async def _evidence(sales: SalesRecords, who: Identity, told: Told) -> list[Any]:
    return list((await sales.known(who.tenant_id, told["chat"], default_rules())).evidence)


@dataclass
class Talks(Scene):
    """Two companies, one of which talks with somebody outside."""

    seller: Identity | None = None
    """Of the first company: sees what is theirs, or nobody's."""

    @property
    def now(self) -> datetime:
        return self.house.services.clock.now()

    @property
    def free(self) -> datetime:
        """An hour at which meetings are possible, and at which the first company has one."""
        found: datetime = self.things["meeting"].starts_at
        return found

    @property
    def secrets(self) -> set[str]:
        return set(self.told.values()) | {WORDS, ANSWER}


async def _set_scene(house: House, behind: psycopg.Connection[Any]) -> Talks:
    services = house.services
    messaging, one = services.messaging, await house.person(Role.ADMIN)
    tenant = await services.people.add_tenant("Loja Vizinha", slug="vizinha")
    user = await services.people.add_user(tenant.id, "eva@vizinha.example", "Eva Reis", Role.ADMIN, PASSWORD)
    scene = Talks(house, behind, one, await services.people.identity(tenant.id, user.id))
    scene.seller = await house.person(Role.COMERCIAL)
    calendar = HouseCalendar(services.db, services.clock, Opening(services.db, messaging.rules))
    out = Outside(
        services.db, services.clock, messaging.channels, messaging.chats, messaging.outbox, services.jobs,
        messaging.chats.notices, messaging.sales_records, calendar,
    )  # fmt: skip
    contact = await services.crm.upsert_contact(one, ContactData(SAID, name=LEAD))
    channel = await messaging.channels.save(
        one, "whatsapp_cloud", "100000000000777", name="Jardins", account="999777", secrets={"token": "t"}
    )
    chat = await out.chat(channel, "5519997312468", LEAD, of={"contact_id": contact.id, "owner_id": one.user_id})
    await out.says(one.tenant_id, chat, WORDS, external_id="wamid.tremembe")
    _, outbox = await out.waits(one.tenant_id, chat, ANSWER, "ask")
    file = await services.files.store(one, b"%PDF-1.4 jardim", name="jardim.pdf", mime="application/pdf")
    media = await out.file(one.tenant_id, chat, file.id, "document", "application/pdf")
    await messaging.library.add(one.tenant_id, "tremembe.md", f"# Portão do jardim\n\n{WORDS}")
    await messaging.library.catch_up(one.tenant_id)
    cadence = shipped_text("padrao").replace("name: padrao", "name: tremembe")
    await messaging.cadences.save(one, cadence)
    since = services.clock.now() + timedelta(days=3)
    slot = (await calendar.free(one.tenant_id, since=since, until=since + timedelta(days=5)))[0]
    meeting = await calendar.book(
        one.tenant_id, slot.starts_at, guest=Guest(LEAD, chat_id=chat), title="Jardim", key=f"{chat} jardim"
    )
    async with services.db.tenant(one.tenant_id) as conn:
        run = await messaging.cadences.start(
            conn, one.tenant_id, shipped("padrao"), Lead(LEAD, contact_id=contact.id, chat_id=chat), by=one.user_id
        )
        await conn.execute(
            """INSERT INTO message_templates (tenant_id, channel_id, name, language, category, status, body, synced_at)
               VALUES (%s, %s, 'convite_do_jardim', 'pt_BR', 'MARKETING', 'APPROVED', 'Oi!', %s)""",
            [one.tenant_id, channel.id, scene.now],
        )
        row = await (await conn.execute("SELECT * FROM outbox WHERE id = %s", [outbox])).fetchone()
    assert contact.id and run
    await messaging.sales_records.note(one.tenant_id, chat, Evidence(Slot.NEED, "clear", WORDS), "turn_x")
    scene.told |= {
        "channel": channel.id, "number": channel.number, "chat": chat, "contact": contact.id, "name": LEAD,
        "outbox": outbox, "external": "wamid.tremembe", "media": media, "document": "tremembe.md", "run": run,
        "cadence": "tremembe", "meeting": meeting.id, "key": f"{chat} jardim", "template": "convite_do_jardim",
        "block": "block_x", "file": file.id, "user": one.user_id,
    }  # fmt: skip
    scene.things |= {
        "channel": channel, "row": row, "meeting": meeting, "cadence": cadence, "calendar": calendar,
        "who": Who(wa_id="5519997312468"), "draft": Draft(Purpose.ANSWER, "k", say.text("oi")),
    }  # fmt: skip
    return scene


def _pages(scene: Talks) -> tuple[InboxViews, InboxActs]:
    services = scene.house.services
    messaging = services.messaging

    async def nothing(*_: Any) -> Any:
        raise AssertionError("asked about a conversation that is not theirs")

    views = InboxViews(
        messaging.chats, messaging.channels, services.db, services.people, services.crm, services.permissions,
        services.texts, services.clock, nothing, nothing, 1_000_000,
    )  # fmt: skip
    return views, InboxActs(
        messaging.chats,
        messaging.outbox,
        services.db,
        services.files,
        services.texts,
        templates_of,
        messaging.call_off,
    )


async def _try_services(scene: Talks, *, own: bool) -> None:
    messaging = scene.house.services.messaging
    calendar, db, clock = scene.things["calendar"], scene.house.services.db, scene.house.services.clock
    outcomes = Outcomes(messaging.outbox, clock, Ledger(scene.house.services.jobs))
    services: dict[type, Any] = {
        Chats: messaging.chats, Outbox: messaging.outbox, Outcomes: outcomes,
        Settling: Settling(messaging.outbox, outcomes, clock), TemplateStore: messaging.templates,
        Channels: messaging.channels, Cadences: messaging.cadences, Rounds: Rounds(db, clock, messaging.cadences),
        Library: messaging.library,
        HouseCalendar: calendar, LinkedCalendar: LinkedCalendar(calendar, messaging.links.of),
        SalesRecords: messaging.sales_records,
    }  # fmt: skip
    wrong: list[str] = []
    for kind, service in services.items():
        for name, (expected, call) in TRIED[kind][0].items():
            if (expected == OWN) is not own:
                continue
            what = f"{kind.__name__}.{name}"
            with scene.untouched(what, makes=own):
                try:
                    seen = await told_by(call(service, scene.other, scene.told, scene))
                except psycopg.Error as error:  # what runs in a transaction may be stopped by the database itself
                    seen = type(error).__name__
            if leaked := scene.leaked(seen):
                wrong.append(f"{what}: told {leaked}")
            if expected == REFUSED and not isinstance(seen, str):
                wrong.append(f"{what}: gave {seen!r}")
            if expected == EMPTY and _holds(seen):
                wrong.append(f"{what}: gave {seen!r}")
    assert wrong == []


async def _try_page(scene: Talks, who: Identity) -> None:
    """Every part of the inbox's page and every button on it, of a conversation that is not theirs."""
    views, acts = _pages(scene)
    for name, call in VIEWS.items():
        with scene.untouched(name):
            seen = await told_by(call(views, who, scene.told))
            assert isinstance(seen, str) and "chat_unknown" in seen, f"{name}: {seen!r}"
    for name, did in ACTS.items():
        with scene.untouched(name):
            asked = {"do": name, "once": f"{who.user_id} {name}"} | scene.told.filled(did)
            seen = await told_by(acts.do(who, scene.told["chat"], asked))
            assert seen.startswith(("chat_unknown", "message_unknown", "inbox_")), f"{name}: {seen!r}"
    with scene.untouched("file"):
        seen = await told_by(acts.keep_file(who, scene.told["chat"], b"%PDF-1.4 x", "x.pdf"))
        assert "chat_unknown" in seen
    with scene.untouched("lists"):
        for seen in (
            await views.list(who, "open"),
            await views.list(who, "closed", search=LEAD),
            await views.link(who),
        ):
            assert not scene.leaked(seen) and seen.get("chats", []) == []


async def _try_tools(scene: Talks, who: Identity, *, template: bool) -> None:
    """`template`: whether the company's templates are theirs to see."""
    assert set(TOOLS) == {spec.name for spec in MESSAGE_TOOLS}
    shown = {"entities": [{"n": 1, "id": scene.told["chat"], "name": LEAD, "kind": "conversation"}]}
    for name, cases in TOOLS.items():
        for args in cases:
            with scene.untouched(name):
                turn = scene.turn(who, str(args), **shown)
                outcome = await scene.house.services.runner.call(turn, name, scene.told.filled(args))
            assert outcome.ok is (name != "show_conversation"), f"{name} {args}: {outcome.text_for_model}"
            told = outcome.text_for_model + repr(outcome.error and outcome.error.params)
            assert WORDS not in told and ANSWER not in told, f"{name} {args}: {told}"
            assert outcome.data.get("conversations", []) == [], f"{name} {args}: {told}"
            assert ("convite_do_jardim" in told) is (template and name == "list_templates"), told


def _holds(seen: Any) -> bool:
    if isinstance(seen, dict):
        return any(_holds(value) for value in seen.values())
    return bool(seen)


async def test_nothing_tells_or_changes_anything_of_another_companys_conversations(dsns: Dsns, clock: Any) -> None:
    """The companies are made once: that takes longer than all that is tried."""
    with psycopg.connect(dsns.owner, autocommit=True) as behind:
        async with houses(dsns, clock) as open_house:
            scene = await _set_scene(await open_house(), behind)
            await _try_tools(scene, scene.other, template=False)
            await _try_services(scene, own=False)
            await _try_page(scene, scene.other)
            await _try_services(scene, own=True)

            # Of the same company, who sees only their own.
            assert scene.seller is not None
            chats, told = scene.house.services.messaging.chats, scene.told
            await _try_page(scene, scene.seller)
            await _try_tools(scene, scene.seller, template=True)
            for name, (expected, call) in CHATS.items():
                if name not in ("watch", "quick_replies"):
                    with scene.untouched(name):
                        seen = await told_by(call(chats, scene.seller, told, scene))
                    assert ("chat_unknown" in seen) if expected == REFUSED else not _holds(seen), f"{name}: {seen!r}"
            with scene.untouched("resolve"):
                refused = await told_by(
                    scene.house.services.messaging.outbox.resolve(scene.seller, told["outbox"], "drop")
                )
            assert refused.startswith("message_unknown")
            await chats.assign(scene.one, told["chat"], None)
            assert (await chats.get(scene.seller, told["chat"])).id == told["chat"], "nobody's is for everybody"
            seen = await scene.house.services.runner.call(
                scene.turn(scene.seller, LEAD), "show_conversation", {"conversation": LEAD}
            )
            assert WORDS in seen.text_for_model


def test_every_method_and_every_button_is_tried() -> None:
    for kind, (cases, others) in TRIED.items():
        public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
        assert public - others == set(cases), f"say how these of {kind.__name__} are tried"
    acts = InboxActs(*[None] * 7)  # type: ignore[arg-type]
    assert set(acts._acts) == set(ACTS), "say how these buttons are tried"
    views = {name for name, _ in inspect.getmembers(InboxViews, inspect.isfunction) if not name.startswith("_")}
    assert views - LISTS == set(VIEWS), "say how these parts of the page are tried"
