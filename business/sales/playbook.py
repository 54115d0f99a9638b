"""Who speaks for a company to its leads, and how it sells: persona.yaml and playbook.yaml, checked.

A text may be one for all languages, or one per language (`{pt-BR: …, en: …, es: …}`). Where a company wrote nothing,
the house's own neutral words (prompts/texts, sdr.yaml) are used.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from business.sales.evidence import Slot
from business.sales.fields import Part, read_yaml
from business.sales.stages import Stage
from core.words import folded

LANGUAGES = ("pt-BR", "en", "es")
_LONGEST = 600  # letters of a text that is read on a telephone


class Text(Part):
    """Words in one or several languages."""

    words: dict[str, str]

    def of(self, language: str) -> str:
        """In `language`, else in Portuguese, else in the first that there is."""
        return self.words.get(language) or self.words.get("pt-BR") or next(iter(self.words.values()))

    def __bool__(self) -> bool:
        return bool(self.words)


def _text(value: Any) -> Any:
    if isinstance(value, str):
        value = {"pt-BR": value}
    if isinstance(value, Text):
        return value
    if not isinstance(value, dict) or not value or set(value) - set(LANGUAGES):
        raise ValueError("a text, or one for each of pt-BR, en, es")
    if not all(isinstance(text, str) and 0 < len(text.strip()) <= _LONGEST for text in value.values()):
        raise ValueError(f"each text has 1 to {_LONGEST} letters")
    return {"words": {language: text.strip() for language, text in value.items()}}


Words = Annotated[Text, BeforeValidator(_text)]


class Persona(Part):
    """Who speaks. The assistant never passes for a person; `name` may be any."""

    version: int = 1
    name: str = Field(min_length=1, max_length=60)
    company: str = Field(min_length=1, max_length=120)
    role: Words | None = None
    about: Words | None = None
    tone: Words | None = None
    """For a model: how it sounds."""
    hours: Words | None = None
    address: Words | None = None
    site: str = Field("", max_length=200)
    phone: str = Field("", max_length=40)
    email: str = Field("", max_length=120)
    language: Literal["pt-BR", "en", "es"] = "pt-BR"
    """In which the catalogue and the documents are written."""
    privacy: str = Field("", max_length=200)
    """Where one reads what becomes of one's data."""


def _folded(words: list[str]) -> list[str]:
    return [found for word in words if (found := folded(word))]


Phrases = Annotated[list[str], AfterValidator(_folded), Field(max_length=200)]


class Objection(Part):
    id: str = Field(pattern=r"^[a-z_]{1,40}$")
    words: Phrases
    answer: Words


class QuickReply(Part):
    name: str = Field(min_length=1, max_length=60)
    text: Words


class Meeting(Part):
    title: Words
    minutes: Literal[15, 20, 30, 45, 60, 90] = 30
    days: int = Field(10, ge=1, le=30)
    """How far ahead times are offered."""
    how: Literal["link", "call", "visit"] | None = None
    """How one meets: by `link` (without one: the outside calendar's), we call the number that writes to us, at the
    address of the persona. None: by the outside calendar's link; where there is none, a person of ours tells it."""
    link: str = Field("", max_length=300, pattern=r"^(?:https://[^\s]+)?$")
    """The room that is everybody's."""


class Playbook(Part):
    version: int = 1
    goal: Words | None = None
    order: tuple[Slot, ...] = tuple(Slot)
    ask: tuple[Slot, ...] = (Slot.NEED, Slot.TIMELINE)
    """Those that are asked before a meeting is proposed; the rest is heard, not asked."""
    questions: dict[Slot, Words] = Field(default_factory=dict)
    how_it_works: Words | None = None
    topics: Phrases = Field(default_factory=list)
    """What one may talk about here, beside the catalogue and the documents."""
    objections: list[Objection] = Field([], max_length=50)
    discounts: list[Words] = Field([], max_length=20)
    """The only discounts there are, as they may be told. None: none."""
    quick_replies: list[QuickReply] = Field([], max_length=100)
    meeting: Meeting | None = None
    crm_stages: dict[Stage, str] = Field(default_factory=dict)
    """Stage of a conversation → name of a stage of the CRM's deals."""

    def objection_in(self, text: str) -> Objection | None:
        """The objection of which the text has the longest phrase."""
        said = f" {folded(text)} "
        hits = [(len(word), one) for one in self.objections for word in one.words if f" {word} " in said]
        return max(hits, key=lambda hit: hit[0])[1] if hits else None


@dataclass(frozen=True)
class Sales:
    """All that a company wrote about how it sells."""

    persona: Persona
    playbook: Playbook


def parse_persona(text: str, name: str = "persona.yaml") -> Persona:
    """ArgumentsWrong: sales_file_unreadable (file, detail), sales_file_field (file, where, detail)."""
    return read_yaml(text, Persona, name)


def parse_playbook(text: str, name: str = "playbook.yaml") -> Playbook:
    """ArgumentsWrong as for `parse_persona`."""
    return read_yaml(text, Playbook, name)
