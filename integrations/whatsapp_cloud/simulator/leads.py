"""Leads that play themselves, for demos and tests: `leads/*.yaml`, one person a file.

They are scripts, not minds: what we say is looked through for the first rule whose words it has, each rule is used
once, after the rules come the sentences under `otherwise`, and then the lead is silent. The same answers lead to the
same conversation. Form of a file:

name, phone   who it is
opens         what they write at first, as a burst
rules         each: `when` (a regular expression, case ignored), `press` (of a button's or row's title; the first that
              has it is pressed instead of writing), `says` (messages), `ends` (nothing comes after it)
otherwise     what they say when no rule has it
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from integrations.sandbox_chats import wa_id_of
from integrations.whatsapp_cloud.simulator.courier import Config
from integrations.whatsapp_cloud.simulator.phone import Phones
from integrations.whatsapp_cloud.simulator.state import Chat, State

_FOLDER = Path(__file__).with_name("leads")
_QUIET = 4.0
"""Seconds of silence of ours after which a lead takes it that we are done."""
_THINKS, _TYPES = 1.5, 0.05
"""Seconds before a lead writes, and for each character."""
_LONGEST_WAIT = 300.0
"""Seconds without a word of ours after which a lead puts the phone away."""


@dataclass(frozen=True)
class Rule:
    when: re.Pattern[str]
    says: tuple[str, ...] = ()
    press: re.Pattern[str] | None = None
    ends: bool = False


@dataclass(frozen=True)
class Lead:
    """One script."""

    id: str
    name: str
    phone: str
    opens: tuple[str, ...]
    rules: tuple[Rule, ...]
    otherwise: tuple[str, ...]


@dataclass
class _Part:
    """What of a script is left."""

    lead: Lead
    number_id: str
    rules: list[Rule]
    otherwise: list[str]
    task: asyncio.Task[None] | None = None
    heard: set[str] = field(default_factory=set)


def load(folder: Path = _FOLDER) -> list[Lead]:
    """All scripts, by file name."""
    return [_lead(file) for file in sorted(folder.glob("*.yaml"))]


class Leads:
    """The leads of one simulated WhatsApp. `config.lead_pace` multiplies their waits."""

    def __init__(self, state: State, phones: Phones, config: Config) -> None:
        self._state = state
        self._phones = phones
        self._config = config
        self._leads = {lead.id: lead for lead in load()}
        self._playing: dict[str, _Part] = {}

    def shown(self) -> list[dict[str, Any]]:
        """Who there is: {"id", "name", "phone", "wa_id", "playing"}."""
        return [
            {
                "id": lead.id,
                "name": lead.name,
                "phone": lead.phone,
                "wa_id": wa_id_of(lead.phone),
                "playing": lead.id in self._playing,
            }
            for lead in self._leads.values()
        ]

    def play(self, lead_id: str, number_id: str) -> None:
        """Let a lead write to a number, until the script is over. ValueError when there is no such lead."""
        if lead_id not in self._leads:
            raise ValueError(f"no such lead: {lead_id}")
        if lead_id in self._playing:
            return
        lead = self._leads[lead_id]
        part = _Part(lead, number_id, list(lead.rules), list(lead.otherwise))
        self._playing[lead_id] = part
        part.task = asyncio.create_task(self._run(part), name=f"lead {lead_id}")
        self._state.touch()

    def stop(self, lead_id: str) -> None:
        """Put the phone into the person's hands."""
        part = self._playing.pop(lead_id, None)
        if part is not None and part.task is not None:
            part.task.cancel()
        self._state.touch()

    async def close(self) -> None:
        tasks = [part.task for part in self._playing.values() if part.task is not None]
        self._playing.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, part: _Part) -> None:
        try:
            wa_id = self._state.contact(part.lead.phone, part.lead.name).wa_id
            part.heard |= {chat.id for chat in self._seen(part, wa_id)}
            await self._say(part, part.lead.opens)
            while (news := await self._listen(part, wa_id)) and await self._answer(part, news):
                pass
        except ValueError:
            pass  # the phone was switched off
        finally:
            if self._playing.get(part.lead.id) is part:
                del self._playing[part.lead.id]
                self._state.touch()

    async def _listen(self, part: _Part, wa_id: str) -> list[Chat]:
        """What we have said since, once we are quiet; nothing when we do not answer."""
        news: list[Chat] = []
        now = asyncio.get_running_loop().time
        until = now() + _LONGEST_WAIT * self._config.lead_pace
        while True:
            before = self._state.version
            fresh = [chat for chat in self._seen(part, wa_id) if chat.id not in part.heard]
            if fresh:
                part.heard |= {chat.id for chat in fresh}
                news += fresh
                self._phones.read(part.number_id, wa_id)
                until = now() + _QUIET * self._config.lead_pace
                continue
            if now() >= until:
                return news
            await self._state.newer(before, until - now())

    def _seen(self, part: _Part, wa_id: str) -> list[Chat]:
        """Our messages that have reached the phone."""
        thread = self._state.thread(part.number_id, wa_id)
        ours = [one for one in thread if one.direction == "out" and one.body["type"] != "reaction"]
        return [one for one in ours if one.lies_on_the_phone]

    async def _answer(self, part: _Part, news: list[Chat]) -> bool:
        """Say what the script says to it; False when that was its end."""
        words = "\n".join(_words(chat, self._phones.seen(chat)) for chat in news)
        rule = next((one for one in part.rules if one.when.search(words)), None)
        if rule is None:
            if not part.otherwise:
                return False
            await self._say(part, (part.otherwise.pop(0),))
            return True
        part.rules.remove(rule)
        choice = next(_choices(news, self._phones, rule.press), None) if rule.press else None
        if choice is not None:
            await asyncio.sleep(_THINKS * self._config.lead_pace)
            self._phones.write(self._frame(part) | choice)
        else:
            await self._say(part, rule.says)
        return not rule.ends

    async def _say(self, part: _Part, messages: tuple[str, ...]) -> None:
        for words in messages:
            await asyncio.sleep((_THINKS + _TYPES * len(words)) * self._config.lead_pace)
            self._phones.write(self._frame(part) | {"type": "text", "text": {"body": words}})

    @staticmethod
    def _frame(part: _Part) -> dict[str, Any]:
        return {"from": part.lead.phone, "name": part.lead.name, "number_id": part.number_id}


def _words(chat: Chat, seen: dict[str, Any] | None) -> str:
    """What one reads in a message of ours."""
    body = chat.body[chat.body["type"]]
    if seen is not None:
        return f"{seen['header']}\n{seen['body']}\n" + "\n".join(one["text"] for one in seen["buttons"])
    if chat.body["type"] == "interactive":
        return "\n".join([body["body"]["text"], *(title for _, title, _ in _options(body))])
    return str(body.get("body") or body.get("caption") or "") if isinstance(body, dict) else ""


def _options(interactive: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(kind of reply, title, id) of the buttons and rows."""
    action = interactive.get("action", {})
    for button in action.get("buttons", ()):
        yield "button_reply", button["reply"]["title"], button["reply"]["id"]
    for section in action.get("sections", ()):
        for row in section["rows"]:
            yield "list_reply", row["title"], row["id"]


def _choices(news: list[Chat], phones: Phones, press: re.Pattern[str]) -> Iterator[dict[str, Any]]:
    """The presses that fit, of the newest message first."""
    for chat in reversed(news):
        context = {"context": {"id": chat.id}}
        seen = phones.seen(chat)
        for button in seen["buttons"] if seen is not None else ():
            if button["kind"] == "quick_reply" and press.search(button["text"]):
                yield context | {"type": "button", "button": {"payload": button["payload"], "text": button["text"]}}
        if chat.body["type"] == "interactive":
            for kind, title, identity in _options(chat.body["interactive"]):
                if press.search(title):
                    yield context | {
                        "type": "interactive",
                        "interactive": {"type": kind, kind: {"id": identity, "title": title}},
                    }


def _lead(file: Path) -> Lead:
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    rules = tuple(
        Rule(
            re.compile(one["when"], re.IGNORECASE),
            tuple(one.get("says", ())),
            re.compile(one["press"], re.IGNORECASE) if "press" in one else None,
            bool(one.get("ends", False)),
        )
        for one in told.get("rules", ())
    )
    return Lead(file.stem, told["name"], told["phone"], tuple(told["opens"]), rules, tuple(told.get("otherwise", ())))
