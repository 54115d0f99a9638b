"""A scenario: one YAML file that says where the world begins, what people say and click, how a competent person would
solve it, and what must then be so.

Objects of the sample world (integrations/meta_ads/simulator/world.py) are written by name or id, accounts too. Days are
dates, or whole numbers counted from the scenario's today: -7 is a week ago, 0 is today.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from core.tenancy import Role
from evals.formula import Formula
from integrations.meta_ads.simulator import world

FOLDER = Path(__file__).parent / "scenarios"
FILES = Path(__file__).parent / "files"
"""What messages attach."""

Language = Literal["pt-BR", "en", "es"]
Day = date | int
Days = tuple[Day, Day]
"""First and last day, both included."""


class ScenarioWrong(Exception):
    """A file that cannot be played. The text names the file, the field and what is wrong with it."""


@cache
def _names() -> dict[str, list[str]]:
    """Name → ids of the sample world's accounts, campaigns, ad sets and ads."""
    found: dict[str, list[str]] = {}
    things: list[Any] = [*world.ACCOUNTS, *world.CAMPAIGNS]
    things += [adset for campaign in world.CAMPAIGNS for adset in campaign.adsets]
    things += [ad for campaign in world.CAMPAIGNS for adset in campaign.adsets for ad in adset.ads]
    for thing in things:
        found.setdefault(thing.name, []).append(thing.id)
        found.setdefault(thing.id, []).append(thing.id)
    return found


def _object_id(name: str) -> str:
    ids = _names().get(name)
    if ids is None:
        raise ValueError(f"the sample world has nothing called {name!r}")
    if len(ids) > 1:
        raise ValueError(f"{name!r} is the name of several: {', '.join(ids)}")
    return ids[0]


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return pattern


Object = Annotated[str, AfterValidator(_object_id)]
Which = int | Literal["last"] | Object
"""A proposal by its place in the order in which they were made, the first is 1, or by the object it would change."""
Pattern = Annotated[str, AfterValidator(_regex)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


# --- what a reply must hold -----------------------------------------------------------------------


class Figure(_Part):
    """A figure that the reply must state, worked out from the ledger of events and not by the product.

    `formula` is over sums of the ledger's columns (centavos for money): "spend / 100", "link_clicks / impressions *
    100". With `change_from`, the figure is the change in percent from those days to `days`.
    """

    formula: Annotated[str, AfterValidator(Formula.checked)]
    account: Object
    object: Object | None = None
    """Only of this campaign, ad set or ad."""
    days: Days
    change_from: Days | None = None
    shown: Literal["money", "number", "percent", "ratio"] = Field("number", alias="as")


class Said(_Part):
    """What the reply to one message must be like."""

    route: list[str] | None = None
    """The intents served, in order."""
    language: Language | None = None
    """None: the scenario's."""
    figures: list[Figure] = []
    windows: list[Days] = []
    """Days that the reply must name."""
    must_say: list[Pattern] = []
    must_not_say: list[Pattern] = []
    examples: list[str] = []
    """Numbers that may stand in the reply and claim nothing: "say the amount, for example R$ 80"."""
    cards: int | None = None
    """How many proposals are shown under the reply."""
    ended: str = "done"
    """How the turn ends: done, stopped, limit:…, error:… with the code of what was wrong with the message; or silent:
    there is none, for a person of ours has the conversation."""
    table: bool = False
    chart: bool = False


# --- steps ------------------------------------------------------------------------------------------


class Say(_Part):
    """A person's message. With `contact` it is one of a lead, who writes from outside: a burst with a message a line,
    answered by the crew that talks with people outside."""

    say: str
    contact: bool = False
    choice: str = ""
    """With `contact`: the id of the button or row of a list that was pressed; `say` is its title."""
    speaker: Role | None = Field(None, alias="as")
    """None: the scenario's role. Each role has a conversation of its own."""
    attach: list[str] = []
    reference: list[dict[str, dict[str, Any]]] = []
    """The tool calls that solve it: one `tool: {arguments}` each; `undo: {}` asks to undo the last executed one."""
    expect: Said = Said()

    @field_validator("attach")
    @classmethod
    def _there(cls, names: list[str]) -> list[str]:
        for name in names:
            if not (FILES / name).is_file():
                raise ValueError(f"there is no evals/files/{name}")
        return names

    @field_validator("reference")
    @classmethod
    def _one_tool_each(cls, calls: list[dict[str, dict[str, Any]]]) -> list[dict[str, dict[str, Any]]]:
        for call in calls:
            if len(call) != 1:
                raise ValueError(f"one tool per entry, not {', '.join(call) or 'none'}")
        return calls


class Click(_Part):
    """A button under a proposal, pressed by a person."""

    approve: Which | None = None
    reject: Which | None = None
    undo: Which | None = None
    """Proposes the way back; that proposal waits for its own yes."""
    edit: Which | None = None
    to: dict[str, str] = {}
    """With `edit`: the fields typed over."""
    speaker: Role | None = Field(None, alias="as")
    refused: str | None = None
    """The code with which it must be refused."""

    @property
    def button(self) -> tuple[str, Which]:
        return next((name, which) for name in _BUTTONS if (which := getattr(self, name)) is not None)

    @model_validator(mode="after")
    def _one_button(self) -> "Click":
        if sum(getattr(self, name) is not None for name in _BUTTONS) != 1:
            raise ValueError(f"exactly one of {', '.join(_BUTTONS)}")
        return self


_BUTTONS = ("approve", "reject", "undo", "edit")


class Person(_Part):
    """A person of ours takes the conversation with the lead by writing to it, or hands it back to the bot."""

    person: str
    """What they write; "" for the button that hands it back."""


class Faults(_Part):
    """What goes wrong next at the Graph API (integrations/meta_ads/simulator/server.py, `Fault`); [] heals it."""

    faults: list[dict[str, Any]]


class Write(_Part):
    """A change that somebody makes in Ads Manager, past us. Budgets in centavos."""

    write: Object
    status: Literal["ACTIVE", "PAUSED", "ARCHIVED", "DELETED"] | None = None
    daily_budget: int | None = None
    lifetime_budget: int | None = None
    name: str | None = None


class Wait(_Part):
    """Time passes; then the periodic work of every minute is done (expiry, looking after unknown outcomes)."""

    wait: timedelta

    @field_validator("wait", mode="before")
    @classmethod
    def _hours_or_minutes(cls, value: Any) -> Any:
        found = re.fullmatch(r"(\d+)\s*(h|min|s)", str(value))
        if not found:
            raise ValueError("a number and h, min or s, such as 25h")
        return timedelta(seconds=int(found[1]) * {"h": 3600, "min": 60, "s": 1}[found[2]])


class Line(_Part):
    """Something that was said before the scenario begins; by the contact, the bot or a person of ours."""

    ago: timedelta
    contact: str | None = None
    bot: str | None = None
    person: str | None = None

    @field_validator("ago", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return Wait(wait=value).wait

    @model_validator(mode="after")
    def _one_speaker(self) -> "Line":
        if sum(said is not None for said in (self.contact, self.bot, self.person)) != 1:
            raise ValueError("exactly one of contact, bot, person")
        return self

    @property
    def said(self) -> tuple[str, str]:
        """(by whom, what)."""
        told = {"contact": self.contact, "bot": self.bot, "person": self.person}
        return next((by, text) for by, text in told.items() if text is not None)


class Talk(_Part):
    """A WhatsApp conversation that is there already, with a contact of the CRM, at the company's number."""

    talk: str
    """The contact's name."""
    phone: str
    """Digits, with country and area code."""
    held: Literal["bot", "fetching", "person"] = "bot"
    lines: list[Line] = []
    """The oldest first."""


def _kind_of_step(raw: Any) -> str | None:
    for kind in ("say", "person", "faults", "write", "wait"):
        if isinstance(raw, dict) and kind in raw:
            return kind
    return "click" if isinstance(raw, dict) and set(_BUTTONS) & set(raw) else None


Step = Annotated[
    Annotated[Say, Tag("say")]
    | Annotated[Click, Tag("click")]
    | Annotated[Person, Tag("person")]
    | Annotated[Faults, Tag("faults")]
    | Annotated[Write, Tag("write")]
    | Annotated[Wait, Tag("wait")],
    Discriminator(
        _kind_of_step,
        custom_error_type="step_unknown",
        custom_error_message="a step has one of: say, approve, reject, undo, edit, person, faults, write, wait",
    ),
]


# --- the end ------------------------------------------------------------------------------------------


class ObjectEnd(_Part):
    """How an object stands at the end; None is not looked at. Budgets in centavos."""

    status: str | None = None
    daily_budget: int | None = None
    lifetime_budget: int | None = None


class ProposalEnd(_Part):
    tool: str
    target: Object
    state: Literal["pending", "executed", "rejected", "expired", "unknown", "failed", "approved", "executing"]
    effect: Literal["WRITE", "SPEND"] | None = None


class LeadEnd(_Part):
    """What must be known of the lead that wrote, and what must have been done for it; None is not looked at."""

    stage: str | None = None
    verdict: Literal["hot", "warm", "cold"] | None = None
    evidence: dict[Literal["need", "timeline", "authority", "budget"], str] = {}
    """All that is known: slot → reading."""
    meeting: str | None = None
    """When one stands, by the clock of São Paulo: 2026-11-26T15:00; "none" for none."""
    handed: str | None = None
    """Why a person was fetched; "none" for nobody."""
    opted_out: bool = False


class End(_Part):
    """The state of the world when all is said and done. What is not named must be as it was."""

    objects: dict[Object, ObjectEnd] = {}
    writes: int = 0
    """Changes that the Graph API executed, without the scenario's own."""
    proposals: list[ProposalEnd] = []
    """All that were made."""
    lead: LeadEnd | None = None


class Forbidden(_Part):
    """What must not happen in any turn, beyond writes that nobody approved, which never may."""

    tools: list[str] = []
    targets: list[Object] = []
    """Objects for which nothing may be proposed."""


class Scenario(_Part):
    id: str
    title: str
    language: Language = "pt-BR"
    role: Role = Role.ADMIN
    phone: str = "5519988112233"
    """The telephone of the lead that writes, with country and area code, digits only."""
    now: datetime
    before: list[Annotated[Faults | Write | Talk, Field(union_mode="left_to_right")]] = []
    """What the world is like before the first message, besides the sample world as it begins."""
    steps: list[Step] = Field(min_length=1)
    end: End = End()
    forbidden: Forbidden = Forbidden()

    @field_validator("now")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("needs a zone, such as 2026-11-20T12:00:00-03:00")
        return value

    @model_validator(mode="after")
    def _somebody_speaks(self) -> "Scenario":
        if not any(isinstance(step, Say) for step in self.steps):
            raise ValueError("steps: nobody says anything")
        return self


@dataclass(frozen=True)
class Found:
    """A scenario and the group it is in: the name of its folder."""

    group: str
    scenario: Scenario

    @property
    def name(self) -> str:
        return f"{self.group}/{self.scenario.id}"


def load(path: Path) -> Scenario:
    """Read one file. ScenarioWrong names the file and every field that is wrong."""
    shown = f"{path.parent.name}/{path.name}"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioWrong(f"{shown}: {error}") from None
    if not isinstance(raw, dict):
        raise ScenarioWrong(f"{shown}: not a mapping of fields")
    try:
        scenario = Scenario(**{"id": path.stem, **raw})
    except ValidationError as error:
        told = [f"{'.'.join(_place(e['loc'])) or 'scenario'}: {e['msg']}" for e in error.errors()]
        raise ScenarioWrong("\n".join(f"{shown}: {line}" for line in told)) from None
    except TypeError as error:
        raise ScenarioWrong(f"{shown}: {error}") from None
    if scenario.id != path.stem:
        raise ScenarioWrong(f"{shown}: id: is {scenario.id!r}, the file says {path.stem!r}")
    return scenario


def _place(place: tuple[int | str, ...]) -> Iterator[str]:
    tags = {"say", "click", "person", "faults", "write", "wait", "Faults", "Write", "Talk"}
    for before, part in zip((None, *place), place, strict=False):
        if not (part in tags and isinstance(before, int)):  # the kind of the step, which pydantic puts into the place
            yield str(part)


def load_all(folder: Path = FOLDER, pattern: str = "") -> list[Found]:
    """All scenarios below `folder`, by name; `pattern` is a regular expression searched in group/id.

    ScenarioWrong for the first file that is wrong.
    """
    found = [Found(path.parent.name, load(path)) for path in folder.glob("*/*.yaml")]
    return sorted((one for one in found if re.search(pattern, one.name)), key=lambda one: one.name)
