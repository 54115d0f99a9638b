"""What the SDR does without a model: understands a burst by rules, calls the same tools, answers in ready sentences.

It greets once, answers what was asked, asks one thing at a time, and offers times when it knows enough. Everything it
says follows from the tool results of the turn, so it is also what is said when a model's own words may not leave.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from business.messaging.clocks import UNCLEAR_NOW, ZONE
from business.sales.item_names import ItemNames
from core.turn import ToolRecord, Turn
from core.words import ORDINALS, folded
from crews.sdr.asked import Heard, hear
from crews.sdr.words import MOST_CHOICES, Words
from llm.messages import ToolCall
from tools.sdr import SESSION, agreed, local_of, offer_of, offered_to, pressed, reacts_elsewhere

ASKED_MOST = 2  # times that one question is put
_OUR_PLACES = re.compile(
    r" (?:site|website|pagina|page|perfil|profile|anuncio|ad|instagram) (?:de|d[aeo]s?|of) (?:la )?"
    r"(?:voces|vcs|empresa|agencia|loja|ustedes|vosotros|yours)(?= )"
    r"| (?:your|seus?|teus?|sus?|tus?) (?:site|website|pagina|page|perfil|profile|anuncio|ad|instagram)(?= )"
)
"""Where they found us ("vi o site de vocês"), which is none of the items, even where one is called so."""
_ANY_PRODUCT = frozenset(
    "plano planos servico servicos pacote pacotes produto produtos mensalidade mes trabalho consultoria tudo isso voces"
    " plan plans service services package packages it this that month planes servicio servicios paquete eso".split()
)
_OF_ONE_REPLY = ("asked", "just_asked", "offered_person", "day")
"""Of what the conversation keeps, what a reply says anew or not at all."""
_INSULTS_MOST = 1  # that are borne before a person is fetched
_NOT_FREE = frozenset({"calendar_taken", "calendar_closed", "calendar_past", "calendar_soon"})
"""Why a time cannot be booked; every other refusal of the calendar's says nothing about what is free."""


@dataclass
class Said:
    """What is going to be said, piece by piece, and what the conversation keeps of it."""

    pieces: list[str] = field(default_factory=list)
    keep: dict[str, Any] = field(default_factory=dict)
    choices: list[dict[str, str]] = field(default_factory=list)
    asks: bool = False
    """Something was asked already: nothing more is."""

    def add(self, *pieces: str) -> None:
        self.pieces += [one for one in pieces if one and one not in self.pieces]


class SdrPlaybook:
    """One turn. `brief` is the result of sdr_brief."""

    def __init__(self, turn: Turn, brief: dict[str, Any], words: Words) -> None:
        self._turn = turn
        self._brief = brief
        self._words = words
        self._before: dict[str, Any] = dict(turn.session.get(SESSION) or {})
        chat = turn.session.get("chat") or {}
        self._chat = chat
        self._offered = offered_to(turn)
        self._priced_wrong = False
        """A model told a price that is none: those that there are, are told."""
        self.heard: Heard = hear(
            turn.text,
            brief,
            asked=str(self._before.get("asked") or ""),
            kinds=tuple(chat.get("kinds") or ()),
            offered=[datetime.fromisoformat(one) for one in self._offered],
            now=turn.now,
            zone=turn.identity.time_zone,
        )
        if self._before.get("day") and self.heard.when is None and turn.session.get(ZONE):
            self.heard.meeting = True  # they say by which clock the hour was, for which we asked

    # --- which calls --------------------------------------------------------------------------

    def next_step(self) -> list[ToolCall] | str:
        for calls in (self._first_calls, self._second_calls, self._last_calls):
            missing = [(name, arguments) for name, arguments in calls() if self._record(name, arguments) is None]
            if missing:
                return [ToolCall("", name, arguments) for name, arguments in missing]
        return self.text()

    def _first_calls(self) -> list[tuple[str, dict[str, Any]]]:
        heard = self.heard
        if heard.opt_out:
            return [("opt_out", {"quote": heard.opt_out[:300]})]
        calls: list[tuple[str, dict[str, Any]]] = [
            ("note_fact", {"slot": slot, "reading": reading, "quote": quote}) for slot, reading, quote in heard.evidence
        ]
        if reason := self._hand_reason():
            return [*calls, *self._fetching(reason)]
        if heard.attack:
            return calls
        if heard.price or heard.listing or heard.discount or heard.cheapest or self._named_items():
            calls.append(self._catalogue())
        if heard.question and not (self._picks() and "?" not in heard.question):
            calls.append(("search_documents", {"query": heard.question[:300]}))
        if heard.cancel:
            calls.append(("cancel_meeting", {"quote": self._turn.text[:300]}))
        elif self._picks() and not self._picked() and not self.asks_clock:
            calls.append(("free_slots", self._asked_slots()))
        return calls

    def _second_calls(self) -> list[tuple[str, dict[str, Any]]]:
        """A time that was chosen is booked; times are looked up when the conversation is ready for them."""
        if self.heard.opt_out or self._hand_reason() or self.heard.attack or self.asks_clock:
            return []
        if starts := self._chosen():
            calls: list[tuple[str, dict[str, Any]]] = [("book_meeting", {"starts": starts})]
            made = self._record("book_meeting", {"starts": starts})
            if made is not None and made.error in _NOT_FREE and self._last("free_slots") is None:
                calls.append(("free_slots", {}))  # somebody else was faster: what else there is
            return calls
        if self._offers() and self._last("free_slots") is None:
            return [("free_slots", {})]
        asked = self._last("free_slots")
        if asked is not None and asked.arguments.get("day") and not (asked.result or {}).get("slots"):
            return [("free_slots", {})]  # nothing on that day: the next ones
        return []

    def _last_calls(self) -> list[tuple[str, dict[str, Any]]]:
        stage = self._stage()
        return [("set_stage", {"stage": stage})] if stage and stage != self._brief["stage"] else []

    def _stage(self) -> str:
        heard = self.heard
        if heard.opt_out or heard.attack or self._result("book_meeting") or self._brief["meeting"]:
            return ""  # the tools put it where it belongs
        if heard.not_now and not heard.asks:
            return "nurture"
        if self._result("free_slots"):
            return "scheduling"
        if heard.objection:
            return "objection"
        if self._result("catalogue_search"):
            return "presentation"
        noted = {record.arguments["slot"] for record in self._done("note_fact")}
        known = {one["slot"] for one in self._brief["evidence"]} | noted
        if noted - {"need"}:
            return "qualification"
        return "discovery" if known or self._before.get("greeted") else ""

    def _hand_reason(self) -> str:
        """Why a person is to be fetched now; empty when none is."""
        heard = self.heard
        if heard.opt_out:
            return ""
        if heard.person or (self._before.get("offered_person") and heard.yes and not heard.no):
            return "asked" if heard.person else "cannot_help"
        if heard.angry and not heard.off_topic:
            return "angry"
        if heard.insult and int(self._before.get("insults", 0)) >= _INSULTS_MOST:
            return "angry"
        return ""

    def person_due(self) -> list[tuple[str, dict[str, Any]]]:
        """The calls that fetch a person, when the contact asks for one or is angry; none when nobody is due."""
        reason = self._hand_reason()
        return self._fetching(reason) if reason else []

    def _fetching(self, reason: str) -> list[tuple[str, dict[str, Any]]]:
        """Who asks a price as well is told it first, however angry: they asked, and we know."""
        priced = [self._catalogue()] if self.heard.price or self.heard.cheapest else []
        return [*priced, ("hand_to_person", {"reason": reason, "summary": self._summary(reason)})]

    def _catalogue(self) -> tuple[str, dict[str, Any]]:
        return "catalogue_search", {"query": self.heard.price_asked or self.heard.text[:200]}

    @property
    def asks_clock(self) -> bool:
        """Whether no time can be talked of before they have said by which clock theirs is."""
        told = bool(self._turn.session.get(UNCLEAR_NOW)) and bool(self._brief["can_book"])
        return told and not (self.heard.opt_out or self.heard.attack or self._hand_reason())

    @property
    def opted_out(self) -> bool:
        """Whether it was written down that the contact wants no more messages."""
        return self._result("opt_out") is not None

    def answer_instead(self, kinds: set[str]) -> None:
        """A model's reply was held back for findings of these kinds (guard.py): what it should have said is said."""
        self.heard.discount |= "discount" in kinds
        self._priced_wrong = "price" in kinds and not self.heard.discount
        self.heard.robot |= "human" in kinds
        self.heard.others_data |= "data" in kinds

    def _summary(self, reason: str) -> str:
        noted = [f"“{quote}”" for _, _, quote in self.heard.evidence]
        known = [f"“{one['quote']}”" for one in self._brief["evidence"]]
        return self._words.say(
            f"sdr.summary.{reason}",
            said=" ".join(self.heard.text.split())[:200],
            known="; ".join([*known, *noted])[:300],
        )

    # --- times --------------------------------------------------------------------------------

    def _picks(self) -> bool:
        """Whether this is about a time: they want one, name one, or answer our offer of some."""
        heard = self.heard
        offered = bool(self._offered)
        if not self._brief["can_book"] or heard.not_now:
            return False
        if pressed(self._turn):
            return True
        named = heard.when is not None and (heard.when.day or heard.when.clock or heard.when.part or heard.when.wrong)
        pointed = offered and (bool(self._picked()) or (heard.yes and not heard.asks))
        proposed = bool(self._before.get("proposed")) and heard.yes and not heard.no
        both = heard.when is not None and bool(heard.when.day and (heard.when.clock or heard.rather))
        about = heard.meeting or heard.move or offered or bool(self._before.get("proposed")) or both
        return bool(
            heard.meeting
            or heard.move
            or pointed
            or proposed
            or (named and about and not heard.evidence and not heard.discount and not heard.price)
        )

    def _picked(self) -> str:
        """`starts` of an offered time that the contact chose by its button, its place or its hour; else empty."""
        found = self._pointed()
        return found if found and self._agreed(found) else ""

    def _agreed(self, starts: str) -> bool:
        """Whether it would be booked: what would be refused is asked about, and never called taken."""
        meeting = self._brief["meeting"]
        standing = [local_of(meeting["starts"], self._turn)] if meeting else []
        return agreed(self._turn, local_of(starts, self._turn), standing)

    def _pointed(self) -> str:
        offered = self._offered
        if choice := pressed(self._turn):
            return choice
        heard, when = self.heard, self.heard.when
        if when is not None and (when.day or when.clock):
            fits = [
                one
                for one in offered
                if (when.day is None or one[:10] == when.day.isoformat())
                and (when.clock is None or one[11:16] == f"{when.clock:%H:%M}")
            ]
            return fits[0] if len(fits) == 1 else ""
        named = {ORDINALS[word] for word in folded(heard.text).split() if word in ORDINALS}
        if offered and len(named) == 1 and (place := named.pop()) <= len(offered):
            return offered[place - 1]
        if len(offered) != 1 or not heard.yes or heard.asks:
            return ""
        return "" if reacts_elsewhere(self._turn, local_of(offered[0], self._turn)) else offered[0]

    def _asked_slots(self) -> dict[str, Any]:
        when = self.heard.when
        asked: dict[str, Any] = {}
        if when is None and self._before.get("day"):
            asked["day"] = self._before["day"]
        if when is not None and (when.day or when.clock):
            local = self._turn.now.astimezone(ZoneInfo(self._turn.identity.time_zone)).date()
            if when.day:
                asked["day"] = when.day.isoformat()
            elif self._before.get("day"):
                asked["day"] = self._before["day"]
            elif self._offered:
                asked["day"] = self._offered[0][:10]
            else:
                asked["day"] = (local + timedelta(days=1)).isoformat()
        if when is not None and when.part and not when.clock:
            asked["part"] = when.part
        return asked

    def _chosen(self) -> str:
        """What is to be booked: an offered time that they picked, or one that they named and that is free."""
        if not self._picks() or self.heard.cancel:
            return ""
        if picked := self._picked():
            return picked
        when, found = self.heard.when, self._last("free_slots")
        if when is None or when.clock is None or found is None or not found.result:
            return ""
        fits = [
            slot["starts"]
            for slot in found.result["slots"]
            if slot["starts"][11:16] == f"{when.clock:%H:%M}"
            and (not when.day or slot["starts"][:10] == when.day.isoformat())
            and self._agreed(slot["starts"])
        ]
        return fits[0] if fits else ""

    def _offers(self) -> bool:
        """Whether times are to be proposed by ourselves now."""
        heard, brief = self.heard, self._brief
        if not brief["can_book"] or brief["meeting"] or self._offered or heard.not_now or heard.bye:
            return False
        if (
            self._before.get("handed")
            or heard.off_topic
            or heard.insult
            or heard.unheard
            or heard.only_greeting
            or self._unknown()
        ):
            return False
        if heard.question or heard.discount or (heard.price and not heard.evidence):
            return False  # what they asked first; the times come when they go on
        return not self._to_ask() and bool(heard.evidence or brief["evidence"])

    # --- what is asked ------------------------------------------------------------------------

    def _to_ask(self) -> str:
        """The next slot to ask about; empty when nothing more has to be known before times are offered."""
        counts: dict[str, int] = self._before.get("counts") or {}
        noted = {record.arguments["slot"] for record in self._done("note_fact")}
        for slot in self._brief["ask_first"]:
            if slot in self._brief["missing"] and slot not in noted:
                return str(slot) if counts.get(slot, 0) < ASKED_MOST else ""  # who does not answer is not pressed
        return ""

    @property
    def not_answered(self) -> str:
        """The slot that our last reply asked about, where nothing of it was let know: it is not asked again at once."""
        slot = str(self._before.get("just_asked") or "")
        return "" if slot in {one for one, *_ in self.heard.evidence} else slot

    # --- in words -----------------------------------------------------------------------------

    def text(self) -> str:
        """The reply: two or three short sentences, from what was heard and what the tools gave."""
        return (self.said().pieces and " ".join(self.said().pieces)) or ""

    def said(self) -> Said:
        """The reply with what the conversation keeps of it."""
        out = Said(keep={name: value for name, value in self._before.items() if name not in _OF_ONE_REPLY})
        if self._result("opt_out"):
            out.add(self._words.say("sdr.goodbye"))
            return out
        self._hello(out)
        if self._result("hand_to_person"):
            self._handed(out)
            out.keep["handed"] = int(self._before.get("handed", 0)) + 1
            self._done_now(out)
            return out
        heard = self.heard
        if heard.insult:
            out.keep["insults"] = int(self._before.get("insults", 0)) + 1
            out.add(self._words.say("sdr.insult"))
        if heard.attack:
            self._refused(out)
            self._done_now(out)
            return out
        if heard.unheard:
            out.add(self._words.say(f"sdr.unheard.{'audio' if heard.unheard == 'audio' else 'other'}"))
            out.asks = True
        elif heard.received:
            out.add(self._words.say("sdr.received"))
        if heard.off_topic:
            times = int(self._before.get("off_topic", 0))
            out.keep["off_topic"] = times + 1
            out.add(self._words.off_topic(self._brief, again=times % 2 == 1))
            if not heard.asks and not heard.evidence:
                out.add(self._words.say("sdr.attack.but"))
                out.asks = True
        self._answers(out)
        if heard.objection and not heard.discount:
            answer = next(one["answer"] for one in self._brief["objections"] if one["id"] == heard.objection)
            out.add(answer)
            out.asks = answer.endswith("?")
        self._times(out)
        self._ends(out)
        self._goes_on(out)
        standing = self._brief["meeting"]
        waits = str(self._before.get("asked") or "")
        noted = {record.arguments["slot"] for record in self._done("note_fact")}
        if waits in ("timeline", "authority", "budget") and waits not in noted and "asked" not in out.keep:
            out.keep["asked"] = waits  # they asked something in between; the answer may still come
        if not out.pieces and standing:
            out.add(self._words.stands("sdr.standing", standing))
        elif not out.pieces:
            out.add(self._words.say("sdr.help"))
        return out

    def _done_now(self, out: Said) -> None:
        """What the turn's tools really did is told, whatever else is said."""
        if self._result("book_meeting") or (self._result("cancel_meeting") or {}).get("cancelled"):
            self._times(out)

    def _hello(self, out: Said) -> None:
        if introduced(self._turn):
            return
        out.keep["greeted"] = True
        name = self.heard.name or self._words.first_name(self._brief["contact"]["name"])
        out.add(self._words.hello(self._brief["persona"], name))

    def _handed(self, out: Said) -> None:
        done = self._result("hand_to_person") or {}
        if done.get("reason") == "angry" and not self._before.get("handed"):
            out.add(self._words.say("sdr.sorry"))
        if self.heard.price or self.heard.cheapest or self._priced_wrong:
            out.add(self._price(short=True))
        if self._before.get("handed"):
            out.add(self._words.say("sdr.hand.again"))
            return
        key = "sdr.hand.open" if done.get("open_now") or not done.get("hours") else "sdr.hand.closed"
        out.add(self._words.say(key, hours=done.get("hours") or ""))

    def _refused(self, out: Said) -> None:
        heard, say = self.heard, self._words.say
        if heard.others_data:
            out.add(say("sdr.attack.others"))
        elif heard.instructions:
            out.add(say("sdr.attack.instructions", company=self._brief["persona"]["company"]))
        else:
            out.add(say("sdr.attack.owner"))
        if int(self._before.get("refused", 0)) == 0:
            out.add(say("sdr.attack.but"))
        out.keep["refused"] = int(self._before.get("refused", 0)) + 1

    def _answers(self, out: Said) -> None:
        """What was asked, at most two things."""
        heard, words, brief = self.heard, self._words, self._brief
        persona = brief["persona"]
        found: list[str] = []
        if heard.robot:
            found.append(words.say("sdr.robot", name=persona["name"], company=persona["company"]))
            out.asks = True  # it offers a person: nothing is asked on top of that
        if heard.discount:
            found.append(words.say("sdr.discount.still") if self._before.get("discounts") else words.discount(brief))
            out.keep["discounts"] = int(self._before.get("discounts", 0)) + 1
        elif price := self._price():
            found.append(price)
        if heard.hours:
            found.append(words.known("sdr.hours", persona.get("hours")))
        if heard.address:
            found.append(words.known("sdr.address", persona.get("address")))
        if heard.reach:
            found.append(words.known("sdr.reach", persona.get("site") or persona.get("email") or persona.get("phone")))
        if heard.works:
            found.append(brief["how_it_works"] or persona.get("about") or "")
        if heard.about and not heard.works:
            found.append(persona.get("about") or "")
        documents = self._result("search_documents")
        if documents is not None:
            mine = brief["language"] == self._turn.language  # a passage is not translated by rules
            passage = next((one for one in documents["passages"] if one["answers"] and mine), None)
            if passage is not None:
                found.append(words.passage(passage))
            elif not found and heard.offers and persona.get("about"):
                found.append(persona["about"])
            elif self._before.get("handed"):
                found.append(words.say("sdr.hand.again"))
            elif not found and not heard.objection and not self._last("free_slots") and "?" in heard.question:
                found.append(words.say("sdr.dont_know"))
                out.keep["offered_person"] = True
                out.asks = True
        out.add(*[one for one in found if one][:2])

    def _price(self, *, short: bool = False) -> str:
        """The prices that were asked for; of one item, unless it is to be `short`, with what is in it."""
        heard, words, catalogue = self.heard, self._words, self._result("catalogue_search")
        if heard.cheapest:
            return words.cheapest(self._brief)
        if catalogue is None and self._priced_wrong:
            listed = [item for item in self._brief["catalogue"] if item["name"] in self._named_items()]
            return words.prices(listed or self._brief["catalogue"], named=len(listed) == 1, short=short)
        if catalogue is None:
            return ""
        named = bool(self._named_items())
        if heard.product and not named and not catalogue["matched"] and not self._ours(heard.product):
            return words.not_ours(catalogue["items"])
        return words.prices(catalogue["items"], named=named, short=short)

    def _unknown(self) -> bool:
        documents = self._result("search_documents")
        mine = self._brief["language"] == self._turn.language
        return documents is not None and not (mine and any(one["answers"] for one in documents["passages"]))

    def _times(self, out: Said) -> None:
        words, brief = self._words, self._brief
        booked = self._record_of("book_meeting")
        if cancelled := self._result("cancel_meeting"):
            key = "sdr.cancelled" if cancelled["cancelled"] else "sdr.no_meeting"
            out.add(words.say(key, day=cancelled["day"], time=cancelled["time"]))
            out.keep.pop("offered", None)
            out.keep["proposed"] = True
            out.asks = True
            if not self._last("free_slots"):
                return
            out.pieces[-1] = words.say("sdr.cancelled_short", day=cancelled["day"], time=cancelled["time"])
        if self.asks_clock:
            out.add(words.which_clock(self._turn))
            out.keep["proposed"] = True
            if day := self._asked_slots().get("day"):
                out.keep["day"] = day
            out.asks = True
            return
        if self._calendar_away():
            out.add(words.say("sdr.calendar_away"))
            out.keep["offered_person"] = True
            out.asks = True
            return
        if booked is not None and booked.result:
            key = "sdr.moved" if booked.result["moved"] else "sdr.booked"
            out.add(words.booked(key, booked.result))
            out.keep["told_meeting"] = booked.result["id"]
            for gone in ("offered", "proposed"):
                out.keep.pop(gone, None)
            out.asks = True
            return
        standing = brief["meeting"]
        if standing and self._before.get("told_meeting") != standing["id"]:
            out.add(words.booked("sdr.booked", {**standing, "minutes": brief["meeting_minutes"]}))
            out.keep["told_meeting"] = standing["id"]
            out.asks = True
            return
        found = self._last("free_slots")
        if found is None:
            if (self.heard.meeting or self.heard.move) and not brief["can_book"]:
                out.add(words.say("sdr.no_calendar"))
                out.keep["offered_person"] = True
                out.asks = True
            return
        if self.heard.when is not None and self.heard.when.wrong:
            out.add(words.say(f"sdr.when_{self.heard.when.wrong}"))
        elif booked is not None or (self.heard.when is not None and self.heard.when.clock and self.heard.when.day):
            out.add(words.say("sdr.taken"))
        elif self._asked_slots().get("day") and found.arguments.get("day") is None:
            out.add(words.say("sdr.day_full"))
        slots = self._spread((found.result or {}).get("slots") or [])
        if not slots:
            out.add(words.say("sdr.no_times"))
            out.keep["offered_person"] = True
        else:
            own = not self._picks()
            out.add(words.offer(slots, brief, own=own, clock=(found.result or {}).get("clock") or ""))
            out.keep["offered"] = [offer_of(slot["starts"], self._turn) for slot in slots]
            out.keep["proposed"] = True
            shown = slots if own else self._listed(slots, (found.result or {})["slots"])
            out.choices = words.choices(shown, self._turn)
        out.asks = True

    def _calendar_away(self) -> bool:
        """Whether nobody can tell now what is free: nothing is offered, and nothing called taken."""
        last = [self._record_of(name) for name in ("free_slots", "book_meeting")]
        failed = [one.error or "" for one in last if one is not None and one.result is None]
        return any(code.startswith("calendar_") and code not in _NOT_FREE for code in failed)

    def _spread(self, slots: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Two or three to choose from: near the hour that was named, else on different days or halves of days."""
        when = self.heard.when
        if when is not None and when.clock is not None:
            minutes = when.clock.hour * 60 + when.clock.minute

            def far(slot: dict[str, Any]) -> int:
                return abs(int(slot["starts"][11:13]) * 60 + int(slot["starts"][14:16]) - minutes)

            return sorted(sorted(slots, key=far)[:3], key=lambda slot: slot["starts"])
        chosen: list[dict[str, Any]] = []
        for slot in slots:
            half = (slot["starts"][:10], int(slot["starts"][11:13]) >= 12)
            if all(half != (one["starts"][:10], int(one["starts"][11:13]) >= 12) for one in chosen):
                chosen.append(slot)
        for slot in slots:  # all in one half of a day: an hour apart
            hour = slot["starts"][:13]
            if len(chosen) < 3 and all(one["starts"][:13] != hour for one in chosen):
                chosen.append(slot)
        return sorted(chosen[:3], key=lambda slot: str(slot["starts"]))

    def _listed(self, named: list[dict[str, Any]], free: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """For who asks what there is: the times that are named and, spread over the others, as many as a list takes."""
        others = [slot for slot in free if slot not in named]
        room = MOST_CHOICES - len(named)
        if len(others) > room:
            others = [others[place * len(others) // room] for place in range(room)]
        return sorted([*named, *others], key=lambda slot: str(slot["starts"]))

    def _ends(self, out: Said) -> None:
        heard = self.heard
        if heard.not_now and not heard.asks and not out.asks:
            out.add(self._words.say("sdr.not_now"))
            out.asks = True
        elif (
            (heard.thanks or heard.bye)
            and not heard.asks
            and not heard.evidence
            and not out.asks
            and not heard.objection
        ):
            meeting = self._brief["meeting"]
            if meeting:
                out.add(self._words.stands("sdr.thanks_meeting", meeting))
            else:
                out.add(self._words.say("sdr.thanks"))
            out.asks = True
        elif (
            heard.no
            and (self._before.get("proposed") or self._before.get("offered_person"))
            and not out.asks
            and len(heard.text) < 40
        ):
            out.add(self._words.say("sdr.as_you_like"))
            out.asks = True

    def _goes_on(self, out: Said) -> None:
        """One question, unless something was asked already or a meeting stands."""
        if out.asks or self._brief["meeting"] or self.heard.insult:
            return
        if self._before.get("handed"):  # a person comes: nothing new is begun
            if len(out.pieces) == 0:
                out.add(self._words.say("sdr.hand.again"))
            return
        greeted_only = len(out.pieces) <= 1 and not self._before.get("greeted")
        slot = self._to_ask()
        if slot and slot == self.not_answered and out.pieces:
            return  # they spoke of something else
        if slot:
            if self.heard.evidence and not greeted_only and not self.heard.asks and not self.heard.objection:
                out.add(self._words.say("sdr.got_it"))
            question = next((one["question"] for one in self._brief["to_ask"] if one["slot"] == slot), "")
            counts = dict(self._before.get("counts") or {})
            counts[slot] = counts.get(slot, 0) + 1
            out.keep |= {"asked": slot, "just_asked": slot, "counts": counts}
            out.add(question or self._words.say(f"sdr.ask.{slot}"))
        elif self._before.get("offered"):
            out.add(self._words.say("sdr.still_offered"))
        elif self._before.get("proposed"):
            out.add(self._words.say("sdr.anything_else"))
        elif self._brief["can_book"]:
            out.add(self._words.say("sdr.propose", minutes=self._brief["meeting_minutes"]))
            out.keep["proposed"] = True
        else:
            out.add(self._words.say("sdr.no_calendar"))
            out.keep["offered_person"] = True

    # --- the turn's results -------------------------------------------------------------------

    def _named_items(self) -> list[str]:
        said = _OUR_PLACES.sub(" ", f" {folded(self.heard.text)} ")
        named = {name for *_, name in ItemNames(self._brief["catalogue"]).find(self.heard.text)}
        if said != f" {folded(self.heard.text)} ":
            named = set()  # what is called so there may be ours, and no item
        return [
            one["name"]
            for one in self._brief["catalogue"]
            if one["name"] in named or f" {folded(one['name'])} " in said or f" {folded(one['code'])} " in said
        ]

    def _ours(self, product: str) -> bool:
        """Whether a word names what we are about, or what everybody sells: "o serviço", "a agência"."""
        topics = {word for topic in self._brief["topics"] for word in topic.split()}
        return product in _ANY_PRODUCT or any(product[:5] == word[:5] for word in topics)

    def _record(self, name: str, arguments: dict[str, Any]) -> ToolRecord | None:
        return next((r for r in self._turn.results if r.name == name and _same(r.arguments, arguments)), None)

    def _record_of(self, name: str) -> ToolRecord | None:
        return next((r for r in reversed(self._turn.results) if r.name == name), None)

    def _last(self, name: str) -> ToolRecord | None:
        """The last call of it that gave something."""
        return next((r for r in reversed(self._turn.results) if r.name == name and r.result is not None), None)

    def _result(self, name: str) -> dict[str, Any] | None:
        found = self._last(name)
        return found.result if found else None

    def _done(self, name: str) -> list[ToolRecord]:
        return [r for r in self._turn.results if r.name == name and r.result is not None]


def introduced(turn: Turn) -> bool:
    """Whether the contact was answered before, so that nobody introduces themselves again: by what the conversation
    keeps, or (after a hand-back, when it keeps nothing) by an answer in it. A first message of ours is none."""
    if (turn.session.get(SESSION) or {}).get("greeted"):
        return True
    roles = [role for role, _ in turn.session.get("history", [])]
    return "user" in roles and "assistant" in roles[roles.index("user") :]


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    def bare(arguments: dict[str, Any]) -> dict[str, str]:
        return {key: str(value).strip() for key, value in arguments.items() if value not in (None, "")}

    return bare(made) == bare(wanted)
