"""What the ads crew does without a model: the same tools, chosen by rules, and their results in ready sentences.

It holds the turn. `next_step` gives the tool calls that are still missing for what was asked, then the text.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from business.ads.model import Window
from business.ads.windows import parse_period
from core.errors import ArgumentsWrong, MutiraoError
from core.turn import ToolRecord, Turn
from crews.ads.request import CHANGES, SUPERLATIVE, AdsRequest, plain, understand
from crews.ads.words import Words
from crews.contract import CrewTask
from llm.messages import ToolCall
from tools.amounts import budget_amount

_CHANGE_VERBS = {
    "ads.budget": re.compile(
        r"r\$|\borcament|\bbudget|presupuest|\d\s*%|\b(?:aument|reduz|diminu|sub[ai]|baix|dobr|rais|lower|increas)"
    ),
    "ads.resume": re.compile(r"\b(?:reativ|ativ[ae]|lig[au]|volt[ae]|resum|retom|reanud|activ|turn on)"),
    "ads.pause": re.compile(r"\b(?:paus|deslig|par[ae]\b|desativ|stop|turn off)"),
}
_MOST_PROPOSALS = 3
_ASKS_TO_PAUSE = re.compile(
    r"\b(?:paus(?!ad|ed)\w+|deslig(?!ad)\w+|par(?:o|ar|e)\b|cort\w+|desativ(?!ad)\w+|stop\w*|turn\w* off|cut\w*|apag\w+"
    r"|mat(?:o|ar)\b)"
)
_ASKS_FOR_BUDGET = re.compile(r"\b(?:orcamentos?|verbas?|budgets?|presupuestos?)\b")


_ASKS_HOW_TO_IMPORT = re.compile(
    r"\bcomo (?:eu |se |te |posso )?(?:import|fa[cz]|mand|envi|export|tir|sac|sub|carreg|baix)"
    r"|\bhow (?:do|can|to|many)\b"
    r"|\b(?:posso|puedo|can i|da pr?a|da para|consigo|por ?que|why|qua(?:is|ntas)|which files|cuantas|que archivos)\b"
    r"|\b(?:aceit|acept|accept|format|apag|delete)"
)


@dataclass(frozen=True)
class Call:
    """A call the playbook wants, and whether it was made: `record` is None until then."""

    name: str
    arguments: dict[str, Any]
    record: ToolRecord | None = None

    @property
    def result(self) -> dict[str, Any] | None:
        return self.record.result if self.record else None


class AdsPlaybook:
    """One turn's requests to the ads analyst. `words` writes in the turn's language."""

    def __init__(self, turn: Turn, tasks: list[CrewTask], words: Words) -> None:
        self._turn = turn
        self._tasks = tasks
        self._words = words

    def next_step(self) -> list[ToolCall] | str:
        if self._needs_accounts():
            return [ToolCall("", "list_accounts", {})]
        calls = [call for task in self._tasks for call in self._calls(task)]
        missing = [ToolCall("", call.name, call.arguments) for call in calls if call.record is None]
        return missing or self.text()

    def text(self) -> str:
        """Everything asked, answered from the results that are there."""
        parts = [self._answer(task) for task in self._tasks]
        if self._turn.proposals:
            parts.append(self._words.say("ads.proposed", count=len(self._turn.proposals)))
        return "\n\n".join(part for part in parts if part)

    def unanswered(self) -> str | None:
        """The object whose new budget was asked for without an amount: the next message may be just the amount."""
        request = self.request(self._tasks[-1])
        return request.target if request.intent == "budget" and not self._turn.proposals else None

    def results_in_words(self) -> str:
        """Every result of the turn in sentences, whoever asked for it: for when a model's own words cannot be used."""
        made = [Call(r.name, r.arguments, r) for r in self._turn.results if r.result is not None or r.error]
        request = self.request(self._tasks[0])
        said = [self._say(call, request) for call in made if call.name != "list_accounts" or len(made) == 1]
        if proposals := sum(call.record is not None and bool(call.record.proposal_id) for call in made):
            said.append(self._words.say("ads.proposed", count=proposals))
        return "\n\n".join(text for text in dict.fromkeys(said) if text)

    # --- which calls --------------------------------------------------------------------------

    def _needs_accounts(self) -> bool:
        """A name in the message may be an account's: the list is fetched once in a conversation."""
        return "accounts" not in self._turn.session and self._find("list_accounts", {}) is None

    def _session(self) -> dict[str, Any]:
        listed = self._find("list_accounts", {})
        accounts = listed.result["accounts"] if listed and listed.result else self._turn.session.get("accounts", [])
        return {**self._turn.session, "accounts": accounts}

    def request(self, task: CrewTask) -> AdsRequest:
        """The task as understood, a follow-up as what it follows up. "It" and an account go on from the part before."""
        session = self._session()
        before = self._tasks[: self._tasks.index(task)]
        earlier = self.request(before[-1]) if before else None
        if earlier and earlier.target:
            session["focus"] = {"id": earlier.target}
        intent = task.intent
        if intent == "followup":
            intent = task.base or "ads.overview"
            if intent in CHANGES:  # nothing is changed because something was changed before: it has to be said
                intent = _change_said(task.text) or "ads.overview"
            named = understand(intent, self._without_period(task.text, intent), session)
            if named.target and intent not in CHANGES:
                intent = "ads.trend" if intent == "ads.trend" else "ads.campaign"
        file = self._file(task.text, session) if intent == "ads.import" else None
        if file:
            intent = "ads.overview"
        text = self._without_period(task.text, intent)
        request = understand(intent, text, session)
        if file:
            request = replace(request, account=file)
        if intent == "ads.overview" and request.metric and not request.target and SUPERLATIVE.search(plain(text)):
            request = replace(request, intent="ranking")  # "which campaign sold the most?" is asked as an overview
        if earlier and earlier.account and not (request.account or request.target):
            request = replace(request, account=earlier.account)
        return request

    def _file(self, text: str, session: dict[str, Any]) -> str | None:
        """The imported file that is spoken of, if one is and the question is not how to bring it: the one that is
        named, else the one that came with this conversation, else the only one."""
        if _ASKS_HOW_TO_IMPORT.search(plain(text)):
            return None
        files = [a["id"] for a in session["accounts"] if a["id"].startswith("file_")]
        named = understand("ads.overview", text, session).account
        found = named or session.get("account") or (files[0] if len(files) == 1 else None)
        return found if found in files else None

    def _without_period(self, text: str, intent: str) -> str:
        """Words of time are no part of a name: "a campanha Remarketing esse mês". A change has no period."""
        if intent not in CHANGES:
            for said in filter(None, self._said(text)):
                text = text.replace(said, ",") if said != text else text
        return text

    def _calls(self, task: CrewTask) -> list[Call]:
        request = self.request(task)
        if request.intent == "accounts":
            return [self._call("list_accounts", {})]
        if request.intent == "import":
            return []
        if request.intent in ("pause", "resume"):
            return self._status_calls(request)
        if request.intent == "budget":
            return self._budget_calls(request)
        if request.intent == "diagnose":
            return self._diagnose_calls(task, request)
        if request.intent == "trend":
            arguments = {"metric": request.metric or self._turn.session.get("metric") or "spend"}
            return [self._call("ads_trend", arguments | self._where(task, request))]
        return [self._call("ads_report", self._report_arguments(task, request))]

    def _report_arguments(self, task: CrewTask, request: AdsRequest) -> dict[str, Any]:
        arguments = self._where(task, request)
        if request.intent == "ranking":
            arguments |= self._ranking(task, request)
        elif request.level_named and request.target is None and request.level != "campaign":
            arguments["level"] = request.level
        counted = self._counted_from_last(task)
        if counted and self._compares(task):
            arguments["compare_with"] = _dates(counted[1])
        elif compare_said := self._said(task.text)[1]:
            arguments["compare_with"] = compare_said
        elif request.intent == "compare":
            arguments["compare_with"] = "previous"
        return arguments

    def _ranking(self, task: CrewTask, request: AdsRequest) -> dict[str, Any]:
        """By what, of what, from which end; a follow-up ("e anteontem?") keeps what it does not name anew."""
        last = self._turn.session.get("ranking", {}) if task.intent == "followup" else {}
        if request.metric is not None:
            order = "desc" if request.descending else "asc"
        elif last:
            order = last.get("order", "desc")
        else:  # "the best" without a figure: what a result costs, cheapest first
            worst = re.search(r"\bpior|worst|peor|mais car|most expens|mas car", plain(request.text))
            order = "desc" if worst else "asc"
        return {
            "level": request.level if request.level_named else last.get("level") or "campaign",
            "sort_by": request.metric or last.get("sort_by") or "cost_per_result",
            "order": order,
            "limit": request.limit or last.get("limit") or 5,
        }

    def _where(self, task: CrewTask, request: AdsRequest) -> dict[str, Any]:
        """Account, object and period of a question; a follow-up keeps what it does not name anew."""
        arguments: dict[str, Any] = {}
        if period := self._period(task):
            arguments["period"] = period
        if request.account:
            arguments["account"] = request.account
        elif self._goes_on(task) and (account := self._turn.session.get("last_account")):
            arguments["account"] = account
        if request.target:
            arguments["target"] = request.target
        elif self._of_one_object(task, request) and (focus := self._turn.session.get("focus")):
            arguments["target"] = focus["id"]
        if "target" in arguments and arguments["target"].isdigit():
            arguments.pop("account", None)  # an id says where it lives
        return arguments

    def _period(self, task: CrewTask) -> str | None:
        """The words that name a period: of this part, else of the whole message, else of the conversation."""
        if counted := self._counted_from_last(task):
            last, found = counted
            return _dates(last if self._compares(task) else found)
        said = self._said(task.text)[0] or (self._said(self._turn.text)[0] if len(self._tasks) > 1 else None)
        if said is None and task.intent == "followup":
            said = self._turn.session.get("period")
        return said

    def _of_one_object(self, task: CrewTask, request: AdsRequest) -> bool:
        """Whether the object spoken of last is meant: "e ontem?" or "compara com anteontem" after one campaign."""
        was_one = self._turn.session.get("last_intent") == "ads.campaign"
        compared = request.intent == "compare" and was_one and not request.account and self._goes_on(task)
        return request.intent == "campaign" or compared

    def _goes_on(self, task: CrewTask) -> bool:
        """Whether it is about what was answered last: "e ontem?", "compara com o dia anterior"."""
        return task.intent == "followup" or (task.intent == "ads.compare" and not self._said(task.text)[0])

    def _compares(self, task: CrewTask) -> bool:
        return task.intent == "ads.compare" or self._said(task.text)[1] is not None

    def _counted_from_last(self, task: CrewTask) -> tuple[Window, Window] | None:
        """(days last answered for, days that are named from there): "and the day before?", "compared with the one
        before". None when the words mean the same days without the last answer."""
        if task.intent not in ("followup", "ads.compare"):
            return None
        now, zone, last = self._turn.now, self._turn.identity.time_zone, self._turn.session.get("window")
        days = Window(date.fromisoformat(last["since"]), date.fromisoformat(last["until"]), zone) if last else None
        try:
            alone = parse_period(task.text, now=now, time_zone=zone)
            after = parse_period(task.text, now=now, time_zone=zone, default=days)
        except MutiraoError:
            return None
        if alone is None or after is None:
            return None
        if after.compare and not after.said:  # only what to compare with was named
            return days or after.window, after.compare
        return None if days is None or alone.window == after.window else (days, after.window)

    def _said(self, text: str) -> tuple[str | None, str | None]:
        """The words that name a period, and those that name what it is compared with."""
        try:
            found = parse_period(text, now=self._turn.now, time_zone=self._turn.identity.time_zone)
        except MutiraoError:
            return text[:200], None  # an impossible date: the tool says what is wrong with it, in the account's zone
        if found is None:
            return None, None
        return found.said[:200] or None, found.compare_said[:200] or None

    def _status_calls(self, request: AdsRequest) -> list[Call]:
        tool = "pause_ad_object" if request.intent == "pause" else "resume_ad_object"
        target = request.target
        if target is None and (focus := self._turn.session.get("focus")) and len(plain(request.text).split()) <= 3:
            target = focus["id"]  # "pausa", said after speaking of one object
        return [self._call(tool, self._change(request, target))] if target else []

    def _budget_calls(self, request: AdsRequest) -> list[Call]:
        session = self._turn.session
        target = request.target or session.get("asked_amount_for") or (session.get("focus") or {}).get("id")
        amount = self._amount(request.text)
        if not target or amount is None:
            return []
        return [self._call("set_ads_budget", self._change(request, target) | amount)]

    def _change(self, request: AdsRequest, target: str | None) -> dict[str, Any]:
        arguments: dict[str, Any] = {"target": target}
        if request.account and not str(target).isdigit():
            arguments["account"] = request.account
        if request.level_named and not str(target).isdigit():
            arguments["level"] = request.level
        return arguments

    def _amount(self, text: str) -> dict[str, Any] | None:
        """The amount as the budget tool takes it: money, or percent with its sign."""
        amount = budget_amount(text)
        if amount is None:
            return None
        if amount.kind == "money" and not amount.moves:
            return {"amount": str(amount.value)}
        how = "change_amount" if amount.kind == "money" else "change_percent"
        return {how: str(-amount.value if amount.direction == "down" else amount.value)}

    def _diagnose_calls(self, task: CrewTask, request: AdsRequest) -> list[Call]:
        where = self._where(task, request)
        where.pop("target", None)
        diagnose = self._call("ads_diagnose", where)
        if diagnose.result is None or not _ASKS_TO_PAUSE.search(plain(task.text)):
            return [diagnose]
        worth = [f for a in diagnose.result["accounts"] for f in a["findings"] if f["suggestion"] == "pause"]
        proposals = [self._call("pause_ad_object", {"target": f["id"]}) for f in worth[:_MOST_PROPOSALS]]
        return [diagnose, *proposals]

    def _call(self, name: str, arguments: dict[str, Any]) -> Call:
        return Call(name, arguments, self._find(name, arguments))

    def _find(self, name: str, arguments: dict[str, Any]) -> ToolRecord | None:
        for record in self._turn.results:
            if record.name == name and _same(record.arguments, arguments):
                return record
        return None

    # --- in words ---------------------------------------------------------------------------------

    def _answer(self, task: CrewTask) -> str:
        words, request = self._words, self.request(task)
        if request.intent == "import":
            return words.say("import.how")
        calls = self._calls(task)
        if not calls:
            known = request.target or self._turn.session.get("asked_amount_for")
            return words.say("ads.which_amount" if request.intent == "budget" and known else "ads.which_target")
        said = [self._say(call, request) for call in calls if call.record is not None]
        made = [call for call in calls if call.record is not None and call.record.proposal_id]
        asked_to_pause = request.intent == "diagnose" and _ASKS_TO_PAUSE.search(plain(task.text))
        found = asked_to_pause and calls[0].result and any(a["findings"] for a in calls[0].result["accounts"])
        if found and not made:
            said.append(words.say("ads.nothing_to_pause"))
        return "\n\n".join(text for text in said if text)

    def _say(self, call: Call, request: AdsRequest) -> str:
        record = call.record
        assert record is not None
        if record.result is None:
            return self._error(record)
        match call.name:
            case "list_accounts":
                return self._words.accounts(record.result)
            case "ads_report":
                intent = "overview" if request.target else request.intent
                said = self._words.report(record.result, intent, call.arguments.get("sort_by", "spend"))
                asks_budget = _ASKS_FOR_BUDGET.search(plain(request.text))
                return "\n".join([said, *(self._words.budgets(record.result) if asks_budget else [])])
            case "ads_trend":
                return self._words.trend(record.result)
            case "ads_diagnose":
                return self._words.diagnosis(record.result)
            case _:
                return ""  # a proposal: its card says everything

    def _error(self, record: ToolRecord) -> str:
        error = ArgumentsWrong(record.error or "unnamed", **record.error_params)
        return self._words.texts.error(self._words.language, error)


def _change_said(text: str) -> str | None:
    """The change that the words themselves ask for, None when they ask for none."""
    words = plain(text)
    return next((intent for intent, verbs in _CHANGE_VERBS.items() if verbs.search(words)), None)


def _dates(window: Window) -> str:
    return f"{window.since}..{window.until}"


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    def bare(arguments: dict[str, Any]) -> dict[str, str]:
        return {key: str(value) for key, value in arguments.items() if value is not None}

    return bare(made) == bare(wanted)
