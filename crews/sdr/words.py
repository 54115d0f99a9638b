"""The SDR's ready sentences: short, as one writes on a telephone, in the contact's language
(prompts/texts, sdr.yaml)."""

import re
from decimal import Decimal
from typing import Any

from core.turn import Turn
from core.words import plain
from crews.wording import Wording
from tools.meetings import clock_called, clock_place
from tools.sdr import offer_of

MOST_CHOICES = 10
_MOST_BUTTONS = 3
_LONGEST_TITLE = 20
"""Rows of a list and buttons of a message, letters of a title (integrations/whatsapp_cloud/limits.py)."""
_LONGEST_ANSWER = 320  # letters of a passage that is quoted
_BARE_ANSWER = re.compile(r"^(?:não|nao|sim|no|yes|sí|si)\s*[.,;:!]\s*(?=\S)", re.IGNORECASE)
"""A yes or no to the heading's question, which may not be the one that was asked."""
_COMPANY = re.compile(
    r"\b(?:ltda|eireli|me|mei|s/?a|cia|loja|clinica|consultorio|arquitet\w+|advoca\w+|academia|salao|studio|estudio"
    r"|restaurante|pizzaria|padaria|escola|grupo|oficina|odonto\w*|store|shop|inc|llc|tienda)\b"
)
_NAME = re.compile(r"[^\W\d_]{2,20}")


class Words(Wording):
    def first_name(self, name: str) -> str:
        """The first word of a person's name; empty for what is none, or a company's ("🔥 Loja 24h", "IBANEZ")."""
        words = name.split()
        if not words or not _NAME.fullmatch(words[0]) or _COMPANY.search(plain(name)):
            return ""
        return "" if name.isupper() and len(words[0]) > 3 else words[0]

    def hello(self, persona: dict[str, Any], name: str) -> str:
        role = persona.get("role") or self.say("sdr.role")
        return self.say("sdr.hello", name=name, who=persona["name"], role=role, company=persona["company"])

    def off_topic(self, brief: dict[str, Any], *, again: bool = False) -> str:
        return self.say("sdr.off_topic_again" if again else "sdr.off_topic", company=brief["persona"]["company"])

    def known(self, key: str, value: str | None) -> str:
        """A fact of the company, or that it is not known."""
        return self.say(key, value=value) if value else self.say("sdr.dont_know_that")

    def price(self, item: dict[str, Any]) -> str:
        if item["price"] is None:
            return self.say("sdr.price.request", name=item["name"])
        return self.say("sdr.price.item", name=item["name"], price=item["price"], unit=item["unit"])

    def not_ours(self, items: list[dict[str, Any]]) -> str:
        """What was asked for is not sold here; what is."""
        if not items:
            return self.say("sdr.price.none")
        return self.say("sdr.price.not_ours", items=[one["name"] for one in items[:4]])

    def prices(self, items: list[dict[str, Any]], *, named: bool, short: bool = False) -> str:
        """One item with what is in it (unless it is to be `short`), or the list with prices."""
        if not items:
            return self.say("sdr.price.none")
        if named or len(items) == 1:
            one = items[0]
            told = self.price(one)
            return self.say("sdr.price.one", told=told, description="" if short else one["description"])
        listed = [one for one in items if one["price"] is not None][:3] or items[:3]
        return self.say("sdr.price.list", items=[self.price(one) for one in listed])

    def discount(self, brief: dict[str, Any]) -> str:
        if brief["discounts"]:
            return self.say("sdr.discount.some", discounts=brief["discounts"])
        item = _cheapest(brief)
        if item is None:
            return self.say("sdr.discount.none_at_all")
        return self.say("sdr.discount.none", item=self.price(item))

    def cheapest(self, brief: dict[str, Any]) -> str:
        item = _cheapest(brief)
        return self.say("sdr.price.none") if item is None else self.say("sdr.price.cheapest", item=self.price(item))

    def passage(self, passage: dict[str, Any]) -> str:
        """What a document says, whole sentences of it, with where it is from."""
        text = _BARE_ANSWER.sub("", " ".join(passage["text"].split()), count=1)
        text = text[:1].upper() + text[1:]
        if len(text) > _LONGEST_ANSWER:
            ends = [found.end() for found in re.finditer(r"[.!?](?=\s)", text[:_LONGEST_ANSWER])]
            text = text[: ends[-1]] if ends else text[:_LONGEST_ANSWER].rsplit(" ", 1)[0] + "…"
        return self.say("sdr.document", text=text, title=passage["document"])

    def offer(self, slots: list[dict[str, Any]], brief: dict[str, Any], *, own: bool, clock: str = "") -> str:
        """`clock`: what the contact's is called, where it is not the house's."""
        days: dict[str, list[str]] = {}
        for slot in slots:
            days.setdefault(slot["day"], []).append(slot["time"])
        told = [self.say("sdr.at", day=day, time=self.say("sdr.or", times=times)) for day, times in days.items()]
        listed = self.say("sdr.or_days", days=told) + (f" ({clock})" if clock else "")
        key = "sdr.offer.own" if own else "sdr.offer.asked" if len(slots) > 1 else "sdr.offer.one"
        return self.say(key, times=listed, minutes=brief["meeting_minutes"])

    def booked(self, key: str, meeting: dict[str, Any]) -> str:
        """When a meeting is, and how one meets."""
        told = ("day", "time", "minutes", "link", "how", "place", "clock")
        return self.say(key, **{name: meeting.get(name, "") for name in told})

    def stands(self, key: str, meeting: dict[str, Any]) -> str:
        """When the meeting is that was booked before."""
        clock = f" ({meeting['clock']})" if meeting.get("clock") else ""
        return self.say(key, day=meeting["day"], time=f"{meeting['time']}{clock}")

    def which_clock(self, turn: Turn) -> str:
        """A question for the hour by a clock that everybody knows, with what ours is."""
        return self.say("sdr.which_clock", clock=clock_called(turn.identity.time_zone, self.language, self.texts))

    def choices(self, slots: list[dict[str, Any]], turn: Turn, *, clock: bool = False) -> list[dict[str, str]]:
        """Times to choose from, ten at most: up to three are buttons, more a list, where each says its day in full. A
        title has at most 20 letters. `clock`: whether each says by which clock it is, the contact's."""
        rows, found = len(slots) > _MOST_BUTTONS, []
        place = clock_place(turn.identity.time_zone) if clock else ""
        for slot in slots[:MOST_CHOICES]:
            weekday, *date = slot["day"].replace(",", "").split()
            time = f"{self.say('sdr.hour', time=slot['time'])} {place}".rstrip()
            days = (f"{weekday[:3]} {' '.join(date)}", " ".join(date), weekday[:3])
            titles = [f"{day} {time}" for day in days]
            title = next((one for one in titles if len(one) <= _LONGEST_TITLE), titles[-1][:_LONGEST_TITLE])
            choice = {"id": f"slot:{offer_of(slot['starts'], turn)}", "title": title}
            found.append(choice | ({"description": slot["day"]} if rows else {}))
        return found


def _cheapest(brief: dict[str, Any]) -> dict[str, Any] | None:
    """The item of the catalogue with the lowest price."""
    priced = [one for one in brief["catalogue"] if one["price"] is not None]
    pairs = list(zip(brief["prices"], priced, strict=False))
    return min(pairs, key=lambda pair: Decimal(str(pair[0])))[1] if pairs else None
