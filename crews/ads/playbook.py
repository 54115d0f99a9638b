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
from core.words import plain
from crews.ads.asked import asks_for_change, asks_something, several_amounts
from crews.ads.request import CHANGES, SUPERLATIVE, AdsRequest, is_descending, pieces, says_only, understand
from crews.ads.words import Words, of_kind
from crews.contract import CrewTask
from llm.messages import ToolCall
from tools.amounts import budget_amount

_MOST_PROPOSALS = 3
_BOTH_ACCOUNTS = re.compile(
    r"\b(?:duas|ambas|todas) (?:as )?contas\b|\b(?:both|two|all) (?:\w+ )?accounts\b|\b(?:dos|ambas) cuentas\b"
)
_WHOLE_CAMPAIGN = re.compile(r"\b(?:campanha (?:inteira|toda)|(?:whole|entire) campaign|campana (?:entera|completa))\b")
_ASKS_FOR_STATUS = re.compile(
    r"\b(?:(?:pausad|desligad|desativad|parad|pausad)[ao]s?|paused|(?:in)?ativ[ao]s?|(?:in)?active"
    r"|(?:in)?activ[ao]s?|rodando|no ar"
    r"|running|status|situacao)\b"
)
_NOT_SEPARATED = re.compile(
    r"\b(?:idades?|faixas? etarias?|ages?|edad(?:es)?|generos?|genders?|sexo|posicionamentos?|placements?"
    r"|ubicaci\w+|horarios?"
    r"|(?:por|que|by|per) hora|hours?|dias? da semana|days? of the week|weekdays?|dias? de la semana|cidades?|city"
    r"|cities|ciudad(?:es)?"
    r"|regi(?:ao|oes|on|ones)|estados?|dispositivos?|devices?|(?:so|somente|apenas|only|just|solo) (?:no|do|on|from"
    r"|en) "
    r"(?:instagram|facebook|whatsapp|stories|feed|reels|messenger))\b"
)
"""Figures are fetched by campaign, ad set, ad and day; not by these."""
_VERB_ALONE = re.compile(
    r"\b(?:paus\w+|deslig\w+|desativ\w+|stop|suspend\w*|(?:re)?ac?tiv\w+|(?:re)?lig\w+|resum\w+|retom\w+"
    r"|reanud\w+)\b"
)
_ARTICLES = re.compile(r"^(?:(?:é|e|a|o|as|os|da|do|de|na|no|the|la|el|del|para|pra)\s+)+", re.IGNORECASE)
_MOST_WORDS = 8  # of an answer to our own question
_MOST_NAMED = 4  # objects or accounts of one request that are served; the others are named as left out
_NOT_FOUND_OUT = frozenset({"negated", "condition", "later"})
"""Why even what an analysis found is not proposed to be paused."""
_ASKS_WHAT = re.compile(r"\b(?:o que|quais|qual|what|which|que|cual\w*|algo|alguma?|anything|something)\b")
_ASKS_TO_PAUSE = re.compile(
    r"\b(?:paus(?!ad|ed)\w+|deslig(?!ad)\w+|par(?:o|ar|e)\b|cort\w+|desativ(?!ad)\w+|stop\w*|turn\w* off|cut\w*"
    r"|apag\w+"
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
        self._understood: dict[tuple[CrewTask, int], AdsRequest] = {}

    def next_step(self) -> list[ToolCall] | str:
        if self._needs_accounts():
            return [ToolCall("", "list_accounts", {})]
        missing: list[ToolCall] = []
        for task in self._parts():
            if missing and task.intent == "followup":
                break  # "and the second?" points at what is being fetched
            missing += [ToolCall("", c.name, c.arguments) for c in self._calls(task) if c.record is None]
        return missing or self.text()

    def text(self) -> str:
        """Everything asked, answered from the results that are there."""
        parts = list(dict.fromkeys(self._answer(task) for task in self._parts()))
        if self._turn.proposals:
            parts.append(self._words.say("ads.proposed", count=len(self._turn.proposals)))
        return "\n\n".join(part for part in parts if part)

    def last_request(self) -> AdsRequest:
        return self.requests(self._parts()[-1])[-1]

    def open_question(self) -> dict[str, Any] | None:
        """What the answer asked back: the next message may be just an amount, or just one of the names. `text` is the
        request that waits for it."""
        task = self._parts()[-1]
        request = self.requests(task)[0]
        open_question: dict[str, Any] = {"intent": f"ads.{request.intent}", "text": task.text}
        for call in self._calls(task):
            params = call.record.error_params if call.record else {}
            if candidates := params.get("candidates") or params.get("where"):  # several have the name, or the budget
                return open_question | {"candidates": candidates}
        if request.intent in ("pause", "resume", "budget") and not (request.but or self._calls(task)):
            return open_question | {"target": self._object(request)}
        return None

    def results_in_words(self) -> str:
        """Every result of the turn in sentences, whoever asked for it: for when a model's own words cannot be used."""
        made = [Call(r.name, r.arguments, r) for r in self._turn.results if r.result is not None or r.error]
        request = self.requests(self._parts()[0])[0]
        said = [self._say(call, request) for call in made if call.name != "list_accounts" or len(made) == 1]
        if proposals := sum(call.record is not None and bool(call.record.proposal_id) for call in made):
            said.append(self._words.say("ads.proposed", count=proposals))
        return "\n\n".join(text for text in dict.fromkeys(said) if text)

    # --- which calls --------------------------------------------------------------------------

    def _needs_accounts(self) -> bool:
        """A name in the message may be an account's: the list is fetched once in a conversation. Not when a model has
        asked for figures before it failed: they name their accounts."""
        known = "accounts" in self._turn.session or self._find("list_accounts", {}) is not None
        return not known and not self._accounts_seen()

    def _accounts_seen(self) -> list[dict[str, Any]]:
        """The accounts that this turn's figures are of."""
        seen = {}
        for record in self._turn.results:
            for key in ("reports", "series", "accounts") if record.name != "list_accounts" else ():
                for one in (record.result or {}).get(key, []):
                    seen[one["account"]["id"]] = {"id": one["account"]["id"], "name": one["account"]["name"]}
        return list(seen.values())

    def _session(self) -> dict[str, Any]:
        listed = self._find("list_accounts", {})
        accounts = listed.result["accounts"] if listed and listed.result else self._turn.session.get("accounts")
        if accounts is None:
            accounts = self._accounts_seen()
        ours: dict[str, Any] = {"entities": shown_objects(self._turn.session)}
        if "kind" in (self._turn.session.get("focus") or {}):
            ours["focus"] = None
        return {**self._turn.session, **ours, "accounts": accounts}

    def _parts(self) -> list[CrewTask]:
        """The tasks, cut where one says something different of several things. A message that answers our own question
        is the request that waited for it."""
        if answered := self._answered():
            return [answered[0]]
        session = self._session()
        parts = []
        for task in self._tasks:
            cut = pieces(task.text, session)
            differ = several_amounts(task.text) or len({self._said(one)[0] for one in cut}) > 1
            texts = cut if len(cut) > 1 and differ and asks_for_change(task.text).but is None else [task.text]
            parts += [replace(task, text=text) for text in texts]
        return parts

    def _answered(self) -> tuple[CrewTask, str | None] | None:
        """The request that waited for this message, and the object that the message chose for it."""
        waiting, text = self._turn.session.get("open"), self._turn.text
        said = asks_for_change(text)
        if not waiting or len(self._tasks) > 1 or len(text.split()) > _MOST_WORDS:
            return None
        if said.effect or said.but or asks_something(text) or self._said(text)[0]:
            return None  # it asks for something by itself
        amount = budget_amount(text) if waiting["intent"] == "ads.budget" else None
        chosen = self._choice(text, waiting.get("candidates", []), bool(waiting.get("target")))
        if not chosen and not amount:
            return None
        target = chosen or waiting.get("target")
        task = CrewTask(waiting["intent"], f"{waiting['text']}, {text}" if amount else waiting["text"])
        return task, target

    def _choice(self, text: str, candidates: list[dict[str, Any]], known: bool) -> str | None:
        """Which of the candidates, or which object at all, a short answer names: "a primeira", "a de agendamento".
        With the object `known` already, only a clear name is another one."""
        offered = {**self._session(), "entities": candidates} if candidates else self._session()
        answer = understand("ads.campaign", text, offered)
        if answer.targets:
            return answer.targets[0]
        same = [c for c in candidates if c.get("level") == answer.level and answer.level_named]
        if len(same) == 1:
            return str(same[0]["id"])
        telling = {word for word in re.findall(r"\w{4,}", plain(text))}
        meant = [
            c for c in candidates if telling & set(re.findall(r"\w{4,}", plain(f"{c['name']} {c.get('detail') or ''}")))
        ]
        if len(meant) == 1:
            return str(meant[0]["id"])
        bare = re.sub(
            r"^(?:(?:é|e|a|o|as|os|da|do|de|na|no|the|la|el|del?|para|pra)\s+)+", "", text.strip(" .!?"), flags=re.I
        )
        other = self._tasks[0].intent not in ("followup", *CHANGES)
        return None if candidates or known or other or not bare else bare

    def requests(self, task: CrewTask) -> list[AdsRequest]:
        """One request for each object, or each account, that the task names."""
        request = self.request(task)
        if len(request.targets) > 1:
            return [replace(request, target=one, targets=(one,)) for one in request.targets[:_MOST_NAMED]]
        if len(request.accounts) > 1 and not request.target:
            return [replace(request, account=one, accounts=(one,)) for one in request.accounts[:_MOST_NAMED]]
        return [request]

    def request(self, task: CrewTask) -> AdsRequest:
        """The task as understood, a follow-up as what it follows up. "It" and an account go on from the part before."""
        so_far = task, len(self._turn.results)  # it is read a dozen times in a turn; only results may change it
        if so_far not in self._understood:
            self._understood[so_far] = self._read(task)
        return self._understood[so_far]

    def _read(self, task: CrewTask) -> AdsRequest:
        session, parts = self._session(), self._parts()
        before = parts[: parts.index(task)]
        earlier = self.request(before[-1]) if before else None
        if earlier and earlier.target:
            session["focus"] = {"id": earlier.target}
        if before and task.intent == "followup" and (shown := self._shown_for(before[-1])):
            session["entities"] = shown
        if changed := self._change_asked(task, session):
            return changed
        intent = (task.base or "ads.overview") if task.intent == "followup" else task.intent
        if intent in CHANGES:  # nothing is changed because something was changed before: it has to be said
            intent = "ads.overview"
        if task.intent == "followup" or task.intent in CHANGES:
            named = understand(intent, self._without_period(task.text, intent), session)
            if named.target:
                intent = "ads.trend" if intent == "ads.trend" else "ads.campaign"
        file = self._file(task.text, session) if intent == "ads.import" else None
        if file:
            intent = "ads.overview"
        text = self._without_period(task.text, intent)
        request = understand(intent, text, session)
        if file:
            request = replace(request, account=file)
        if (answered := self._answered()) and answered[1]:
            request = replace(request, target=answered[1], targets=(answered[1],))
        if intent == "ads.overview" and request.metric and not request.target and SUPERLATIVE.search(plain(text)):
            request = replace(request, intent="ranking")  # "which campaign sold the most?" is asked as an overview
        if earlier and earlier.account and not (request.account or request.target):
            request = replace(request, account=earlier.account)
        return request

    def _shown_for(self, task: CrewTask) -> list[dict[str, Any]]:
        """The rows that an earlier part of this message brought, in order: what "the second" means after it."""
        reports = [r for call in self._calls(task) if call.result for r in call.result.get("reports", [])]
        return [{"id": row["id"], "name": row["name"], "level": row["level"]} for r in reports for row in r["rows"]]

    def _change_asked(self, task: CrewTask, session: dict[str, Any]) -> AdsRequest | None:
        """The change that the words of the task speak of, and why it is not proposed where they do not ask for it now.
        None when they speak of none."""
        said = asks_for_change(task.text)
        routed = (task.base if task.intent == "followup" else task.intent) or ""
        if said.but == "unsupported":
            return replace(understand("ads.pause", task.text, session), but="unsupported")
        if said.effect is None or not (routed in CHANGES or said.first or said.but == "question"):
            return None
        intent = f"ads.{said.effect}"
        request = understand(intent, task.text, session)
        if (answered := self._answered()) and answered[1]:
            request = replace(request, target=answered[1], targets=(answered[1],))
        focus = self._turn.session.get("focus") or {}
        if _WHOLE_CAMPAIGN.search(plain(task.text)) and not request.target and focus.get("campaign"):
            request = replace(request, target=focus["campaign"], targets=(focus["campaign"],), level="campaign")
        but = said.but
        if but is None and said.effect == "budget" and several_amounts(task.text) and not answered:
            but = "several"
        if routed == "ads.diagnose" or (but == "question" and said.effect == "pause"):
            if _ASKS_WHAT.search(plain(task.text)) and not request.target:
                return None  # what to pause is an analysis
            if routed == "ads.diagnose" and but != "question":
                return None
        return replace(request, but=but)

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
        return [call for request in self.requests(task) for call in self._calls_of(task, request)]

    def _calls_of(self, task: CrewTask, request: AdsRequest) -> list[Call]:
        if request.but:
            target = request.target if request.but == "question" else None
            return [self._call("ads_report", {"target": target})] if target else []
        match request.intent:
            case "accounts":
                return [self._call("list_accounts", {})]
            case "import":
                return []
            case "pause" | "resume":
                return self._status_calls(request)
            case "budget":
                return self._budget_calls(request)
            case "diagnose":
                return self._diagnose_calls(task, request)
            case "trend":
                arguments = {"metric": request.metric or self._turn.session.get("metric") or "spend"}
                return [self._call("ads_trend", arguments | self._where(task, request))]
            case _:
                return [self._call("ads_report", self._report_arguments(task, request))]

    def _report_arguments(self, task: CrewTask, request: AdsRequest) -> dict[str, Any]:
        arguments = self._where(task, request)
        if request.intent == "ranking":
            arguments |= self._ranking(task, request)
        else:
            if request.level_named and request.target is None and request.level != "campaign":
                arguments["level"] = request.level
            if request.metric not in (None, "spend", "results"):
                arguments["sort_by"] = request.metric
            if _ASKS_FOR_STATUS.search(plain(task.text)):
                arguments["limit"] = 25
        counted = self._counted_from_last(task)
        if counted and self._compares(task):
            arguments["compare_with"] = _dates(counted[1])
        elif compare_said := self._said(task.text)[1]:
            arguments["compare_with"] = compare_said
        elif request.intent == "compare" and not self._compares_things(task, request):
            arguments["compare_with"] = "previous"
        return arguments

    def _ranking(self, task: CrewTask, request: AdsRequest) -> dict[str, Any]:
        """By what, of what, from which end; a follow-up ("e anteontem?") keeps what it does not name anew."""
        last = self._turn.session.get("ranking", {}) if task.intent == "followup" else {}
        if request.metric is not None:
            order = "desc" if request.descending else "asc"
        elif last and SUPERLATIVE.search(plain(request.text)):  # "e a pior?"
            order = "desc" if is_descending(plain(request.text), last.get("sort_by")) else "asc"
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
        elif (
            self._goes_on(task)
            and not self._compares_things(task, request)
            and (account := self._turn.session.get("last_account"))
        ):
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

    def _compares_things(self, task: CrewTask, request: AdsRequest) -> bool:
        """Two accounts, or two objects, with each other: "compara as duas contas". Not one with its past."""
        several = len(self.request(task).targets) > 1 or len(self.request(task).accounts) > 1
        return several or bool(_BOTH_ACCOUNTS.search(plain(task.text)))

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
        target = self._object(request)
        return [self._call(tool, self._change(request, target))] if target else []

    def _budget_calls(self, request: AdsRequest) -> list[Call]:
        target, amount = self._object(request), self._amount(request.text)
        if not target or amount is None:
            return []
        return [self._call("set_ads_budget", self._change(request, target) | amount)]

    def _object(self, request: AdsRequest) -> str | None:
        """What a change is of: what was named, else ("pausa", "aumenta 20%") the one object spoken of last."""
        focus = self._turn.session.get("focus")
        if request.target or not focus:
            return request.target
        bare = request.intent == "budget" or says_only(request.text, _VERB_ALONE)
        return str(focus["id"]) if bare else None

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
        if diagnose.result is None or not self._wants_pauses(task):
            return [diagnose]
        worth = [f for a in diagnose.result["accounts"] for f in a["findings"] if f["suggestion"] == "pause"]
        proposals = [self._call("pause_ad_object", {"target": f["id"]}) for f in worth[:_MOST_PROPOSALS]]
        return [diagnose, *proposals]

    def _wants_pauses(self, task: CrewTask) -> bool:
        """Whether what the analysis finds shall be proposed: "o que devo pausar?", not "não pausa nada, só analisa"."""
        return bool(_ASKS_TO_PAUSE.search(plain(task.text))) and asks_for_change(task.text).but not in _NOT_FOUND_OUT

    def _call(self, name: str, arguments: dict[str, Any]) -> Call:
        return Call(name, arguments, self._find(name, arguments))

    def _find(self, name: str, arguments: dict[str, Any]) -> ToolRecord | None:
        for record in self._turn.results:
            if record.name == name and _same(record.arguments, arguments):
                return record
        return None

    # --- in words ---------------------------------------------------------------------------------

    def _answer(self, task: CrewTask) -> str:
        said = [self._answer_to(task, request) for request in self.requests(task)]
        request = self.request(task)
        left_out = (request.targets if len(request.targets) > 1 else request.accounts)[_MOST_NAMED:]
        if left_out:
            said.append(self._words.say("ads.left_out", count=len(left_out)))
        return "\n\n".join(text for text in dict.fromkeys(said) if text)

    def _answer_to(self, task: CrewTask, request: AdsRequest) -> str:
        words = self._words
        calls = self._calls_of(task, request)
        said = [self._say(call, request) for call in calls if call.record is not None]
        if request.but:
            return "\n\n".join([*said, words.say(f"ads.not_done.{request.but}")])
        if request.intent == "import":
            return words.say("import.how")
        if not calls:
            which = "amount" if request.intent == "budget" and self._object(request) else "target"
            return words.say(f"ads.which_{which}")
        made = [call for call in calls if call.record is not None and call.record.proposal_id]
        if request.intent == "diagnose" and not made:
            if self._wants_pauses(task) and calls[0].result and any(a["findings"] for a in calls[0].result["accounts"]):
                said.append(words.say("ads.nothing_to_pause"))
            elif (but := asks_for_change(task.text).but) in _NOT_FOUND_OUT:
                said.append(words.say(f"ads.not_done.{but}"))
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
                ranked = request.intent == "ranking"
                intent = "overview" if request.target and not (ranked and request.level_named) else request.intent
                result = of_kind(record.result, request.kind if ranked else None)
                said = self._words.report(result, intent, call.arguments.get("sort_by", "spend"))
                if request.intent != "accounts" and _NOT_SEPARATED.search(plain(request.text)):
                    said = f"{self._words.say('ads.not_separated')}\n\n{said}"
                if _ASKS_FOR_STATUS.search(plain(request.text)):
                    said = "\n\n".join([*self._words.statuses(record.result), said])
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


def shown_objects(session: dict[str, Any]) -> list[dict[str, Any]]:
    """Campaigns, ad sets and ads of the last list; not what other crews showed."""
    return [one for one in session.get("entities", []) if "level" in one]


def _dates(days: Window) -> str:
    return f"{days.since}..{days.until}"


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    def bare(arguments: dict[str, Any]) -> dict[str, str]:
        return {key: str(value) for key, value in arguments.items() if value is not None}

    return bare(made) == bare(wanted)
