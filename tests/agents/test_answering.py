"""Turns with people outside: one answer to a burst, none that is out of date, and none twice, whoever dies or waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from agents.answering import Turns
from agents.supervisor import Supervisor
from business.conversations.service import Conversations
from business.messaging.conversation import Chat
from core.clock import FixedClock
from core.db import Connection, Database
from core.door import Reply, UsageTotals, View
from core.permissions import Permissions
from core.tenancy import Role
from core.turn import HandOver, ToolRecord, Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.registry import CrewEntry
from prompts.prompt import Prompts
from tests.business.messaging.chat_house import LEAD, ChatHouse, chat_house, echo, webhook, wrote
from tests.conftest import Tenants, until

FRIDAY_NIGHT = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)


@dataclass
class Crew:
    """Who answers. `thinks` is awaited before it does."""

    thinks: Callable[[Turn], Awaitable[None]] | None = None
    views: list[View] = field(default_factory=list)
    ended: str = "done"
    said: str | None = None
    turns: list[Turn] = field(default_factory=list)
    histories: list[list[tuple[str, str]]] = field(default_factory=list)
    stopped: int = 0

    async def __call__(self, turn: Turn, history: Sequence[tuple[str, str]]) -> Reply:
        self.turns.append(turn)
        self.histories.append(list(history))
        try:
            if self.thinks is not None:
                await self.thinks(turn)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        turn.session["sdr"] = {"seen": len(self.turns)}
        text = f"Sobre: {turn.text}" if self.said is None else self.said
        return Reply(
            turn.id, turn.conversation_id, text, turn.language, [], [], [], [], [],
            UsageTotals(0, 0, 0, None, []), {}, "", self.ended, self.views,
        )  # fmt: skip


@dataclass
class Desk:
    house: ChatHouse
    crew: Crew
    turns: Turns
    wanted: list[tuple[str, str]]

    async def run(self, who: str = LEAD) -> None:
        await self.turns.run(self.house.id, (await self.house.chat(who))["id"])

    async def due(self, *bodies: bytes, who: str = LEAD) -> None:
        """Sort these, and let their quiet pass."""
        await self.house.sort(*bodies)
        due = (await self.house.chat(who))["due_at"]
        if due is not None:
            self.house.later(max(0.0, (due - self.house.clock.now()).total_seconds()))

    async def left(self) -> None:
        """As sending.py leaves what WhatsApp took."""
        async with self.house.db.tenant(self.house.id) as conn:
            await conn.execute("UPDATE outbox SET state = 'sent' WHERE state = 'waiting'")
            await conn.execute("UPDATE chat_messages SET status = 'sent' WHERE status = 'queued'")

    async def out(self) -> list[str]:
        query = """SELECT m.text, o.state FROM outbox o JOIN chat_messages m ON m.id = o.message_id ORDER BY o.seq"""
        return [f"{row['text']} ({row['state']})" for row in await self.house.rows(query)]


@pytest.fixture
async def desk(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, people: Any, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        crew, wanted = Crew(), []

        async def tell(conn: Connection, chat: Chat, why: HandOver, key: str) -> None:
            wanted.append((why.reason, key))

        async def acquaint(tenant_id: str, chat_id: str) -> None: ...

        turns = Turns(
            database, clock, crew, people.agent, house.channels, house.rules, house.outbox, house.hands, house.waking,
            house.notices, house.texts, {}, acquaint, tell, lambda kind, media: ("", {}),
        )  # fmt: skip
        yield Desk(house, crew, turns, wanted)


def on_event(event: asyncio.Event) -> Callable[[Turn], Awaitable[None]]:
    async def wait(turn: Turn) -> None:
        await event.wait()

    return wait


async def test_a_burst_gets_one_answer_and_the_next_turn_knows_what_was_said(desk: Desk) -> None:
    await desk.due(webhook(wrote("1", "oi"), wrote("2", "vi o site"), wrote("3", "quanto custa?")))
    await desk.run()
    await desk.run()  # the job again, after a crash that came too late
    assert await desk.out() == ["Sobre: oi\nvi o site\nquanto custa? (waiting)"]
    (turn,) = desk.crew.turns
    assert (turn.door, turn.identity.role, turn.contact and turn.contact.chat_id) == (
        "whatsapp", Role.AGENTE_IA, (await desk.house.chat())["id"],
    )  # fmt: skip
    told = turn.session["chat"]
    assert told["kinds"] == ["text"] * 3
    assert (told["open"], told["opens_at"][:10]) == (False, "2026-11-23"), "20 November is a holiday, a Friday"
    chat = await desk.house.chat()
    assert (chat["waiting_since"], chat["due_at"], chat["session"]) == (None, None, {"sdr": {"seen": 1}})
    await desk.left()
    await desk.due(webhook(wrote("4", "e para dois?")))
    await desk.run()
    assert desk.crew.histories[1] == [
        ("user", "oi"), ("user", "vi o site"), ("user", "quanto custa?"),
        ("assistant", "Sobre: oi\nvi o site\nquanto custa?"),
    ]  # fmt: skip
    assert desk.crew.turns[1].text == "e para dois?"
    # An answer that a newer message caught before it left: the next one covers both.
    await desk.due(webhook(wrote("5", "ou para três?")))
    await desk.run()
    assert desk.crew.turns[2].text == "e para dois?\nou para três?"
    # Or that the policy stopped in its last moment.
    async with desk.house.db.tenant(desk.house.id) as conn:
        await conn.execute("UPDATE outbox SET state = 'dropped', reason = 'newer_message' WHERE state = 'waiting'")
        await conn.execute("UPDATE chat_messages SET status = 'dropped' WHERE status = 'queued'")
    await desk.due(webhook(wrote("6", "ou quatro?")))
    await desk.run()
    assert desk.crew.turns[3].text == "e para dois?\nou para três?\nou quatro?"
    assert [one.rpartition(" ")[2] for one in await desk.out()] == ["(sent)", "(dropped)", "(dropped)", "(waiting)"]


async def test_a_burst_of_any_length_is_read_whole_and_answered_once(desk: Desk) -> None:
    await desk.due(webhook(*[wrote(str(n), f"m{n}") for n in range(70)]))
    await desk.run()
    assert desk.crew.turns[0].text.split() == [f"m{n}" for n in range(70)]
    assert (await desk.house.chat())["waiting_since"] is None
    await desk.left()
    desk.house.later(120)
    assert await desk.turns.revive(desk.house.id) == 0 and len(desk.crew.turns) == 1


@pytest.mark.parametrize("seen", ["while the later one is answered", "after that"])
async def test_a_message_that_is_seen_after_a_later_one_is_answered_once_and_nothing_is_twice(
    desk: Desk, seen: str
) -> None:
    """The commit of the first was in doubt while PostgreSQL hung; found by `make chaos`."""

    async def show(hidden_at: datetime | None = None) -> None:
        async with desk.house.db.tenant(desk.house.id) as conn:
            await conn.execute("UPDATE inbox SET sorted_at = %s WHERE key = 'wamid.1'", [hidden_at])

    await desk.house.keep(webhook(wrote("1", "primeira")))
    await show(desk.house.clock.now())
    desk.house.later(3)
    await desk.due(webhook(wrote("2", "segunda")))
    if seen == "after that":
        await desk.run()
        await desk.left()
        desk.house.later(5)
        await show()
        await desk.due()
    else:
        release = asyncio.Event()
        desk.crew.thinks = on_event(release)
        running = asyncio.create_task(desk.run())
        await until(lambda: len(desk.crew.turns) == 1)
        await show()
        await desk.house.sort()
        release.set()
        await running
        await desk.due()
    await desk.run()
    await desk.left()
    told = " ".join(await desk.out())
    assert (told.count("primeira"), told.count("segunda")) == (1, 1), told
    assert (await desk.house.chat())["waiting_since"] is None


async def test_a_turn_that_is_not_due_waits_and_a_lost_job_is_made_again(desk: Desk) -> None:
    await desk.house.sort(webhook(wrote("1")))
    await desk.run()
    assert desk.crew.turns == [] and len(await desk.house.queued()) == 2
    desk.house.later(300)
    async with desk.house.db.system() as conn:
        await conn.execute("DELETE FROM procrastinate_jobs")
    assert await desk.turns.revive(desk.house.id) == 1 and len(await desk.house.queued()) == 1
    await desk.run()
    assert len(desk.crew.turns) == 1 and await desk.turns.revive(desk.house.id) == 0


async def test_a_newer_message_supersedes_the_turn_that_runs_but_not_for_ever(desk: Desk) -> None:
    release = asyncio.Event()
    desk.crew.thinks = on_event(release)
    await desk.due(webhook(wrote("0", "olá")))
    for number in range(1, 4):
        running = asyncio.create_task(desk.run())
        await until(lambda n=number: len(desk.crew.turns) == n)  # type: ignore[misc]
        await desk.due(webhook(wrote(str(number), f"e mais {number}")))
        await running
    assert desk.crew.stopped == 3 and await desk.out() == [] and (await desk.house.chat())["superseded"] == 3
    # Who writes without pause is answered all the same, and what came meanwhile gets a turn of its own.
    running = asyncio.create_task(desk.run())
    await until(lambda: len(desk.crew.turns) == 4)
    await desk.due(webhook(wrote("9", "e o prazo?")))
    release.set()
    await running
    assert await desk.out() == ["Sobre: olá\ne mais 1\ne mais 2\ne mais 3 (waiting)"]
    await desk.run()
    assert (await desk.out())[1] == "Sobre: e o prazo? (waiting)"


async def test_what_an_interrupted_turn_did_is_known_to_the_next(desk: Desk) -> None:
    release = asyncio.Event()

    async def books(turn: Turn) -> None:
        if len(desk.crew.turns) == 1:
            turn.results.append(ToolRecord("book_meeting", {}, "DRAFT", {"ok": True}, "user", told='{"booked":true}'))
            await release.wait()

    desk.crew.thinks = books
    await desk.due(webhook(wrote("1", "pode ser às 10")))
    running = asyncio.create_task(desk.run())
    await until(lambda: bool(desk.crew.turns and desk.crew.turns[0].results))
    await desk.due(webhook(wrote("2", "da manhã")))
    await running
    await desk.run()
    assert desk.crew.turns[1].session["chat"]["done"] == ['book_meeting: {"booked":true}']
    assert desk.crew.turns[1].text == "pode ser às 10\nda manhã"
    assert "done" not in (await desk.house.chat())["session"]


@pytest.mark.parametrize("by", ["button", "app", "inbox"])
async def test_a_person_silences_a_turn_at_once_and_a_hand_back_starts_clean(desk: Desk, by: str) -> None:
    release = asyncio.Event()
    desk.crew.thinks = on_event(release)
    await desk.due(webhook(wrote("1", "oi")))
    chat_id, who = (await desk.house.chat())["id"], desk.house.who()
    running = asyncio.create_task(desk.run())
    await until(lambda: len(desk.crew.turns) == 1)
    if by == "button":
        await desk.house.chats.take_over(who, chat_id)
    elif by == "app":
        await desk.house.sort(webhook(echo("e", "Eu cuido", at=desk.house.clock.now()), what="smb_message_echoes"))
    else:
        await desk.house.chats.reply(who, chat_id, "Oi, aqui é a Rita", key="f1")
        await desk.house.chats.reply(who, chat_id, "Oi, aqui é a Rita", key="f1")
    await asyncio.wait_for(running, 3)
    assert desk.crew.stopped == 1
    assert await desk.out() == (["Oi, aqui é a Rita (waiting)"] if by == "inbox" else [])
    desk.crew.thinks = None
    await desk.due(webhook(wrote("2", "e o preço?")))
    await desk.run()
    assert len(desk.crew.turns) == 1, "silent while a person has it"
    # Handed back: the bot takes up what nobody answered, and nothing of what it was about to say.
    desk.house.later(2)
    back = await desk.house.chats.hand_back(who, chat_id)
    assert (back.held, back.segment, back.session) == ("bot", 1, {})
    await desk.run()
    expected = "Sobre: oi\ne o preço? (waiting)" if by == "button" else "Sobre: e o preço? (waiting)"
    assert (await desk.out())[-1] == expected


async def test_two_workers_and_a_zombie_give_one_answer(desk: Desk) -> None:
    release = asyncio.Event()
    desk.crew.thinks = on_event(release)
    await desk.due(webhook(wrote("1", "oi")))
    both = [asyncio.create_task(desk.run()) for _ in range(2)]
    await until(lambda: len(desk.crew.turns) == 2)  # as when a job was rescued from a worker that only slept
    release.set()
    await asyncio.gather(*both)
    assert await desk.out() == ["Sobre: oi (waiting)"]


async def test_a_crew_that_fails_is_asked_again_and_in_the_end_a_person_is_fetched(desk: Desk) -> None:
    desk.crew.said, desk.crew.ended = "", "error:bug"
    await desk.due(webhook(wrote("1", "oi")))
    for _ in range(6):
        await desk.run()
        desk.house.later(40)
    assert len(desk.crew.turns) == 4 and desk.wanted[0][0] == "cannot_help" and len(desk.wanted) == 1
    (only,) = await desk.out()
    assert "alguém da equipe" in only
    assert (await desk.house.chat())["held"] == "fetching"


async def test_who_asks_for_a_person_is_told_once_and_the_team_hears_of_it(desk: Desk) -> None:
    async def fetches(turn: Turn) -> None:
        turn.hand_over = HandOver("asked", "Quer falar de desconto.")

    desk.crew.thinks, desk.crew.said = fetches, ""
    cast(FixedClock, desk.house.clock).at = FRIDAY_NIGHT
    await desk.due(webhook(wrote("1", "quero falar com uma pessoa", at=FRIDAY_NIGHT)))
    await desk.run()
    await desk.due(webhook(wrote("2", "alguém?", at=desk.house.clock.now())))
    await desk.run()
    (told,) = await desk.out()
    assert "segunda" in told or "23" in told, told  # nobody is there before Monday
    assert not desk.crew.turns[0].session["chat"]["open"]
    assert [reason for reason, _ in desk.wanted] == ["asked", "asked"] and len({key for _, key in desk.wanted}) == 2
    chat = await desk.house.chat()
    assert (chat["held"], chat["summary"]) == ("fetching", "Quer falar de desconto.")


async def test_the_team_hears_once_of_somebody_who_waits_for_a_person_while_it_is_there(desk: Desk) -> None:
    clock = cast(FixedClock, desk.house.clock)
    clock.at = datetime(2026, 11, 19, 20, 40, tzinfo=UTC)  # 17:40 in São Paulo; 18:00 is the end
    await desk.house.sort(webhook(wrote("1", "oi", at=clock.at)))
    await desk.house.chats.take_over(desk.house.who(), (await desk.house.chat())["id"])
    assert await desk.turns.remind(desk.house.id) == 0
    desk.house.later(16 * 60)
    assert await desk.turns.remind(desk.house.id) == 1
    desk.house.later(60)
    await desk.turns.remind(desk.house.id)
    assert {reason for reason, _ in desk.wanted} == {"waits"} and len({key for _, key in desk.wanted}) == 1
    desk.house.later(3600)
    assert await desk.turns.remind(desk.house.id) == 0, "nobody is there in the evening"


async def test_a_message_that_comes_days_late_is_answered_by_a_person(desk: Desk) -> None:
    await desk.due(webhook(wrote("1", "posso pagar hoje?", at=desk.house.clock.now() - timedelta(days=7))))
    await desk.run()
    assert desk.crew.turns == [] and desk.wanted[0][0] == "late"
    assert "só chegou até nós agora" in (await desk.out())[0]


async def test_a_lead_elsewhere_is_spoken_to_by_the_clock_of_where_they_live(desk: Desk) -> None:
    manaus, here = "5592999990001", "5511999990009"
    for who in (manaus, here):
        await desk.due(webhook(wrote(f"z{who}", "tem horário amanhã?", who)), who=who)
        await desk.run(who)
    assert [turn.identity.time_zone for turn in desk.crew.turns] == ["America/Manaus", "America/Sao_Paulo"]


async def test_a_clock_that_a_lead_says_holds_from_then_on_also_after_a_hand_back(desk: Desk) -> None:
    manaus = "5592999990001"
    for number, words in enumerate(("tem horário?", "quinta às 15h, horário de Brasília", "ou sexta?")):
        await desk.due(webhook(wrote(f"z{number}", words, manaus)), who=manaus)
        await desk.run(manaus)
        await desk.left()
    zones = [turn.identity.time_zone for turn in desk.crew.turns]
    assert zones == ["America/Manaus", "America/Sao_Paulo", "America/Sao_Paulo"]
    chat_id = (await desk.house.chat(manaus))["id"]
    await desk.house.chats.take_over(desk.house.who(), chat_id)
    await desk.house.chats.hand_back(desk.house.who(), chat_id)
    assert (await desk.house.chat(manaus))["session"] == {}
    await desk.due(webhook(wrote("z9", "e então?", manaus)), who=manaus)
    await desk.run(manaus)
    assert desk.crew.turns[-1].identity.time_zone == "America/Sao_Paulo"


async def test_the_crew_reads_at_which_message_a_reaction_stands(desk: Desk) -> None:
    desk.crew.said = "Pode ser quinta, 26/11, às 15h?"
    await desk.due(webhook(wrote("1", "quero marcar")))
    await desk.run()
    await desk.left()
    async with desk.house.db.tenant(desk.house.id) as conn:
        await conn.execute("UPDATE chat_messages SET external_id = 'wamid.b1' WHERE direction = 'out'")
    thumb = {"type": "reaction", "reaction": {"message_id": "wamid.b1", "emoji": "👍"}}
    await desk.due(webhook(wrote("2", **thumb)))
    await desk.run()
    told = desk.crew.turns[1].session["chat"]
    assert (desk.crew.turns[1].text, told["kinds"]) == ("👍", ["reaction"])
    assert told["reacted_to"] == [{"text": desk.crew.said, "on": "2026-11-20"}]


async def test_choices_are_buttons_or_a_list_and_long_answers_come_in_parts(desk: Desk) -> None:
    def offer(count: int, title: str = "Qual horário?") -> View:
        choices = [{"id": f"slot:{n}", "title": f"Terça, {n}h"} for n in range(count)]
        return View("choices", title, data={"label": "Horários", "choices": choices})

    async def kinds() -> list[str]:
        return [
            row["kind"] for row in await desk.house.rows("SELECT content->>'type' AS kind FROM outbox ORDER BY seq")
        ]

    desk.crew.said, desk.crew.views = "Tenho estes horários.", [offer(2)]
    await desk.due(webhook(wrote("1", "quero marcar")))
    await desk.run()
    assert await kinds() == ["text", "interactive"]
    desk.crew.views, desk.crew.said = [offer(7, "")], "Escolha um:"
    await desk.due(webhook(wrote("2", "outros?")))
    await desk.run()
    (row,) = await desk.house.rows("SELECT content FROM outbox ORDER BY seq DESC LIMIT 1")
    assert (
        row["content"]["interactive"]["type"] == "list"
        and row["content"]["interactive"]["body"]["text"] == "Escolha um:"
    )
    address = "https://ipe.example/conversa"
    desk.crew.views = [View("link", "", data={"label": "Entrar na conversa", "url": address})]
    desk.crew.said = f"Marcado: quinta, 26/11, às 15h. O link é {address}"
    await desk.due(webhook(wrote("2b", "quinta às 15h")))
    await desk.run()
    (row,) = await desk.house.rows("SELECT content FROM outbox ORDER BY seq DESC LIMIT 1")
    told = row["content"]["interactive"]
    assert (told["type"], told["body"]["text"]) == ("cta_url", "Marcado: quinta, 26/11, às 15h.")
    assert told["action"]["parameters"]["url"] == address and address in (await desk.out())[-1]
    desk.crew.views, desk.crew.said = [offer(14)], "**Certo.** " + "Uma frase que explica. " * 120
    await desk.due(webhook(wrote("3", "todos")))
    await desk.run()
    texts = [one.removesuffix(" (waiting)") for one in await desk.out()]
    assert texts[4].startswith("*Certo.*") and len(texts[3]) < 1_200 and len(texts) > 5
    assert "14. Terça, 13h" in texts[-1], "what no list can hold is numbered"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Perfeito! Sua reunião está marcada para quinta, 26/11, às 15h, pelo link {url}", None),
        ("Nos vemos na quinta, às três da tarde: {url}. Até lá!", None),
        (
            "You're booked for Thursday at 3 pm. Join here: {url}. See you!",
            "You're booked for Thursday at 3 pm. See you!",
        ),
    ],
)
async def test_a_button_for_the_link_takes_no_word_away_of_when_the_meeting_is(
    desk: Desk, said: str, left: str | None
) -> None:
    url = "https://meet.example/abc-defg"
    desk.crew.views = [View("link", "", data={"label": "Entrar", "url": url})]
    desk.crew.said = said.format(url=url)
    await desk.due(webhook(wrote("1", "quinta às 15h")))
    await desk.run()
    (row,) = await desk.house.rows("SELECT content FROM outbox ORDER BY seq DESC LIMIT 1")
    told = row["content"]["interactive"]
    assert told["action"]["parameters"]["url"] == url and told["body"]["text"] == (left or desk.crew.said)


async def test_no_after_a_first_message_is_asked_about_before_it_is_written_down(desk: Desk) -> None:
    await desk.due(webhook(wrote("0", "oi")))
    await desk.run()
    async with desk.house.db.tenant(desk.house.id) as conn:
        await conn.execute("UPDATE outbox SET purpose = 'first_contact', state = 'sent'")
    await desk.due(webhook(wrote("1", "não tenho interesse")))
    await desk.run()
    (row,) = await desk.house.rows("SELECT content FROM outbox ORDER BY seq DESC LIMIT 1")
    assert [b["reply"]["id"] for b in row["content"]["interactive"]["action"]["buttons"]] == [
        "opt_out_yes",
        "opt_out_no",
    ]
    assert len(desk.crew.turns) == 1 and await desk.house.rows("SELECT 1 FROM consent_entries") == []


async def test_cancel_calls_off_what_stands_and_is_asked_about_where_nothing_does(desk: Desk) -> None:
    async def meets(chat: Chat) -> dict[str, str]:
        return {"day": "quinta, 26/11", "time": "15h"}

    async def asked() -> tuple[str, list[str]]:
        (row,) = await desk.house.rows("SELECT content FROM outbox ORDER BY seq DESC LIMIT 1")
        told = row["content"]["interactive"]
        return told["body"]["text"], [one["reply"]["title"] for one in told["action"]["buttons"]]

    await desk.due(webhook(wrote("0", "oi")))
    await desk.run()
    await desk.left()
    await desk.due(webhook(wrote("1", "Cancelar"), wrote("2", "por favor")))
    await desk.run()
    assert await asked() == ("Você prefere não receber mais mensagens nossas?", ["Não quero receber", "Pode continuar"])
    await desk.left()
    await desk.due(webhook(wrote("3", "não entendi")))
    await desk.run()
    await desk.left()

    desk.turns.meets = meets
    await desk.due(webhook(wrote("4", "Cancelar")))
    await desk.run()
    assert [turn.text for turn in desk.crew.turns] == ["oi", "não entendi", "Cancelar"], "the crew calls it off"
    await desk.left()
    await desk.due(webhook(wrote("5", "não quero mais")))
    await desk.run()
    assert await asked() == (
        "Você quer cancelar a conversa de quinta, 26/11, às 15h, ou prefere não receber mais mensagens?",
        ["Cancelar a conversa", "Não quero receber"],
    )
    await desk.left()
    await desk.due(webhook(wrote("6", "1")))
    await desk.run()
    assert desk.crew.turns[-1].text == "Cancelar a conversa", "by its number, where a gateway has no buttons"
    assert await desk.house.rows("SELECT 1 FROM consent_entries") == []


async def test_a_program_that_writes_all_day_is_answered_at_a_person_s_pace(desk: Desk) -> None:
    async def answered(first: int, last: int) -> None:
        """So many answers more, of four messages each."""
        async with desk.house.db.tenant(desk.house.id) as conn:
            await conn.execute(
                """INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, created_at,
                       facts)
                   SELECT tenant_id, id || n || p, chat_id, message_id, key || n || p, content, purpose, author,
                       created_at, jsonb_build_object('answers', n)
                   FROM (SELECT * FROM outbox ORDER BY seq LIMIT 1) o, generate_series(%s::int, %s::int) n,
                       generate_series(1, 4) p""",
                [first, last],
            )

    await desk.due(webhook(wrote("0", "oi")))
    await desk.run()
    await answered(101, 115)
    await desk.due(webhook(wrote("1", "oi de novo")))
    await desk.run()
    assert len(desk.crew.turns) == 2, "sixty messages, sixteen answers"
    await answered(116, 140)
    await desk.due(webhook(wrote("2", "oi mais uma vez")))
    await desk.run()
    assert len(desk.crew.turns) == 2 and (await desk.house.chat())["due_at"] is not None
    desk.house.later(60)
    await desk.run()
    assert len(desk.crew.turns) == 3


async def test_the_supervisor_lets_the_crew_for_contacts_answer_and_nobody_else(
    desk: Desk, permissions: Permissions, clock: FixedClock, people: Any
) -> None:
    asked: list[list[CrewTask]] = []

    async def sells(turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: Any) -> CrewResult:
        asked.append(tasks)
        if "espera" in turn.text:
            await asyncio.Event().wait()
        if "quebra" in turn.text:
            raise RuntimeError("a bug")
        if "soma" in turn.text:
            return CrewResult("Dá R$ 246,00.", True, lambda: "Sem números.", worked_out=[Decimal(246)])
        return CrewResult("O plano custa R$ 123,00.", "inventa" in turn.text, lambda: "Sem números.", session={"a": 1})

    house = desk.house
    nothing = cast(Any, None)
    supervisor = Supervisor(
        db=house.db, conversations=Conversations(house.db, clock), sessions=nothing, permissions=permissions,
        approvals=nothing, deps=CrewDeps(nothing, nothing, Prompts(), house.texts),
        crews=[CrewEntry("sdr", "sdr", [], sells, [], [])], classifier=nothing, talk=nothing, intake=nothing,
        clock=clock,
    )  # fmt: skip
    desk.turns.answer = supervisor.answer_contact
    await desk.due(webhook(wrote("1", "pause todas as campanhas")))
    await desk.run()
    assert [(task.intent, task.text) for task in asked[0]] == [("sdr.answer", "pause todas as campanhas")]
    assert await desk.out() == ["O plano custa R$ 123,00. (waiting)"]
    assert (await house.chat())["session"] == {"a": 1}
    await desk.due(webhook(wrote("2", "inventa")))
    await desk.run()
    assert (await desk.out())[-1] == "Sem números. (waiting)", "a number that nobody gave does not leave"
    await desk.due(webhook(wrote("5", "soma")))
    await desk.run()
    assert (await desk.out())[-1] == "Dá R$ 246,00. (waiting)", "a sum that its crew has checked does"
    await desk.due(webhook(wrote("3", "quebra")))
    await desk.run()
    assert len(await desk.out()) == 3
    await desk.due(webhook(wrote("4", "espera")))
    running = asyncio.create_task(desk.run())
    await until(lambda: len(asked) == 5)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    rows = await house.rows("SELECT state, ended, door FROM turns ORDER BY started_at, id")
    assert [(row["state"], row["ended"]) for row in rows] == [
        ("done", "done"), ("done", "done"), ("done", "done"), ("failed", "error:bug"), ("stopped", "stopped"),
    ]  # fmt: skip
    assert replace(clock).at and {row["door"] for row in rows} == {"whatsapp"}
    assert await house.rows("SELECT 1 FROM messages") == []
