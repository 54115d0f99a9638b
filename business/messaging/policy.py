"""May this message leave now, as what, and if not, why and until when: one table of rules, asked from top to bottom.

A rule that forbids for good answers alone. Rules that only ask for patience are all asked, and the one that lasts
longest answers, so that "until" is true. The answer is worth nothing a moment later: ask when a message is put into
the outbox and again right before it leaves, with what is known then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from business.messaging.attention import Held
from business.messaging.failures import Block, Where, holding
from business.messaging.hours import after_business_days, closed_because, closes_at, next_open
from business.messaging.model import Decision, Known, Outgoing, Verdict, Why
from business.messaging.pace import number_pace, pair_pace
from business.messaging.settings import Settings
from business.messaging.templates import Category, Filled, Purpose, choose, usable
from business.messaging.window import closes, free_until, is_open

_PROACTIVE = (Purpose.FOLLOW_UP, Purpose.FIRST_CONTACT, Purpose.CAMPAIGN)
_COLD = (Purpose.FIRST_CONTACT, Purpose.CAMPAIGN)
_LAST_RESORT = timedelta(hours=1)  # to ask again when nobody can say when


@dataclass
class _Case:
    """What is asked, while the rules are gone through. `filled`: the template as which it would leave."""

    message: Outgoing
    known: Known
    settings: Settings
    now: datetime
    filled: Filled | None
    cautions: list[Why] = field(default_factory=list)

    @property
    def marketing(self) -> bool:
        """Whether it is advertising: by its template's category, else by what it is for."""
        if self.filled is not None and self.filled.template.category is Category.MARKETING:
            return True
        return self.message.purpose in _PROACTIVE

    @property
    def ends(self) -> datetime | None:
        """When free messages end; None where they do not, or never began."""
        return closes(self.known.last_from_contact, self.now) if self.known.windowed else None

    @property
    def in_window(self) -> bool:
        return not self.known.windowed or is_open(self.known.last_from_contact, self.now, self.settings.window_margin)

    @property
    def wrote_after_stop(self) -> bool:
        stopped, last = self.known.standing.stopped, self.known.last_from_contact
        return stopped is not None and last is not None and last > stopped.at

    def block(self, where: Where) -> Block | None:
        for one in holding(self.known.blocks, self.now, self.known.last_received_at):
            if one.where is not where or (one.covers == "marketing" and not self.marketing):
                continue
            if one.covers == "free" or (
                where is Where.TEMPLATE and (not self.filled or self.filled.template.name != one.name)
            ):
                continue
            return one
        return None


@dataclass(frozen=True)
class _Found:
    verdict: Verdict
    why: Why
    until: datetime | None = None


@dataclass(frozen=True)
class Rule:
    """A row: its name (a key of the texts, messaging.rule.<name>), where it is written, and how it is asked."""

    name: str
    source: str
    ask: Callable[[_Case], _Found | None]


def decide(message: Outgoing, known: Known, settings: Settings, now: datetime) -> Decision:
    """Whether `message` may leave at `now` (aware). Never raises; asks nobody else."""
    if now.tzinfo is None:
        raise TypeError("now must be aware")
    case = _Case(message, known, settings, now, message.template)
    passed: list[str] = []
    waits: list[tuple[Rule, _Found]] = []
    for rule in RULES:
        found = rule.ask(case)
        if found is None:
            passed.append(rule.name)
        elif found.verdict is Verdict.WAIT:
            waits.append((rule, found))
        else:
            return _decision(case, rule, found, passed)
    if waits:
        rule, found = max(waits, key=lambda one: one[1].until or now)
        until = max(found.until or now, now + timedelta(milliseconds=1))
        end = case.ends
        if case.filled is None and end is not None and until >= end - settings.window_margin:
            case.cautions.append(Why("messaging.caution.window_ends_first", {"end": end}))
        return _decision(case, rule, replace(found, until=until), passed)
    return _leaves(case, passed)


def _leaves(case: _Case, passed: list[str]) -> Decision:
    ends: list[datetime] = []
    if case.filled is None and (end := case.ends):
        ends.append(end - case.settings.window_margin)
    if case.message.purpose in _PROACTIVE:
        calendar = case.settings.calendar(case.known.place)
        if end := closes_at(calendar, case.settings.hours_for(case.known.place), case.now):
            ends.append(end)
    until = min(ends, default=None)
    switched = case.filled is not None and case.message.template is None
    if switched:
        assert case.filled is not None
        rule = next(one for one in RULES if one.name == "window")
        why = Why("messaging.why.as_template", {"template": case.filled.template.name})
        return _decision(case, rule, _Found(Verdict.TEMPLATE, why, until), passed)
    if case.filled is not None:
        why = Why("messaging.why.template_may_leave", {"template": case.filled.template.name})
    else:
        why = Why("messaging.why.in_window", {"until": until}) if until else Why("messaging.why.may_leave")
    return _decision(case, RULES[-1], _Found(Verdict.SEND, why, until), passed, name="all")


def _decision(case: _Case, rule: Rule, found: _Found, passed: list[str], *, name: str = "") -> Decision:
    return Decision(
        verdict=found.verdict,
        rule=name or rule.name,
        source=rule.source if not name else "business/messaging/policy.py",
        why=found.why,
        at=case.now,
        until=found.until,
        template=case.filled if found.verdict is not Verdict.DROP else None,
        free_until=free_until(case.known.entry, case.now),
        cautions=tuple(case.cautions),
        passed=tuple(passed),
    )


def _never(key: str, **params: str | int | datetime) -> _Found:
    return _Found(Verdict.NEVER, Why(f"messaging.why.{key}", params))


def _drop(key: str, **params: str | int | datetime) -> _Found:
    return _Found(Verdict.DROP, Why(f"messaging.why.{key}", params))


def _ask(key: str, **params: str | int | datetime) -> _Found:
    return _Found(Verdict.ASK, Why(f"messaging.why.{key}", params))


def _wait(key: str, until: datetime, **params: str | int | datetime) -> _Found:
    return _Found(Verdict.WAIT, Why(f"messaging.why.{key}", {"until": until, **params}), until)


# --- for good ---------------------------------------------------------------------------------


def _goodbye(case: _Case) -> _Found | None:
    if case.message.purpose is not Purpose.GOODBYE:
        return None
    if case.known.standing.stopped is None and case.known.standing.marketing_stopped is None:
        return _drop("goodbye_nobody_left")
    if case.known.goodbye_sent:
        return _never("goodbye_said")
    return None


def _opted_out(case: _Case) -> _Found | None:
    stopped = case.known.standing.stopped
    if stopped is None or case.message.purpose is Purpose.GOODBYE:
        return None
    if case.message.purpose is Purpose.ANSWER and case.wrote_after_stop and case.in_window:
        case.cautions.append(Why("messaging.caution.opted_out", {"since": stopped.at}))
        return None
    return _never("opted_out", since=stopped.at)


def _marketing_stopped(case: _Case) -> _Found | None:
    stopped = case.known.standing.marketing_stopped
    if stopped is None or not case.marketing:
        return None
    return _never("marketing_stopped", since=stopped.at)


def _unreachable(case: _Case) -> _Found | None:
    for where in (Where.CONTACT, Where.PAIR):
        block = case.block(where)
        if block and block.until is None:
            return _never("unreachable", code=block.code, since=block.at)
        if block and block.until:
            key = "marketing_capped" if block.covers == "marketing" else "pair_rate"
            return _wait(key, block.until, code=block.code)
    return None


def _consent(case: _Case) -> _Found | None:
    if case.message.purpose not in _COLD or case.known.standing.consent is not None:
        return None
    if case.message.purpose is Purpose.FIRST_CONTACT:
        if case.known.messages:
            return None
        if case.settings.first_contact_without_consent:
            case.cautions.append(Why("messaging.caution.no_opt_in"))
            return None
    return _never("no_consent")


# --- out of date ------------------------------------------------------------------------------


def _person_has_it(case: _Case) -> _Found | None:
    if case.message.author == "person" or case.message.purpose in (Purpose.GOODBYE, Purpose.NOTICE):
        return None
    held = case.known.attention.held
    if held is Held.PERSON:
        return _drop("person_has_it")
    if held is Held.FETCHING and case.message.purpose is not Purpose.ANSWER:
        return _drop("person_is_fetched")
    return None


def _other_segment(case: _Case) -> _Found | None:
    if case.message.author == "person" or case.message.purpose is not Purpose.ANSWER:
        return None
    return _drop("other_segment") if case.message.segment != case.known.attention.segment else None


def _newer_message(case: _Case) -> _Found | None:
    message = case.message
    if message.author == "person" or message.purpose is not Purpose.ANSWER:
        return None
    newer = case.known.messages - message.answers
    if newer <= 0:
        return None
    if message.superseded >= case.settings.most_superseded:
        case.cautions.append(Why("messaging.caution.newer_message", {"count": newer}))
        return None
    return _drop("newer_message", count=newer)


def _answered_meanwhile(case: _Case) -> _Found | None:
    planned, received = case.message.planned_at, case.known.last_received_at
    if case.message.purpose not in _PROACTIVE or planned is None or received is None or received <= planned:
        return None
    if case.message.author == "person":  # who dictated it has not read what came
        return _ask("wrote_meanwhile", since=received)
    return _drop("answered_meanwhile", since=received)


def _too_late(case: _Case) -> _Found | None:
    until = case.message.until
    return _drop("too_late", since=until) if until is not None and case.now >= until else None


def _touches(case: _Case) -> _Found | None:
    if case.message.purpose not in _PROACTIVE:
        return None
    touches, most = case.known.touches, case.settings.most_touches
    if len(touches) >= most and case.message.author == "person":
        case.cautions.append(Why("messaging.caution.too_many_touches", {"count": len(touches)}))
    elif len(touches) >= most:
        return _never("too_many_touches", count=len(touches), most=most)
    return None


# --- as what ----------------------------------------------------------------------------------


def _window(case: _Case) -> _Found | None:
    held = holding(case.known.blocks, case.now, case.known.last_received_at)
    told_closed = case.known.windowed and any(one.covers == "free" for one in held)
    if case.filled is not None or (case.in_window and not told_closed):
        return None
    if case.message.purpose is Purpose.GOODBYE:
        return _never("goodbye_too_late")
    blocked = {one.name for one in held if one.where is Where.TEMPLATE}
    choice = choose(
        [one for one in case.known.templates if one.name not in blocked],
        case.message.purpose,
        case.message.language,
        case.message.values,
        marketing=case.known.standing.marketing_stopped is None
        and not any(one.where is Where.CONTACT and one.covers == "marketing" for one in held),
    )
    if choice.filled is None:
        end = closes(case.known.last_from_contact, case.now)
        looked = len(choice.against)
        if end is None:
            return _ask("never_wrote_no_template", looked=looked)
        return _ask("window_closed_no_template", since=end, looked=looked)
    case.filled = choice.filled
    return None


def _template(case: _Case) -> _Found | None:
    if case.filled is None:
        return None
    template = case.filled.template
    current = next(
        (one for one in case.known.templates if (one.name, one.language) == (template.name, template.language)),
        template,
    )
    if not usable(current):
        return _ask("template_unusable", template=template.name, status=current.status)
    if case.filled is case.message.template and current.body != template.body:
        return _ask("approved_other_text")
    if block := case.block(Where.TEMPLATE):
        return _ask("template_refused", template=template.name, code=block.code)
    return None


def _approval(case: _Case) -> _Found | None:
    if case.message.purpose not in _COLD:
        return None
    if not case.message.approved:
        return _ask("not_approved")
    return _ask("approved_other_text") if case.filled is not case.message.template else None


# --- patience ---------------------------------------------------------------------------------


def _number(case: _Case) -> _Found | None:
    for where in (Where.NUMBER, Where.APP):
        if block := case.block(where):
            if block.until is None:
                return _ask("number_stopped", code=block.code, since=block.at)
            return _wait("number_waits", block.until, code=block.code)
    return None


def _hours(case: _Case) -> _Found | None:
    calendar, hours = case.settings.calendar(case.known.place), case.settings.hours_for(case.known.place)
    if case.message.purpose is Purpose.NOTICE:
        calendar, hours = replace(calendar, any_day=True), case.settings.notice_hours
    elif case.message.purpose not in _PROACTIVE:
        return None
    reason = closed_because(calendar, hours, case.now)
    if reason is None:
        if case.message.purpose in _PROACTIVE and case.settings.always(case.known.place):
            case.cautions.append(Why("messaging.caution.no_quiet_hours"))
        return None
    if case.message.author == "person" and case.message.purpose not in _COLD:
        case.cautions.append(Why("messaging.caution.quiet_hours"))
        return None
    until = next_open(calendar, hours, case.now) or case.now + _LAST_RESORT
    if reason == "holiday":
        holiday = calendar.holiday(calendar.day_of(case.now))
        return _wait("holiday", until, name=holiday.name if holiday else "", zone=case.known.place.zone)
    return _wait("quiet_hours", until, zone=case.known.place.zone)


def _spacing(case: _Case) -> _Found | None:
    if case.message.purpose not in _PROACTIVE or not case.known.touches or case.message.author == "person":
        return None
    days = case.settings.days_between_touches
    until = after_business_days(case.settings.calendar(case.known.place), max(case.known.touches), days)
    return _wait("too_soon", until, days=days) if until > case.now else None


def _marketing_cap(case: _Case) -> _Found | None:
    if not case.marketing:
        return None
    span = timedelta(days=case.settings.marketing_days)
    most = case.settings.marketing_most
    recent = sorted(one for one in case.known.marketing_sent if one > case.now - span)
    if len(recent) < most:
        return None
    until = recent[len(recent) - most] + span if most else case.now + span
    return _wait("marketing_enough", until, count=len(recent), days=case.settings.marketing_days)


def _portfolio(case: _Case) -> _Found | None:
    portfolio = case.known.portfolio
    if case.in_window or portfolio.limit is None or portfolio.has_contact:
        return None
    reserved = 0
    if case.message.purpose in _COLD:
        reserved = -(-portfolio.limit * case.settings.reserve_percent // 100)
    if portfolio.room(reserved):
        return None
    until = portfolio.frees_at if portfolio.frees_at and portfolio.frees_at > case.now else case.now + _LAST_RESORT
    return _wait("portfolio_full", until, limit=portfolio.limit, reached=portfolio.reached)


def _pair_rate(case: _Case) -> _Found | None:
    until = pair_pace(case.settings.pair_burst).earliest(case.known.pair_line, case.now)
    return _wait("pair_rate", until, code=131056) if until > case.now else None


def _throughput(case: _Case) -> _Found | None:
    until = number_pace(case.known.per_second).earliest(case.known.number_line, case.now)
    return _wait("throughput", until, most=case.known.per_second) if until > case.now else None


_META = "developers.facebook.com/documentation/business-messaging/whatsapp"

RULES: tuple[Rule, ...] = (
    Rule("goodbye", "WhatsApp Business Messaging Policy", _goodbye),
    Rule("opted_out", "Lei 13.709/2018 (LGPD), art. 8 §5, art. 18 IX; WhatsApp Business Messaging Policy", _opted_out),
    Rule("marketing_stopped", f"{_META}/webhooks/reference/user_preferences; 131050", _marketing_stopped),
    Rule("unreachable", f"{_META}/support/error-codes: 131026, 131049, 131056, 130472", _unreachable),
    Rule("consent", "WhatsApp Business Messaging Policy; Lei 13.709/2018 (LGPD), art. 7 I, IX", _consent),
    Rule("person_has_it", "chatwoot #13880, #13881", _person_has_it),
    Rule("other_segment", "chatwoot #15068; fazer-ai/agents #158", _other_segment),
    Rule("newer_message", "fazer-ai/agents #49; chatwoot #13673", _newer_message),
    Rule("answered_meanwhile", "megaapp977 #545", _answered_meanwhile),
    Rule("too_late", "business/messaging/model.py: Outgoing.until", _too_late),
    Rule("touches", "policy.yaml: most_touches", _touches),
    Rule("window", f"{_META}/messages/send-messages; 131047", _window),
    Rule("template", f"{_META}/support/error-codes: 132000–132018", _template),
    Rule("approval", "docs/decisions/0005", _approval),
    Rule("number", f"{_META}/support/error-codes: 0, 190, 368, 130429, 131031, 131042, 131048", _number),
    Rule("quiet_hours", "policy.yaml: contact_hours, notice_hours; Lei 662/1949, 9.093/1995, 14.759/2023", _hours),
    Rule("spacing", "policy.yaml: days_between_touches", _spacing),
    Rule("marketing_cap", f"policy.yaml: marketing; {_META}/templates; 131049", _marketing_cap),
    Rule("portfolio", f"{_META}/messaging-limits", _portfolio),
    Rule("pair_rate", f"{_META}/messages; 131056", _pair_rate),
    Rule("throughput", f"{_META}/throughput; 130429", _throughput),
)
"""A source with # is a public thread of such a system: what its users complained of."""
