"""What the hunter does without a model: the same tools, chosen by rules, and their results in ready sentences.

It holds the turn. `next_step` gives the tool calls that are still missing for what was asked, then the text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from core.turn import ToolRecord, Turn
from core.words import folded, squeezed
from crews.contract import CrewTask
from crews.hunter.request import CONTACTED, MOST_CONTACTED, HunterRequest, place_meant, understand, withheld
from crews.hunter.words import HunterWords
from crews.orders import denies
from llm.messages import ToolCall

DRAFTS = ("draft_first_message", "draft_first_messages", "start_cadence")
_LISTS = ("find_companies", "companies_found")
_OF_ONE = ("explain_score", "decide_company")
_LOOKS = ("explain", "list", "status")
_LEARNT = re.compile(r"\b(?:aprend|learn)")
_YES = re.compile(r"^(?:sim|isso|yes|yep|si|ok|pode ser|exato|esse|essa|that one|claro)\b")


@dataclass(frozen=True)
class Call:
    """A call the playbook wants, and whether it was made: `record` is None until then."""

    name: str
    arguments: dict[str, Any]
    record: ToolRecord | None = None

    @property
    def result(self) -> dict[str, Any] | None:
        return self.record.result if self.record else None


class HunterPlaybook:
    """One turn's requests to the hunter. `words` writes in the turn's language."""

    def __init__(self, turn: Turn, tasks: list[CrewTask], words: HunterWords) -> None:
        self._turn = turn
        self._words = words
        self._tasks = _joined(tasks) or [CrewTask("followup", turn.text)]
        self._today = turn.now.astimezone(ZoneInfo(turn.identity.time_zone)).date()

    def next_step(self) -> list[ToolCall] | str:
        for task in self._tasks:  # one after the other: "the second" of a later part is of the list of an earlier one
            missing = [call for call in self._calls(task) if call.record is None]
            if missing:
                return [ToolCall("", call.name, call.arguments) for call in missing]
        return self.text()

    def text(self) -> str:
        """Everything asked, answered from the results that are there."""
        return "\n\n".join(part for part in dict.fromkeys(self._answer(task) for task in self._tasks) if part)

    def results_in_words(self) -> str:
        """Every result of the turn in sentences, whoever asked for it: for when a model's own words cannot be used."""
        made = [Call(r.name, r.arguments, r) for r in self._turn.results if r.result is not None or r.error]
        said = [self._say(call, self.request(self._tasks[0])) for call in made]
        drafts = [call for call in made if call.name in DRAFTS]
        return "\n\n".join(dict.fromkeys(part for part in [*said, self._drafted(drafts)] if part))

    def request(self, task: CrewTask) -> HunterRequest:
        """The task as understood, with what this turn has shown so far."""
        answered = self._answered(task)
        if answered:
            return answered
        base = task.intent if task.intent != "followup" else ""
        return understand(base, task.text, self._session(), self._today, self._turn.language)

    def open_question(self) -> dict[str, Any] | None:
        """What the answer asked back: the next message may be just its answer."""
        task = self._tasks[-1]
        request = self.request(task)
        if request.asked in ("find", "change"):
            found = self._last(self._calls(task), "find_companies")
            if found and found["state"] == "asking":
                choices = [{"name": one} for one in found["choices"]]
                return {"intent": "hunter.search", "text": task.text, "candidates": choices}
        for call in self._calls(task):
            if call.record is not None and call.record.error == "prospect_company_ambiguous":
                candidates = call.record.error_params["candidates"]
                return {"intent": _intent(request), "text": task.text, "candidates": candidates}
        if request.asked in ("decide", "contact") and not request.held and not self._calls(task):
            return {"intent": _intent(request), "text": task.text, "candidates": []}
        return None

    def last_intent(self) -> str:
        return _intent(self.request(self._tasks[-1]))

    # --- which calls ------------------------------------------------------------------------------

    def _calls(self, task: CrewTask) -> list[Call]:
        request = self.request(task)
        if request.held and request.asked not in _LOOKS:
            return []
        match request.asked:
            case "find" | "change":
                key = "request" if request.asked == "find" else "change"
                call = self._call("find_companies", {key: request.text})
                return [call, *(self._drafts_of_find(call) if withheld(request.text) == "order" else [])]
            case "list":
                return [self._call("companies_found", {"verdict": request.verdict})]
            case "status":
                return [self._call("search_status", {})]
            case "pause" | "resume":
                return [self._call("steer_search", {"action": request.asked})]
            case "rules":
                return [self._call("explain_score", {})]
            case "explain":
                if self._waits_for_list(request):
                    return [self._listed()]
                return [self._call("explain_score", {"company": one}) for one in request.companies[:1]]
            case "decide":
                if not request.companies or request.decision is None:
                    return []
                if self._waits_for_list(request):
                    return [self._listed()]
                return [
                    self._call("decide_company", {"company": one, "decision": request.decision})
                    for one in request.companies[:MOST_CONTACTED]
                ]
            case "contact":
                return self._contact(request)
            case "cadence":
                return self._contact(request, begin="start_cadence")
            case "cadences":
                return [self._call("list_cadences", {})]
            case "cadence_stop":
                return [self._call("stop_cadence", {"company": request.lead})] if request.lead else []
        return []

    def _waits_for_list(self, request: HunterRequest) -> bool:
        """Whether companies are named by number and nothing was listed in this conversation yet."""
        by_number = any(one.isdigit() for one in request.companies)
        return by_number and not self._entities() and self._listed().record is None

    def _listed(self) -> Call:
        return self._call("companies_found", {"verdict": "all"})

    def _drafts_of_find(self, call: Call) -> list[Call]:
        """ "… e fale com os melhores": once the search is over, a first message for the best of it."""
        found = call.result
        if found is None or not found["contact"] or found["state"] not in ("done", "failed"):
            return []
        most = found["contact_most"] or CONTACTED
        return self._drafts([row["id"] for row in _reachable(found["companies"])[: min(most, MOST_CONTACTED)]])

    def _contact(self, request: HunterRequest, begin: str = "") -> list[Call]:
        if request.best is None:
            if self._waits_for_list(request):
                return [self._listed()]
            return self._drafts(request.companies[:MOST_CONTACTED], request.message, begin)
        listed = self._listed()
        rows = _reachable(listed.result["companies"]) if listed.result else []
        return [listed, *self._drafts([row["id"] for row in rows[: request.best]], request.message, begin)]

    def _drafts(self, companies: Sequence[str], message: str | None = None, begin: str = "") -> list[Call]:
        """One message, or several as one proposal that is read and approved together. `begin`: by that tool instead,
        which adds what follows them."""
        if not companies:
            return []
        if not begin and len(companies) == 1:
            told = {"company": companies[0], "text": message} if message else {"company": companies[0]}
            return [self._call("draft_first_message", told)]
        several: dict[str, Any] = {"companies": list(companies)}
        return [self._call(begin or "draft_first_messages", several | ({"texts": [message]} if message else {}))]

    def _call(self, name: str, arguments: dict[str, Any]) -> Call:
        made = next((r for r in self._turn.results if r.name == name and _same(r.arguments, arguments)), None)
        return Call(name, arguments, made)

    # --- what it refers to ------------------------------------------------------------------------

    def _session(self) -> dict[str, Any]:
        """The conversation's, with what this turn has shown and spoken of."""
        session = {**self._turn.session, "entities": self._entities()}
        for record in self._turn.results:
            company = (record.result or {}).get("company") if record.name in _OF_ONE else None
            if company:
                session["focus"] = {"id": company["id"], "name": company["name"], "kind": "candidate"}
        return session

    def shows_companies(self) -> bool:
        """Whether companies were asked for, rather than only looked up for what was asked."""
        return any(self.request(task).asked in ("find", "change", "list") for task in self._tasks)

    def _entities(self) -> list[dict[str, Any]]:
        """The last list: of this turn, else of the conversation."""
        for record in reversed(self._turn.results):
            if record.name in _LISTS and record.result and record.result["companies"]:
                return [entity(row) for row in record.result["companies"]]
        return [one for one in self._turn.session.get("entities", []) if one.get("kind") == "candidate"]

    def _answered(self, task: CrewTask) -> HunterRequest | None:
        """What waited for this message, when it answers our question: a name that was offered, its place, yes."""
        waiting = self._turn.session.get("open")
        if not waiting or not str(waiting.get("intent", "")).startswith("hunter.") or len(self._tasks) > 1:
            return None
        if denies(re.sub(r"^\W*(?:nao|não|no)\s*,\s*", "", task.text, flags=re.I)):
            return None
        chosen = _chosen(task.text, waiting.get("candidates") or [])
        if waiting["intent"] == "hunter.search":
            return HunterRequest("change", chosen["name"]) if chosen else None
        if chosen is None and waiting.get("candidates"):
            return None
        waited = understand(waiting["intent"], waiting["text"], self._session(), self._today, self._turn.language)
        if chosen:
            return replace(waited, companies=(chosen["id"],), best=None)
        named = understand(waiting["intent"], task.text, self._session(), self._today, self._turn.language)
        if len(task.text.split()) > 8 or not named.companies or named.held:
            return None
        return replace(waited, companies=named.companies, decision=waited.decision or named.decision, best=None)

    # --- what is said -----------------------------------------------------------------------------

    def _answer(self, task: CrewTask) -> str:
        request, calls, words = self.request(task), self._calls(task), self._words
        if request.held and request.asked not in _LOOKS:
            return words.say(f"hunter.held.{request.held}")
        if request.asked == "decide" and not request.companies:
            return words.say("hunter.which_company")
        if request.asked == "decide" and request.decision is None:
            return words.say("hunter.which_decision")
        if request.asked == "cadence_stop" and not calls:
            return words.say("hunter.which_cadence")
        if request.asked in ("contact", "cadence") and not calls:
            return words.say("hunter.which_company")
        quiet = {"companies_found"} if request.asked in ("contact", "cadence", "explain", "decide") else set()
        said = [self._say(call, request) for call in calls if call.name not in quiet or not call.result]
        drafts = [call for call in calls if call.name in DRAFTS]
        if request.asked in ("contact", "cadence") and not drafts:
            said.append(words.say("hunter.nobody_to_contact"))
        if request.asked in ("find", "change") and (found := calls[0].result) and found["contact"] and not drafts:
            over, kind = found["state"] in ("done", "failed"), withheld(request.text)
            said.append(
                words.say("hunter.nobody_to_contact" if kind == "order" else f"hunter.held.{kind}") if over else ""
            )
        if request.held:
            said.append(words.say(f"hunter.held.{request.held}"))
        said.append(self._drafted(drafts))
        return "\n\n".join(part for part in dict.fromkeys(said) if part)

    def _say(self, call: Call, request: HunterRequest) -> str:
        record, words = call.record, self._words
        if record is None:
            return ""
        if record.result is None:
            return words.error(record)
        match call.name:
            case "find_companies":
                if record.result["state"] == "asking":
                    return words.asking(record.result)
                drafted = any(r.name in DRAFTS for r in self._turn.results)
                return words.found(record.result, drafted=drafted)
            case "companies_found":
                return words.companies(record.result)
            case "search_status":
                return words.status(record.result, learnt=bool(_LEARNT.search(squeezed(request.text))))
            case "steer_search":
                return words.steered(record.result, record.arguments["action"])
            case "explain_score":
                return words.explained(record.result, request.score_said, facts=request.facts)
            case "decide_company":
                return words.decided(record.result)
            case "list_cadences":
                alive = record.arguments.get("alive", True)
                return words.say("hunter.cadences", runs=record.result["runs"], alive=alive)
            case "stop_cadence":
                return words.say("hunter.cadence_stopped", name=record.result["run"]["name"])
        return ""  # a first message: its card says everything

    def _drafted(self, drafts: Sequence[Call]) -> str:
        made = [call.record for call in drafts if call.record is not None and call.record.proposal_id]
        if not made:
            return ""
        changes = [(one.result or {}).get("change") or {} for one in made]
        count = sum(len(change.get("messages", [change])) for change in changes)
        left_out = [one for change in changes for one in change.get("left_out", [])]
        if any(one.name == "start_cadence" for one in made):
            return self._words.say("hunter.cadence_started", count=count, left_out=left_out)
        return self._words.say("hunter.drafted", count=count, cards=len(made), left_out=left_out)

    @staticmethod
    def _last(calls: Sequence[Call], name: str) -> dict[str, Any] | None:
        return next((call.result for call in reversed(calls) if call.name == name and call.result), None)


_ONE_WISH = {
    ("hunter.search", "hunter.refine"),
    ("hunter.search", "hunter.contact"),
    ("hunter.refine", "hunter.refine"),
    ("hunter.refine", "hunter.contact"),
}


def entity(row: dict[str, Any]) -> dict[str, Any]:
    """A company of a list as a conversation keeps it, for "a terceira"."""
    return {key: row[key] for key in ("n", "id", "name", "score", "verdict")} | {"kind": "candidate"}


def _joined(tasks: Sequence[CrewTask]) -> list[CrewTask]:
    """A wish that was cut in two sentences ("… em Campinas? Umas 5, com telefone"), or from what to do with the best of
    it, is one again: who will be written to is looked at more closely."""
    joined: list[CrewTask] = []
    for task in tasks:
        before = joined[-1] if joined else None
        if before and (before.intent, task.intent) in _ONE_WISH:
            joined[-1] = replace(before, text=f"{before.text.rstrip(' .,;')}, {task.text}")
        else:
            joined.append(task)
    return joined


def _reachable(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["state"] == "saved" and (row["phone"] or row["email"])]


def _chosen(text: str, candidates: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The offered one that a short answer names, by name, by place, or by a yes where there is one alone."""
    if not candidates or len(text.split()) > 8:
        return None
    said = set(folded(text).split())
    if len(candidates) == 1 and _YES.match(folded(text)):
        return candidates[0]
    shared = [len(said & set(folded(str(one["name"])).split())) for one in candidates]
    if max(shared) and shared.count(max(shared)) == 1:
        return candidates[shared.index(max(shared))]
    place = place_meant(text)
    return candidates[place - 1] if place and place <= len(candidates) else None


def _intent(request: HunterRequest) -> str:
    return {
        "find": "hunter.search",
        "change": "hunter.refine",
        "explain": "hunter.explain",
        "rules": "hunter.explain",
        "decide": "hunter.decide",
        "contact": "hunter.contact",
        "cadence": "hunter.contact",
        "cadences": "hunter.contact",
        "cadence_stop": "hunter.contact",
    }.get(request.asked, "hunter.status")


def _same(made: dict[str, Any], wanted: dict[str, Any]) -> bool:
    def bare(arguments: dict[str, Any]) -> dict[str, str]:
        return {key: str(value) for key, value in arguments.items() if value is not None}

    return bare(made) == bare(wanted)
